"""The queue on a real database: what waits, in which order, what leaves it, and what happens when it is full."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.database import Database
from chargepoint.migration import Migration
from logs import event_table
from logs.event_queue import EventQueue
from logs.security_log import SecurityLog
from security.event import SecurityEvent, SecurityEventType

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
CRITICAL = SecurityEventType.TAMPER_DETECTION_ACTIVATED
OWED = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
LOGGED = SecurityEventType.INVALID_MESSAGES
FULL = SecurityEventType.MEMORY_EXHAUSTION


class Bench:
    """A log and its queue, which holds 4 events."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.log = SecurityLog(database, max_events=1000, max_age=timedelta(days=365), max_queued_events=4)
        self.queue = EventQueue(database)
        self._count = 0

    async def record(self, *event_types: str, owed: bool | None = None) -> None:
        """Record events, numbered in their tech info."""
        for event_type in event_types:
            self._count += 1
            event = SecurityEvent(event_type, NOON + timedelta(seconds=self._count), str(self._count))
            await self.log.record(event, boot_id="boot", monotonic=float(self._count), time_known=True, owed=owed)

    async def queued(self) -> list[str | None]:
        return [each.event.tech_info for each in await self.queue.page()]

    async def delivered(self) -> list[str | None]:
        return [each.event.tech_info for each in await self.log.read() if each.delivered]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = await Database.open(tmp_path / "state.db", (Migration(event_table.SCHEMA),))
    yield Bench(database)
    await database.close()


def left_out(count: int) -> str:
    return f"the queue of 4 security events was full: {count} are in the security log only"


async def test_holds_what_is_owed_in_the_order_of_recording(bench: Bench) -> None:
    await bench.record(CRITICAL, LOGGED, OWED, CRITICAL)
    assert await bench.queued() == ["1", "3", "4"]
    assert await bench.queue.count() == 3
    first = (await bench.queue.page())[0]
    assert (first.event, first.refusals, first.left_out) == (
        SecurityEvent(CRITICAL, NOON + timedelta(seconds=1), "1"),
        0,
        0,
    )


async def test_a_setting_may_add_an_event_or_keep_it_back(bench: Bench) -> None:
    await bench.record(LOGGED, owed=True)
    await bench.record(CRITICAL, owed=False)
    assert await bench.queued() == ["1"]


async def test_is_read_page_by_page(bench: Bench) -> None:
    await bench.record(CRITICAL, OWED, CRITICAL, OWED)
    first, second = await bench.queue.page(limit=2)
    assert [first.event.tech_info, second.event.tech_info] == ["1", "2"]
    assert [each.event.tech_info for each in await bench.queue.page(after=second.id)] == ["3", "4"]


async def test_a_page_is_found_by_the_index_and_not_sorted(bench: Bench) -> None:
    statements: list[str] = []

    def watch(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(statements.append)

    await bench.database.read(watch)
    await bench.queue.page()
    (page,) = (each for each in statements if each.startswith("SELECT"))
    plan = str(await bench.database.read(lambda c: c.execute(f"EXPLAIN QUERY PLAN {page}").fetchall()))
    assert plan.count("USING INDEX security_event_queue (critical=? AND id>?)") == 2
    assert "TEMP B-TREE" not in plan


async def test_the_number_that_waits_is_counted_by_the_index(bench: Bench) -> None:
    count = "EXPLAIN QUERY PLAN SELECT count(*) FROM security_event WHERE owed = 1 AND delivered = 0"
    plan = await bench.database.read(lambda c: c.execute(count).fetchall())
    assert "COVERING INDEX security_event_queue" in str(plan)


@pytest.mark.requirement("A04.FR.02")
async def test_what_is_confirmed_leaves_it_durably_and_stays_in_the_log(bench: Bench) -> None:
    await bench.record(CRITICAL, CRITICAL, CRITICAL)
    await bench.queue.confirm((await bench.queue.page())[:2])
    assert await bench.queued() == ["3"]
    connection = sqlite3.connect(bench.database.path)
    assert connection.execute("SELECT delivered FROM security_event ORDER BY id").fetchall() == [(1,), (1,), (0,)]
    connection.close()
    assert await bench.delivered() == ["1", "2"]


async def test_refusals_are_counted_durably_until_it_is_set_aside(bench: Bench) -> None:
    await bench.record(CRITICAL, CRITICAL)
    (event, _) = await bench.queue.page()
    assert [await bench.queue.note_refusal(event, 3) for _ in range(2)] == [False, False]
    assert (await EventQueue(bench.database).page())[0].refusals == 2
    assert await bench.queue.note_refusal(event, 3)
    assert await bench.queued() == ["2"]
    assert await bench.delivered() == []


async def test_a_refusal_of_what_waits_no_more_changes_nothing(bench: Bench) -> None:
    await bench.record(CRITICAL)
    (event,) = await bench.queue.page()
    await bench.queue.clear()
    assert await bench.queue.note_refusal(event, 3)
    assert await bench.queued() == []


async def test_is_cleared_where_nothing_is_to_be_sent(bench: Bench) -> None:
    await bench.record(CRITICAL, OWED)
    assert await bench.queue.clear() == 2
    assert await bench.queued() == []
    assert len(await bench.log.read()) == 2


class TestFull:
    async def test_the_oldest_that_is_not_critical_goes_first(self, bench: Bench) -> None:
        await bench.record(CRITICAL, OWED, CRITICAL, OWED)
        assert await bench.queued() == ["1", "2", "3", "4"]
        await bench.record(CRITICAL)
        assert await bench.queued() == ["1", "3", "5", left_out(2)]
        assert len(await bench.log.read()) == 6

    async def test_one_memory_exhaustion_counts_what_leaves_while_it_waits(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        await bench.record(*[OWED] * 8)
        assert await bench.queued() == [left_out(5), "6", "7", "8"]
        assert sum(each.event.type == FULL for each in await bench.log.read()) == 1
        assert caplog.text.count("security event MemoryExhaustion") == 1

    async def test_a_critical_one_goes_when_nothing_else_is_left(self, bench: Bench) -> None:
        await bench.record(*[CRITICAL] * 5)
        assert await bench.queued() == ["3", "4", "5", left_out(2)]
        await bench.record(OWED)
        assert await bench.queued() == ["3", "4", "5", left_out(3)], "the newcomer is the only one not critical"
        await bench.record(CRITICAL)
        assert await bench.queued() == ["4", "5", left_out(4), "7"]

    async def test_what_is_left_out_stays_in_the_log(self, bench: Bench) -> None:
        await bench.record(*[OWED] * 20)
        assert [each.event.tech_info for each in await bench.log.read() if each.event.type == OWED] == [
            str(number) for number in range(1, 21)
        ]

    async def test_memory_exhaustion_bears_the_time_of_what_did_not_fit(self, bench: Bench) -> None:
        await bench.record(*[OWED] * 5)
        (full,) = (each for each in await bench.queue.page() if each.left_out)
        assert full.event.occurred_at == NOON + timedelta(seconds=5)

    async def test_one_that_counted_on_while_it_was_sent_is_sent_again(self, bench: Bench) -> None:
        await bench.record(*[OWED] * 5)
        sent = [each for each in await bench.queue.page() if each.left_out]
        await bench.record(OWED)
        await bench.queue.confirm(sent)
        assert left_out(3) in await bench.queued()

    async def test_the_next_filling_has_a_memory_exhaustion_of_its_own(self, bench: Bench) -> None:
        await bench.record(*[OWED] * 5)
        await bench.queue.confirm(await bench.queue.page())
        await bench.record(*[OWED] * 4)
        assert sum(each.event.type == FULL for each in await bench.log.read()) == 1
        await bench.record(OWED)
        assert sum(each.event.type == FULL for each in await bench.log.read()) == 2
        assert left_out(2) in await bench.queued()

    async def test_a_lowered_bound_is_reached_with_the_next_event(self, bench: Bench) -> None:
        await bench.record(CRITICAL, *[OWED] * 3)
        bench.log = SecurityLog(bench.database, max_events=1000, max_age=timedelta(days=365), max_queued_events=2)
        await bench.record(CRITICAL)
        assert [each.event.type for each in await bench.queue.page()] == [CRITICAL, FULL]
