"""The table of security events: how an event lies on the disk, for the log (security_log) and the queue (event_queue).

- Rows are numbered in the order in which events were recorded; times are microseconds since 1970, UTC.
- A row is *queued* while it is owed and not delivered. It leaves the queue when the Central System has confirmed it
  (delivered), or when it is given up (owed no more); it stays in the log either way.
- One index holds the queued rows and no others, those that are not critical first: what is counted, sent and left out
  is found by it, however long the log is.

Not done here: anything to the rows.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

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
        critical INTEGER NOT NULL,
        owed INTEGER NOT NULL,         -- 1: the Central System is to hear of it; 0 also when that was given up
        delivered INTEGER NOT NULL DEFAULT 0,
        refusals INTEGER NOT NULL DEFAULT 0,  -- how often the Central System refused it
        left_out INTEGER NOT NULL DEFAULT 0   -- events that left the full queue, and that this one stands for
    )
    """,
    "CREATE INDEX IF NOT EXISTS security_event_by_time ON security_event (occurred_us)",
    # The last two columns are the condition itself: with them SQLite counts without a look at the rows.
    """
    CREATE INDEX IF NOT EXISTS security_event_queue ON security_event (critical, id, owed, delivered)
        WHERE owed = 1 AND delivered = 0
    """,
    "CREATE INDEX IF NOT EXISTS security_event_left_out ON security_event (id) WHERE left_out > 0",
    "CREATE INDEX IF NOT EXISTS security_event_unsettled ON security_event (boot_id) WHERE time_known = 0",
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)  #: code; what `datetime` resolves and the table keeps

T = TypeVar("T")


class Storage(Protocol):
    """What the log and the queue need of a database."""

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction; return its result once that is on the disk."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work, which changes nothing, and return its result."""


def to_us(instant: datetime) -> int:
    """Return an aware instant as the table keeps it."""
    return (instant - _EPOCH) // MICROSECOND


def to_instant(us: int) -> datetime:
    """Return an instant of the table as aware UTC."""
    return _EPOCH + us * MICROSECOND
