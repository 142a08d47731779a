"""The agent's clock: the best knowledge of the time, whether the board has a battery or wakes up in 1970.

Guaranteed: `Clock.now` always answers. What it answers rests on the first of these that there is:

- the Central System's currentTime, kept as an offset to the board's clock until somebody sets the board's clock;
- the board's clock, where it is plausible;
- the time that it cannot be earlier than (the floor, or the last currentTime), moved on by the monotonic clock. The
  clock counts as *not set* then: nothing is ever discarded on its word.

A time is plausible from the floor up to a ceiling. The floor is the time when this release was made, or the newest
time seen, kept on the disk by `Floor`. The ceiling keeps a board that wakes up in 2070, and a Central System that
says so, from poisoning both.

Not done here: setting the board's clock (the hardware port), and the security event SettingSystemTime (the session).
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from chargepoint.database import Database

_log = logging.getLogger(__name__)

BUILT_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)  #: instant; no right clock shows less; moved on with releases
CEILING: Final = BUILT_AT + timedelta(days=30 * 365)  #: instant; longer than a Charge Point and its roots live
TOLERANCE: Final = timedelta(seconds=1)  #: time; currentTime often comes in whole seconds: less is no difference
MAX_SYSTEM_DRIFT: Final = timedelta(seconds=2)  #: time; the board's clock drifts less from the monotonic one unset
MIN_FLOOR_WAIT: Final = timedelta(hours=1)  #: time; a Central System that tells ever other times writes no more often
FLOOR_INTERVAL: Final = timedelta(days=1)  #: time; between two writes of the floor: enough for a floor, spares flash

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS clock_floor (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        newest_at TEXT NOT NULL  -- ISO 8601, UTC
    )
    """,
)


def system_time() -> datetime:
    """Return what the machine's clock says."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Correction:
    """What a currentTime did to the clock.

    Attributes:
        step: how far the clock was moved on (or back); zero where it was right, or where the currentTime was refused.
        was_set: whether the clock was set before.
        refused: the currentTime is not plausible and was left aside.
    """

    step: timedelta
    was_set: bool
    refused: bool = False


class Clock:
    """The one clock of the agent.

    Args:
        floor: the newest time seen, as `Floor.load` returns it.
        system: the board's clock, aware UTC; it may be wrong, and may be set by others at any time.
        monotonic: seconds since some instant of this boot; the same for all processes of it.
    """

    def __init__(
        self,
        floor: datetime = BUILT_AT,
        *,
        system: Callable[[], datetime] = system_time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._system = system
        self._monotonic = monotonic
        # Each an instant and the monotonic time at which it was known: both move on with the monotonic clock.
        self._floor = self._known = max(floor, BUILT_AT), monotonic()
        self._offset: timedelta | None = None
        self._reference = system(), monotonic()

    def now(self) -> datetime:
        """Return the best knowledge of the time, aware UTC; it raises nothing."""
        shown, trusted = self._read()
        return shown if trusted else self._moved_on(self._known)

    def monotonic(self) -> float:
        """Seconds that never run back, on the same scale for all processes until the device boots again."""
        return self._monotonic()

    def boot_zero(self) -> datetime:
        """Return the instant at which `monotonic` was zero: what is needed to give the time to earlier events."""
        return self.now() - timedelta(seconds=self._monotonic())

    @property
    def is_set(self) -> bool:
        """Whether the time is known, and not only that it cannot be earlier."""
        return self._read()[1]

    @property
    def floor(self) -> datetime:
        """The time below which the board's clock counts as not set; it moves on like all time."""
        return self._moved_on(self._floor)

    def correct(self, current_time: datetime, round_trip: timedelta = timedelta()) -> Correction:
        """Take over the Central System's time.

        A currentTime below the floor is believed, down to the time of the build, and the floor comes down with it:
        the Central System has the last word, else a wrong year once told would lock the Charge Point out for ever.

        Args:
            current_time: currentTime of a BootNotification.conf or Heartbeat.conf.
            round_trip: between the request and its answer; half of it is added.
        """
        shown, was_set = self._read()
        if not BUILT_AT <= current_time <= CEILING:
            _log.warning("The Central System's time %s is not plausible and is left aside", current_time.isoformat())
            return Correction(timedelta(), was_set, refused=True)
        true_time = current_time + round_trip / 2
        step = true_time - shown
        system, monotonic = self._system(), self._monotonic()
        # What is known to be true holds on when the board loses its time later, whether it was right now or not.
        self._known = true_time, monotonic
        if was_set and abs(step) <= TOLERANCE + round_trip / 2:
            return Correction(timedelta(), was_set)
        self._offset, self._reference = true_time - system, (system, monotonic)
        self._floor = min(self.floor, true_time), monotonic
        return Correction(step, was_set)

    def _read(self) -> tuple[datetime, bool]:
        """Return what the clock shows, and whether that is to be trusted."""
        before = self._monotonic()
        system = self._system()
        if self._offset is not None:
            system_then, monotonic_then = self._reference
            moved = system - system_then
            # The second look allows for a process that was stopped between the two clocks.
            least = timedelta(seconds=before - monotonic_then) - MAX_SYSTEM_DRIFT
            most = timedelta(seconds=self._monotonic() - monotonic_then) + MAX_SYSTEM_DRIFT
            if least <= moved <= most:
                return system + self._offset, True
            # Somebody set the board's clock (NTP, the hardware port, a person): the offset was to the clock before.
            _log.info("The board's clock was set by %+.0f s, its offset is forgotten", (moved - most).total_seconds())
            self._offset = None
        return system, self.floor - MAX_SYSTEM_DRIFT <= system <= CEILING

    def _moved_on(self, known: tuple[datetime, float]) -> datetime:
        instant, monotonic_then = known
        return instant + timedelta(seconds=self._monotonic() - monotonic_then)


class Floor:
    """The newest time seen, on the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: datetime | None = None
        self._noted_at: float | None = None

    async def load(self) -> datetime:
        """Return the floor for a `Clock`: what the disk has, but not less than the time of the build.

        Raises:
            DatabaseError: the disk cannot be read.
        """
        self._kept = await self._database.read(_load)
        return max(self._kept or BUILT_AT, BUILT_AT)

    async def note(self, clock: Clock) -> None:
        """Keep the time where that is due: daily, or when it ran back. To be called whenever the time was confirmed.

        At most hourly after the first time: a floor that is too high for so long does no harm.

        Raises:
            DatabaseError: the old floor stays.
        """
        newest_at, now = clock.now(), clock.monotonic()
        if self._noted_at is not None and now - self._noted_at < MIN_FLOOR_WAIT.total_seconds():
            return
        if clock.is_set and not (self._kept and timedelta() <= newest_at - self._kept < FLOOR_INTERVAL):
            await self._keep(newest_at)
            self._noted_at = now

    async def keep(self, clock: Clock) -> None:
        """Keep the time at an orderly end, if it is known.

        Raises:
            DatabaseError: the old floor stays.
        """
        if clock.is_set:
            await self._keep(clock.now())

    async def _keep(self, newest_at: datetime) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO clock_floor VALUES (1, ?)", (newest_at.isoformat(),))

        await self._database.write(work)
        self._kept = newest_at


def _load(connection: sqlite3.Connection) -> datetime | None:
    row = connection.execute("SELECT newest_at FROM clock_floor").fetchone()
    return datetime.fromisoformat(row[0]) if row else None
