import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import chargepoint.rpc
from chargepoint.payload import call, call_result, enums
from chargepoint.rpc import CallFailed, ErrorCode, LinkLost, Refusal, Reply, Silence
from chargepoint.schema import Tolerance
from tests.exchange import LIMITS, PATIENCE_S, accept, talking


class Gate:
    """A handler that is busy until it is let go."""

    def __init__(self) -> None:
        self.entered = asyncio.Semaphore(0)
        self.open = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, request: Any, action: str) -> Reply:
        self.entered.release()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await accept(request, action)

    async def wait_entered(self, times: int = 1) -> None:
        for _ in range(times):
            await asyncio.wait_for(self.entered.acquire(), PATIENCE_S)


CLEAR_CACHE = [2, "1", "ClearCache", {}]
ACCEPTED = {"status": "Accepted"}


async def test_a_request_reaches_its_handler_and_the_answer_goes_back() -> None:
    seen: list[Any] = []

    async def serve(request: Any, action: str) -> Reply:
        seen.append((action, request))
        return Reply(call_result.GetLog(status=enums.LogStatus.accepted, filename="log.txt"))

    async with talking(serve) as talk:
        answer = await talk.pipe.ask(
            [2, "7", "GetLog", {"logType": "SecurityLog", "requestId": 5, "log": {"remoteLocation": "ftp://h/d"}}]
        )
    assert answer == [3, "7", {"status": "Accepted", "filename": "log.txt"}]
    expected = call.GetLog(log_type=enums.Log.security_log, request_id=5, log={"remote_location": "ftp://h/d"})
    assert seen == [("GetLog", expected)]


@pytest.mark.parametrize(
    ("action", "payload", "code", "where"),
    [
        ("Reset", {"type": 5}, "TypeConstraintViolation", "type"),
        ("Reset", {"type": "Cold"}, "PropertyConstraintViolation", "type"),
        ("Reset", {}, "OccurenceConstraintViolation", "payload: lacks type"),
        ("Reset", {"type": "Hard", "secret": 1}, "FormationViolation", "payload"),
        ("ChangeConfiguration", {"key": "k" * 51, "value": ""}, "PropertyConstraintViolation", "key"),
        ("Foo", {}, "NotImplemented", "this action is not known"),
    ],
)
async def test_a_bad_request_is_answered_by_the_code_of_table_7(
    action: str, payload: dict[str, Any], code: str, where: str
) -> None:
    async with talking() as talk:
        kind, unique_id, sent_code, description, details = await talk.pipe.ask([2, "1", action, payload])
        assert (kind, unique_id, sent_code, details) == (4, "1", code, {})
        assert description.startswith(where)
        assert "secret" not in description
        assert await talk.lives()


async def test_a_handlers_refusal_is_its_callerror() -> None:
    async def refuse(request: Any, action: str) -> Reply:
        raise Refusal(ErrorCode.NOT_SUPPORTED, "no such thing here")

    async with talking(refuse) as talk:
        assert await talk.pipe.ask(CLEAR_CACHE) == [4, "1", "NotSupported", "no such thing here", {}]


async def test_a_handler_that_breaks_is_an_internal_error_and_the_agent_lives(caplog: pytest.LogCaptureFixture) -> None:
    async def serve(request: Any, action: str) -> Reply:
        if action == "Reset":
            raise ZeroDivisionError("a fault of ours")
        return await accept(request, action)

    async with talking(serve) as talk:
        answer = await talk.pipe.ask([2, "1", "Reset", {"type": "Hard"}])
        assert answer == [4, "1", "InternalError", "the request could not be handled", {}]
        assert await talk.lives()
    assert "ZeroDivisionError: a fault of ours" in caplog.text


async def test_an_answer_of_ours_that_breaks_its_schema_is_not_sent() -> None:
    async def serve(request: Any, action: str) -> Reply:
        return Reply(call_result.ClearCache(status="Perhaps"))  # type: ignore[arg-type]  # the fault

    async with talking(serve) as talk:
        assert (await talk.pipe.ask(CLEAR_CACHE))[2] == "InternalError"


async def test_a_slow_handler_delays_nobody_and_may_itself_call() -> None:
    async def serve(request: Any, action: str) -> Reply:
        if action == "Reset":
            await talk.exchange.call(call.Heartbeat())
        return await accept(request, action)

    async with talking(serve) as talk:
        talk.pipe.say([2, "slow", "Reset", {"type": "Soft"}])
        _, unique_id, action, _ = await talk.pipe.hear()
        assert action == "Heartbeat"
        assert await talk.lives()
        answer = await talk.pipe.ask([3, unique_id, {"currentTime": "2026-01-01T00:00:00Z"}])
        assert answer == [3, "slow", ACCEPTED]


async def test_a_call_that_a_handler_needs_and_that_fails_is_an_internal_error() -> None:
    async def serve(request: Any, action: str) -> Reply:
        raise CallFailed("no luck")

    async with talking(serve) as talk:
        assert (await talk.pipe.ask(CLEAR_CACHE))[2] == "InternalError"


async def test_beyond_the_bound_a_request_is_refused_while_answers_of_theirs_are_still_read() -> None:
    gate = Gate()
    async with talking(gate) as talk:
        for number in range(LIMITS.max_inbound_calls):
            talk.pipe.say([2, str(number), "ClearCache", {}])
        await gate.wait_entered(LIMITS.max_inbound_calls)
        assert await talk.pipe.ask([2, "over", "ClearCache", {}]) == [
            4, "over", "GenericError", "too many requests at once", {},
        ]  # fmt: skip
        beat = asyncio.create_task(talk.exchange.call(call.Heartbeat()))
        talk.pipe.say([3, (await talk.pipe.hear())[1], {"currentTime": "2026-01-01T00:00:00Z"}])
        assert await beat == call_result.Heartbeat(current_time="2026-01-01T00:00:00Z")
        gate.open.set()
        answered = {(await talk.pipe.hear())[1] for _ in range(LIMITS.max_inbound_calls)}
        assert answered == {str(number) for number in range(LIMITS.max_inbound_calls)}
        # Refused for want of room is not remembered: the same id may try again.
        assert await talk.pipe.ask([2, "over", "ClearCache", {}]) == [3, "over", ACCEPTED]


async def test_an_id_that_is_being_handled_is_refused() -> None:
    gate = Gate()
    async with talking(gate) as talk:
        talk.pipe.say(CLEAR_CACHE)
        await gate.wait_entered()
        again = await talk.pipe.ask(CLEAR_CACHE)
        assert again == [4, "1", "GenericError", "this message id is being handled", {}]
        other = await talk.pipe.ask([2, "1", "Reset", {"type": "Hard"}])
        assert other == [4, "1", "SecurityError", "this message id was used before", {}]
        assert (await talk.event())[0] == "AttemptedReplayAttacks"
        gate.open.set()
        assert await talk.pipe.hear() == [3, "1", ACCEPTED]


async def test_silence_answers_nothing_and_the_request_may_come_again() -> None:
    gate = Gate()
    quiet = True

    async def serve(request: Any, action: str) -> Reply:
        reply = await gate(request, action)
        if quiet:
            raise Silence
        return reply

    async with talking(serve) as talk:
        talk.pipe.say(CLEAR_CACHE)
        await gate.wait_entered()
        gate.open.set()
        await talk.exchange.settle()
        quiet = False
        assert await talk.pipe.ask(CLEAR_CACHE) == [3, "1", ACCEPTED]


async def test_a_silent_exchange_answers_nothing_at_all_but_makes_its_own_calls() -> None:
    async with talking() as talk:
        talk.exchange.silent = True
        talk.pipe.say(CLEAR_CACHE)
        talk.pipe.say('[2,"2",')
        beat = asyncio.create_task(talk.exchange.call(call.Heartbeat()))
        talk.pipe.say([3, (await talk.pipe.hear())[1], {"currentTime": "2026-01-01T00:00:00Z"}])
        await beat
        talk.exchange.silent = False
        assert await talk.lives()


async def test_what_follows_an_answer_is_done_after_it_is_sent() -> None:
    async def follow() -> None:
        await talk.exchange.call(call.Heartbeat())

    async def serve(request: Any, action: str) -> Reply:
        return Reply(call_result.ClearCache(status=enums.ClearCacheStatus.accepted), follow)

    async with talking(serve) as talk:
        assert await talk.pipe.ask(CLEAR_CACHE) == [3, "1", ACCEPTED]
        assert (await talk.pipe.hear())[2] == "Heartbeat"


async def test_what_follows_an_answer_is_done_although_the_link_went() -> None:
    gate = Gate()
    followed = asyncio.Event()

    async def follow() -> None:
        followed.set()
        raise ValueError("and a fault in it harms nobody")

    async def serve(request: Any, action: str) -> Reply:
        return replace(await gate(request, action), then=follow)

    async with talking(serve) as talk:
        talk.pipe.say(CLEAR_CACHE)
        await gate.wait_entered()
        talk.pipe.cut()
        gate.open.set()
        await asyncio.wait_for(followed.wait(), PATIENCE_S)


async def test_settle_waits_for_the_answers_but_not_for_what_follows_them() -> None:
    gate = Gate()
    released = asyncio.Event()

    async def follow() -> None:
        await talk.exchange.settle()  # as a change of the connection's parameters does
        released.set()

    async def serve(request: Any, action: str) -> Reply:
        return replace(await gate(request, action), then=follow)

    async with talking(serve) as talk:
        talk.pipe.say(CLEAR_CACHE)
        await gate.wait_entered()
        settling = asyncio.create_task(talk.exchange.settle())
        await asyncio.sleep(0)
        assert not settling.done()
        gate.open.set()
        await asyncio.wait_for(settling, PATIENCE_S)
        assert await talk.pipe.hear() == [3, "1", ACCEPTED]
        await asyncio.wait_for(released.wait(), PATIENCE_S)


async def test_when_the_link_goes_handlers_get_a_grace_and_are_then_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chargepoint.rpc, "HANDLER_GRACE", timedelta(milliseconds=1))
    gate = Gate()
    async with talking(gate) as talk:
        talk.pipe.say(CLEAR_CACHE)
        await gate.wait_entered()
    assert gate.cancelled == 1


async def test_cancelling_the_run_cancels_the_handlers_and_fails_our_call() -> None:
    gate = Gate()
    async with talking(gate) as talk:
        talk.pipe.say(CLEAR_CACHE)
        await gate.wait_entered()
        beat = asyncio.create_task(talk.exchange.call(call.Heartbeat()))
        await talk.pipe.hear()
        talk.running.cancel()
        with pytest.raises(chargepoint.rpc.ConnectionLost):
            await beat
        with pytest.raises(asyncio.CancelledError):
            await talk.running
        assert gate.cancelled == 1
        assert talk.pipe.closed is None
        talk.running = asyncio.create_task(asyncio.sleep(0))


async def test_unknown_properties_are_dropped_and_long_strings_kept_where_they_are_tolerated() -> None:
    seen: list[Any] = []

    async def serve(request: Any, action: str) -> Reply:
        seen.append(request)
        return Reply(call_result.GetLog(status=enums.LogStatus.accepted))

    tolerance = Tolerance(unknown_properties=True, over_long_strings=True)
    long = "ftp://h/" + "d" * 600
    log = {"remoteLocation": long, "vendorThing": {"deep": 1}}
    async with talking(serve, tolerance=tolerance) as talk:
        request = {"logType": "SecurityLog", "requestId": 5, "log": log, "more": []}
        assert (await talk.pipe.ask([2, "1", "GetLog", request]))[0] == 3
        assert (await talk.pipe.ask([2, "2", "GetLog", {**request, "requestId": "5"}]))[2] == "TypeConstraintViolation"
    assert seen == [call.GetLog(log_type=enums.Log.security_log, request_id=5, log={"remote_location": long})]


async def test_a_date_time_without_a_zone_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def serve(request: Any, action: str) -> Reply:
        return Reply(call_result.UpdateFirmware())

    async with talking(serve) as talk:
        for number in range(3):
            request = {"location": "https://h/f", "retrieveDate": "2026-01-01T00:00:00"}
            assert await talk.pipe.ask([2, str(number), "UpdateFirmware", request]) == [3, str(number), {}]
        bad = {"location": "https://h/f", "retrieveDate": "tomorrow"}
        assert (await talk.pipe.ask([2, "x", "UpdateFirmware", bad]))[2:4] == [
            "TypeConstraintViolation",
            "retrieveDate: breaks the rule format",
        ]
    assert caplog.text.count("without a zone") == 1


async def test_a_frame_in_the_log_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    key = "00112233445566778899aabbccddeeff"
    with caplog.at_level(logging.DEBUG):
        async with talking() as talk:
            await talk.pipe.ask([2, "1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": key}])
            await talk.pipe.ask([2, "2", "ChangeConfiguration", {"key": "AuthorizationKey", "value": key, "x": key}])
    assert "ChangeConfiguration" in caplog.text
    assert key not in caplog.text


async def test_a_link_that_went_for_what_the_peer_sent_is_an_invalid_message() -> None:
    async with talking() as talk:
        talk.pipe.cut(LinkLost("a frame too large", invalid_message=True))
    assert talk.events == [("InvalidMessages", "a frame too large")]


async def test_a_fault_of_ours_in_one_message_does_not_end_the_exchange(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    met = asyncio.Event()

    def broken(text: str) -> None:
        met.set()
        raise ZeroDivisionError

    async with talking() as talk:
        with monkeypatch.context() as patch:
            patch.setattr(chargepoint.rpc, "decode", broken)
            talk.pipe.say(CLEAR_CACHE)
            await asyncio.wait_for(met.wait(), PATIENCE_S)
        assert await talk.lives()
    assert "ZeroDivisionError" in caplog.text
