"""TriggerMessage.req and ExtendedTriggerMessage.req: answered first, then the message is sent."""

from pathlib import Path

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.script import Silence
from tests.agent_process import booted

NOT_YET = ("MeterValues",)
TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")


def last(central_system: CentralSystem, count: int) -> list[str]:
    """The last frames that came: the action of a CALL, or that of the CALL which an answer belongs to."""
    return [entry.action for entry in central_system.recorder.frames("received")][-count:]


@pytest.mark.parametrize("action", TRIGGERS)
async def test_sends_what_is_asked_for_after_its_answer(tmp_path: Path, action: str) -> None:
    async with booted(tmp_path) as (central_system, running):
        for message in ("BootNotification", "Heartbeat"):
            assert await central_system.call(action, {"requestedMessage": message}) == {"status": "Accepted"}
            await central_system.expect(message)
            assert last(central_system, 2) == [action, message]
        await running.call("hardware.fault", connector=1, error_code="GroundFailure")
        await central_system.expect("StatusNotification", match={"status": "Faulted"})

        one = {"requestedMessage": "StatusNotification", "connectorId": 1}
        assert await central_system.call(action, one) == {"status": "Accepted"}
        told = await central_system.expect("StatusNotification")
        assert (told["connectorId"], told["errorCode"]) == (1, "GroundFailure")

        every = {"requestedMessage": "StatusNotification"}
        assert await central_system.call(action, every) == {"status": "Accepted"}
        for connector in (0, 1):
            assert (await central_system.expect("StatusNotification"))["connectorId"] == connector
        assert last(central_system, 3) == [action, "StatusNotification", "StatusNotification"]
        assert not central_system.findings


@pytest.mark.parametrize("action", TRIGGERS)
async def test_refuses_a_connector_that_does_not_exist(tmp_path: Path, action: str) -> None:
    async with booted(tmp_path) as (central_system, _):
        asked = {"requestedMessage": "StatusNotification", "connectorId": 2}
        assert await central_system.call(action, asked) == {"status": "Rejected"}
        # Where the message belongs to no connector, the number is beside the point.
        asked = {"requestedMessage": "Heartbeat", "connectorId": 2}
        assert await central_system.call(action, asked) == {"status": "Accepted"}
        await central_system.expect("Heartbeat")


async def test_says_that_a_message_is_not_there(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        for message in NOT_YET:
            answer = await central_system.call("TriggerMessage", {"requestedMessage": message})
            assert answer == {"status": "NotImplemented"}


async def test_a_slow_answer_to_a_triggered_message_delays_no_request(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        central_system.script("Heartbeat", Silence())
        assert await central_system.call("TriggerMessage", {"requestedMessage": "Heartbeat"}) == {"status": "Accepted"}
        await central_system.expect("Heartbeat")
        assert (await central_system.call("GetConfiguration"))["configurationKey"]
        assert await central_system.call("TriggerMessage", {"requestedMessage": "Heartbeat"}) == {"status": "Accepted"}
