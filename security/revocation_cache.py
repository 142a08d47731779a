"""The answers about revocation that are kept over a restart: files below the state directory, bounded in every way.

What is kept is the signed answer as it came, with the time when it was asked for. It is judged anew whenever it is
used, so that nothing depends on the files being untouched; one that is damaged counts as not there.

Guaranteed: never more than `MAX_ANSWERS` files and `MAX_CACHE_BYTES`; the oldest give way. Calls from several threads
wait for each other.

Not done here: what an answer means, how long it counts (revocation.py).
"""

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from security import durable
from security.crl import MAX_CRL_BYTES

MAX_ANSWERS: Final = 32  #: answers; a path has one to three certificates, which some CAs renew every day
MAX_CACHE_BYTES: Final = 2_097_152  #: bytes; four of the longest lists, an eighth of [state] min_free_mib
MAX_HEAD_BYTES: Final = 40  #: bytes; an instant in ISO 8601 has 32

_DIRECTORY_MODE: Final = 0o700


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer out of the cache.

    Attributes:
        answer: the bytes as they came.
        asked_at: when it was asked for, by the agent's clock.
    """

    answer: bytes
    asked_at: datetime


class RevocationCache:
    """The directory of the answers; made when the first one is kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def read(self, key: str) -> Kept | None:
        """Return what is kept under a name, None where there is nothing of use.

        Args:
            key: a file name.

        Raises:
            DurableError: it is there and cannot be read.
        """
        path = self._directory / key
        with self._lock:
            if not path.is_file():
                return None
            head, _, answer = durable.read(path, limit_bytes=MAX_HEAD_BYTES + MAX_CRL_BYTES).partition(b"\n")
        asked_at = _instant(head)
        return Kept(answer, asked_at) if asked_at else None

    def write(self, key: str, kept: Kept) -> None:
        """Keep an answer in the place of the one that had its name; durable when it returns.

        Args:
            key: a file name.
            kept: the answer, of at most `MAX_CRL_BYTES`.

        Raises:
            DurableError: the old answer is still there, or none.
        """
        data = kept.asked_at.isoformat(timespec="seconds").encode() + b"\n" + kept.answer
        with self._lock:
            durable.make_directory(self._directory, _DIRECTORY_MODE)
            durable.sweep(self._directory)
            self._make_room(key, len(data))
            durable.write(self._directory / key, data)

    def _make_room(self, key: str, needed_bytes: int) -> None:
        entries = [_Entry.of(path) for path in durable.files(self._directory, suffix="") if path.name != key]
        entries.sort(key=lambda entry: entry.head, reverse=True)  # the oldest last; UTC, so that text sorts as time
        while entries and (
            len(entries) >= MAX_ANSWERS or sum(entry.length for entry in entries) + needed_bytes > MAX_CACHE_BYTES
        ):
            durable.remove(entries.pop().path)


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    head: bytes
    length: int

    @classmethod
    def of(cls, path: Path) -> "_Entry":
        data = durable.read(path, limit_bytes=MAX_HEAD_BYTES + MAX_CRL_BYTES)
        head = data.partition(b"\n")[0]
        return cls(path, head if _instant(head) else b"", len(data))


def _instant(head: bytes) -> datetime | None:
    try:
        instant = datetime.fromisoformat(head.decode("ascii"))
    except ValueError:
        return None
    return instant if instant.tzinfo else None
