"""The security log as a file to be uploaded (N01.FR.03): a window of it, as JSON lines or CSV, compressed if wanted.

Guaranteed: however long the log is, memory stays flat, the first event of the window is found by an index, and events
are recorded meanwhile: each page keeps the database for a few milliseconds. An event is in the file once, if it was
recorded before the writing began. An empty window gives a file without events.

- Events come in the order of their times, and of their recording where these are equal.
- An event whose time is settled meanwhile (its boot has just learnt the time) may be there twice, or not: its place
  in the order has changed.

Not done here: uploading (uploader.py), and whether an empty window is worth an upload.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from logs.event_table import Storage, to_us
from logs.file_name import file_name
from logs.security_log_text import FORMS, Form, Row
from logs.spool import spool

PAGE_EVENTS: Final = 100  #: count; read and written out at once: half a millisecond for who records, and for the loop
GZIP_WINDOW_BITS: Final = 31  #: code; of zlib: its largest window, in the format of gzip
GZIP_LEVEL: Final = 6  #: code; of zlib: its own default, the log shrinks to a tenth

_COLUMNS: Final = "id, occurred_us, type, tech_info, time_known, critical, owed, delivered"
# Each half comes in the order of the index, also where thousands of events have the same time; SQLite merges them.
_PAGE: Final = (
    f"SELECT {_COLUMNS} FROM security_event WHERE occurred_us = :time AND id > :id "  # noqa: S608 - ours
    f"AND id <= :newest AND occurred_us <= :until UNION ALL SELECT {_COLUMNS} FROM security_event "
    "WHERE occurred_us > :time AND occurred_us <= :until AND id <= :newest ORDER BY occurred_us, id LIMIT :limit"
)


class SecurityLogExport:
    """The content of an upload of the security log.

    Args:
        storage: the database; it has the tables of `event_table.SCHEMA`.
        identity: of the Charge Point, for the name of the file.
        form: a key of `FORMS`.
        compressed: whether the file is a gzip file.
        min_free_bytes: the room that is left on the disk in any case.
    """

    def __init__(self, storage: Storage, *, identity: str, form: str, compressed: bool, min_free_bytes: int) -> None:
        self._storage = storage
        self._identity = identity
        self._form = FORMS[form]
        self._compressed = compressed
        self._min_free_bytes = min_free_bytes

    async def is_available(self, oldest: datetime | None, latest: datetime | None) -> bool:
        """Tell whether the window holds an event (N01.FR.01).

        Args:
            oldest: not before this instant; None from the beginning.
            latest: not after this instant, to the millisecond; None up to the end.
        """
        window = _since_us(oldest), _until_us(latest)
        query = "SELECT 1 FROM security_event WHERE occurred_us BETWEEN ? AND ? LIMIT 1"
        found: list[Any] = await self._storage.read(lambda connection: connection.execute(query, window).fetchall())
        return bool(found)

    def file_name(self, now: datetime) -> str:
        """Return the name under which the file is uploaded."""
        extension = self._form.extension + (".gz" if self._compressed else "")
        return file_name(self._identity, "security-log", now, extension)

    async def write(self, target: Path, oldest: datetime | None, latest: datetime | None) -> int:
        """Write the window to a file and return its size in bytes; cancelled or failed, there is no file.

        Args:
            target: the file; its directory exists.
            oldest: as for `is_available`.
            latest: as for `is_available`.

        Raises:
            DurableError: the disk did not take it.
            Exception: what the database raised.
        """
        text: _Text = _Compressed() if self._compressed else _Plain()
        async with spool(target, min_free_bytes=self._min_free_bytes) as file:
            await file.write(text.add(self._form.head))
            async for rows in self._pages(_since_us(oldest), _until_us(latest)):
                # In a thread: a slow board takes milliseconds for it, which the event loop does not have.
                await file.write(await asyncio.to_thread(_added, text, self._form, rows))
            await file.write(text.end())
        return file.size_bytes

    async def _pages(self, since_us: int, until_us: int) -> AsyncIterator[list[Row]]:
        place: dict[str, int] = {"time": since_us, "id": 0, "until": until_us, "limit": PAGE_EVENTS}
        # What is recorded from now on is left out: an export that runs after its own end would have none.
        place["newest"] = await self._storage.read(_newest)
        while rows := await self._storage.read(_page(dict(place))):
            yield rows
            place["id"], place["time"] = rows[-1][:2]


def _newest(connection: sqlite3.Connection) -> int:
    (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM security_event").fetchone()
    return int(newest)


def _page(place: dict[str, int]) -> Callable[[sqlite3.Connection], list[Row]]:
    return lambda connection: connection.execute(_PAGE, place).fetchall()


def _since_us(oldest: datetime | None) -> int:
    return to_us(oldest or datetime.min.replace(tzinfo=UTC))


def _until_us(latest: datetime | None) -> int:
    # Times are shown in milliseconds and kept in microseconds: what was shown must find what it stood for.
    latest = latest or datetime.max.replace(tzinfo=UTC)
    return to_us(latest.replace(microsecond=latest.microsecond // 1000 * 1000 + 999))


class _Text(Protocol):
    """What becomes of the text on its way into the file."""

    def add(self, text: str) -> bytes:
        """Take in some text, and return what is ready."""

    def end(self) -> bytes:
        """Return the rest."""


def _added(text: _Text, form: Form, rows: list[Row]) -> bytes:
    return text.add(form.lines(rows))


class _Plain:
    def add(self, text: str) -> bytes:
        return text.encode()

    def end(self) -> bytes:
        return b""


class _Compressed:
    def __init__(self) -> None:
        import zlib  # few compress

        self._stream = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WINDOW_BITS)

    def add(self, text: str) -> bytes:
        return self._stream.compress(text.encode())

    def end(self) -> bytes:
        return self._stream.flush()
