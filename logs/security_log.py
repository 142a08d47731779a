"""The security log: every security event, on the disk, oldest first, rolling (A04.FR.04, N01.FR.05).

Guaranteed: an event is on the disk when `SecurityLog.record` returns. The log stays within a number of events and an
age; what rolls out goes in the same transaction as what comes in, a few rows at a time, found by an index: no rows are
passed over but those that wait to be delivered.

- Events that wait to be delivered to the Central System outlive the bounds; the queue has a bound of its own.
- Times are kept in microseconds of UTC. An event that happened while the clock was not set bears the boot id, the
  monotonic time and a provisional time; `settle_times` gives it the true one.
- Nothing is rolled out by age on the word of a clock that is not set.

Not done here: raising events (chargepoint/events.py), the queue of those that are owed (event_queue.py), sending them.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from logs.event_queue import make_room
from logs.event_table import MICROSECOND, Storage, to_instant, to_us
from security.event import SecurityEvent, SecurityEventType

MAX_READ_EVENTS: Final = 1_000  #: count; events in one answer unless asked otherwise: a page that is small in memory
MAX_ROLLED_EVENTS: Final = 100  #: count; rolled out with one that comes in: a lowered bound is reached step by step
MAX_COUNTED_EVENTS: Final = 5_000  #: count; counted at once: keeps whoever records an event waiting for milliseconds
MAX_QUEUED_EVENTS: Final = 10_000  #: count; where no setting says otherwise: 3 MB, longer than any outage lasts

_log = logging.getLogger(__name__)


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
        storage: the database; it has the tables of `event_table.SCHEMA`.
        max_events: how many events are kept.
        max_age: how long they are kept.
        max_queued_events: how many wait to be delivered, at least 2; what is over that is kept like any other.
    """

    def __init__(
        self, storage: Storage, *, max_events: int, max_age: timedelta, max_queued_events: int = MAX_QUEUED_EVENTS
    ) -> None:
        self._storage = storage
        self._max_events = max_events
        self._max_queued_events = max_queued_events
        self._max_age_us = max_age // MICROSECOND

    async def record(
        self, event: SecurityEvent, *, boot_id: str, monotonic: float, time_known: bool, owed: bool | None = None
    ) -> int:
        """Add an event durably (A04.FR.04), queue it where it is owed (A04.FR.02), roll out what is over the bounds.

        Args:
            event: what happened; its time is provisional unless `time_known`.
            boot_id: identifies the boot of the device that `monotonic` belongs to.
            monotonic: seconds since some instant of that boot.
            time_known: whether the clock was set.
            owed: whether the Central System is to hear of it; None leaves it to the catalogue of section 8.

        Returns:
            The id of the event.
        """
        values = _values(event, boot_id=boot_id, monotonic=monotonic, time_known=time_known, owed=owed)
        number, queue_became_full = await self._storage.write(lambda connection: self._insert(connection, values))
        self._tell_if(queue_became_full)
        return number

    async def clear(
        self, event: SecurityEvent, *, boot_id: str, monotonic: float, time_known: bool, owed: bool | None = None
    ) -> int:
        """Remove all events, and record the one that says so (SecurityLogWasCleared), together and durably.

        Events that wait to be delivered to the Central System stay until they are, and roll out like all others. Ids
        go on where they were: none is given twice.

        Args:
            event: its tech info is followed by the number of events that were removed.
            boot_id: as for `record`.
            monotonic: as for `record`.
            time_known: as for `record`.
            owed: as for `record`.

        Returns:
            How many events were removed.
        """
        values = _values(event, boot_id=boot_id, monotonic=monotonic, time_known=time_known, owed=owed)

        def work(connection: sqlite3.Connection) -> tuple[int, bool]:
            before = _count(connection)
            newest, queue_became_full = self._insert(connection, values)
            _keep_only_queued(connection, newest)
            removed = before + 1 + queue_became_full - _count(connection)
            connection.execute(
                "UPDATE security_event SET tech_info = coalesce(tech_info || ': ', '') || ? WHERE id = ?",
                (f"{removed} events were removed", newest),
            )
            return removed, queue_became_full

        removed, queue_became_full = await self._storage.write(work)
        self._tell_if(queue_became_full)
        return removed

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
            "since": to_us(since) if since else to_us(datetime.min.replace(tzinfo=UTC)),
            "until": to_us(until) if until else to_us(datetime.max.replace(tzinfo=UTC)),
            "limit": max(limit, 0),
        }
        return await self._storage.read(lambda connection: _select(connection, window))

    async def count(self) -> int:
        """Return how many events the log holds."""
        return await self._storage.read(_count)

    async def counts(self) -> dict[str, int]:
        """Return how many events of each type the log holds, read page by page."""
        counts: dict[str, int] = {}
        after = 0
        while page := await self._storage.read(_counted(after)):
            for event_type, count, last in page:
                counts[event_type] = counts.get(event_type, 0) + count
                after = max(after, last)
        return counts

    async def settle_times(self, boot_id: str, boot_zero: datetime) -> int:
        """Give their true time to the events of this boot that happened while the clock was not set.

        Events of earlier boots keep their provisional time: nobody knows how long the device was off.

        Args:
            boot_id: the boot that runs.
            boot_zero: the instant at which its monotonic time was zero.

        Returns:
            How many events were given a time.
        """
        zero_us = to_us(boot_zero)

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE security_event SET occurred_us = ? + monotonic_us, time_known = 1 "
                "WHERE boot_id = ? AND time_known = 0",
                (zero_us, boot_id),
            ).rowcount

        return await self._storage.write(work)

    def _tell_if(self, queue_became_full: bool) -> None:
        if queue_became_full:
            _log.warning(
                "security event %s: %d events wait for the Central System, further ones stay in the log only",
                SecurityEventType.MEMORY_EXHAUSTION,
                self._max_queued_events,
            )

    def _insert(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> tuple[int, bool]:
        cursor = connection.execute(
            "INSERT INTO security_event "
            "(type, tech_info, occurred_us, time_known, boot_id, monotonic_us, critical, owed) "
            "VALUES (:type, :tech_info, :occurred_us, :time_known, :boot_id, :monotonic_us, :critical, :owed)",
            values,
        )
        newest = cursor.lastrowid or 0
        queue_became_full = values["owed"] and make_room(connection, newest, self._max_queued_events)
        self._roll(connection, newest, values["occurred_us"] if values["time_known"] else None)
        return newest, queue_became_full

    def _roll(self, connection: sqlite3.Connection, newest: int, now_us: int | None) -> None:
        """Remove what is over the bounds. Ids follow each other, so that the number of events shows in the id."""
        connection.execute(
            "DELETE FROM security_event WHERE id IN (SELECT id FROM security_event WHERE id <= ? "
            "AND NOT (owed = 1 AND delivered = 0) ORDER BY id LIMIT ?)",
            (newest - self._max_events, MAX_ROLLED_EVENTS),
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
            event=SecurityEvent(type=row[1], tech_info=row[2], occurred_at=to_instant(row[3])),
            time_known=bool(row[4]),
            owed=bool(row[5]),
            delivered=bool(row[6]),
        )
        for row in rows
    ]


def _values(
    event: SecurityEvent, *, boot_id: str, monotonic: float, time_known: bool, owed: bool | None
) -> Mapping[str, Any]:
    return {
        "type": event.type,
        "tech_info": event.tech_info,
        "occurred_us": to_us(event.occurred_at),
        "time_known": time_known,
        "boot_id": boot_id,
        "monotonic_us": round(monotonic * 1_000_000),
        "critical": event.entry.critical,
        "owed": event.entry.sent if owed is None else owed,
    }


def _keep_only_queued(connection: sqlite3.Connection, newest: int) -> None:
    """Remove all events but those that wait and the newest.

    Without a condition SQLite drops the whole table at once, which for a million rows takes a second; one by one, with
    their places in four indexes, it would take ten.
    """
    connection.execute(
        "CREATE TEMP TABLE kept AS SELECT * FROM security_event WHERE (owed = 1 AND delivered = 0) OR id = ?", (newest,)
    )
    connection.execute("DELETE FROM security_event")
    connection.execute("INSERT INTO security_event SELECT * FROM kept")
    connection.execute("DROP TABLE kept")


def _counted(after: int) -> Callable[[sqlite3.Connection], list[tuple[str, int, int]]]:
    """Return the work that counts the next events by type: type, number, highest id."""
    query = (
        "SELECT type, count(*), max(id) FROM "
        "(SELECT id, type FROM security_event WHERE id > ? ORDER BY id LIMIT ?) GROUP BY type"
    )
    return lambda connection: connection.execute(query, (after, MAX_COUNTED_EVENTS)).fetchall()


def _count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM security_event").fetchone()
    return int(count)
