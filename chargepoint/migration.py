"""How the database file grows from release to release, so that a release may also be rolled back.

A boot loader may put the previous firmware back after the new one has run. Therefore a migration is *additive* where
at all possible: it brings tables, indexes and columns that the previous release does not know and does not miss. The
file carries two numbers, how many migrations it has seen and the oldest release that can still run on it:

    PRAGMA user_version          number of migrations applied
    schema_mark.compatible_from  a release that knows at least so many migrations can read and write the file

- All pending migrations are applied in one transaction: a power cut leaves the old file or the new one.
- Before a migration that is not additive a copy is set aside as ``<name>.before-N``, N being the number it had seen.
- A file that is too new is refused and left as it is. One that is newer but compatible is used; its numbers stay.

Not done here: what is in the tables. Each owner brings its own statements; `state_schema` puts them in order.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chargepoint.state import StateUnusable
from security import durable

APPLICATION_ID: Final = 0x4F435036  #: code; "OCP6", tells our file from any other SQLite file

_MARK: Final = """
    CREATE TABLE IF NOT EXISTS schema_mark (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        compatible_from INTEGER NOT NULL
    )
"""
_ADDITIVE: Final = re.compile(
    r"\s*(CREATE\s+TABLE\s+IF\s+NOT\s+EXISTS|CREATE\s+INDEX\s+IF\s+NOT\s+EXISTS|ALTER\s+TABLE\s+\w+\s+ADD\s+COLUMN)\s",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the file's history; once released it is never changed.

    Args:
        statements: single SQL statements, run in order.
        additive: the previous release can run on the result. A unique index is not: it may refuse what that release
        writes.

    Raises:
        ValueError: it is called additive and is not.
    """

    statements: tuple[str, ...]
    additive: bool = True

    def __post_init__(self) -> None:
        for statement in self.statements:
            if self.additive and not _ADDITIVE.match(statement):
                raise ValueError(f"not additive: {statement.strip().splitlines()[0]}")


class StateTooNew(StateUnusable):
    """Raised when a later release has changed the file in a way that this one cannot follow; it is left as it is."""


class StateForeign(StateUnusable):
    """Raised when the file is an SQLite database, but not one of ours; it is left as it is."""


def check(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Make sure that this release may touch the file; it is only read.

    Raises:
        StateForeign: the file is somebody else's.
        StateTooNew: the file needs a later release.
        sqlite3.Error: the file cannot be read.
    """
    tables = _number(connection, "SELECT count(*) FROM sqlite_master")
    if tables and _number(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise StateForeign(path, "it is a database, but not of this program", "move it away; it was left as it is")
    if _number(connection, "PRAGMA user_version") <= len(migrations):
        return
    if _number(connection, "SELECT compatible_from FROM schema_mark") > len(migrations):
        raise StateTooNew(
            path,
            "a later release of the agent has changed it, and this one cannot read it",
            f"run the later release, or put back the copy {path.name}.before-N that it set aside",
        )


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Bring a file that passed `check` to what this release knows; nothing is written where nothing is pending.

    Args:
        connection: open in autocommit mode.
        path: where the file lies; copies are set aside beside it.
        migrations: the whole history, oldest first.

    Raises:
        sqlite3.Error, OSError: the file is as it was.
    """
    seen = _number(connection, "PRAGMA user_version")
    pending = list(enumerate(migrations[seen:], start=seen + 1))
    if not pending:
        return
    breaking = [number for number, migration in pending if not migration.additive]
    if seen and breaking:
        _set_copy_aside(connection, path.with_name(f"{path.name}.before-{seen}"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_MARK)
        for _, migration in pending:
            for statement in migration.statements:
                connection.execute(statement)
        if breaking or not seen:
            # A new file is readable by every release since the first, unless its history has a break.
            connection.execute("INSERT OR REPLACE INTO schema_mark VALUES (1, ?)", (max(breaking, default=1),))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _set_copy_aside(connection: sqlite3.Connection, copy: Path) -> None:
    """Write a whole and durable copy; an older one of the same number is of an attempt that got no further."""
    # The name of a temporary file of durable.py, so that its `sweep` collects what a power cut leaves behind.
    unfinished = copy.with_name(f".{copy.name}.tmp")
    disk = durable.operations
    descriptor = disk.create(unfinished, durable.PRIVATE_FILE_MODE)
    try:
        try:
            connection.execute("VACUUM INTO ?", (str(unfinished),))
            disk.fsync(descriptor)  # VACUUM INTO writes into the empty file that is open here, and does not sync it
        finally:
            disk.close(descriptor)
        disk.rename(unfinished, copy)
    except BaseException:
        with suppress(OSError):
            disk.unlink(unfinished)
        raise
    disk.fsync_directory(copy.parent)


def _number(connection: sqlite3.Connection, query: str) -> int:
    (value,) = connection.execute(query).fetchone()
    return int(value)
