from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargepoint import clock as clock_module
from chargepoint.clock import BUILT_AT, CEILING, FLOOR_INTERVAL, Clock, Correction, Floor, system_time
from chargepoint.database import Database
from chargepoint.migration import Migration

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZERO = timedelta()


class Board:
    """A board with a clock that can be set and a monotonic clock that cannot."""

    def __init__(self, shows: datetime = NOON) -> None:
        self.shows = shows
        self.since_boot = 1000.0

    def system(self) -> datetime:
        return self.shows

    def monotonic(self) -> float:
        return self.since_boot

    def wait(self, time: timedelta) -> None:
        self.shows += time
        self.since_boot += time.total_seconds()

    def clock(self, floor: datetime = BUILT_AT) -> Clock:
        return Clock(floor, system=self.system, monotonic=self.monotonic)


def test_a_plausible_board_clock_is_the_time() -> None:
    board = Board()
    clock = board.clock()
    board.wait(HOUR)
    assert (clock.now(), clock.is_set, clock.monotonic()) == (NOON + HOUR, True, 4600.0)
    assert clock.boot_zero() == NOON - timedelta(seconds=1000)


def test_the_machine_is_asked_where_nothing_else_is_said() -> None:
    before = system_time()
    clock = Clock()
    assert before <= clock.now() <= system_time()
    assert clock.is_set


@pytest.mark.parametrize("shows", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2070, 1, 1, tzinfo=UTC), NOON - HOUR])
def test_a_board_that_wakes_up_at_another_time_knows_only_that_it_is_not_earlier(shows: datetime) -> None:
    board = Board(shows)
    clock = board.clock(floor=NOON)
    board.wait(HOUR)
    assert (clock.now(), clock.is_set) == (NOON + HOUR, False)


def test_the_floor_is_not_below_the_time_of_the_build() -> None:
    assert Board().clock(floor=datetime(1999, 1, 1, tzinfo=UTC)).floor == BUILT_AT


@pytest.mark.parametrize("shows", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2070, 1, 1, tzinfo=UTC)])
def test_the_central_system_sets_a_clock_that_was_not_set(shows: datetime) -> None:
    board = Board(shows)
    clock = board.clock()
    assert clock.correct(NOON) == Correction(NOON - shows, was_set=False)
    board.wait(HOUR)
    assert (clock.now(), clock.is_set) == (NOON + HOUR, True)


@pytest.mark.parametrize("off", [HOUR, -HOUR, timedelta(days=200)])
def test_the_central_system_puts_a_clock_right(off: timedelta) -> None:
    board = Board(NOON + off)
    clock = board.clock()
    assert clock.correct(NOON) == Correction(-off, was_set=True)
    assert clock.correct(NOON) == Correction(ZERO, was_set=True)
    assert clock.now() == NOON


def test_half_of_the_round_trip_has_passed_since_the_central_system_looked() -> None:
    clock = Board(NOON + HOUR).clock()
    clock.correct(NOON, round_trip=timedelta(seconds=6))
    assert clock.now() == NOON + timedelta(seconds=3)


def test_whole_seconds_and_a_slow_link_are_no_difference() -> None:
    clock = Board(NOON + timedelta(seconds=2.9)).clock()
    assert clock.correct(NOON, round_trip=timedelta(seconds=2)).step == ZERO
    assert clock.now() == NOON + timedelta(seconds=2.9)


@pytest.mark.parametrize("told", [BUILT_AT - HOUR, CEILING + HOUR, datetime.max.replace(tzinfo=UTC)])
def test_a_time_that_cannot_be_is_not_believed(told: datetime) -> None:
    clock = Board().clock()
    assert clock.correct(told, HOUR) == Correction(ZERO, was_set=True, refused=True)
    assert clock.now() == NOON


def test_a_wrong_year_once_told_does_not_hold_for_ever() -> None:
    board = Board(datetime(1970, 1, 1, tzinfo=UTC))
    clock = board.clock(floor=NOON + timedelta(days=5000))
    clock.correct(NOON)
    assert (clock.now(), clock.floor, clock.is_set) == (NOON, NOON, True)


def test_somebody_who_sets_the_board_clock_is_believed() -> None:
    board = Board(datetime(1970, 1, 1, tzinfo=UTC))
    clock = board.clock()
    clock.correct(NOON)
    board.wait(HOUR)
    board.shows = NOON + HOUR  # NTP, or the hardware port at our own wish
    assert (clock.now(), clock.is_set) == (NOON + HOUR, True)


def test_a_board_that_was_right_and_loses_its_time_goes_on_from_the_last_current_time() -> None:
    board = Board()
    clock = board.clock()
    clock.correct(NOON)
    board.wait(HOUR)
    board.shows = datetime(1970, 1, 1, tzinfo=UTC)
    assert (clock.now(), clock.is_set) == (NOON + HOUR, False)


def test_somebody_who_sets_the_board_clock_to_nonsense_is_not() -> None:
    board = Board()
    clock = board.clock()
    clock.correct(NOON + HOUR)
    board.shows = datetime(1970, 1, 1, tzinfo=UTC)
    board.wait(HOUR)
    assert (clock.now(), clock.is_set) == (NOON + 2 * HOUR, False)
    assert clock.correct(NOON + 2 * HOUR).was_set is False


def test_a_process_that_was_stopped_between_two_looks_keeps_its_offset() -> None:
    board = Board(NOON)
    clock = board.clock()
    clock.correct(NOON + HOUR)

    def stopped() -> datetime:
        board.wait(timedelta(minutes=5))
        return board.shows

    clock._system = stopped
    assert clock.now() == NOON + HOUR + timedelta(minutes=5)


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)), st.floats(0, 1e6))
def test_whatever_board_and_central_system_say_the_clock_answers(
    shows: datetime, told: datetime, waited_s: float
) -> None:
    board = Board(shows)
    clock = board.clock()
    assert BUILT_AT <= clock.now() <= CEILING
    correction = clock.correct(told)
    assert correction.refused is not (BUILT_AT <= told <= CEILING)
    board.since_boot += waited_s
    assert clock.now() >= BUILT_AT


class TestFloor:
    @pytest.fixture
    async def database(self, tmp_path: Path) -> AsyncIterator[Database]:
        database = await Database.open(tmp_path / "state.db", (Migration(clock_module.SCHEMA),))
        yield database
        await database.close()

    @staticmethod
    def writes(database: Database) -> bytes:
        log = database.path.with_name("state.db-wal")
        return log.read_bytes() if log.exists() else b""

    async def test_begins_at_the_time_of_the_build(self, database: Database) -> None:
        assert await Floor(database).load() == BUILT_AT

    async def test_outlives_a_restart(self, database: Database) -> None:
        await Floor(database).keep(Board().clock())
        assert await Floor(database).load() == NOON

    async def test_is_written_once_a_day_however_often_the_time_is_confirmed(self, database: Database) -> None:
        board, floor = Board(), Floor(database)
        clock = board.clock(await floor.load())
        await floor.note(clock)
        before = self.writes(database)
        for _ in range(100):
            board.wait(timedelta(minutes=14))
            clock.correct(board.shows)
            await floor.note(clock)
        assert self.writes(database) == before
        board.wait(FLOOR_INTERVAL)
        await floor.note(clock)
        assert await Floor(database).load() == board.shows

    async def test_is_written_once_an_hour_however_often_other_times_are_told(self, database: Database) -> None:
        board, floor = Board(), Floor(database)
        clock = board.clock(await floor.load())
        clock.correct(NOON)
        await floor.note(clock)
        before = self.writes(database)
        for years in [*range(1, 20), 0]:
            clock.correct(NOON + timedelta(days=365 * years))
            await floor.note(clock)
        assert self.writes(database) == before
        board.wait(HOUR)
        clock.correct(BUILT_AT)
        await floor.note(clock)
        assert await Floor(database).load() == BUILT_AT

    async def test_comes_down_when_the_central_system_says_so(self, database: Database) -> None:
        floor = Floor(database)
        await floor.keep(Board(NOON + timedelta(days=5000)).clock())
        clock = Board(datetime(1970, 1, 1, tzinfo=UTC)).clock(await floor.load())
        clock.correct(NOON)
        await floor.note(clock)
        assert await Floor(database).load() == NOON

    async def test_is_not_taken_from_a_clock_that_is_not_set(self, database: Database) -> None:
        floor = Floor(database)
        clock = Board(datetime(2070, 1, 1, tzinfo=UTC)).clock(await floor.load())
        await floor.note(clock)
        await floor.keep(clock)
        assert await Floor(database).load() == BUILT_AT
