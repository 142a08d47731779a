"""The one sender, single-stepped: who may go, who goes next, and what happens when the connection ends."""

import asyncio
from typing import Any

import pytest

from chargepoint.outbox import MAX_WAITING_PER_LANE, Lane, Outbox, OutboxFull
from chargepoint.rpc import CallErrorReceived, ConnectionLost


class Wire:
    """Stands in for the exchange: notes what is sent, and answers when the test says so."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answers: asyncio.Queue[object] = asyncio.Queue()

    async def call(self, request: Any) -> object:
        self.sent.append(request)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def answer(self, *answers: object) -> None:
        for answer in answers:
            self.answers.put_nowait(answer)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def outbox() -> Outbox:
    outbox = Outbox()
    outbox.open_only(list(Lane))
    return outbox


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def _end(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_returns_the_answer(outbox: Outbox, wire: Wire) -> None:
    runner = asyncio.create_task(outbox.run(wire.call))
    wire.answer("pong")
    assert await outbox.send("ping", Lane.LOCAL) == "pong"
    await _end(runner)


async def test_raises_what_the_call_raised_and_goes_on(outbox: Outbox, wire: Wire) -> None:
    runner = asyncio.create_task(outbox.run(wire.call))
    wire.answer(CallErrorReceived("Heartbeat", "GenericError", ""), "pong")
    with pytest.raises(CallErrorReceived):
        await outbox.send("first", Lane.LOCAL)
    assert await outbox.send("second", Lane.LOCAL) == "pong"
    await _end(runner)


async def test_sends_one_at_a_time_and_lets_the_lanes_take_turns(outbox: Outbox, wire: Wire) -> None:
    waiting = [asyncio.create_task(outbox.send(f"local {n}", Lane.LOCAL)) for n in range(3)]
    waiting += [asyncio.create_task(outbox.send(f"status {n}", Lane.STATUS)) for n in range(2)]
    waiting += [asyncio.create_task(outbox.send("heartbeat", Lane.HEARTBEAT))]
    await _settled()
    runner = asyncio.create_task(outbox.run(wire.call))
    await _settled()
    assert len(wire.sent) == 1
    wire.answer(*range(6))
    await asyncio.gather(*waiting)
    assert wire.sent == ["status 0", "heartbeat", "local 0", "status 1", "local 1", "local 2"]
    await _end(runner)


async def test_the_boot_goes_before_all(outbox: Outbox, wire: Wire) -> None:
    waiting = [asyncio.create_task(outbox.send("status", Lane.STATUS))]
    waiting += [asyncio.create_task(outbox.send("boot", Lane.BOOT))]
    await _settled()
    runner = asyncio.create_task(outbox.run(wire.call))
    wire.answer(1, 2)
    await asyncio.gather(*waiting)
    assert wire.sent == ["boot", "status"]
    await _end(runner)


async def test_a_closed_lane_waits_until_it_is_opened(outbox: Outbox, wire: Wire) -> None:
    outbox.open_only({Lane.BOOT})
    runner = asyncio.create_task(outbox.run(wire.call))
    status = asyncio.create_task(outbox.send("status", Lane.STATUS))
    await _settled()
    assert wire.sent == []
    assert outbox.waiting() == 1
    wire.answer("ok")
    outbox.open_only(list(Lane))
    assert await status == "ok"
    await _end(runner)


async def test_all_fail_when_the_connection_ends(outbox: Outbox, wire: Wire) -> None:
    runner = asyncio.create_task(outbox.run(wire.call))
    under_way = asyncio.create_task(outbox.send("first", Lane.STATUS))
    waiting = asyncio.create_task(outbox.send("second", Lane.STATUS))
    await _settled()
    await _end(runner)
    results = await asyncio.gather(under_way, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionLost, ConnectionLost]
    assert outbox.waiting() == 0


async def test_a_cancelled_message_is_not_sent(outbox: Outbox, wire: Wire) -> None:
    waiting = asyncio.create_task(outbox.send("unwanted", Lane.LOCAL))
    await _settled()
    await _end(waiting)
    runner = asyncio.create_task(outbox.run(wire.call))
    await _settled()
    assert wire.sent == []
    await _end(runner)


async def test_a_cancelled_message_under_way_disturbs_nobody(outbox: Outbox, wire: Wire) -> None:
    runner = asyncio.create_task(outbox.run(wire.call))
    under_way = asyncio.create_task(outbox.send("first", Lane.LOCAL))
    await _settled()
    await _end(under_way)
    wire.answer("dropped", "kept")
    assert await outbox.send("second", Lane.LOCAL) == "kept"
    await _end(runner)


async def test_a_full_lane_refuses(outbox: Outbox) -> None:
    crowd = [asyncio.create_task(outbox.send(n, Lane.LOCAL)) for n in range(MAX_WAITING_PER_LANE)]
    await _settled()
    with pytest.raises(OutboxFull, match="'local'"):
        await outbox.send("one more", Lane.LOCAL)
    await _end(*crowd)
