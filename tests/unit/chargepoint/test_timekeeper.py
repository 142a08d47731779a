"""What follows when the Central System tells the time."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.clock import BUILT_AT, Clock, Floor
from chargepoint.database import Database
from chargepoint.events import MAX_RAISED_IN_WINDOW, EventDoor
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.settings import HardwareSettings
from chargepoint.state_schema import MIGRATIONS
from chargepoint.timekeeper import Timekeeper
from logs.security_log import SecurityLog

NO_TIME = timedelta()
STEP = timedelta(seconds=10)
TRUE_TIME = datetime(2026, 6, 1, 12, tzinfo=UTC)
SET = "SettingSystemTime"


class Board(SimulatedHardware):
    """A board that lets its clock be set, and tells to what."""

    def __init__(self, directory: Path) -> None:
        super().__init__(HardwareSettings(), 1, directory)
        self.shows = TRUE_TIME
        self.set_to: list[datetime] = []

    def system_time(self) -> datetime:
        return self.shows

    async def set_system_time(self, moment: datetime) -> bool:
        self.set_to.append(moment)
        return True


class Bench:
    """A timekeeper on real parts, at a monotonic time that stands still."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.board = Board(directory)
        self.clock = Clock(system=self.board.system_time, monotonic=lambda: 1000.0)
        self.log = SecurityLog(database, max_events=1000, max_age=timedelta(days=365))
        self.events = EventDoor(self.log, self.clock, "boot-1")
        self.floor = Floor(database)
        self.timekeeper = Timekeeper(self.clock, self.floor, self.board, self.events, STEP)

    async def recorded(self) -> list[tuple[str, datetime]]:
        return [(each.event.type, each.event.occurred_at) for each in await self.log.read(None, None, 100)]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield database
    await database.close()


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    return Bench(database, tmp_path)


async def test_the_right_time_changes_nothing(bench: Bench) -> None:
    await bench.timekeeper.learn(TRUE_TIME, NO_TIME)
    assert bench.board.set_to == []
    assert await bench.recorded() == []


@pytest.mark.parametrize(("seconds", "is_event"), [(5, False), (10, False), (11, True), (-10, False), (-11, True)])
async def test_the_board_is_set_and_a_step_above_the_setting_is_an_event(
    bench: Bench, seconds: int, is_event: bool
) -> None:
    told = TRUE_TIME + timedelta(seconds=seconds)
    await bench.timekeeper.learn(told, NO_TIME)
    assert bench.board.set_to == [told]
    assert bench.clock.now() == told
    assert [name for name, _ in await bench.recorded()] == ([SET] if is_event else [])


async def test_a_central_system_that_tells_ever_other_times_does_not_fill_the_log(bench: Bench) -> None:
    for minutes in range(200):
        await bench.timekeeper.learn(TRUE_TIME + timedelta(minutes=minutes % 2), NO_TIME)
    assert len(await bench.recorded()) == MAX_RAISED_IN_WINDOW
    await bench.events.close()
    assert len(await bench.recorded()) == MAX_RAISED_IN_WINDOW + 1


async def test_events_of_before_get_their_time_before_the_change_is_recorded(bench: Bench) -> None:
    bench.board.shows = datetime(1970, 1, 1, tzinfo=UTC)
    await bench.events.raise_event("MemoryExhaustion")
    [(_, provisional_at)] = await bench.recorded()
    assert provisional_at < TRUE_TIME
    await bench.timekeeper.learn(TRUE_TIME, NO_TIME)
    assert await bench.recorded() == [("MemoryExhaustion", TRUE_TIME), (SET, TRUE_TIME)]


async def test_what_follows_is_done_although_the_connection_that_told_the_time_is_lost(bench: Bench) -> None:
    bench.board.shows = datetime(1970, 1, 1, tzinfo=UTC)
    await bench.events.raise_event("MemoryExhaustion")
    learning = asyncio.create_task(bench.timekeeper.learn(TRUE_TIME, NO_TIME))
    await asyncio.sleep(0)  # it has begun
    learning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await learning
    await bench.timekeeper.close()
    assert len(bench.board.set_to) == 1
    assert await bench.recorded() == [("MemoryExhaustion", TRUE_TIME), (SET, TRUE_TIME)]


async def test_an_impossible_time_is_left_aside(bench: Bench) -> None:
    await bench.timekeeper.learn(datetime(1970, 1, 1, tzinfo=UTC), NO_TIME)
    await bench.timekeeper.learn(datetime(2099, 1, 1, tzinfo=UTC), NO_TIME)
    assert bench.clock.now() == TRUE_TIME
    assert (bench.board.set_to, await bench.recorded()) == ([], [])


async def test_the_floor_is_kept(bench: Bench, database: Database) -> None:
    await bench.floor.load()
    await bench.timekeeper.learn(TRUE_TIME, NO_TIME)
    assert await Floor(database).load() == TRUE_TIME > BUILT_AT


async def test_a_disk_that_fails_is_logged_and_the_clock_is_right_all_the_same(
    bench: Bench, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def break_it(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE clock_floor")
        connection.execute("DROP TABLE security_event")

    await database.write(break_it)
    bench.board.shows = datetime(1970, 1, 1, tzinfo=UTC)
    await bench.timekeeper.learn(TRUE_TIME, NO_TIME)
    assert bench.clock.now() == TRUE_TIME
    assert "the newest time could not be kept" in caplog.text
