"""A transaction as a Central System sees it: who may charge, from where to where, and why it ended."""

from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.script import Answer, Error
from tests.agent_process import Agent, agent, booted

CARD = "04E1C2A3B4"
ANYBODY = {"configuration": {"AllowOfflineTxForUnknownId": "true"}}


async def status_of(central_system: CentralSystem, connector: int = 1) -> str:
    """The next status that is told of a connector."""
    return str((await central_system.expect("StatusNotification", match={"connectorId": connector}))["status"])


async def charge(central_system: CentralSystem, running: Agent, energy_wh: int = 1000) -> dict[str, Any]:
    """Plug in, show the card, and return the StartTransaction.req, with the connector charging."""
    await running.call("hardware.set_meter", connector=1, energy_wh=energy_wh)
    await running.call("hardware.plug_in", connector=1)
    await running.call("hardware.present_id_tag", id_tag=CARD)
    started = await central_system.expect("StartTransaction")
    await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Charging"})
    return started


async def test_is_authorised_started_and_ended_by_the_card(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await running.call("hardware.set_meter", connector=1, energy_wh=1000)
        await running.call("hardware.plug_in", connector=1)
        assert await status_of(central_system) == "Preparing"
        await running.call("hardware.present_id_tag", id_tag=CARD, connector=1)
        assert await central_system.expect("Authorize") == {"idTag": CARD}
        assert await status_of(central_system) == "Charging"
        started = await central_system.expect("StartTransaction")
        assert (started["connectorId"], started["idTag"], started["meterStart"]) == (1, CARD, 1000)
        await running.call("hardware.suspend_ev", connector=1)
        assert await status_of(central_system) == "SuspendedEV"
        await running.call("hardware.resume_ev", connector=1)
        assert await status_of(central_system) == "Charging"
        await running.call("hardware.set_meter", connector=1, energy_wh=4200)
        await running.call("hardware.present_id_tag", id_tag=CARD.lower(), connector=1)
        assert await status_of(central_system) == "Finishing"
        stopped = await central_system.expect("StopTransaction")
        assert stopped["timestamp"] >= started["timestamp"]
        del stopped["timestamp"]
        assert stopped == {"transactionId": 1, "meterStop": 4200, "reason": "Local", "idTag": CARD}
        await running.call("hardware.plug_out", connector=1)
        assert await status_of(central_system) == "Available"
        assert not central_system.findings
        assert CARD not in "\n".join(line for line in running.log if "CALL" not in line)


async def test_gets_no_energy_where_the_cable_is_not_locked(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await running.call("hardware.set_lock", connector=1, mode="fail")
        await running.call("hardware.plug_in", connector=1)
        await running.call("hardware.present_id_tag", id_tag=CARD, connector=1)
        faulted = await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Faulted"})
        assert (faulted["errorCode"], faulted["info"]) == ("ConnectorLockFailure", "the lock does not close")
        assert (await central_system.expect("StopTransaction"))["reason"] == "Other"
        await running.call("hardware.set_lock", connector=1, mode="ok")
        await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Finishing"})
        await running.call("hardware.plug_out", connector=1)
        await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Available"})
        await charge(central_system, running)
        assert not central_system.findings


async def test_may_begin_with_the_card_and_end_with_the_plug(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await running.call("hardware.present_id_tag", id_tag=CARD)
        await central_system.expect("Authorize")
        assert await status_of(central_system) == "Preparing"
        await running.call("hardware.plug_in", connector=1)
        assert await status_of(central_system) == "Charging"
        await central_system.expect("StartTransaction")
        await running.call("hardware.plug_out", connector=1)
        stopped = await central_system.expect("StopTransaction")
        assert (stopped["reason"], stopped.get("idTag")) == ("EVDisconnected", None)
        assert await status_of(central_system) == "Available"


async def test_does_not_begin_for_a_card_that_the_central_system_refuses(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        central_system.script("Authorize", Answer({"idTagInfo": {"status": "Blocked"}}))
        await running.call("hardware.plug_in", connector=1)
        await running.call("hardware.present_id_tag", id_tag=CARD)
        await running.logged("a card is refused: the Central System says Blocked")
        assert (await running.call("status"))["connectors"]["1"]["status"] == "Preparing"


@pytest.mark.parametrize(("stops", "expected"), [("true", "Finishing"), ("false", "SuspendedEVSE")])
async def test_ends_or_pauses_where_its_id_tag_turns_out_invalid(tmp_path: Path, stops: str, expected: str) -> None:
    async with booted(tmp_path, {"configuration": {"StopTransactionOnInvalidId": stops}}) as (central_system, running):
        central_system.script(
            "StartTransaction", Answer({"transactionId": 5, "idTagInfo": {"status": "Expired"}}), times=1
        )
        await running.call("hardware.plug_in", connector=1)
        await running.call("hardware.present_id_tag", id_tag=CARD)
        await central_system.expect("StatusNotification", match={"connectorId": 1, "status": expected})
        if stops == "true":
            stopped = await central_system.expect("StopTransaction")
            assert (stopped["transactionId"], stopped["reason"]) == (5, "DeAuthorized")
        else:
            assert (await running.call("status"))["connectors"]["1"]["transaction"]["transaction_id"] == 5


async def test_is_started_and_stopped_from_afar(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        order = {"idTag": CARD, "connectorId": 1}
        assert await central_system.call("RemoteStartTransaction", order) == {"status": "Accepted"}
        assert await status_of(central_system) == "Preparing"
        await running.call("hardware.plug_in", connector=1)
        assert (await central_system.expect("StartTransaction"))["idTag"] == CARD
        await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Charging"})
        assert await central_system.call("RemoteStartTransaction", order) == {"status": "Rejected"}
        assert await central_system.call("RemoteStopTransaction", {"transactionId": 7}) == {"status": "Rejected"}
        assert await central_system.call("RemoteStopTransaction", {"transactionId": 1}) == {"status": "Accepted"}
        assert (await central_system.expect("StopTransaction"))["reason"] == "Remote"
        assert not central_system.findings


async def test_puts_an_order_to_leave_service_off_until_it_has_ended(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await charge(central_system, running)
        order = {"connectorId": 0, "type": "Inoperative"}
        assert await central_system.call("ChangeAvailability", order) == {"status": "Scheduled"}
        await running.call("hardware.plug_out", connector=1)
        await central_system.expect("StopTransaction")
        for connector in (0, 1):
            await central_system.expect("StatusNotification", match={"connectorId": connector, "status": "Unavailable"})
        await running.call("hardware.plug_in", connector=1)
        await running.call("hardware.present_id_tag", id_tag=CARD)
        await running.logged("a card is refused: no connector is free")


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
async def test_ends_before_a_reset_and_the_central_system_is_told_why(tmp_path: Path, kind: str, reason: str) -> None:
    async with booted(tmp_path) as (central_system, running):
        await charge(central_system, running)
        assert await central_system.call("Reset", {"type": kind}) == {"status": "Accepted"}
        assert (await central_system.expect("StopTransaction"))["reason"] == reason
        await central_system.expect("BootNotification")
        await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Preparing"})
        assert (await running.call("status"))["connectors"]["1"]["transaction"] is None
        assert not central_system.findings


class TestOffline:
    async def test_starts_and_ends_are_told_in_order_once_there_is_a_connection(self, tmp_path: Path) -> None:
        async with booted(tmp_path, ANYBODY) as (central_system, running):
            await running.call("connection.down")
            for energy_wh in (1000, 2000):
                await running.call("hardware.set_meter", connector=1, energy_wh=energy_wh)
                await running.call("hardware.plug_in", connector=1)
                await running.call("hardware.present_id_tag", id_tag=CARD)
                await running.logged(f"begins on connector 1 at {energy_wh} Wh")
                await running.call("hardware.plug_out", connector=1)
                await running.logged(f"ends at {energy_wh} Wh")
            assert (await running.call("status"))["queued_transaction_messages"] == 4
            await running.call("connection.up")
            for transaction_id, energy_wh in ((1, 1000), (2, 2000)):
                assert (await central_system.expect("StartTransaction"))["meterStart"] == energy_wh
                stopped = await central_system.expect("StopTransaction")
                assert (stopped["transactionId"], stopped["meterStop"]) == (transaction_id, energy_wh)
            assert not central_system.findings

    async def test_nobody_is_known_unless_the_operator_lets_everybody_in(self, tmp_path: Path) -> None:
        async with booted(tmp_path) as (_, running):
            await running.call("connection.down")
            await running.call("hardware.plug_in", connector=1)
            await running.call("hardware.present_id_tag", id_tag=CARD)
            await running.logged("a card is refused offline")


async def test_a_refused_start_is_tried_as_often_as_the_configuration_says_and_blocks_nobody(tmp_path: Path) -> None:
    tables = {"configuration": {"TransactionMessageAttempts": "2", "TransactionMessageRetryInterval": "0"}}
    async with booted(tmp_path, tables) as (central_system, running):
        central_system.script("StartTransaction", Error("InternalError", "no"), times=2)
        await charge(central_system, running)
        await running.logged("the start of transaction 1 is given up after 2 refusals: connector 1, 1000 Wh")
        await running.call("hardware.plug_out", connector=1)
        await running.logged("transaction 1 ends")
        await central_system.expect("StartTransaction")
        await charge(central_system, running, 2000)
        await running.call("hardware.plug_out", connector=1)
        stopped = await central_system.expect("StopTransaction")
        assert (stopped["meterStop"], stopped["transactionId"]) == (2000, 1)


async def test_a_new_process_ends_what_the_old_one_left(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await charge(central_system, running)
        await running.call("hardware.set_meter", connector=1, energy_wh=1500)
        assert await running.stop() == 0
        async with agent(tmp_path, central_system.url) as again:
            stopped = await central_system.expect("StopTransaction")
            assert (stopped["reason"], stopped["meterStop"]) == ("Reboot", 1500)
            await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Preparing"})
            assert (await again.call("status"))["connectors"]["1"]["transaction"] is None


async def test_is_told_although_a_long_queue_of_security_events_is_under_way(tmp_path: Path) -> None:
    async with booted(tmp_path, ANYBODY) as (central_system, running):
        await running.call("connection.down")
        for number in range(60):
            await running.call("security.raise_event", type="TamperDetectionActivated", tech_info=str(number))
        await charge_offline(running)
        await running.call("connection.up")
        await central_system.expect("SecurityEventNotification", match={"techInfo": "59"})
        actions = [entry.action for entry in central_system.recorder.frames("received")]
        last_event = len(actions) - 1 - actions[::-1].index("SecurityEventNotification")
        assert actions.index("StopTransaction") < last_event - 30


async def charge_offline(running: Agent) -> None:
    """A whole transaction without a connection."""
    await running.call("hardware.plug_in", connector=1)
    await running.call("hardware.present_id_tag", id_tag=CARD)
    await running.logged("transaction 1 begins")
    await running.call("hardware.plug_out", connector=1)
    await running.logged("transaction 1 ends")
