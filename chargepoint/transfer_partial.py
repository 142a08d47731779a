"""The file that a download grows: continued after an interruption, hashed while it is written, whole on the disk.

Beside the file lies ``<name>.resume`` with what must be true to continue it: the location (as a digest), the validator
by which the server tells one version of the file from the next, and how many bytes are surely on the disk.

- A file without such a note, or with one of another location, is begun anew; so is one whose validator has changed.
- Only bytes behind an fsync are continued: what a power cut has left of the rest may be anything.
- A thread of its own writes and hashes, so that the thread of libcurl only receives; what waits between the two is
  bounded.

Not done here: the transfer (transfer_download.py).
"""

import errno
import hashlib
import json
import os
import queue
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from chargepoint.transfer_fault import TransferFailed, TransferFault
from chargepoint.transfer_watch import Stopped, Watch
from security import durable
from security.errors import DurableError

BLOCK_BYTES: Final = 1_048_576  #: bytes written and hashed at a time; more gains nothing
MAX_BLOCKS: Final = 4  #: blocks that wait for the disk; 4 MiB, then the network waits
CHECKPOINT_BYTES: Final = 33_554_432  #: bytes between two fsyncs; a power cut costs no more
MAX_NOTE_BYTES: Final = 4096  #: bytes of the note beside the file; ours takes 200
MAX_VALIDATOR_CHARACTERS: Final = 256  #: characters of an ETag that is remembered; servers send some 40

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Partial:
    """The file of one download, used by one thread: `begin`, `write`, then `finish`, `keep` or `discard`.

    Args:
        target: the file; its directory exists.
        place: what the location is known by, without credentials.
        reserve_bytes: how much room must be left on the disk.

    Attributes:
        size_bytes: what the file holds, and soon will.
        validator: of the version that the file holds a part of; "" where it holds none that can be continued.
        safe_bytes: how much of it can be continued.
    """

    def __init__(self, target: Path, place: str, reserve_bytes: int) -> None:
        self._target = target
        self._note = target.with_name(f"{target.name}.resume")
        self._place = hashlib.sha256(place.encode()).hexdigest()
        self._reserve_bytes = reserve_bytes
        self._descriptor: int | None = None
        self._blocks: queue.Queue[bytes | None] = queue.Queue(MAX_BLOCKS)
        self._writer: threading.Thread | None = None
        self._error: OSError | DurableError | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._hash = hashlib.sha256()
        self._hashed_bytes = 0
        self.size_bytes = 0
        self.validator, self.safe_bytes = self._read_note()

    def prepare(self, watch: Watch) -> int:
        """Hash what can be continued, before a server is kept waiting.

        Returns:
            How many bytes these are.

        Raises:
            Stopped: the watch says so.
            TransferFailed: LOCAL_DISK.
        """
        self._hash, self._hashed_bytes = hashlib.sha256(), 0
        if not self.safe_bytes:
            return 0
        try:
            with self._target.open("rb") as file:
                while left := min(BLOCK_BYTES, self.safe_bytes - self._hashed_bytes):
                    if watch.stopped:
                        raise Stopped
                    if not (block := file.read(left)):
                        break
                    self._hash.update(block)
                    self._hashed_bytes += len(block)
        except OSError as error:
            raise self._disk(error) from error
        return self._hashed_bytes

    def begin(self, validator: str, *, resumed: bool) -> None:
        """Open the file, cut to what is continued, and note it.

        Args:
            validator: of the version that comes; "" where there is none, and then it cannot be continued later.
            resumed: what comes follows what `prepare` has hashed.

        Raises:
            TransferFailed: LOCAL_DISK.
        """
        if not resumed:
            self._hash, self._hashed_bytes = hashlib.sha256(), 0
        self.size_bytes = self.safe_bytes = self._hashed_bytes
        self.validator = validator if len(validator) <= MAX_VALIDATOR_CHARACTERS else ""
        try:
            if not resumed:
                durable.remove(self._note)  # before the file: it would speak of bytes that are gone
            self._descriptor = os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.fchmod(self._descriptor, 0o600)
            os.ftruncate(self._descriptor, self.size_bytes)
            os.lseek(self._descriptor, self.size_bytes, os.SEEK_SET)
            self._write_note()
        except (OSError, DurableError) as error:
            raise self._disk(error) from error
        self._writer = threading.Thread(target=self._work, name="download writer", daemon=True)
        self._writer.start()

    def make_room(self, total_bytes: int) -> None:
        """See to it that the rest of the file fits.

        Raises:
            TransferFailed: LOCAL_DISK.
        """
        try:
            found = os.statvfs(self._target.parent)
        except OSError as error:
            raise self._disk(error) from error
        free_bytes = found.f_bavail * found.f_frsize - self._reserve_bytes
        missing_bytes = total_bytes - self.size_bytes - free_bytes
        if missing_bytes > 0:
            raise TransferFailed(
                TransferFault.LOCAL_DISK,
                f"{missing_bytes} bytes of room are missing in {self._target.parent}, besides [state] min_free_mib; "
                "make room",
            )

    def write(self, data: bytes) -> None:
        """Append what has come.

        Raises:
            TransferFailed: LOCAL_DISK.
        """
        self.size_bytes += len(data)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= BLOCK_BYTES:
            self._hand_over()

    def finish(self) -> bytes:
        """Return the SHA-256 of the whole file, which is on the disk then; the note is gone.

        Raises:
            TransferFailed: LOCAL_DISK.
        """
        self._close()
        if self._error is not None:
            raise self._disk(self._error)
        try:
            durable.operations.fsync_directory(self._target.parent)
            durable.remove(self._note)
        except (OSError, DurableError) as error:
            raise self._disk(error) from error
        return self._hash.digest()

    def keep(self) -> None:
        """Leave what has come to be continued."""
        if self._descriptor is not None:
            with suppress(TransferFailed):
                self._close()

    def discard(self) -> None:
        """Leave nothing."""
        self.keep()
        with suppress(DurableError):
            durable.remove(self._note)
            durable.remove(self._target)

    def _hand_over(self) -> None:
        if self._error is not None:
            raise self._disk(self._error)
        self._blocks.put(b"".join(self._waiting))
        self._waiting, self._waiting_bytes = [], 0

    def _close(self) -> None:
        """Bring all that has come to the disk, and end the writer; errors are left in `_error`."""
        if self._writer is None:
            return
        if self._waiting and self._error is None:
            self._hand_over()
        self._blocks.put(None)
        self._writer.join()
        self._writer = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _work(self) -> None:
        """The writer: blocks to the disk and into the hash, until there is no more; after an error it only drains."""
        since_checkpoint = 0
        while (block := self._blocks.get()) is not None:
            if self._error is not None:
                continue
            try:
                self._append(block)
                self._hash.update(block)
                since_checkpoint += len(block)
                if since_checkpoint >= CHECKPOINT_BYTES:
                    self._checkpoint(since_checkpoint)
                    since_checkpoint = 0
            except (OSError, DurableError) as error:
                self._error = error
        if self._error is None:
            try:
                self._checkpoint(since_checkpoint)
            except (OSError, DurableError) as error:
                self._error = error

    def _append(self, block: bytes) -> None:
        assert self._descriptor is not None  # noqa: S101 - `begin` has opened it
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def _checkpoint(self, more_bytes: int) -> None:
        assert self._descriptor is not None  # noqa: S101 - `begin` has opened it
        os.fsync(self._descriptor)
        self.safe_bytes += more_bytes
        self._write_note()  # after the fsync: it speaks only of what is there

    def _read_note(self) -> tuple[str, int]:
        """Return validator and safe bytes; a note that is damaged, or that fits nothing, is none."""
        try:
            note = json.loads(durable.read(self._note, limit_bytes=MAX_NOTE_BYTES))
            validator, safe_bytes = note["validator"], note["safe_bytes"]
            fits = note["place"] == self._place and self._target.stat().st_size >= safe_bytes > 0
        except (OSError, DurableError, ValueError, LookupError, TypeError):
            return "", 0
        if not fits or type(validator) is not str or type(safe_bytes) is not int or not validator:
            return "", 0
        return validator, safe_bytes

    def _write_note(self) -> None:
        if self.validator:
            note = {"place": self._place, "validator": self.validator, "safe_bytes": self.safe_bytes}
            durable.write(self._note, json.dumps(note).encode())

    def _disk(self, error: OSError | DurableError) -> TransferFailed:
        cause = error.__cause__ if isinstance(error, DurableError) else error
        number = cause.errno if isinstance(cause, OSError) else None
        why = "the disk is full; make room" if number in _FULL else getattr(cause, "strerror", None) or str(error)
        return TransferFailed(TransferFault.LOCAL_DISK, f"{self._target}: {why}")
