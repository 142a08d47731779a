"""The delivery of job statuses, with a Central System that answers as it likes and a disk that may fail."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint import status_delivery
from chargepoint.database import Database
from chargepoint.job_journal import JobJournal, Report
from chargepoint.rpc import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from chargepoint.state_schema import MIGRATIONS
from chargepoint.status_delivery import MAX_REFUSALS, StatusDelivery
from tests.event_wire import PATIENCE_S, Answer

LONG = timedelta(seconds=PATIENCE_S)


@dataclass(frozen=True)
class Said:
    status: str
    request_id: int | None = 7


class Wire:
    """The Central System: each message is what the request builder of the test made, (job, status, request id)."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, int | None]] = []
        self.confirmed: list[str] = []
        self.blocked = asyncio.Event()
        self.blocked.set()
        self.asked = asyncio.Event()
        self.cancelled = 0
        self._answers: deque[Answer] = deque()
        self._changed = asyncio.Condition()

    @property
    def statuses(self) -> list[str]:
        return [status for _, status, _ in self.received]

    def answer(self, *answers: Answer) -> None:
        """Answer the next messages so; all others are confirmed."""
        self._answers.extend(answers)

    async def send(self, request: tuple[str, str, int | None]) -> Any:
        """What the session hands to a source; while `blocked` is clear, its turn does not come."""
        self.asked.set()
        try:
            await self.blocked.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        answer = self._answers.popleft() if self._answers else Answer.CONFIRMED
        if answer is Answer.UNSENT:
            raise ConnectionLost("unsent")
        self.received.append(request)
        if answer is Answer.CONFIRMED:
            self.confirmed.append(request[1])
        async with self._changed:
            self._changed.notify_all()
        match answer:
            case Answer.REFUSED:
                raise CallErrorReceived("LogStatusNotification", "InternalError", "no room")
            case Answer.NOT_IMPLEMENTED:
                raise CallErrorReceived("LogStatusNotification", "NotImplemented", "")
            case Answer.NOT_SUPPORTED:
                raise CallErrorReceived("LogStatusNotification", "NotSupported", "")
            case Answer.INVALID:
                raise InvalidAnswer("not a LogStatusNotification.conf")
            case Answer.SILENCE:
                raise CallTimedOut("not answered")
            case Answer.LOST:
                raise ConnectionLost("lost")
        return object()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a message that makes the condition true."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)


class Bench:
    """Two jobs over one database, and the delivery of one process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.restart()

    def restart(self) -> None:
        """Let another process take over."""
        self.delivery = StatusDelivery()
        self.upload = self._job("log upload")
        self.firmware = self._job("firmware update")

    def _job(self, name: str) -> JobJournal:
        def make_request(report: Report) -> tuple[str, str, int | None]:
            return name, report.status, report.request_id

        journal = JobJournal(self.database, name)
        self.delivery.add(journal, make_request)
        return journal

    @asynccontextmanager
    async def connected(self, wire: Wire) -> AsyncIterator["asyncio.Task[None]"]:
        """Deliver over one connection as long as the block lasts."""
        task = asyncio.create_task(self.delivery.deliver(wire.send))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def all_sent(self) -> None:
        assert await self.delivery.wait_until_sent("log upload", LONG)

    async def break_disk(self, *, change: str = "DELETE") -> None:
        trigger = f"CREATE TRIGGER full BEFORE {change} ON job_report BEGIN SELECT raise(FAIL, 'full'); END"
        await self.database.write(lambda connection: connection.execute(trigger).rowcount)

    async def mend_disk(self) -> None:
        await self.database.write(lambda connection: connection.execute("DROP TRIGGER full").rowcount)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield Bench(database)
    await database.close()


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture(autouse=True)
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_delivery, "RETRY", timedelta())


async def test_what_is_owed_is_sent_in_order_and_taken_out_when_it_is_confirmed(bench: Bench, wire: Wire) -> None:
    await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
    async with bench.connected(wire):
        await bench.all_sent()
    assert wire.received == [("log upload", "Uploading", 7), ("log upload", "Uploaded", 7)]
    assert await bench.upload.next_report() is None


async def test_what_comes_later_is_sent_at_once(bench: Bench, wire: Wire) -> None:
    async with bench.connected(wire):
        for status in ("Uploading", "Uploaded"):
            await bench.upload.commit({}, [Said(status)])
            await bench.all_sent()
    assert wire.statuses == ["Uploading", "Uploaded"]


async def test_a_delivery_without_jobs_ends_at_once(wire: Wire) -> None:
    await asyncio.wait_for(StatusDelivery().deliver(wire.send), PATIENCE_S)


class TestLost:
    @pytest.mark.parametrize("answer", [Answer.LOST, Answer.UNSENT])
    async def test_what_was_under_way_is_sent_again_over_the_next_connection(
        self, bench: Bench, wire: Wire, answer: Answer
    ) -> None:
        await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
        wire.answer(Answer.CONFIRMED, answer)
        async with bench.connected(wire) as delivering:
            await asyncio.wait_for(delivering, PATIENCE_S)
        assert wire.confirmed == ["Uploading"]
        bench.restart()
        async with bench.connected(wire):
            await bench.all_sent()
        assert wire.confirmed == ["Uploading", "Uploaded"]

    async def test_silence_is_repeated_and_never_counted(self, bench: Bench, wire: Wire) -> None:
        await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
        wire.answer(*[Answer.SILENCE] * (MAX_REFUSALS + 2))
        async with bench.connected(wire):
            await bench.all_sent()
        assert wire.statuses == ["Uploading"] * (MAX_REFUSALS + 3) + ["Uploaded"]


class TestRefused:
    @pytest.mark.parametrize("answer", [Answer.REFUSED, Answer.INVALID])
    async def test_is_tried_again_and_then_set_aside_so_that_it_blocks_nobody(
        self, bench: Bench, wire: Wire, caplog: pytest.LogCaptureFixture, answer: Answer
    ) -> None:
        await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
        wire.answer(*[answer] * MAX_REFUSALS)
        async with bench.connected(wire):
            await bench.all_sent()
        assert wire.statuses == ["Uploading"] * MAX_REFUSALS + ["Uploaded"]
        assert "log upload: status Uploading is given up after 3 refusals" in caplog.text

    async def test_is_counted_over_restarts(self, bench: Bench, wire: Wire) -> None:
        await bench.upload.commit({}, [Said("Uploading")])
        for _ in range(MAX_REFUSALS - 1):
            wire.answer(Answer.REFUSED, Answer.LOST)
            async with bench.connected(wire) as delivering:
                await asyncio.wait_for(delivering, PATIENCE_S)
            bench.restart()
        wire.answer(Answer.REFUSED)
        async with bench.connected(wire):
            await bench.all_sent()
        assert wire.confirmed == []

    async def test_the_wait_grows_up_to_a_bound(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[float] = []
        line = bench.delivery._lines["log upload"]

        async def wait(delay: timedelta) -> None:
            waits.append(delay.total_seconds())

        monkeypatch.setattr(status_delivery, "RETRY", timedelta(seconds=100))
        monkeypatch.setattr(line, "_wait", wait)
        await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
        wire.answer(Answer.REFUSED, *[Answer.SILENCE] * 3, Answer.CONFIRMED, Answer.SILENCE)
        async with bench.connected(wire):
            await bench.all_sent()
        assert waits == [100, 200, 300, 300, 100]

    async def test_one_job_does_not_hold_up_another(self, bench: Bench, wire: Wire) -> None:
        await bench.upload.commit({}, [Said("Uploading")])
        wire.answer(Answer.NOT_IMPLEMENTED)
        async with bench.connected(wire):
            await wire.until(lambda: wire.statuses == ["Uploading"])
            await bench.firmware.commit({}, [Said("Downloading")])
            assert await bench.delivery.wait_until_sent("firmware update", LONG)
        assert wire.confirmed == ["Downloading"]


class TestFault:
    """A fault of ours in one line: logged, and no matter for what is behind it or beside it."""

    async def test_of_a_report_that_cannot_be_made_a_message_sets_it_aside(
        self, bench: Bench, wire: Wire, caplog: pytest.LogCaptureFixture
    ) -> None:
        def make_request(report: Report) -> tuple[str, str, int | None]:
            if report.status == "Nonsense":
                raise ValueError("'Nonsense' is not a valid status")
            return "log upload", report.status, report.request_id

        bench.delivery.add(bench.upload, make_request)
        await bench.upload.commit({}, [Said("Nonsense"), Said("Uploaded")])
        async with bench.connected(wire) as delivery:
            await bench.all_sent()
            await bench.firmware.commit({}, [Said("Installed")])
            await wire.until(lambda: "Installed" in wire.statuses)
            assert not delivery.done()
        assert wire.statuses == ["Uploaded", "Installed"]
        assert caplog.text.count("status Nonsense failed by a fault of this program") == MAX_REFUSALS
        assert "is not a valid status" in caplog.text

    async def test_in_the_sending_sets_the_report_aside(
        self, bench: Bench, wire: Wire, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def send(request: tuple[str, str, int | None]) -> object:
            if request[1] == "Uploading":
                raise RuntimeError("our own LogStatusNotification.req is invalid")
            return await wire.send(request)

        await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
        delivery = asyncio.create_task(bench.delivery.deliver(send))
        try:
            await bench.all_sent()
        finally:
            delivery.cancel()
            await asyncio.gather(delivery, return_exceptions=True)
        assert wire.statuses == ["Uploaded"]
        assert "our own LogStatusNotification.req is invalid" in caplog.text

    async def test_in_a_journal_stops_its_own_line_only_until_it_is_over(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(status_delivery, "DISK_RETRY", timedelta())
        next_report, faults = bench.upload.next_report, iter([ZeroDivisionError("a slip")] * 2)

        async def fail() -> object:
            if (fault := next(faults, None)) is not None:
                raise fault
            return await next_report()

        monkeypatch.setattr(bench.upload, "next_report", fail)
        await bench.upload.commit({}, [Said("Uploaded")])
        await bench.firmware.commit({}, [Said("Installed")])
        async with bench.connected(wire):
            await wire.until(lambda: {"Uploaded", "Installed"} <= set(wire.statuses))
        assert caplog.text.count("the statuses of the log upload wait, by a fault of this program") == 2


class TestResting:
    @pytest.mark.parametrize("answer", [Answer.NOT_IMPLEMENTED, Answer.NOT_SUPPORTED])
    async def test_a_central_system_without_the_message_is_asked_once_a_boot(
        self, bench: Bench, wire: Wire, answer: Answer
    ) -> None:
        await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
        wire.answer(answer, answer)
        async with bench.connected(wire):
            assert not await bench.delivery.wait_until_sent("log upload", LONG)
            await bench.upload.commit({})  # the line looks again, and rests on
            assert not await bench.delivery.wait_until_sent("log upload", LONG)
            assert wire.statuses == ["Uploading"]
            bench.delivery.booted()
            assert not await bench.delivery.wait_until_sent("log upload", LONG)
            assert wire.statuses == ["Uploading", "Uploading"]
        async with bench.connected(wire):
            assert not await bench.delivery.wait_until_sent("log upload", LONG)
            bench.delivery.booted()
            await bench.all_sent()
        assert wire.confirmed == ["Uploading", "Uploaded"]


class TestWithdrawn:
    async def test_a_report_that_waits_for_its_turn_is_taken_back(self, bench: Bench, wire: Wire) -> None:
        await bench.upload.commit({}, [Said("Uploading", 7)])
        wire.blocked.clear()
        async with bench.connected(wire):
            await asyncio.wait_for(wire.asked.wait(), PATIENCE_S)
            await bench.upload.commit({}, [Said("Uploading", 8)], withdraw=7)
            wire.blocked.set()
            await bench.all_sent()
        assert wire.received == [("log upload", "Uploading", 8)]
        assert wire.cancelled == 1

    async def test_a_report_of_another_request_is_left_alone(self, bench: Bench, wire: Wire) -> None:
        await bench.upload.commit({}, [Said("Uploaded", 6)])
        wire.blocked.clear()
        async with bench.connected(wire):
            await asyncio.wait_for(wire.asked.wait(), PATIENCE_S)
            await bench.upload.commit({}, withdraw=7)
            wire.blocked.set()
            await bench.all_sent()
        assert (wire.statuses, wire.cancelled) == (["Uploaded"], 0)


class TestWaitUntilSent:
    async def test_gives_up_when_the_time_is_over(self, bench: Bench) -> None:
        await bench.upload.commit({}, [Said("Uploading")])
        assert not await bench.delivery.wait_until_sent("log upload", timedelta())

    async def test_is_told_of_what_was_withdrawn(self, bench: Bench) -> None:
        await bench.upload.commit({}, [Said("Uploading")])
        waiting = asyncio.create_task(bench.delivery.wait_until_sent("log upload", LONG))
        await bench.upload.commit({}, withdraw=7)
        assert await waiting

    async def test_a_failing_disk_does_not_hold_up_a_reboot(self, bench: Bench) -> None:
        await bench.database.write(lambda connection: connection.execute("DROP TABLE job_report").rowcount)
        assert not await bench.delivery.wait_until_sent("log upload", LONG)


class TestDisk:
    async def test_that_fails_makes_the_report_come_again_and_loses_nothing(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(status_delivery, "DISK_RETRY", timedelta())
        await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
        await bench.break_disk()
        async with bench.connected(wire):
            await wire.until(lambda: len(wire.received) == 3)
            await bench.mend_disk()
            await bench.all_sent()
        assert wire.statuses[:3] == ["Uploading"] * 3
        assert wire.statuses[-1] == "Uploaded"
        assert "the statuses of the log upload wait" in caplog.text

    async def test_a_confirmation_is_recorded_although_the_link_ends_meanwhile(
        self, bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await bench.upload.commit({}, [Said("Uploading"), Said("Uploaded")])
        recording, go_on = asyncio.Event(), asyncio.Event()
        note_sent = bench.upload.note_sent

        async def slowly(report: Any) -> None:
            recording.set()
            await go_on.wait()
            await note_sent(report)

        monkeypatch.setattr(bench.upload, "note_sent", slowly)
        async with bench.connected(wire) as delivering:
            await asyncio.wait_for(recording.wait(), PATIENCE_S)
            delivering.cancel()
            go_on.set()
        owed = await bench.upload.next_report()
        assert owed is not None
        assert owed.status == "Uploaded"
