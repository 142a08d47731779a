"""The queue of security events that the Central System is to hear of, in order, on the disk (A04.FR.02).

Guaranteed: an event is queued in the transaction that records it, and leaves the queue by a durable write only, so that
a power cut at any instant takes none away. Nothing here holds events in memory: the queue is read in pages.

The queue is bounded (`make_room`). When it is full, events leave it for those that come: not critical ones first, the
oldest first, and a critical one only when nothing else is left. They stay in the log, and one MemoryExhaustion in the
queue counts them. As long as that one waits, it counts on; so there is one for each filling, and it makes no other.

Not done here: recording (security_log.py), sending, and when to try again (chargepoint/event_delivery.py).
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from logs.event_table import Storage, to_instant
from security.event import SecurityEvent, SecurityEventType

PAGE_EVENTS: Final = 100  #: count; read at a time: some 30 KB in memory, and the disk is looked at seldom

_QUEUED: Final = "owed = 1 AND delivered = 0"
# Each half comes in the order of the index; SQLite merges them and sorts nothing.
_PAGE: Final = " UNION ALL ".join(
    f"SELECT id, type, tech_info, occurred_us, refusals, left_out FROM security_event "  # noqa: S608 - our own words
    f"WHERE {_QUEUED} AND critical = {critical} AND id > :after"
    for critical in (0, 1)
)


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event that waits.

    Attributes:
        id: its place in the order in which events were recorded.
        event: what happened, and when.
        refusals: how often the Central System has refused it.
        left_out: how many events that left the full queue it stands for; 0 for an ordinary one.
    """

    id: int
    event: SecurityEvent
    refusals: int
    left_out: int


class EventQueue:
    """The queue over the table of the security log.

    Args:
        storage: the database; it has the tables of `event_table.SCHEMA`.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def count(self) -> int:
        """Return how many events wait."""
        return await self._storage.read(_count)

    async def page(self, after: int = 0, limit: int = PAGE_EVENTS) -> list[QueuedEvent]:
        """Return the next events that wait, oldest first.

        Args:
            after: only those behind this id.
            limit: how many at most.
        """
        window = {"after": after, "limit": limit}

        def work(connection: sqlite3.Connection) -> list[QueuedEvent]:
            rows = connection.execute(f"{_PAGE} ORDER BY id LIMIT :limit", window)
            return [
                QueuedEvent(row[0], SecurityEvent(row[1], to_instant(row[3]), row[2]), row[4], row[5]) for row in rows
            ]

        return await self._storage.read(work)

    async def confirm(self, events: Sequence[QueuedEvent]) -> None:
        """Take confirmed events out of the queue, durably and together.

        A MemoryExhaustion that has counted on since it was read stays, to be sent again.
        """
        # One statement for all: each would make the thread of the database ask the event loop's for the interpreter.
        ordinary = json.dumps([event.id for event in events if not event.left_out])
        counting = [(event.id, event.left_out) for event in events if event.left_out]

        def work(connection: sqlite3.Connection) -> None:
            # What the full queue left out while it was under way has been delivered all the same.
            connection.execute(
                "UPDATE security_event SET delivered = 1 WHERE id IN (SELECT value FROM json_each(?))", (ordinary,)
            )
            connection.executemany("UPDATE security_event SET delivered = 1 WHERE id = ? AND left_out = ?", counting)

        await self._storage.write(work)

    async def note_refusal(self, event: QueuedEvent, max_refusals: int) -> bool:
        """Count a refusal durably; an event that was refused too often is set aside: it waits no longer.

        Returns:
            Whether it was set aside.
        """

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute(
                "UPDATE security_event SET refusals = refusals + 1, owed = refusals + 1 < ? WHERE id = ? AND owed = 1",
                (max_refusals, event.id),
            )
            waits = connection.execute(f"SELECT 1 FROM security_event WHERE id = ? AND {_QUEUED}", (event.id,))  # noqa: S608
            return waits.fetchone() is None

        return await self._storage.write(work)

    async def clear(self) -> int:
        """Let nothing wait any longer: the events stay in the log and are owed no more.

        Returns:
            How many waited.
        """
        return await self._storage.write(
            lambda connection: connection.execute(f"UPDATE security_event SET owed = 0 WHERE {_QUEUED}").rowcount  # noqa: S608
        )


def make_room(connection: sqlite3.Connection, newest: int, max_events: int) -> bool:
    """Bring the queue back to its bound, in the transaction that has recorded an owed event.

    Args:
        connection: in that transaction.
        newest: the id of that event.
        max_events: the bound, at least 2: an event and the one that counts what was left out.

    Returns:
        Whether a MemoryExhaustion was added: the queue has just become full.
    """
    over = _count(connection) - max_events
    if over <= 0:
        return False
    counting = connection.execute(
        f"SELECT id, left_out FROM security_event WHERE left_out > 0 AND {_QUEUED} ORDER BY id DESC LIMIT 1"  # noqa: S608
    ).fetchone()
    becomes_full = counting is None
    if becomes_full:
        counting, over = (_add_counting_event(connection, newest), 0), over + 1
    event_id, left_out = counting
    leaving = connection.execute(
        f"SELECT id FROM security_event WHERE {_QUEUED} AND id <> ? ORDER BY critical, id LIMIT ?",  # noqa: S608
        (event_id, over),
    ).fetchall()
    connection.executemany("UPDATE security_event SET owed = 0 WHERE id = ?", leaving)
    left_out += len(leaving)
    text = f"the queue of {max_events} security events was full: {left_out} are in the security log only"
    connection.execute("UPDATE security_event SET left_out = ?, tech_info = ? WHERE id = ?", (left_out, text, event_id))
    return becomes_full


def _add_counting_event(connection: sqlite3.Connection, newest: int) -> int:
    """Add the MemoryExhaustion of this filling, at the time of the event that did not fit, and return its id."""
    cursor = connection.execute(
        "INSERT INTO security_event (type, occurred_us, time_known, boot_id, monotonic_us, critical, owed) "
        "SELECT ?, occurred_us, time_known, boot_id, monotonic_us, 1, 1 FROM security_event WHERE id = ?",
        (SecurityEventType.MEMORY_EXHAUSTION, newest),
    )
    return cursor.lastrowid or 0


def _count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM security_event WHERE {_QUEUED}").fetchone()  # noqa: S608
    return int(count)
