import asyncio
import gc
from dataclasses import replace
from datetime import timedelta

import pytest

from chargepoint.frame import Call
from chargepoint.own_call import OwnCalls
from chargepoint.payload import call, call_result
from chargepoint.rpc import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer, LinkLost
from tests.exchange import LIMITS, PATIENCE_S, Pipe, talking

HASTY = replace(LIMITS, call_timeout=timedelta(milliseconds=1))
NOW = {"currentTime": "2026-01-01T00:00:00Z"}


async def test_a_call_goes_out_and_its_answer_comes_back() -> None:
    async with talking() as talk:
        asking = asyncio.create_task(talk.exchange.call(call.Authorize(id_tag="A1")))
        kind, unique_id, action, payload = await talk.pipe.hear()
        assert (kind, action, payload) == (2, "Authorize", {"idTag": "A1"})
        assert len(unique_id) == 36
        talk.pipe.say([3, unique_id, {"idTagInfo": {"status": "Accepted", "parentIdTag": "P"}}])
        answer = await asking
        assert type(answer) is call_result.Authorize
        assert vars(answer) == {"id_tag_info": {"status": "Accepted", "parent_id_tag": "P"}}
    assert talk.events == []


async def test_one_call_is_outstanding_and_the_others_go_in_the_order_of_asking() -> None:
    async with talking() as talk:
        asking = [asyncio.create_task(talk.exchange.call(call.Authorize(id_tag=str(tag)))) for tag in range(3)]
        for tag in range(3):
            _, unique_id, _, payload = await talk.pipe.hear()
            assert payload == {"idTag": str(tag)}
            assert await talk.lives()  # the next frame is the answer to this, not the next CALL
            talk.pipe.say([3, unique_id, {"idTagInfo": {"status": "Invalid"}}])
        await asyncio.gather(*asking)


async def test_a_pending_call_and_those_that_wait_fail_at_once_when_the_connection_goes() -> None:
    async with talking() as talk:
        asking = [asyncio.create_task(talk.exchange.call(call.Heartbeat())) for _ in range(3)]
        await talk.pipe.hear()
        talk.pipe.cut()
        failures = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(failure) for failure in failures] == [ConnectionLost] * 3
        with pytest.raises(ConnectionLost):
            await talk.exchange.call(call.Heartbeat())


async def test_a_call_that_meets_a_gone_connection_is_lost_before_the_reader_knows() -> None:
    async with talking() as talk:
        talk.pipe.cut()
        with pytest.raises(ConnectionLost):
            await talk.exchange.call(call.Heartbeat())


async def test_a_call_that_times_out_is_probed_and_its_late_answer_is_dropped_without_reproach() -> None:
    async with talking(limits=HASTY) as talk:
        with pytest.raises(CallTimedOut):
            await talk.exchange.call(call.Heartbeat())
        assert talk.pipe.pings == 1
        late = (await talk.pipe.hear())[1]
        talk.pipe.say([3, late, NOW])
        asking = asyncio.create_task(talk.exchange.call(call.Heartbeat(), timeout=timedelta(seconds=30)))
        unique_id = (await talk.pipe.hear())[1]
        assert unique_id != late
        talk.pipe.say([3, unique_id, NOW])
        await asking
    assert talk.pipe.closed is None
    assert talk.events == []


async def test_a_call_without_answer_and_pong_closes_the_link() -> None:
    async with talking(limits=HASTY) as talk:
        talk.pipe.pongs = False
        with pytest.raises(ConnectionLost):
            await talk.exchange.call(call.Heartbeat())
        assert talk.pipe.closed == (1011, "no pong")
        await talk.running


async def test_the_answer_to_a_call_that_was_cancelled_is_dropped_without_reproach() -> None:
    async with talking() as talk:
        asking = asyncio.create_task(talk.exchange.call(call.Heartbeat()))
        unique_id = (await talk.pipe.hear())[1]
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        talk.pipe.say([3, unique_id, NOW])
        assert await talk.lives()
    assert talk.events == []


@pytest.mark.parametrize("details", [[], [{}], [None], [{"a": 1}]])
async def test_a_callerror_of_four_or_five_elements_is_taken(details: list[object]) -> None:
    async with talking() as talk:
        asking = asyncio.create_task(talk.exchange.call(call.Heartbeat()))
        unique_id = (await talk.pipe.hear())[1]
        talk.pipe.say([4, unique_id, "FormatViolation", "x" * 1000, *details])
        with pytest.raises(CallErrorReceived) as caught:
            await asking
    assert (caught.value.code, caught.value.description) == ("FormatViolation", "x" * 255)
    assert talk.events == []


@pytest.mark.parametrize(
    "answer",
    [
        [3, "ID", {"currentTime": 5}],
        [3, "ID", {}],
        [3, "ID", {"currentTime": "tomorrow"}],
        [3, "ID", []],
        [3, "ID"],
        [4, "ID", "GenericError"],
        [4, "ID", 5, "", {}],
        '[3,"ID",{"currentTime":',
    ],
)
async def test_an_answer_that_no_schema_allows_fails_the_call_and_is_never_answered(answer: list[object] | str) -> None:
    async with talking() as talk:
        asking = asyncio.create_task(talk.exchange.call(call.Heartbeat()))
        unique_id = (await talk.pipe.hear())[1]
        talk.pipe.say(
            answer.replace("ID", unique_id) if isinstance(answer, str) else [answer[0], unique_id, *answer[2:]]
        )
        with pytest.raises(InvalidAnswer):
            await asking
        assert (await talk.event())[0] == "InvalidMessages"
        assert await talk.lives()


async def test_the_same_answer_twice_is_once_unasked_for() -> None:
    async with talking() as talk:
        asking = asyncio.create_task(talk.exchange.call(call.Heartbeat()))
        unique_id = (await talk.pipe.hear())[1]
        talk.pipe.say([3, unique_id, NOW])
        talk.pipe.say([3, unique_id, NOW])
        await asking
        assert await talk.event() == ("InvalidMessages", "an answer that nobody waits for")


async def test_a_request_of_ours_that_breaks_its_schema_is_our_own_fault() -> None:
    async with talking() as talk:
        with pytest.raises(RuntimeError, match=r"Authorize\.req is invalid: idTag"):
            await talk.exchange.call(call.Authorize(id_tag="x" * 21))


async def test_a_call_whose_sending_fails_after_the_reader_has_ended_leaves_no_failure_that_nobody_looked_at() -> None:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))

    async def send(_: Call) -> None:
        own.end()  # the reader learns first that the connection has gone
        raise LinkLost("gone")

    own = OwnCalls(Pipe(), send, timedelta(seconds=1))
    with pytest.raises(ConnectionLost):
        await own.ask("Heartbeat", {}, timedelta(seconds=PATIENCE_S))
    gc.collect()
    assert reported == []
