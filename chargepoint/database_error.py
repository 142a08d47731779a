"""The faults of the database in our words, by what a person can do about them; SQLite's are mapped once, here.

StateUnusable
└── DatabaseError
    ├── DatabaseDamaged   the file is not what SQLite wrote
    ├── DatabaseFull      no room for the change
    ├── DatabaseReadOnly  the file or its directory cannot be written or opened
    └── DatabaseFailed    anything else
"""

import sqlite3
from pathlib import Path
from typing import Final

from chargepoint.state import StateUnusable


class DatabaseError(StateUnusable):
    """Root of all faults of the database; nothing of the failed work is on the disk."""


class DatabaseDamaged(DatabaseError):
    """Raised when the file is not what SQLite wrote; it is left as it is."""


class DatabaseFull(DatabaseError):
    """Raised when the disk has no room for the change."""


class DatabaseReadOnly(DatabaseError):
    """Raised when the file or its directory cannot be written or opened."""


class DatabaseFailed(DatabaseError):
    """Raised for every other fault that SQLite reports."""


DAMAGED_ADVICE: Final = "keep the file for an examination; put a copy back, or move it away together with its -wal file"

_DAMAGED: Final = (DatabaseDamaged, DAMAGED_ADVICE)
_FULL: Final = (DatabaseFull, "make room on the disk")
_READ_ONLY: Final = (DatabaseReadOnly, "let the user that runs the agent write the directory and the files in it")
_FAILED: Final = (DatabaseFailed, "check the disk and the kernel's log")

_KINDS: Final[dict[int, tuple[type[DatabaseError], str]]] = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: _READ_ONLY,
    sqlite3.SQLITE_BUSY: (DatabaseFailed, "end the other program that holds the file"),
}


def mapped(error: Exception, path: Path) -> Exception:
    """Say in our words what SQLite's error means; what is not SQLite's stays as it is."""
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", None) or 0
    kind, advice = _KINDS.get(code & 0xFF, _FAILED)  # the low byte is the primary code
    fault = kind(path, str(error), advice)
    fault.__cause__ = error
    return fault
