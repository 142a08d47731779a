"""The session, with a Central System that does what it wants and time that passes at will."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chargepoint.payload import call
from chargepoint.registration import RegistrationStatus
from chargepoint.rpc import CallErrorReceived, ConnectionLost
from chargepoint.session import NotAccepted
from tests.session_stage import AT_ONCE, BOOT_RETRY_S, Stage, on_stage

GET = "GetConfiguration"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(tmp_path) as stage:
        yield stage


async def test_boots_first_and_then_tells_the_status_of_every_connector(stage: Stage) -> None:
    stage.connect()
    boot = await stage.answer_boot("Accepted")
    assert boot == {"chargePointVendor": "Vendor", "chargePointModel": "Model"}
    assert [await stage.answer_status(), await stage.answer_status()] == [(0, "Available"), (1, "Available")]
    assert await stage.lives()
    assert stage.session.registration is RegistrationStatus.ACCEPTED


@pytest.mark.parametrize(("status", "interval", "wait"), [("Pending", 7, 7), ("Pending", 0, BOOT_RETRY_S)])
async def test_pending_is_asked_again_after_the_interval_or_our_own(
    stage: Stage, status: str, interval: int, wait: int
) -> None:
    stage.connect()
    await stage.answer_boot(status, interval)
    await stage.pass_time(wait - 1)
    assert await stage.lives("1")
    await stage.pass_time(1)
    await stage.answer_boot("Accepted")
    assert await stage.answer_status() == (0, "Available")


@pytest.mark.parametrize(("interval", "wait"), [(7, 7), (0, BOOT_RETRY_S)])
async def test_rejected_is_asked_again_after_the_interval_or_our_own(stage: Stage, interval: int, wait: int) -> None:
    stage.connect()
    await stage.answer_boot("Rejected", interval)
    await stage.pass_time(wait - 1)
    stage.link.say([2, "unheard", GET, {}])
    await stage.pass_time(1)
    await stage.answer_boot("Accepted")  # what comes first is the boot, not an answer


async def test_a_callerror_is_followed_by_another_try(stage: Stage) -> None:
    stage.connect()
    unique_id, _ = await stage.asked("BootNotification")
    stage.link.say([4, unique_id, "InternalError", "later", {}])
    assert await stage.lives("1")
    await stage.pass_time(BOOT_RETRY_S - 1)
    assert await stage.lives("2")
    await stage.pass_time(1)
    await stage.answer_boot("Accepted")


async def test_an_answer_that_no_schema_allows_is_followed_by_another_try(stage: Stage) -> None:
    stage.connect()
    await stage.answer("BootNotification", {"status": "Perhaps", "currentTime": "noon", "interval": -1})
    assert await stage.lives()
    await stage.pass_time(BOOT_RETRY_S)
    await stage.answer_boot("Accepted")


async def test_silence_is_followed_by_another_try(stage: Stage) -> None:
    stage.call_timeout = AT_ONCE
    stage.connect()
    first, _ = await stage.asked("BootNotification")
    await stage.link.probed()
    await stage.pass_time(BOOT_RETRY_S)
    second, _ = await stage.asked("BootNotification")
    assert first != second


@pytest.mark.parametrize(
    "message",
    [
        [2, "1", GET, {}],
        [2, "2", "Nonsense", {}],
        [2, "3", GET, {"keys": 1}],
        [2, "4", GET],
        [2, "5", "Reset", {"type": "Hard"}],
        "[2, ",
    ],
)
async def test_while_rejected_nothing_is_answered_or_carried_out(stage: Stage, message: Any) -> None:
    stage.connect()
    await stage.answer_boot("Rejected", 30)
    await stage.pass_time(1)
    stage.link.say(message)
    await stage.pass_time(29)
    await stage.answer_boot("Accepted")
    assert stage.did == []


async def test_what_comes_right_behind_a_rejected_is_neither_answered_nor_carried_out(stage: Stage) -> None:
    stage.connect()
    unique_id, _ = await stage.asked("BootNotification")
    stage.link.say([3, unique_id, stage.boot_conf("Rejected", 30)])
    stage.link.say([2, "1", "Reset", {"type": "Hard"}])
    stage.link.say([2, "2", "ChangeConfiguration", {"key": "CpoName", "value": "operator"}])
    stage.link.say([2, "4", "Nonsense", {}])
    stage.link.say([2, "5", GET, {"no": "such property"}])
    await stage.pass_time(1)
    stage.link.say([2, "3", GET, {}])
    await stage.pass_time(29)
    await stage.answer_boot("Accepted")
    assert stage.did == []
    assert stage.configuration.text("CpoName") == ""


async def test_a_new_connection_does_not_shorten_rejected(stage: Stage) -> None:
    stage.connect()
    await stage.answer_boot("Rejected", 30)
    await stage.pass_time(10)
    await stage.disconnect()
    stage.connect()
    stage.link.say([2, "1", GET, {}])
    stage.link.say([2, "2", "Nonsense", {}])
    await stage.pass_time(20)
    await stage.answer_boot("Accepted")


async def test_while_pending_requests_are_answered_and_remote_starts_refused(stage: Stage) -> None:
    stage.connect()
    await stage.answer_boot("Pending", 30)
    await stage.pass_time(1)
    assert await stage.lives()
    assert (await stage.link.ask([2, "1", "RemoteStartTransaction", {"idTag": "A"}]))[2] == {"status": "Rejected"}
    assert (await stage.link.ask([2, "2", "RemoteStopTransaction", {"transactionId": 1}]))[2] == {"status": "Rejected"}
    answer = await stage.link.ask([2, "3", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "ab" * 16}])
    assert answer[2] == {"status": "Accepted"}  # A00.FR.806: the credentials may be renewed in this state


async def test_while_pending_own_messages_go_only_when_triggered(stage: Stage) -> None:
    stage.connect()
    await stage.answer_boot("Pending", 3600)
    stage.connectors.set_fault(1, "GroundFailure", None, stage.clock.now())
    await stage.pass_time(1800)
    assert await stage.lives()
    assert await stage.trigger("StatusNotification", 1) == "Accepted"
    assert await stage.answer_status() == (1, "Faulted")
    assert await stage.trigger("Heartbeat") == "Accepted"
    await stage.answer_heartbeat()
    assert await stage.trigger("BootNotification") == "Accepted"
    await stage.answer_boot("Pending", 3600)
    await stage.pass_time(1)
    assert await stage.lives("still?")
    with pytest.raises(NotAccepted):
        await stage.session.send(call.DataTransfer(vendor_id="x"))


async def test_before_the_first_answer_only_the_boot_can_be_triggered(stage: Stage) -> None:
    stage.connect()
    await stage.asked("BootNotification")
    assert await stage.trigger("StatusNotification") == "Rejected"
    assert await stage.trigger("Heartbeat") == "Rejected"


async def test_an_acceptance_after_pending_tells_all_connectors_anew(stage: Stage) -> None:
    await stage.boot()
    assert await stage.trigger("BootNotification") == "Accepted"
    await stage.answer_boot("Pending", 10)
    await stage.pass_time(10)
    await stage.answer_boot("Accepted")
    assert [await stage.answer_status(), await stage.answer_status()] == [(0, "Available"), (1, "Available")]


async def test_a_mere_reconnect_says_nothing(stage: Stage) -> None:
    await stage.boot()
    await stage.disconnect()
    stage.connect()
    assert await stage.lives()


async def test_after_a_reconnect_only_what_changed_is_told(stage: Stage) -> None:
    await stage.boot()
    await stage.disconnect()
    now = stage.clock.now()
    stage.connectors.set_fault(0, "OtherError", "came and went", now)
    stage.connectors.clear_fault(0, now)
    stage.connectors.set_fault(1, "GroundFailure", "stays", now)
    stage.connect()
    request = await stage.answer("StatusNotification", {})
    assert (request["connectorId"], request["errorCode"], request["info"]) == (1, "GroundFailure", "stays")
    assert await stage.lives()


async def test_a_reconnect_with_another_content_boots_again(stage: Stage) -> None:
    await stage.boot()
    await stage.disconnect()
    stage.content = call.BootNotification(
        charge_point_vendor="Vendor", charge_point_model="Model", firmware_version="2"
    )
    stage.connect()
    assert (await stage.answer_boot("Accepted"))["firmwareVersion"] == "2"
    assert await stage.lives()


async def test_a_status_that_was_on_its_way_when_the_link_went_is_told_again(stage: Stage) -> None:
    await stage.boot()
    stage.connectors.set_fault(1, "OtherError", None, stage.clock.now())
    stage.session.notice_change()
    await stage.asked("StatusNotification")
    await stage.disconnect()
    stage.connect()
    assert await stage.answer_status() == (1, "Faulted")


async def test_a_status_without_an_answer_is_told_again_after_our_own_wait(stage: Stage) -> None:
    stage.call_timeout = AT_ONCE
    stage.connect()
    await stage.answer_boot("Accepted")
    await stage.asked("StatusNotification")
    await stage.link.probed()
    await stage.pass_time(BOOT_RETRY_S)
    assert await stage.answer_status() == (0, "Available")


async def test_a_refused_status_is_not_repeated(stage: Stage) -> None:
    stage.connect()
    await stage.answer_boot("Accepted")
    unique_id, _ = await stage.asked("StatusNotification")
    stage.link.say([4, unique_id, "PropertyConstraintViolation", "", {}])
    assert await stage.answer_status() == (1, "Available")
    assert await stage.lives()


async def test_the_interval_of_the_boot_becomes_the_heartbeat(stage: Stage) -> None:
    await stage.boot()
    assert stage.configuration.integer("HeartbeatInterval") == 300
    await stage.pass_time(299)
    await stage.pass_time(1)
    await stage.answer_heartbeat()


async def test_an_interval_of_zero_leaves_the_heartbeat_as_it_is(stage: Stage) -> None:
    before = stage.configuration.integer("HeartbeatInterval")
    stage.connect()
    await stage.answer_boot("Accepted", 0)
    await stage.answer_status()
    assert stage.configuration.integer("HeartbeatInterval") == before


async def test_other_traffic_takes_the_place_of_a_heartbeat(stage: Stage) -> None:
    await stage.boot()
    await stage.pass_time(200)
    assert await stage.lives()  # an answer
    await stage.pass_time(200)
    stage.connectors.set_fault(1, "OtherError", None, stage.clock.now())
    stage.session.notice_change()
    await stage.answer_status()  # a CALL
    await stage.pass_time(299)
    await stage.pass_time(1)
    await stage.answer_heartbeat()


async def test_a_heartbeat_goes_once_a_day_whatever_else_is_said(stage: Stage) -> None:
    await stage.boot()
    for hour in range(23):
        await stage.pass_time(3600 if hour else 250)
        if hour:
            await stage.answer_heartbeat()
    change = {"key": "HeartbeatInterval", "value": "0"}
    assert (await stage.link.ask([2, "0", "ChangeConfiguration", change]))[2] == {"status": "Accepted"}
    await stage.pass_time(24 * 3600 - 1)
    assert await stage.lives()
    await stage.pass_time(1)
    await stage.answer_heartbeat()


async def test_another_interval_counts_from_now_on(stage: Stage) -> None:
    await stage.boot()
    await stage.pass_time(20)
    change = {"key": "HeartbeatInterval", "value": "10"}
    assert (await stage.link.ask([2, "0", "ChangeConfiguration", change]))[2] == {"status": "Accepted"}
    await stage.pass_time(10)
    await stage.answer_heartbeat()


async def test_a_shorter_interval_is_noticed_at_once(stage: Stage) -> None:
    await stage.boot()
    await stage.pass_time(20)
    await stage.configuration.change("HeartbeatInterval", "10")
    await stage.answer_heartbeat()


async def test_a_heartbeat_that_is_refused_does_not_become_a_flood(stage: Stage) -> None:
    await stage.boot()
    await stage.pass_time(300)
    unique_id, _ = await stage.asked("Heartbeat")
    stage.link.say([4, unique_id, "InternalError", "", {}])
    assert await stage.lives()
    await stage.pass_time(299)
    assert await stage.lives("1")


async def test_the_time_of_the_answers_is_taken_over(stage: Stage) -> None:
    stage.connect()
    conf = stage.boot_conf("Accepted") | {"currentTime": "2030-01-01T00:00:00Z"}
    await stage.answer("BootNotification", conf)
    await stage.answer_status()
    assert stage.clock.now().year == 2030
    assert [logged.event.type for logged in await stage.log.read(None, None, 10)] == ["SettingSystemTime"]


async def test_says_what_local_callers_want_and_returns_the_answer(stage: Stage) -> None:
    await stage.boot()
    sending = asyncio.create_task(stage.session.send(call.DataTransfer(vendor_id="x")))
    await stage.answer("DataTransfer", {"status": "Accepted", "data": "42"})
    assert (await sending).data == "42"


async def test_tells_local_callers_why_there_is_no_answer(stage: Stage) -> None:
    with pytest.raises(NotAccepted):
        await stage.session.send(call.DataTransfer(vendor_id="x"))
    await stage.boot()
    sending = asyncio.create_task(stage.session.send(call.DataTransfer(vendor_id="x")))
    unique_id, _ = await stage.asked("DataTransfer")
    stage.link.say([4, unique_id, "NotSupported", "", {}])
    with pytest.raises(CallErrorReceived):
        await sending
    sending = asyncio.create_task(stage.session.send(call.DataTransfer(vendor_id="x")))
    await stage.asked("DataTransfer")
    await stage.disconnect()
    with pytest.raises(ConnectionLost):
        await sending
    with pytest.raises(NotAccepted):
        await stage.session.send(call.DataTransfer(vendor_id="x"))
