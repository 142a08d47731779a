"""The security log: every security event, on the disk, oldest first, rolling (A04.FR.04).

Guaranteed: an event is on the disk when `SecurityLog.record` returns. The log stays within a number of events and an
age; what rolls out goes in the same transaction as what comes in, a few rows at a time, found by an index and never
by a scan.

- Events that are owed to the Central System and not delivered outlive the bounds, up to twice the number of events.
- Times are kept in microseconds of UTC. An event that happened while the clock was not set bears the boot id, the
  monotonic time and a provisional time; `settle_times` gives it the true one.
- Nothing is rolled out by age on the word of a clock that is not set.

Not done here: raising events (chargepoint/events.py) and sending those that are owed.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from security.event import SecurityEvent

MAX_READ_EVENTS: Final = 1_000  #: count; events in one answer unless asked otherwise: a page that is small in memory
MAX_ROLLED_EVENTS: Final = 100  #: count; rolled out with one that comes in: a lowered bound is reached step by step

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)  #: code; what `datetime` resolves and the database keeps

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS security_event (
        id INTEGER PRIMARY KEY,        -- in the order in which they were recorded
        type TEXT NOT NULL,
        tech_info TEXT,
        occurred_us INTEGER NOT NULL,  -- microseconds since 1970, UTC; provisional where time_known is 0
        time_known INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        monotonic_us INTEGER NOT NULL,
        owed INTEGER NOT NULL,         -- 1: the Central System is to hear of it
        delivered INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX IF NOT EXISTS security_event_by_time ON security_event (occurred_us)",
    "CREATE INDEX IF NOT EXISTS security_event_queue ON security_event (id) WHERE owed = 1 AND delivered = 0",
    "CREATE INDEX IF NOT EXISTS security_event_unsettled ON security_event (boot_id) WHERE time_known = 0",
)

T = TypeVar("T")


class Storage(Protocol):
    """What the log needs of a database."""

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction; return its result once that is on the disk."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work, which changes nothing, and return its result."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the log has it.

    Attributes:
        id: its place in the order in which events were recorded.
        event: what happened, and when.
        time_known: whether the clock was set, or its time has been settled since.
        owed: the Central System is to hear of it.
        delivered: the Central System has confirmed it.
    """

    id: int
    event: SecurityEvent
    time_known: bool
    owed: bool
    delivered: bool


class SecurityLog:
    """The security log.

    Args:
        storage: the database; it has the tables of `SCHEMA`.
        max_events: how many events are kept.
        max_age: how long they are kept.
    """

    def __init__(self, storage: Storage, *, max_events: int, max_age: timedelta) -> None:
        self._storage = storage
        self._max_events = max_events
        self._max_age_us = max_age // _MICROSECOND

    async def record(
        self, event: SecurityEvent, *, boot_id: str, monotonic: float, time_known: bool, owed: bool | None = None
    ) -> int:
        """Add an event durably, and roll out what is over the bounds (A04.FR.04).

        Args:
            event: what happened; its time is provisional unless `time_known`.
            boot_id: identifies the boot of the device that `monotonic` belongs to.
            monotonic: seconds since some instant of that boot.
            time_known: whether the clock was set.
            owed: whether the Central System is to hear of it; None leaves it to the catalogue of section 8.

        Returns:
            The id of the event.
        """
        values = {
            "type": event.type,
            "tech_info": event.tech_info,
            "occurred_us": _to_us(event.occurred_at),
            "time_known": time_known,
            "boot_id": boot_id,
            "monotonic_us": round(monotonic * 1_000_000),
            "owed": event.entry.sent if owed is None else owed,
        }
        return await self._storage.write(lambda connection: self._insert(connection, values))

    async def read(
        self, since: datetime | None = None, until: datetime | None = None, limit: int = MAX_READ_EVENTS
    ) -> list[LoggedEvent]:
        """Return the first events of a window, oldest first.

        Args:
            since: not before this instant; None from the beginning.
            until: not after this instant; None up to the end.
            limit: how many at most.
        """
        window = {
            "since": _to_us(since) if since else _to_us(datetime.min.replace(tzinfo=UTC)),
            "until": _to_us(until) if until else _to_us(datetime.max.replace(tzinfo=UTC)),
            "limit": max(limit, 0),
        }
        return await self._storage.read(lambda connection: _select(connection, window))

    async def count(self) -> int:
        """Return how many events the log holds."""
        return await self._storage.read(_count)

    async def settle_times(self, boot_id: str, boot_zero: datetime) -> int:
        """Give their true time to the events of this boot that happened while the clock was not set.

        Events of earlier boots keep their provisional time: nobody knows how long the device was off.

        Args:
            boot_id: the boot that runs.
            boot_zero: the instant at which its monotonic time was zero.

        Returns:
            How many events were given a time.
        """
        zero_us = _to_us(boot_zero)

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE security_event SET occurred_us = ? + monotonic_us, time_known = 1 "
                "WHERE boot_id = ? AND time_known = 0",
                (zero_us, boot_id),
            ).rowcount

        return await self._storage.write(work)

    def _insert(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> int:
        cursor = connection.execute(
            "INSERT INTO security_event (type, tech_info, occurred_us, time_known, boot_id, monotonic_us, owed) "
            "VALUES (:type, :tech_info, :occurred_us, :time_known, :boot_id, :monotonic_us, :owed)",
            values,
        )
        newest = cursor.lastrowid or 0
        self._roll(connection, newest, values["occurred_us"] if values["time_known"] else None)
        return newest

    def _roll(self, connection: sqlite3.Connection, newest: int, now_us: int | None) -> None:
        """Remove what is over the bounds. Ids follow each other, so that the number of events shows in the id."""
        last_out = newest - self._max_events
        connection.execute(
            "DELETE FROM security_event WHERE id IN (SELECT id FROM security_event WHERE id <= :last_out "
            "AND NOT (owed = 1 AND delivered = 0 AND id > :last_owed_out) ORDER BY id LIMIT :most)",
            {"last_out": last_out, "last_owed_out": last_out - self._max_events, "most": MAX_ROLLED_EVENTS},
        )
        if now_us is not None:
            connection.execute(
                "DELETE FROM security_event WHERE id IN (SELECT id FROM security_event "
                "WHERE occurred_us < ? AND NOT (owed = 1 AND delivered = 0) ORDER BY occurred_us LIMIT ?)",
                (now_us - self._max_age_us, MAX_ROLLED_EVENTS),
            )


def _select(connection: sqlite3.Connection, window: Mapping[str, Any]) -> list[LoggedEvent]:
    rows = connection.execute(
        "SELECT id, type, tech_info, occurred_us, time_known, owed, delivered FROM security_event "
        "WHERE occurred_us BETWEEN :since AND :until ORDER BY occurred_us, id LIMIT :limit",
        window,
    )
    return [
        LoggedEvent(
            id=row[0],
            event=SecurityEvent(type=row[1], tech_info=row[2], occurred_at=_EPOCH + row[3] * _MICROSECOND),
            time_known=bool(row[4]),
            owed=bool(row[5]),
            delivered=bool(row[6]),
        )
        for row in rows
    ]


def _count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM security_event").fetchone()
    return int(count)


def _to_us(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND
