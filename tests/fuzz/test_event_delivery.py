"""Whatever becomes of the messages and of the process, no security event is lost, and they arrive in order."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargepoint.event_delivery import MAX_REPEATED_EVENTS
from tests.event_wire import ATTEMPTS, PATIENCE_S, Answer, Bench, Wire, on_bench

KILLED = "killed"
RECONNECTED = "reconnected"

MISHAPS = st.tuples(
    st.integers(0, 120),  # messages that go well before
    st.sampled_from([*(answer for answer in Answer if answer is not Answer.CONFIRMED), KILLED, RECONNECTED]),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(count=st.integers(1, 150), mishaps=st.lists(MISHAPS, max_size=12))
def test_every_event_arrives_in_order_or_was_refused_too_often(
    count: int, mishaps: list[tuple[int, Answer | str]]
) -> None:
    asyncio.run(_live_through(count, mishaps))


async def _live_through(count: int, mishaps: list[tuple[int, Answer | str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with on_bench(Path(directory)) as bench:
            wire = Wire()
            await bench.record(*map(str, range(count)))
            kills = [await _suffer(bench, wire, good, mishap) for good, mishap in mishaps]
            bench.delivery.booted()
            await _finish(bench, wire)
            await _judge(bench, wire, count, sum(kills))


async def _suffer(bench: Bench, wire: Wire, good: int, mishap: Answer | str) -> bool:
    """Deliver until the mishap has happened, or there is nothing left; returns whether the process was killed."""
    before = len(wire.received)
    if isinstance(mishap, Answer):
        wire.forget_answers()
        wire.answer(*[Answer.CONFIRMED] * good, mishap)
    bench.delivery.booted()
    async with asyncio.timeout(PATIENCE_S), bench.connected(wire) as delivering:
        while await bench.queue.count() and len(wire.received) - before <= good:
            if delivering.done() or bench.delivery.resting:
                break
        if mishap == KILLED:
            bench.queue.dead = True
    if mishap != KILLED:
        return False
    # Of the requests that arrived, at most so many had been taken for unsent by the next process.
    stored = set(await bench.delivered())
    assert sum(number not in stored for number in dict.fromkeys(wire.confirmed)) <= MAX_REPEATED_EVENTS
    bench.restart()
    return True


async def _finish(bench: Bench, wire: Wire) -> None:
    wire.forget_answers()
    async with asyncio.timeout(PATIENCE_S), bench.connected(wire):
        while await bench.queue.count():
            pass


async def _judge(bench: Bench, wire: Wire, count: int, kills: int) -> None:
    numbers = [str(number) for number in range(count)]
    arrived = list(dict.fromkeys(wire.received))
    assert arrived == numbers, "each arrived, and for the first time in order"
    set_aside = [number for number in numbers if number not in wire.confirmed]
    assert await bench.delivered() == [number for number in numbers if number not in set_aside]
    assert all(wire.refusals(number) >= ATTEMPTS for number in set_aside)
    repeats = len(wire.confirmed) - len(set(wire.confirmed))
    assert repeats <= kills * MAX_REPEATED_EVENTS
