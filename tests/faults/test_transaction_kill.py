"""The agent is killed around transactions: each is told once from its start to its end, and its connector is free."""

import signal
from pathlib import Path

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.frame import Call
from tests.agent_process import PKI, Agent, agent, booted

CARD = "04E1C2A3B4"
ANYBODY = {"configuration": {"AllowOfflineTxForUnknownId": "true"}}


def told(central_system: CentralSystem) -> list[tuple[str, int, int]]:
    """Action, transactionId (of a start 0) and Wh of every message about transactions so far."""
    found = []
    for entry in central_system.recorder.frames("received"):
        match entry.frame:
            case Call(action="StartTransaction", payload=payload):
                found.append(("StartTransaction", 0, int(str(payload["meterStart"]))))
            case Call(action="StopTransaction", payload=payload):
                found.append(("StopTransaction", int(str(payload["transactionId"])), int(str(payload["meterStop"]))))
    return found


async def plug_and_card(running: Agent, energy_wh: int) -> None:
    await running.call("hardware.set_meter", connector=1, energy_wh=energy_wh)
    await running.call("hardware.plug_in", connector=1)
    await running.call("hardware.present_id_tag", id_tag=CARD)
    await running.logged(f"begins on connector 1 at {energy_wh} Wh")


async def test_in_a_transaction_it_is_ended_by_the_next_start(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await plug_and_card(running, 1000)
        await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Charging"})
        await central_system.expect("StartTransaction")
        await running.call("hardware.set_meter", connector=1, energy_wh=1700)
        await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, ANYBODY) as again:
            stopped = await central_system.expect("StopTransaction")
            assert (stopped["meterStop"], stopped["reason"]) == (1700, "Reboot")
            await plug_and_card(again, 1700)
            await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Charging"})
        assert not central_system.findings


@pytest.mark.parametrize("ended", [False, True])
async def test_offline_both_ends_of_a_transaction_are_told_in_order_afterwards(tmp_path: Path, ended: bool) -> None:
    async with booted(tmp_path, ANYBODY) as (central_system, running):
        await running.call("connection.down")
        await plug_and_card(running, 1000)
        await running.call("hardware.set_meter", connector=1, energy_wh=1700)
        if ended:
            await running.call("hardware.plug_out", connector=1)
            await running.logged("ends at 1700 Wh")
        await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, ANYBODY):
            stopped = await central_system.expect("StopTransaction")
            assert stopped["reason"] == ("EVDisconnected" if ended else "Reboot")
        assert told(central_system) == [("StartTransaction", 0, 1000), ("StopTransaction", 1, 1700)]
        assert not central_system.findings


async def test_over_and_over_no_message_is_lost_and_none_is_out_of_order(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        for energy_wh in (1000, 2000, 3000):
            async with agent(tmp_path, central_system.url, ANYBODY) as running:
                await plug_and_card(running, energy_wh)
                await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, ANYBODY):
            await central_system.expect("StopTransaction", match={"meterStop": 3000})
        messages = told(central_system)
        energies = [energy for _, _, energy in messages]
        assert energies == sorted(energies)
        assert {(action, energy) for action, _, energy in messages} == {
            (action, energy) for action in ("StartTransaction", "StopTransaction") for energy in (1000, 2000, 3000)
        }
