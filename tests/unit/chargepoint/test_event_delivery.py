"""The delivery of security events, with a Central System that answers as it likes and a disk that may fail."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint import event_delivery
from chargepoint.event_delivery import CONFIRMATION_GROUP, MAX_REPEATED_EVENTS, EventDelivery
from tests.event_wire import ATTEMPTS, PATIENCE_S, Answer, Bench, Wire, on_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with on_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def wire() -> Wire:
    return Wire()


def numbers(count: int, first: int = 0) -> list[str]:
    return [str(number) for number in range(first, first + count)]


@pytest.mark.requirement("A04.FR.01")
async def test_what_is_queued_is_sent_in_order_and_taken_out_when_it_is_confirmed(bench: Bench, wire: Wire) -> None:
    await bench.record(*numbers(3))
    async with bench.connected(wire):
        await wire.until(lambda: len(wire.received) == 3)
    assert wire.received == numbers(3)
    assert await bench.queued() == []
    assert await bench.delivered() == numbers(3)


async def test_a_message_says_what_happened_and_when(bench: Bench, wire: Wire) -> None:
    await bench.record("lid open")
    async with bench.connected(wire):
        await wire.until(lambda: bool(wire.received))
    (request,) = wire.requests
    assert (request.type, request.timestamp) == ("TamperDetectionActivated", "2027-03-01T12:00:00.000Z")


async def test_what_comes_later_is_sent_at_once(bench: Bench, wire: Wire) -> None:
    async with bench.connected(wire):
        for number in numbers(3):
            await bench.record(number)
            await wire.until(lambda number=number: wire.received[-1:] == [number])  # type: ignore[misc]


async def test_more_than_a_page_is_sent_in_order(bench: Bench, wire: Wire) -> None:
    await bench.record(*numbers(250))
    async with bench.connected(wire):
        await wire.until(lambda: len(wire.received) == 250)
    assert wire.received == numbers(250)
    assert await bench.queued() == []


async def test_times_are_settled_before_anything_is_sent(bench: Bench, wire: Wire) -> None:
    await bench.record("0")
    async with bench.connected(wire):
        await wire.until(lambda: bool(wire.received))
    assert bench.settled == 1


class TestLost:
    @pytest.mark.requirement("A04.FR.02")
    @pytest.mark.parametrize("answer", [Answer.LOST, Answer.UNSENT])
    async def test_what_was_under_way_is_sent_again_over_the_next_connection(
        self, bench: Bench, wire: Wire, answer: Answer
    ) -> None:
        await bench.record(*numbers(3))
        wire.answer(Answer.CONFIRMED, answer)
        async with bench.connected(wire) as delivering:
            await asyncio.wait_for(delivering, 5)
        assert await bench.queued() == ["1", "2"]
        async with bench.connected(wire):
            await wire.until(lambda: len(wire.confirmed) == 3)
        assert wire.confirmed == numbers(3)

    async def test_never_counts_as_a_refusal(self, bench: Bench, wire: Wire) -> None:
        await bench.record("0")
        wire.answer(*[Answer.LOST] * (ATTEMPTS + 2))
        for _ in range(ATTEMPTS + 2):
            async with bench.connected(wire) as delivering:
                await asyncio.wait_for(delivering, 5)
        assert (await bench.queue.page())[0].refusals == 0

    async def test_silence_never_counts_either(self, bench: Bench, wire: Wire) -> None:
        await bench.record(*numbers(2))
        wire.answer(*[Answer.SILENCE] * (ATTEMPTS + 2))
        async with bench.connected(wire):
            await wire.until(lambda: len(wire.confirmed) == 2)
        assert wire.received == ["0"] * (ATTEMPTS + 3) + ["1"]


class TestRefused:
    @pytest.mark.parametrize("answer", [Answer.REFUSED, Answer.INVALID])
    async def test_is_tried_again_and_then_set_aside_so_that_it_blocks_nobody(
        self, bench: Bench, wire: Wire, caplog: pytest.LogCaptureFixture, answer: Answer
    ) -> None:
        await bench.record(*numbers(3))
        wire.answer(Answer.CONFIRMED, *[answer] * ATTEMPTS)
        async with bench.connected(wire):
            await wire.until(lambda: "2" in wire.confirmed)
        assert wire.received == ["0", *["1"] * ATTEMPTS, "2"]
        assert await bench.queued() == []
        assert await bench.delivered() == ["0", "2"]
        assert "TamperDetectionActivated of 2027-03-01T12:00:00.000Z is set aside after 3 refusals" in caplog.text

    async def test_is_counted_over_restarts(self, bench: Bench, wire: Wire) -> None:
        await bench.record(*numbers(2))
        for _ in range(ATTEMPTS - 1):
            wire.answer(Answer.REFUSED, Answer.LOST)
            async with bench.connected(wire) as delivering:
                await asyncio.wait_for(delivering, 5)
            bench.restart()
        wire.answer(Answer.REFUSED)
        async with bench.connected(wire):
            await wire.until(lambda: "1" in wire.confirmed)
        assert await bench.delivered() == ["1"]

    async def test_the_wait_grows_up_to_a_bound(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        bench.delivery = EventDelivery(bench.queue, bench._settle, attempts=100, retry=timedelta(seconds=100))
        await bench.record("0")
        wire.answer(*[Answer.REFUSED, Answer.SILENCE] * 3)
        async with bench.connected(wire):
            await wire.until(lambda: bool(wire.confirmed))
        assert [wait for wait in waits if wait] == [100, 200, 300, 300, 300, 300]


class TestResting:
    @pytest.mark.parametrize("answer", [Answer.NOT_IMPLEMENTED, Answer.NOT_SUPPORTED])
    async def test_a_central_system_without_the_message_is_asked_once_a_boot(
        self, bench: Bench, wire: Wire, answer: Answer
    ) -> None:
        await bench.record(*numbers(2))
        wire.answer(answer)
        async with bench.connected(wire):
            await wire.until(lambda: bench.delivery.resting)
            await bench.record("2")
        async with bench.connected(wire):  # a mere reconnect
            await _breathe(bench)
            assert wire.received == ["0"]
            wire.answer(answer)
            bench.delivery.booted()
            await wire.until(lambda: len(wire.received) == 2 and bench.delivery.resting)
            assert wire.received == ["0", "0"]
        assert await bench.queued() == numbers(3)

    async def test_goes_on_when_the_message_is_taken_after_a_boot(self, bench: Bench, wire: Wire) -> None:
        await bench.record(*numbers(3))
        wire.answer(Answer.CONFIRMED, Answer.NOT_IMPLEMENTED)
        async with bench.connected(wire):
            await wire.until(lambda: bench.delivery.resting)
            bench.delivery.booted()
            await wire.until(lambda: len(wire.confirmed) == 3)
        assert wire.received == ["0", "1", "1", "2"]
        assert (await bench.queued(), bench.delivery.resting) == ([], False)


class TestKilled:
    @pytest.mark.parametrize("confirmed", [1, CONFIRMATION_GROUP, 2 * CONFIRMATION_GROUP + 1, 150])
    async def test_repeats_a_bounded_number_and_loses_nothing(self, bench: Bench, wire: Wire, confirmed: int) -> None:
        await bench.record(*numbers(200))
        async with bench.connected(wire):
            await wire.until(lambda: len(wire.confirmed) >= confirmed)
            bench.queue.dead = True
        before = len(wire.received)
        bench.restart()
        async with bench.connected(wire):
            await wire.until(lambda: wire.received[-1] == "199")
        again = int(wire.received[before])
        assert before - again <= MAX_REPEATED_EVENTS
        assert wire.received == numbers(before) + numbers(200 - again, again)

    async def test_an_orderly_end_repeats_none(self, bench: Bench, wire: Wire) -> None:
        await bench.record(*numbers(50))
        async with bench.connected(wire):
            await wire.until(lambda: len(wire.confirmed) >= 20)
        bench.restart()
        async with bench.connected(wire):
            await wire.until(lambda: len(wire.confirmed) == 50 and not _repeated(wire.received[:-1]))
        assert wire.confirmed == numbers(50)

    async def test_on_a_slow_link_a_group_is_no_larger_than_what_a_second_brings(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_delivery, "CONFIRMATION_DELAY", timedelta())
        await bench.record(*numbers(10))
        async with bench.connected(wire):
            await wire.until(lambda: len(wire.confirmed) == 5)
            bench.queue.dead = True
        assert len(await bench.delivered()) >= 3


class TestDisk:
    async def _break(self, bench: Bench) -> None:
        trigger = "CREATE TRIGGER full BEFORE UPDATE ON security_event BEGIN SELECT raise(FAIL, 'full'); END"
        await bench.database.write(lambda connection: connection.execute(trigger).rowcount)

    async def _mend(self, bench: Bench) -> None:
        await bench.database.write(lambda connection: connection.execute("DROP TRIGGER full").rowcount)

    async def test_that_fails_stops_the_delivery_before_too_much_would_be_repeated(
        self, bench: Bench, wire: Wire, caplog: pytest.LogCaptureFixture
    ) -> None:
        await bench.record(*numbers(200))
        await self._break(bench)
        with logging_of("cannot be read or written") as stopped:
            async with bench.connected(wire):
                await asyncio.wait_for(stopped.wait(), PATIENCE_S)
                assert 0 < len(wire.received) <= MAX_REPEATED_EVENTS
        assert "may be sent again" in caplog.text

    async def test_that_works_again_lets_it_go_on_with_nothing_repeated(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_delivery, "DISK_RETRY", timedelta())
        await bench.record(*numbers(200))
        await self._break(bench)
        with logging_of("cannot be read or written") as stopped:
            async with bench.connected(wire):
                await asyncio.wait_for(stopped.wait(), PATIENCE_S)
                await self._mend(bench)
                await wire.until(lambda: "199" in wire.received)
        assert wire.received == numbers(200)
        assert await bench.queued() == []

    async def test_that_fails_over_a_reconnect_repeats_nothing_either(self, bench: Bench, wire: Wire) -> None:
        await bench.record(*numbers(5))
        await self._break(bench)
        wire.answer(*[Answer.CONFIRMED] * 3, Answer.LOST)
        async with bench.connected(wire) as delivering:
            await asyncio.wait_for(delivering, 5)
        await self._mend(bench)
        async with bench.connected(wire):
            await wire.until(lambda: "4" in wire.received)
        assert wire.confirmed == numbers(5)


def test_the_bound_of_repeats_follows_from_the_groups() -> None:
    assert MAX_REPEATED_EVENTS == 2 * CONFIRMATION_GROUP


def _repeated(received: list[str]) -> bool:
    return len(received) != len(set(received))


async def _breathe(bench: Bench) -> None:
    """Let what could happen happen: the database answers, and whoever waits for it runs."""
    for _ in range(5):
        await bench.queue.count()


@contextmanager
def logging_of(text: str) -> Iterator[asyncio.Event]:
    """An event that is set when a line of the log holds the text."""
    logged = asyncio.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                logged.set()

    listener = Listener()
    logging.getLogger(event_delivery.__name__).addHandler(listener)
    try:
        yield logged
    finally:
        logging.getLogger(event_delivery.__name__).removeHandler(listener)
