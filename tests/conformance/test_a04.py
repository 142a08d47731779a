"""A04, security event notification: critical events reach the Central System, whatever happens to the connection."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from chargepoint.date_time import read_date_time
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.frame import CallResult
from chargepoint.simulation.script import Answer, Cut, Error, Silence, Step
from security.event import MAX_TECH_INFO_LENGTH
from tests.agent_process import PATIENCE_S, PKI, Agent, Tables, agent, booted

NOTIFICATION: Final = "SecurityEventNotification"
TAMPER: Final = {"type": "TamperDetectionActivated"}
IMPATIENT: Final = {"security": {"event_retry_s": 0.1}}


async def raise_events(running: Agent, *tech_infos: str) -> None:
    for tech_info in tech_infos:
        await running.call("security.raise_event", type="TamperDetectionActivated", tech_info=tech_info)


async def hear(central_system: CentralSystem, count: int) -> list[str]:
    """Return the tech info of the next so many events of a tampered device."""
    return [(await central_system.expect(NOTIFICATION, match=TAMPER))["techInfo"] for _ in range(count)]


def requests(central_system: CentralSystem) -> list[str]:
    """The actions of all requests of the Charge Point so far."""
    received = central_system.recorder.frames("received")
    return [entry.action for entry in received if isinstance(entry.data, str) and entry.data.startswith("[2")]


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Ask until it is so; each question is a round trip to the agent's process."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            pass


async def all_delivered(running: Agent) -> bool:
    return int((await running.call("status"))["queued_events"]) == 0


@pytest.mark.requirement("A04.FR.01", "A04.FR.03")
async def test_a_critical_event_is_told_with_its_type_time_and_details(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        await running.call("hardware.tamper", info="lid open")
        event = await central_system.expect(NOTIFICATION, match=TAMPER)
        assert event["techInfo"] == "lid open"
        assert before <= read_date_time(event["timestamp"]) <= datetime.now(UTC)
        await until(lambda: all_delivered(running))
        answers = [entry.frame for entry in central_system.recorder.frames("sent") if entry.action == NOTIFICATION]
        assert [answer.payload for answer in answers if isinstance(answer, CallResult)] == [{}, {}]
        assert [event["delivered"] for event in await running.events()] == [True, True]
        assert not central_system.findings


@pytest.mark.requirement("A04.FR.04")
async def test_every_event_is_in_the_security_log_and_what_is_not_critical_need_not_be_told(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await running.call("security.raise_event", type="InvalidMessages", tech_info="gibberish")
        await running.call("security.raise_event", type="CabinetDoorOpened")
        await raise_events(running, "told")
        assert await hear(central_system, 1) == ["told"]
        await until(lambda: all_delivered(running))
        log = [(event["type"], event["critical"], event["delivered"]) for event in await running.events()]
        assert log == [
            ("StartupOfTheDevice", True, True),
            ("InvalidMessages", False, False),
            ("CabinetDoorOpened", False, False),
            ("TamperDetectionActivated", True, True),
        ]


@pytest.mark.requirement("A04.FR.02")
async def test_events_of_an_outage_arrive_in_order_after_it(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await until(lambda: all_delivered(running))  # that of the boot
        await running.call("connection.down")
        await raise_events(running, *map(str, range(20)))
        assert (await running.call("status"))["queued_events"] == 20
        await running.call("connection.up")
        assert await hear(central_system, 20) == [str(number) for number in range(20)]
        await until(lambda: all_delivered(running))
        assert not central_system.findings


@pytest.mark.requirement("A04.FR.02", "A04.FR.04")
async def test_events_of_an_outage_survive_a_kill(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        async with agent(tmp_path, central_system.url) as running:
            await central_system.expect(NOTIFICATION)
            await running.call("connection.down")
            await raise_events(running, "before", "the kill")
            await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url) as running:
            await raise_events(running, "after")
            assert await hear(central_system, 3) == ["before", "the kill", "after"]


@pytest.mark.requirement("A04.FR.02")
@pytest.mark.parametrize("step", [Cut(), Cut(reset=True)])
async def test_what_the_link_took_with_it_is_sent_again(tmp_path: Path, step: Step) -> None:
    async with booted(tmp_path) as (central_system, running):
        await central_system.expect(NOTIFICATION)
        central_system.script(NOTIFICATION, step, times=2)
        await raise_events(running, "first", "second")
        assert await hear(central_system, 4) == ["first", "first", "first", "second"]


async def test_silence_is_not_the_events_fault(tmp_path: Path) -> None:
    patience: Tables = {"connection": {"call_timeout_s": 1}, "security": {"event_retry_s": 0.1, "event_attempts": 1}}
    async with booted(tmp_path, patience) as (central_system, running):
        await central_system.expect(NOTIFICATION)
        central_system.script(NOTIFICATION, Silence(), times=2)
        await raise_events(running, "heard")
        assert await hear(central_system, 3) == ["heard"] * 3
        await until(lambda: all_delivered(running))
        assert [event["delivered"] for event in await running.events("TamperDetectionActivated")] == [True]


async def test_nothing_is_told_before_the_boot_is_accepted(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        for status in ("Rejected", "Pending"):
            conf = Answer({"status": status, "currentTime": "2026-06-01T12:00:00Z", "interval": 1})
            central_system.script("BootNotification", conf, times=1)
        async with agent(tmp_path, central_system.url) as running:
            await raise_events(running, "early")
            assert await hear(central_system, 1) == ["early"]
            asked = requests(central_system)
            assert asked[:3] == ["BootNotification"] * 3
            assert asked.count("BootNotification") == 3
            assert not central_system.findings


async def test_an_event_before_the_time_was_known_is_told_with_its_true_time(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        await central_system.suspend()
        async with agent(tmp_path, central_system.url) as running:
            await running.call("hardware.set_clock", offset_s=-56 * 365 * 86_400)
            before = datetime.now(UTC)
            await raise_events(running, "in 1970")
            after = datetime.now(UTC)
            await central_system.resume()
            event = await central_system.expect(NOTIFICATION, match=TAMPER)
            tolerance = timedelta(seconds=2)  # currentTime has come over a wire
            assert before - tolerance <= read_date_time(event["timestamp"]) <= after + tolerance


@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported"])
async def test_a_central_system_without_the_message_is_left_in_peace_until_the_next_boot(
    tmp_path: Path, code: str
) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        central_system.script(NOTIFICATION, Error(code), times=2)
        async with agent(tmp_path, central_system.url, IMPATIENT) as running:
            await running.logged("wait until the Central System accepts a boot again")
            await raise_events(running, "kept")
            status = await running.call("status")
            assert (status["event_delivery"], status["queued_events"]) == ("rests until the next accepted boot", 2)
            await central_system.drop()
            await central_system.connected()
            await central_system.call("GetConfiguration")
            assert requests(central_system).count(NOTIFICATION) == 1
            for times in (2, 3):
                await central_system.call("TriggerMessage", {"requestedMessage": "BootNotification"})
                if times == 2:
                    await running.logged("wait until the Central System accepts a boot again", times=2)
                    assert requests(central_system).count(NOTIFICATION) == 2
            assert await hear(central_system, 1) == ["kept"]
            await until(lambda: all_delivered(running))
            assert requests(central_system).count(NOTIFICATION) == 4


async def test_a_refused_event_is_set_aside_and_blocks_no_other(tmp_path: Path) -> None:
    async with booted(tmp_path, IMPATIENT) as (central_system, running):
        await central_system.expect(NOTIFICATION)
        central_system.script(NOTIFICATION, Error("InternalError", "no room"), times=3)
        await raise_events(running, "refused", "taken")
        assert await hear(central_system, 4) == ["refused"] * 3 + ["taken"]
        await until(lambda: all_delivered(running))
        assert [event["delivered"] for event in await running.events("TamperDetectionActivated")] == [False, True]
        await running.logged("is set aside after 3 refusals")


async def test_refusals_are_counted_over_a_kill(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        async with agent(tmp_path, central_system.url, {"security": {"event_retry_s": 3600}}) as running:
            await central_system.expect(NOTIFICATION)
            central_system.script(NOTIFICATION, Error("InternalError"), times=3)
            await raise_events(running, "refused", "taken")
            assert await hear(central_system, 1) == ["refused"]
            await running.logged("was not taken")
            await running.call("status")  # the refusal is on the disk before this is read
            await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, IMPATIENT) as running:
            assert await hear(central_system, 3) == ["refused", "refused", "taken"]


async def test_a_switch_turns_it_off_and_then_nothing_piles_up(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        await central_system.suspend()
        async with agent(tmp_path, central_system.url) as running:
            await raise_events(running, "queued")
        await central_system.resume()
        async with agent(tmp_path, central_system.url, {"security": {"send_events": False}}) as running:
            await central_system.expect("StatusNotification")
            await raise_events(running, "logged")
            await central_system.call("GetConfiguration")
            status = await running.call("status")
            assert (status["event_delivery"], status["queued_events"]) == ("off", 0)
            told = [event["tech_info"] for event in await running.events("TamperDetectionActivated")]
            assert told == ["queued", "logged"]
            assert NOTIFICATION not in requests(central_system)


async def test_a_setting_adds_types_that_are_told(tmp_path: Path) -> None:
    also = {"security": {"also_send": ["InvalidMessages", "CabinetDoorOpened"]}}
    async with booted(tmp_path, also) as (central_system, running):
        await running.call("security.raise_event", type="AttemptedReplayAttacks")
        await running.call("security.raise_event", type="CabinetDoorOpened", tech_info="left")
        await running.call("security.raise_event", type="InvalidMessages")
        heard = [(await central_system.expect(NOTIFICATION))["type"] for _ in range(3)]
        assert heard == ["StartupOfTheDevice", "CabinetDoorOpened", "InvalidMessages"]


async def test_details_are_cut_and_no_details_are_left_out(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await raise_events(running, "x" * (MAX_TECH_INFO_LENGTH + 1))
        assert await hear(central_system, 1) == ["x" * MAX_TECH_INFO_LENGTH]
        await running.call("hardware.tamper")
        assert "techInfo" not in await central_system.expect(NOTIFICATION, match=TAMPER)
        assert not central_system.findings


async def test_events_and_other_messages_take_turns(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await running.call("connection.down")
        await raise_events(running, *map(str, range(50)))
        await running.call("hardware.fault", connector=1)
        before = len(requests(central_system))
        await running.call("connection.up")
        await central_system.expect("StatusNotification", match={"status": "Faulted"})
        await hear(central_system, 50)
        of_outage = requests(central_system)[before:]
        assert of_outage.index("StatusNotification") <= 2, "a long queue holds up nobody"
