"""The diagnostics as a file to be uploaded (N01.FR.04): one archive, a gzipped tar, of what the roof hands in.

Guaranteed: memory stays flat whatever the size of a member, and the event loop is not kept: members are read, packed
and compressed in threads, a piece at a time. A member that cannot be had is named in `problems.txt`, the others are
there: diagnostics are asked for when something is broken. The archive is whole, or not there.

Not done here: what the members are, and what of them is masked (chargepoint/diagnostics_content.py).
"""

import asyncio
import logging
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from logs.file_name import file_name
from logs.spool import CHUNK_BYTES, spool, to_its_end

FOLDER: Final = "diagnostics"
PROBLEMS: Final = "problems.txt"
EXTENSION: Final = ".tar.gz"
BLOCK_BYTES: Final = 512  #: bytes; POSIX.1-2001, pax: a header, and what contents are padded to
END: Final = bytes(2 * BLOCK_BYTES)
MAX_PIECES: Final = 32  #: pieces; packed in one go, so that who cancels waits for no more than that
MEMBER_MODE: Final = 0o600  #: permission bits; of the members, once they are unpacked
GZIP_WINDOW_BITS: Final = 31  #: code; of zlib: its largest window, in the format of gzip
GZIP_LEVEL: Final = 6  #: code; of zlib: its own default

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a member.

    Attributes:
        size_bytes: how much; it stands in front of the content.
        pieces: the content, read in a thread; where it has another size after all, it is cut or padded by line ends.
        close: called once when nothing more is read, however it came to that.
    """

    size_bytes: int
    pieces: Iterator[bytes]
    close: Callable[[], None] = lambda: None


class Member(Protocol):
    """One file of the archive.

    Attributes:
        name: of the file, unlike those of all others.
    """

    @property
    def name(self) -> str:
        """Return the name of the file."""

    async def read(self, oldest: datetime | None, latest: datetime | None) -> Content:
        """Return what is in it.

        Args:
            oldest: where its content has times, not before this instant.
            latest: where its content has times, not after this instant.
        """


class Diagnostics:
    """The content of an upload of diagnostics.

    Args:
        members: what is in it.
        identity: of the Charge Point, for the name of the file.
        now: the agent's clock, for the times of the members.
        redact: takes secrets out of a text.
        min_free_bytes: the room that is left on the disk in any case.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        identity: str,
        now: Callable[[], datetime],
        redact: Callable[[str], str],
        min_free_bytes: int,
    ) -> None:
        self._members = members
        self._identity = identity
        self._now = now
        self._redact = redact
        self._min_free_bytes = min_free_bytes

    async def is_available(self, oldest: datetime | None, latest: datetime | None) -> bool:
        """Tell whether there is anything to upload: there always is, but in a window that ends before it begins."""
        return oldest is None or latest is None or oldest <= latest

    def file_name(self, now: datetime) -> str:
        """Return the name under which the file is uploaded."""
        return file_name(self._identity, FOLDER, now, EXTENSION)

    async def write(self, target: Path, oldest: datetime | None, latest: datetime | None) -> int:
        """Write the archive and return its size in bytes; cancelled or failed, there is no file.

        Args:
            target: the file; its directory exists.
            oldest: for what has times, not before this instant.
            latest: for what has times, not after this instant.

        Raises:
            DurableError: the disk did not take it.
        """
        archive = _Archive(self._now(), self._redact)
        async with spool(target, min_free_bytes=self._min_free_bytes) as file:
            for member in self._members:
                try:
                    content = await member.read(oldest, latest)
                except Exception as error:  # noqa: BLE001 - whatever is broken, the rest of the diagnostics tells of it
                    _log.warning("the diagnostics have no %s: %s", member.name, error)
                    archive.problems.append(f"{member.name} is missing: {error}")
                    continue
                packed = archive.pack(member.name, content)
                try:
                    while (data := await to_its_end(asyncio.to_thread(_next, packed))) is not None:
                        await file.write(data)
                finally:
                    packed.close()
                    content.close()
            await file.write(archive.end())
        return file.size_bytes


class _Archive:
    """A gzipped tar that is made piece by piece.

    Attributes:
        problems: what could not be had, a line each.
    """

    def __init__(self, now: datetime, redact: Callable[[str], str]) -> None:
        self.problems: list[str] = []
        self._redact = redact
        self._seconds = int(now.timestamp())
        self._stream = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WINDOW_BITS)

    def pack(self, name: str, content: Content) -> Generator[bytes, None, None]:
        """Yield a member as it stands in the archive, as far as the compressor gives it out."""
        yield self._stream.compress(self._header(name, content.size_bytes))
        left = content.size_bytes
        try:
            for piece in content.pieces:
                yield self._stream.compress(piece[:left])
                left -= min(len(piece), left)
        except OSError as error:
            self.problems.append(f"{name} ends too early: {error.strerror}")
        while left:
            yield self._stream.compress(b"\n" * min(left, CHUNK_BYTES))
            left -= min(left, CHUNK_BYTES)
        yield self._stream.compress(bytes(-content.size_bytes % BLOCK_BYTES))

    def end(self) -> bytes:
        """Return the end of the archive, with the problems if there were any."""
        lines = "".join(f"{self._redact(problem)}\n" for problem in self.problems)
        text = lines.encode("utf-8", "backslashreplace")
        last = b"".join(self.pack(PROBLEMS, Content(len(text), iter((text,))))) if text else b""
        return last + self._stream.compress(END) + self._stream.flush()

    def _header(self, name: str, size_bytes: int) -> bytes:
        from tarfile import PAX_FORMAT, TarInfo  # nothing else of the agent needs it

        info = TarInfo(f"{FOLDER}/{name}")
        info.size, info.mtime, info.mode = size_bytes, self._seconds, MEMBER_MODE
        return info.tobuf(PAX_FORMAT)


def _next(packed: Iterator[bytes]) -> bytes | None:
    """Return the next pieces together; None at the end of the member."""
    pieces = list(islice(packed, MAX_PIECES))
    return b"".join(pieces) if pieces else None
