"""The delivery of transaction messages, with a Central System that answers as it likes and a disk that may fail."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint import transaction_delivery
from chargepoint.clock import Clock
from chargepoint.configuration import Configuration, Origin, device_values
from chargepoint.database import Database
from chargepoint.payload import call_result
from chargepoint.rpc import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from chargepoint.state_schema import MIGRATIONS
from chargepoint.transaction_delivery import Started, TransactionDelivery
from chargepoint.transactions import Moment, TransactionStore

CARD = "04E1C2A3B4"
ATTEMPTS = 3
PATIENCE_S = 20
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
REFUSED = CallErrorReceived("StartTransaction", "InternalError", "no")
INVALID = InvalidAnswer("nonsense")
SILENCE = CallTimedOut("nothing came")
LOST = ConnectionLost("gone")


class Wire:
    """The Central System.

    Attributes:
        received: what arrived, as kind and Wh.
        requests: the same, whole.
    """

    def __init__(self) -> None:
        self.received: list[tuple[str, int]] = []
        self.requests: list[Any] = []
        self._answers: deque[Exception | None] = deque()
        self._changed = asyncio.Condition()

    def answer(self, *answers: Exception | None) -> None:
        """Answer the next messages so; None and all others are confirmed."""
        self._answers.extend(answers)

    async def send(self, request: Any) -> Any:
        """What the session hands to a source."""
        await asyncio.sleep(0)
        starts = hasattr(request, "meter_start")
        self.requests.append(request)
        self.received.append(("start", request.meter_start) if starts else ("stop", request.meter_stop))
        async with self._changed:
            self._changed.notify_all()
        failure = self._answers.popleft() if self._answers else None
        if failure is not None:
            raise failure
        if not starts:
            return call_result.StopTransaction()
        accepted: Any = {"status": "Accepted"}
        return call_result.StartTransaction(transaction_id=1000 + request.meter_start, id_tag_info=accepted)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)


class Bench:
    """The store and the delivery of one process, over a database that outlives it."""

    def __init__(self, database: Database, configuration: Configuration, boot_id: str = "boot-1") -> None:
        self.database = database
        self.configuration = configuration
        self.system = NOON
        self.clock = Clock(system=lambda: self.system)
        self.started: list[Started] = []
        self.store = TransactionStore(database, boot_id)
        self.delivery = TransactionDelivery(
            self.store, configuration=configuration, clock=self.clock, note_started=self.started.append
        )

    async def begin(self, meter_wh: int) -> int:
        transaction = await self.store.begin(1, CARD, meter_wh, Moment.now(self.clock))
        self.delivery.notice()
        return transaction.number

    async def end(self, number: int, meter_wh: int) -> None:
        await self.store.end(number, meter_wh, Moment.now(self.clock), "Local", id_tag=CARD)
        self.delivery.notice()

    async def charge(self, meter_wh: int) -> None:
        """A whole transaction of 10 Wh."""
        await self.end(await self.begin(meter_wh), meter_wh + 10)

    @asynccontextmanager
    async def connected(self, wire: Wire) -> AsyncIterator["asyncio.Task[None]"]:
        """Deliver over one connection as long as the block lasts."""
        self.delivery.booted()
        task = asyncio.create_task(self.delivery.deliver(wire.send))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def delivered(self) -> None:
        await asyncio.wait_for(self.delivery.wait_delivered(), PATIENCE_S)

    async def set_disk(self, *, broken: bool) -> None:
        trigger = "TRIGGER full BEFORE DELETE ON transaction_message BEGIN SELECT raise(FAIL, 'full'); END"
        statement = f"CREATE {trigger}" if broken else "DROP TRIGGER full"
        await self.database.write(lambda connection: connection.execute(statement).rowcount)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async def record(event_type: str, tech_info: str | None = None) -> None:
        raise AssertionError("no security parameter is set here")

    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    configuration = await Configuration.load(
        database,
        given={"TransactionMessageAttempts": str(ATTEMPTS), "TransactionMessageRetryInterval": "0"},
        device=device_values(1),
        raise_event=record,
        missing_prerequisite=lambda profile: None,
    )
    yield Bench(database, configuration)
    await database.close()


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def test_what_is_owed_goes_in_order_with_the_id_that_was_given(bench: Bench, wire: Wire) -> None:
    await bench.charge(0)
    await bench.charge(100)
    async with bench.connected(wire):
        await bench.delivered()
    assert wire.received == [("start", 0), ("stop", 10), ("start", 100), ("stop", 110)]
    assert [request.transaction_id for request in wire.requests[1::2]] == [1000, 1100]
    assert bench.started == [Started(1, 1000, "Accepted"), Started(2, 1100, "Accepted")]
    assert await bench.store.count() == 0


async def test_a_message_says_what_happened_and_when(bench: Bench, wire: Wire) -> None:
    await bench.charge(5)
    async with bench.connected(wire):
        await bench.delivered()
    start, stop = wire.requests
    assert (start.connector_id, start.id_tag, start.meter_start) == (1, CARD, 5)
    assert (stop.meter_stop, stop.reason, stop.id_tag) == (15, "Local", CARD)
    assert start.timestamp == stop.timestamp == "2027-03-01T12:00:00.000Z"


async def test_what_comes_later_goes_at_once(bench: Bench, wire: Wire) -> None:
    async with bench.connected(wire):
        number = await bench.begin(0)
        await wire.until(lambda: wire.received == [("start", 0)])
        await bench.end(number, 10)
        await wire.until(lambda: wire.received[-1] == ("stop", 10))


async def test_what_happened_before_the_clock_was_set_goes_with_its_true_time(bench: Bench, wire: Wire) -> None:
    bench.system = datetime(1970, 1, 1, tzinfo=UTC)
    await bench.charge(0)
    bench.clock.correct(NOON)
    async with bench.connected(wire):
        await bench.delivered()
    assert all(abs(told - NOON) < timedelta(minutes=1) for told in map(_instant, wire.requests))


class TestLost:
    async def test_it_is_sent_again_over_the_next_connection_and_never_counted(self, bench: Bench, wire: Wire) -> None:
        await bench.charge(0)
        wire.answer(*[LOST] * (ATTEMPTS + 1))
        for _ in range(ATTEMPTS + 1):
            async with bench.connected(wire) as delivering:
                await asyncio.wait_for(delivering, PATIENCE_S)
        message = await bench.store.first()
        assert message is not None
        assert message.refusals == 0
        async with bench.connected(wire):
            await bench.delivered()
        assert wire.received == [*[("start", 0)] * (ATTEMPTS + 2), ("stop", 10)]

    async def test_silence_is_never_counted_either(self, bench: Bench, wire: Wire) -> None:
        await bench.charge(0)
        wire.answer(*[SILENCE] * (ATTEMPTS + 1))
        async with bench.connected(wire):
            await bench.delivered()
        assert wire.received == [*[("start", 0)] * (ATTEMPTS + 2), ("stop", 10)]


class TestRefused:
    @pytest.mark.parametrize("refusal", [REFUSED, INVALID])
    async def test_a_start_is_given_up_with_its_stop_and_blocks_nobody(
        self, bench: Bench, wire: Wire, caplog: pytest.LogCaptureFixture, refusal: Exception
    ) -> None:
        await bench.charge(0)
        await bench.charge(100)
        wire.answer(*[refusal] * ATTEMPTS)
        async with bench.connected(wire):
            await bench.delivered()
        assert wire.received == [*[("start", 0)] * ATTEMPTS, ("start", 100), ("stop", 110)]
        assert "the start of transaction 1 is given up after 3 refusals: connector 1, 0 Wh at 2027" in caplog.text
        assert CARD not in caplog.text

    async def test_a_stop_is_given_up_too(self, bench: Bench, wire: Wire) -> None:
        await bench.charge(0)
        wire.answer(None, *[REFUSED] * ATTEMPTS)
        async with bench.connected(wire):
            await bench.delivered()
        assert wire.received == [("start", 0), *[("stop", 10)] * ATTEMPTS]

    async def test_it_is_counted_over_restarts(self, bench: Bench, wire: Wire) -> None:
        await bench.charge(0)
        for _ in range(ATTEMPTS - 1):
            wire.answer(REFUSED, LOST)
            async with bench.connected(wire) as delivering:
                await asyncio.wait_for(delivering, PATIENCE_S)
            bench = Bench(bench.database, bench.configuration)
        wire.answer(REFUSED)
        async with bench.connected(wire):
            await bench.delivered()
        assert [kind for kind, _ in wire.received] == ["start"] * (2 * ATTEMPTS - 1)

    async def test_no_attempts_at_all_still_are_one(self, bench: Bench, wire: Wire) -> None:
        await bench.configuration.change("TransactionMessageAttempts", "0", Origin.LOCAL)
        await bench.charge(0)
        wire.answer(REFUSED)
        async with bench.connected(wire):
            await bench.delivered()
        assert wire.received == [("start", 0)]

    async def test_the_wait_grows_with_each_up_to_a_bound(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        await bench.configuration.change("TransactionMessageAttempts", "100", Origin.LOCAL)
        await bench.configuration.change("TransactionMessageRetryInterval", "1500", Origin.LOCAL)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await bench.charge(0)
        wire.answer(REFUSED, SILENCE, REFUSED)
        async with bench.connected(wire):
            await wire.until(lambda: ("stop", 10) in wire.received)
        assert [wait for wait in waits if wait] == [1500, 3000, 3600]


class TestDisk:
    async def test_that_fails_keeps_the_answer_and_sends_nothing_twice(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transaction_delivery, "DISK_RETRY", timedelta())
        await bench.charge(0)
        await bench.set_disk(broken=True)
        wire.answer(None, LOST)
        async with bench.connected(wire):
            await wire.until(lambda: wire.received == [("start", 0)])
            for _ in range(10):
                await bench.store.count()
        await bench.set_disk(broken=False)
        async with bench.connected(wire) as delivering:
            await asyncio.wait_for(delivering, PATIENCE_S)
        async with bench.connected(wire):
            await bench.delivered()
        assert wire.received == [("start", 0), ("stop", 10), ("stop", 10)]
        assert bench.started == [Started(1, 1000, "Accepted")]

    async def test_that_cannot_be_read_keeps_nobody_waiting(self, bench: Bench) -> None:
        await bench.database.write(lambda connection: connection.execute("DROP TABLE transaction_message").rowcount)
        await bench.delivered()


class TestKilled:
    async def test_between_the_answer_and_the_disk_it_is_sent_again(self, bench: Bench, wire: Wire) -> None:
        await bench.charge(0)
        await bench.set_disk(broken=True)
        async with bench.connected(wire):
            await wire.until(lambda: wire.received == [("start", 0)])
        await bench.set_disk(broken=False)
        after = Bench(bench.database, bench.configuration, "boot-2")
        async with after.connected(wire):
            await after.delivered()
        assert wire.received == [("start", 0), ("start", 0), ("stop", 10)]


def _instant(request: Any) -> datetime:
    return datetime.fromisoformat(request.timestamp)
