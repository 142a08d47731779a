import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.database import Database
from chargepoint.database_error import DatabaseError
from chargepoint.migration import Migration
from logs import event_table
from logs.event_queue import EventQueue
from logs.security_log import MAX_ROLLED_EVENTS, SecurityLog
from security.event import SecurityEvent, SecurityEventType

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LOGGED = SecurityEventType.INVALID_MESSAGES
SENT = SecurityEventType.TAMPER_DETECTION_ACTIVATED


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state.db", (Migration(event_table.SCHEMA),))
    yield database
    await database.close()


def open_log(database: Database, *, max_events: int = 1000, max_age: timedelta = timedelta(days=365)) -> SecurityLog:
    return SecurityLog(database, max_events=max_events, max_age=max_age)


async def record(
    log: SecurityLog, minute: int, event_type: str = LOGGED, *, boot_id: str = "boot-1", time_known: bool = True
) -> int:
    event = SecurityEvent(event_type, NOON + minute * MINUTE, f"minute {minute}")
    return await log.record(event, boot_id=boot_id, monotonic=minute * 60.0, time_known=time_known)


async def minutes(log: SecurityLog) -> list[int]:
    return [(logged.event.occurred_at - NOON) // MINUTE for logged in await log.read()]


@pytest.mark.requirement("A04.FR.04")
async def test_an_event_is_on_the_disk_when_it_is_recorded(database: Database) -> None:
    occurred_at = NOON + timedelta(microseconds=123_456)
    event = SecurityEvent(SENT, occurred_at, "lid open")
    number = await open_log(database).record(event, boot_id="boot-1", monotonic=1.5, time_known=True)
    connection = sqlite3.connect(database.path)
    assert connection.execute("SELECT type, tech_info, owed, delivered FROM security_event").fetchall() == [
        (SENT, "lid open", 1, 0)
    ]
    connection.close()
    (logged,) = await open_log(database).read()
    assert (logged.id, logged.event) == (number, event)
    assert (logged.time_known, logged.owed, logged.delivered) == (True, True, False)


async def test_what_is_owed_follows_the_catalogue_unless_a_setting_says_otherwise(database: Database) -> None:
    log = open_log(database)
    event = SecurityEvent(LOGGED, NOON)
    for owed in (None, True, False):
        await log.record(event, boot_id="boot-1", monotonic=0.0, time_known=True, owed=owed)
    assert [logged.owed for logged in await log.read()] == [False, True, False]


async def test_is_read_oldest_first_in_a_window_and_up_to_a_limit(database: Database) -> None:
    log = open_log(database)
    for minute in (3, 1, 2, 5, 4):
        await record(log, minute)
    assert await minutes(log) == [1, 2, 3, 4, 5]
    window = await log.read(since=NOON + 2 * MINUTE, until=NOON + 4 * MINUTE)
    assert [logged.event.tech_info for logged in window] == ["minute 2", "minute 3", "minute 4"]
    assert [logged.event.tech_info for logged in await log.read(limit=2)] == ["minute 1", "minute 2"]
    assert await log.read(limit=0) == await log.read(limit=-1) == []
    assert await log.count() == 5


async def test_a_window_is_found_by_the_index(database: Database) -> None:
    plan = await database.read(
        lambda connection: connection.execute(
            "EXPLAIN QUERY PLAN SELECT id FROM security_event WHERE occurred_us BETWEEN 1 AND 2 "
            "ORDER BY occurred_us, id LIMIT 10"
        ).fetchall()
    )
    assert "security_event_by_time" in str(plan)
    assert "TEMP B-TREE" not in str(plan)


async def test_the_oldest_events_go_when_there_are_too_many(database: Database) -> None:
    log = open_log(database, max_events=3)
    for minute in range(10):
        await record(log, minute)
    assert await minutes(log) == [7, 8, 9]


async def test_events_go_when_they_are_too_old(database: Database) -> None:
    log = open_log(database, max_age=5 * MINUTE)
    for minute in (0, 1, 5, 6, 7):
        await record(log, minute)
    assert await minutes(log) == [5, 6, 7]


async def test_nothing_goes_by_age_on_the_word_of_a_clock_that_is_not_set(database: Database) -> None:
    log = open_log(database, max_age=5 * MINUTE)
    await record(log, 0)
    await record(log, 60 * 24 * 365 * 40, time_known=False)
    assert await log.count() == 2


async def test_what_the_central_system_has_not_heard_of_stays_longer(database: Database) -> None:
    log = open_log(database, max_events=3, max_age=20 * MINUTE)
    for minute in (0, 1):
        await record(log, minute, SENT)
    await database.write(lambda c: c.execute("UPDATE security_event SET delivered = 1 WHERE id = 2").rowcount)
    for minute in (2, 3, 4, 5):
        await record(log, minute)
    assert await minutes(log) == [0, 3, 4, 5]
    await record(log, 6)
    await record(log, 20)
    assert await minutes(log) == [0, 5, 6, 20]
    await record(log, 21)
    assert await minutes(log) == [0, 6, 20, 21]


async def test_a_lowered_bound_is_reached_step_by_step(database: Database) -> None:
    for minute in range(MAX_ROLLED_EVENTS + 50):
        await record(open_log(database), minute)
    log = open_log(database, max_events=10)
    await record(log, 1000)
    assert await log.count() == 51
    await record(log, 1001)
    assert await log.count() == 10


async def test_rolling_out_looks_at_no_more_rows_than_it_removes(database: Database) -> None:
    log = open_log(database, max_events=20)
    plans: list[str] = []

    def explain(connection: sqlite3.Connection) -> None:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        log._roll(connection, 100, 1_000_000)
        connection.set_trace_callback(None)
        deletes = [each for each in statements if each.startswith("DELETE")]
        plans.extend(str(connection.execute(f"EXPLAIN QUERY PLAN {each}").fetchall()) for each in deletes)

    await database.write(explain)
    assert len(plans) == 2
    for plan in plans:
        assert "SCAN" not in plan


async def test_events_of_this_boot_get_their_true_time_once_it_is_known(database: Database) -> None:
    log = open_log(database)
    await record(log, 1, boot_id="boot-0", time_known=False)
    await record(log, 2, time_known=False)
    await record(log, 3)
    assert await log.settle_times("boot-1", NOON + 60 * MINUTE) == 1
    assert [(logged.event.tech_info, logged.event.occurred_at, logged.time_known) for logged in await log.read()] == [
        ("minute 1", NOON + 1 * MINUTE, False),
        ("minute 3", NOON + 3 * MINUTE, True),
        ("minute 2", NOON + 62 * MINUTE, True),
    ]
    assert await log.settle_times("boot-1", NOON) == 0


class TestClearing:
    CLEARED = SecurityEventType.SECURITY_LOG_WAS_CLEARED

    async def clear(self, log: SecurityLog, minute: int, text: str | None = "cleared by a test", **more: bool) -> int:
        event = SecurityEvent(self.CLEARED, NOON + minute * MINUTE, text)
        return await log.clear(event, boot_id="boot-1", monotonic=minute * 60.0, time_known=True, **more)

    async def test_only_the_event_that_says_so_is_left(self, database: Database) -> None:
        log = open_log(database)
        for minute in range(3):
            await record(log, minute)
        assert await self.clear(log, 3) == 3
        (left,) = await log.read()
        assert left.event == SecurityEvent(self.CLEARED, NOON + 3 * MINUTE, "cleared by a test: 3 events were removed")
        assert (left.owed, left.delivered, left.time_known) == (True, False, True)

    async def test_an_empty_log_is_cleared_too(self, database: Database) -> None:
        assert await self.clear(open_log(database), 0, None, owed=False) == 0
        (left,) = await open_log(database).read()
        assert (left.event.tech_info, left.owed) == ("0 events were removed", False)

    async def test_what_the_central_system_is_owed_stays_owed_in_its_order(self, database: Database) -> None:
        log, queue = open_log(database), EventQueue(database)
        for minute in range(6):
            await record(log, minute, SENT if minute % 2 else LOGGED)
        await queue.confirm((await queue.page())[:1])
        assert await self.clear(log, 6) == 4
        waiting = await queue.page()
        assert [each.event.tech_info for each in waiting[:2]] == ["minute 3", "minute 5"]
        assert [each.event.type for each in waiting] == [SENT, SENT, self.CLEARED]
        assert await minutes(log) == [3, 5, 6]
        await queue.confirm(waiting)
        assert await self.clear(log, 7) == 3, "once delivered they go with the rest"

    async def test_ids_are_not_given_twice(self, database: Database) -> None:
        log = open_log(database)
        last = [await record(log, minute) for minute in range(3)][-1]
        await self.clear(log, 3, owed=False)
        await self.clear(log, 4, owed=False)
        assert [logged.id for logged in await log.read()] == [last + 2]
        assert await record(log, 5) == last + 3

    async def test_the_log_goes_on_as_before(self, database: Database) -> None:
        log = open_log(database, max_events=3)
        for minute in range(5):
            await record(log, minute)
        await self.clear(log, 5, owed=False)
        for minute in range(6, 10):
            await record(log, minute)
        assert await minutes(log) == [7, 8, 9]

    async def test_a_disk_without_room_changes_nothing(self, database: Database) -> None:
        log = open_log(database)
        await record(log, 0)
        trigger = "CREATE TRIGGER full BEFORE UPDATE ON security_event BEGIN SELECT raise(FAIL, 'full'); END"
        await database.write(lambda connection: connection.execute(trigger).rowcount)
        with pytest.raises(DatabaseError):
            await self.clear(log, 1)
        assert await minutes(log) == [0]

    async def test_it_may_fill_the_queue_which_is_told(
        self, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = SecurityLog(database, max_events=1000, max_age=timedelta(days=365), max_queued_events=3)
        for minute in range(3):
            await record(log, minute, SENT)
        assert await self.clear(log, 3) == 2
        assert "3 events wait for the Central System" in caplog.text
        kinds = [each.event.type for each in await EventQueue(database).page()]
        assert kinds == [SENT, self.CLEARED, SecurityEventType.MEMORY_EXHAUSTION]


async def test_is_counted_by_type_page_by_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logs.security_log.MAX_COUNTED_EVENTS", 3)
    log = open_log(database)
    assert await log.counts() == {}
    for minute in range(7):
        await record(log, minute, SENT if minute % 3 else LOGGED)
    await database.write(lambda connection: connection.execute("DELETE FROM security_event WHERE id = 4").rowcount)
    assert await log.counts() == {LOGGED: 2, SENT: 4}
