import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.clock import Clock
from chargepoint.database import Database
from chargepoint.events import MAX_RAISED_IN_WINDOW, MAX_UNRECORDED_EVENTS, EventDoor, Sending
from chargepoint.state import StateUnusable
from chargepoint.state_schema import MIGRATIONS
from logs.security_log import LoggedEvent, SecurityLog
from security.event import SecurityEventType

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
NINETEEN_SEVENTY = datetime(1970, 1, 1, tzinfo=UTC)
FLOOD = SecurityEventType.INVALID_MESSAGES


@dataclass
class Bench:
    """An event door over a real log, a clock that is turned by hand, and a disk that can fail."""

    database: Database
    shows: datetime = NOON
    since_boot: float = 100.0

    def __post_init__(self) -> None:
        self.clock = Clock(system=lambda: self.shows, monotonic=lambda: self.since_boot)
        self.log = SecurityLog(self.database, max_events=1000, max_age=timedelta(days=365))
        self.door = EventDoor(self.log, self.clock, "boot-1", counting_window=timedelta(minutes=10))

    def wait(self, time: timedelta) -> None:
        self.shows += time
        self.since_boot += time.total_seconds()

    async def break_disk(self) -> None:
        trigger = (
            "CREATE TRIGGER full BEFORE INSERT ON security_event BEGIN SELECT raise(FAIL, 'the disk is full'); END"
        )
        await self.database.write(lambda connection: connection.execute(trigger).rowcount)

    async def mend_disk(self) -> None:
        await self.database.write(lambda connection: connection.execute("DROP TRIGGER full").rowcount)

    async def logged(self) -> list[LoggedEvent]:
        return await self.log.read()

    async def told(self) -> list[str | None]:
        return [logged.event.tech_info for logged in await self.logged()]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield Bench(database)
    await database.close()


@pytest.mark.requirement("A04.FR.04")
async def test_an_event_is_in_the_log_on_the_disk_when_it_is_raised(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await bench.door.raise_event(SecurityEventType.TAMPER_DETECTION_ACTIVATED, "lid open")
    connection = sqlite3.connect(bench.database.path)
    assert connection.execute("SELECT type, tech_info FROM security_event").fetchall() == [
        ("TamperDetectionActivated", "lid open")
    ]
    connection.close()
    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == ("WARNING", "security event TamperDetectionActivated: lid open")
    (logged,) = await bench.logged()
    assert (logged.event.occurred_at, logged.time_known, logged.owed) == (NOON, True, True)


async def test_a_vendor_may_raise_events_of_its_own(bench: Bench) -> None:
    await bench.door.raise_event("CabinetDoorOpened")
    await bench.door.raise_event("x" * 50, "y" * 300)
    for wrong in ("", "x" * 51):
        with pytest.raises(ValueError, match="1 to 50 characters"):
            await bench.door.raise_event(wrong)
    first, second = await bench.logged()
    assert (first.event.type, first.event.tech_info, first.owed) == ("CabinetDoorOpened", None, False)
    assert second.event.tech_info == "y" * 255


async def test_text_that_has_no_utf_8_form_is_written_out(bench: Bench) -> None:
    await bench.door.raise_event("Odd\ud800", "half a pair: \udfff, and a zero: \0")
    (logged,) = await bench.logged()
    assert (logged.event.type, logged.event.tech_info) == ("Odd\\ud800", "half a pair: \\udfff, and a zero: \0")


async def test_a_failing_disk_stops_nobody_and_loses_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.break_disk()
    await bench.door.raise_event(FLOOD, "first")
    bench.wait(timedelta(minutes=1))
    await bench.door.raise_event(FLOOD, "second")
    assert await bench.logged() == []
    assert "InvalidMessages waits in memory" in caplog.text
    await bench.mend_disk()
    await bench.door.raise_event(FLOOD, "third")
    assert await bench.told() == ["first", "second", "third"]
    assert (await bench.logged())[0].event.occurred_at == NOON


async def test_what_waits_is_recorded_at_the_end_at_the_latest(bench: Bench) -> None:
    await bench.break_disk()
    await bench.door.raise_event(FLOOD, "waiting")
    await bench.mend_disk()
    await bench.door.close()
    assert await bench.told() == ["waiting"]


async def test_a_disk_that_fails_for_too_long_costs_the_oldest_events(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.break_disk()
    for number in range(MAX_UNRECORDED_EVENTS + 2):
        await bench.door.raise_event(FLOOD, str(number))
    await bench.mend_disk()
    await bench.door.close()
    assert await bench.told() == [str(number) for number in range(2, MAX_UNRECORDED_EVENTS + 2)]
    assert caplog.text.count("is lost: the disk has failed for too long") == 2


async def test_events_raised_at_the_same_time_are_each_recorded_once_and_in_order(bench: Bench) -> None:
    await asyncio.gather(*(bench.door.raise_event(FLOOD, str(number)) for number in range(50)))
    assert await bench.told() == [str(number) for number in range(50)]


async def test_an_event_outlives_the_task_that_raised_it(bench: Bench) -> None:
    task = asyncio.create_task(bench.door.raise_event(FLOOD, "last words"))
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await bench.door.close()
    assert await bench.told() == ["last words"]


class TestFlood:
    async def test_the_first_is_recorded_and_the_others_counted(self, bench: Bench) -> None:
        for number in range(1000):
            await bench.door.count_or_raise(FLOOD, str(number))
        await bench.door.count_or_raise(SecurityEventType.ATTEMPTED_REPLAY_ATTACKS, "another type")
        assert await bench.told() == ["0", "another type"]
        bench.wait(timedelta(minutes=10))
        await bench.door.count_or_raise(FLOOD, "next")
        assert (await bench.told())[-1] == "(999 more before) next"

    async def test_what_was_only_counted_is_told_at_the_end(self, bench: Bench) -> None:
        for tech_info in ("first", "second", "third"):
            await bench.door.count_or_raise(FLOOD, tech_info)
        await bench.door.close()
        await bench.door.close()
        assert await bench.told() == ["first", "(1 more before) third"]

    async def test_those_that_each_tell_something_are_recorded_as_long_as_they_are_few(self, bench: Bench) -> None:
        for _ in range(2):
            for number in range(1000):
                await bench.door.raise_or_count(FLOOD, str(number))
            bench.wait(timedelta(minutes=10))
        await bench.door.raise_or_count(FLOOD, "next")
        told = [str(number) for number in range(MAX_RAISED_IN_WINDOW)]
        assert await bench.told() == [*told, "(980 more before) 0", *told[1:], "(980 more before) next"]

    async def test_a_quiet_time_leaves_nothing_to_tell(self, bench: Bench) -> None:
        await bench.door.count_or_raise(FLOOD, "first")
        bench.wait(timedelta(hours=1))
        await bench.door.count_or_raise(FLOOD)
        await bench.door.close()
        assert await bench.told() == ["first", None]


class TestSending:
    async def owed(self, bench: Bench, sending: Sending | None) -> list[bool]:
        door = EventDoor(bench.log, bench.clock, "boot-1", sending=sending)
        for event_type in (SecurityEventType.TAMPER_DETECTION_ACTIVATED, FLOOD, "CabinetDoorOpened"):
            await door.raise_event(event_type)
        return [logged.owed for logged in await bench.logged()]

    async def test_what_is_critical_or_owed_is_queued(self, bench: Bench) -> None:
        assert await self.owed(bench, None) == [True, False, False]

    async def test_a_setting_adds_types(self, bench: Bench) -> None:
        assert await self.owed(bench, Sending(also=frozenset({FLOOD}))) == [True, True, False]

    async def test_a_switch_queues_nothing(self, bench: Bench) -> None:
        assert await self.owed(bench, Sending(enabled=False, also=frozenset({FLOOD}))) == [False, False, False]

    async def test_whoever_delivers_is_told_of_what_is_queued(self, bench: Bench) -> None:
        queued: list[int] = []
        bench.door.subscribe(lambda: queued.append(1))
        await bench.door.raise_event(FLOOD)
        assert not queued
        await bench.door.raise_event(SecurityEventType.TAMPER_DETECTION_ACTIVATED)
        assert queued == [1]


class TestTime:
    async def test_events_before_the_first_current_time_get_their_true_time(self, bench: Bench) -> None:
        bench.shows = NINETEEN_SEVENTY
        await bench.door.raise_event(FLOOD, "early")
        assert [logged.time_known for logged in await bench.logged()] == [False]
        bench.wait(timedelta(minutes=5))
        bench.clock.correct(NOON)
        await bench.door.settle_times()
        (logged,) = await bench.logged()
        assert (logged.event.occurred_at, logged.time_known) == (NOON - timedelta(minutes=5), True)

    async def test_an_event_that_waited_in_memory_gets_its_true_time_too(self, bench: Bench) -> None:
        bench.shows = NINETEEN_SEVENTY
        await bench.break_disk()
        await bench.door.raise_event(FLOOD, "early")
        bench.wait(timedelta(minutes=5))
        bench.clock.correct(NOON)
        await bench.mend_disk()
        await bench.door.close()
        (logged,) = await bench.logged()
        assert (logged.event.occurred_at, logged.time_known) == (NOON - timedelta(minutes=5), True)

    async def test_times_that_cannot_be_settled_stop_nobody(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        bench.shows = NINETEEN_SEVENTY
        await bench.door.raise_event(FLOOD, "early")
        trigger = (
            "CREATE TRIGGER full BEFORE UPDATE ON security_event BEGIN SELECT raise(FAIL, 'the disk is full'); END"
        )
        await bench.database.write(lambda connection: connection.execute(trigger).rowcount)
        bench.clock.correct(NOON)
        await bench.door.settle_times()
        assert "could not be settled" in caplog.text


class TestClearing:
    CLEARED = SecurityEventType.SECURITY_LOG_WAS_CLEARED

    async def test_the_log_says_that_it_was_cleared_and_the_central_system_hears_of_it(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        told: list[str] = []
        bench.door.subscribe(lambda: told.append("queued"))
        await bench.door.raise_event(FLOOD, "before")
        assert await bench.door.clear_log("a test") == 1
        (logged,) = await bench.logged()
        assert (logged.event.type, logged.event.tech_info) == (
            self.CLEARED,
            "cleared by a test: 1 events were removed",
        )
        assert (logged.event.occurred_at, logged.owed, logged.time_known) == (NOON, True, True)
        assert told == ["queued"]
        assert "security event SecurityLogWasCleared" in caplog.text

    async def test_where_nothing_is_sent_it_is_in_the_log_only(self, bench: Bench) -> None:
        door = EventDoor(bench.log, bench.clock, "boot-1", sending=Sending(enabled=False))
        await door.clear_log("a test")
        (logged,) = await bench.logged()
        assert not logged.owed

    async def test_what_waited_in_memory_is_older_and_goes_too(self, bench: Bench) -> None:
        await bench.break_disk()
        await bench.door.raise_event(FLOOD, "waits")
        await bench.mend_disk()
        assert await bench.door.clear_log("a test") == 1
        assert [logged.event.type for logged in await bench.logged()] == [self.CLEARED]

    async def test_a_failing_disk_is_told_to_who_clears_and_nothing_is_lost(self, bench: Bench) -> None:
        await bench.door.raise_event(FLOOD, "before")
        await bench.break_disk()
        with pytest.raises(StateUnusable):
            await bench.door.clear_log("a test")
        await bench.mend_disk()
        assert await bench.told() == ["before"]

    async def test_cancelled_it_is_done_all_the_same(self, bench: Bench) -> None:
        await bench.door.raise_event(FLOOD, "before")
        clearing = asyncio.create_task(bench.door.clear_log("a test"))
        await asyncio.sleep(0)
        clearing.cancel()
        with suppress(asyncio.CancelledError):
            await clearing
        (going_on,) = (task for task in asyncio.all_tasks() if task.get_name() == "clear the security log")
        assert await going_on == 1
        assert [logged.event.type for logged in await bench.logged()] == [self.CLEARED]
