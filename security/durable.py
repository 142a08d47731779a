"""The one door for files that must survive a power cut.

Guaranteed: when `write`, `write_chunks`, `Draft.finish`, `remove`, `make_directory` or `set_aside` returns, the change
is on the disk; when it raises, the old content is still there. A power cut at any instant leaves the old content or the
new one, never a mixture, and at most a temporary file beside it that `sweep` collects. The one exception is the very
last step, the fsync of the directory: if the disk fails there, the call raises and either content may be found
afterwards.

Not done here: SQLite files (SQLite has a journal of its own), and any decision about what is kept.

- Every step goes through `operations`, so that tests can record the steps and replay each prefix of them.
- All functions are synchronous and may be called from any thread; two writers of one file must be kept apart by
  their owner. One process owns a directory: `sweep` would take away the temporary files of another.
"""

import errno
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from security.errors import DurableError, StorageFailed, StorageFull, StorageReadOnly

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PRIVATE_FILE_MODE: Final = 0o600  #: permission bits; keys lie here, so only the agent's user reads
PRIVATE_DIRECTORY_MODE: Final = 0o700  #: permission bits; as above
MAX_SET_ASIDE: Final = 20  #: copies of one damaged file that are kept; enough to see a pattern, small on any disk

_TEMPORARY_SUFFIX: Final = ".tmp"
_CANNOT_WRITE: Final = "cannot be written"

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class Operations:
    """The primitive steps on the disk, one system call's worth each; a test puts a recorder in their place."""

    def create(self, path: Path, mode: int) -> int:
        """Create a file that must not exist yet and return its descriptor; the mode holds before any content is in."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def fsync(self, descriptor: int) -> None:
        """Bring the file's content to the disk; its name in the directory is not promised."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close the file; no promise about the disk."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name in the same directory, replacing what bears it."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Take a file's name out of its directory."""
        path.unlink()

    def make_directory(self, path: Path, mode: int) -> None:
        """Create one directory."""
        path.mkdir(mode)

    def fsync_directory(self, path: Path) -> None:
        """Bring the names in the directory to the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


operations = Operations()


def write(path: Path, data: bytes, *, mode: int = PRIVATE_FILE_MODE) -> None:
    """Replace the content of `path` by `data`, or create it, atomically and durably.

    Args:
        path: the file; its directory exists.
        data: the whole new content.
        mode: permission bits of the new file, less the umask.

    Raises:
        DurableError: the old content is still there and no temporary file is left behind.
    """
    write_chunks(path, (data,), mode=mode)


def write_chunks(path: Path, chunks: Iterable[bytes], *, mode: int = PRIVATE_FILE_MODE) -> None:
    """Replace a file as `write` does, by content that need not be in memory at once.

    Args:
        path: the file; its directory exists.
        chunks: the whole new content in order; whatever it raises is raised, and the old content is still there.
        mode: permission bits of the new file, less the umask.

    Raises:
        DurableError: the old content is still there and no temporary file is left behind.
    """
    draft = Draft(path, mode)
    try:
        for chunk in chunks:
            draft.write(chunk)
        draft.finish()
    except BaseException:
        draft.discard()
        raise


class Draft(io.FileIO):
    """A file that is written piece by piece, and bears its name only when it is whole and on the disk.

    Whoever makes one ends it by `finish` or by `discard`; a power cut in between leaves a temporary file for `sweep`.

    Attributes:
        is_finished: whether it bears its name.

    Args:
        path: the name that it will bear, replacing what bears it; its directory exists.
        mode: permission bits of the new file, less the umask.

    Raises:
        DurableError: by any of its methods but `discard`; what bears the name is still there.
    """

    def __init__(self, path: Path, mode: int = PRIVATE_FILE_MODE) -> None:
        self.is_finished = False
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")
        with _mapped(path, _CANNOT_WRITE):
            self._descriptor: int | None = operations.create(self._temporary, mode)
        super().__init__(self._descriptor, "wb", closefd=False)  # closed by `_close`, at the door

    def write(self, data: "ReadableBuffer") -> int:
        """Append all of `data`."""
        content = bytes(data)  # no copy where it is bytes already
        with _mapped(self._path, _CANNOT_WRITE):
            operations.write(self.fileno(), content)
        return len(content)

    def finish(self) -> None:
        """Bring the content to the disk and then give the file its name, durably."""
        with _mapped(self._path, _CANNOT_WRITE):
            # Before the rename: else a power cut may leave the name on the disk and nothing behind it.
            operations.fsync(self.fileno())
            self._close()
            operations.rename(self._temporary, self._path)
            self.is_finished = True
            operations.fsync_directory(self._path.parent)

    def discard(self) -> None:
        """Give it up: nothing of what was not finished is left; harmless when repeated."""
        with suppress(OSError):
            self._close()
        with suppress(OSError):
            operations.unlink(self._temporary)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self.close()
            operations.close(descriptor)


def read(path: Path, *, limit_bytes: int) -> bytes:
    """Return the file's content, but at most `limit_bytes` of it: ask for one more than you accept.

    Raises:
        DurableError: there is no such file, or it cannot be read.
    """
    with _mapped(path, "cannot be read"), path.open("rb") as file:
        return file.read(limit_bytes)


def pieces(path: Path, *, piece_bytes: int) -> Iterator[memoryview]:
    """Yield the file's content piece by piece, in memory that does not grow with the file.

    Args:
        path: the file.
        piece_bytes: how much is read at a time; the last piece may be shorter.

    Yields:
        A piece that is good until the next one is asked for.

    Raises:
        DurableError: there is no such file, or it cannot be read to its end.
    """
    buffer = memoryview(bytearray(piece_bytes))
    with _mapped(path, "cannot be read"), path.open("rb", buffering=0) as file:
        while length := file.readinto(buffer):
            yield buffer[:length]


def files(directory: Path, *, suffix: str) -> tuple[Path, ...]:
    """Return the files of a directory whose names end with `suffix`, by name; none where there is no directory.

    Raises:
        DurableError: the directory cannot be read.
    """
    # Not `Path.glob`, which takes a directory that may not be read for an empty one.
    with _mapped(directory, "cannot be read"):
        return _files(directory, suffix)


def remove(path: Path) -> None:
    """Remove a file durably; one that is not there is no error, so that a removal may be repeated.

    Raises:
        DurableError: the file is still there.
    """
    with _mapped(path, "cannot be removed"):
        with suppress(FileNotFoundError):
            operations.unlink(path)
        operations.fsync_directory(path.parent)


def make_directory(path: Path, mode: int = PRIVATE_DIRECTORY_MODE) -> None:
    """Create a directory durably; its parent exists. One that is there already is left as it is.

    Raises:
        DurableError: the directory may be missing.
    """
    with _mapped(path, "cannot be created"):
        if not path.is_dir():
            operations.make_directory(path, mode)
        # Also when it was there: a crash may have come between its creation and this line.
        operations.fsync_directory(path.parent)


def set_aside(path: Path) -> Path:
    """Rename a damaged file to ``<name>.damaged-N``, so that it is out of the way and can still be examined.

    The last of `MAX_SET_ASIDE` copies is overwritten by later ones: the first ones tell most about the cause.

    Returns:
        The new name.

    Raises:
        DurableError: the file still bears its old name.
    """
    copies = (path.with_name(f"{path.name}.damaged-{number}") for number in range(1, MAX_SET_ASIDE + 1))
    with _mapped(path, "cannot be set aside"):
        target = next((copy for copy in copies if not copy.exists()), None)
        target = target or path.with_name(f"{path.name}.damaged-{MAX_SET_ASIDE}")
        operations.rename(path, target)
        operations.fsync_directory(path.parent)
    return target


def sweep(directory: Path) -> tuple[Path, ...]:
    """Remove the temporary files that a power cut left behind; to be called before anything else writes there.

    A directory that is not there has none.

    Returns:
        What was removed.

    Raises:
        DurableError: the directory cannot be read or changed.
    """
    with _mapped(directory, "cannot be cleaned up"):
        orphans = tuple(path for path in _files(directory, _TEMPORARY_SUFFIX) if path.name.startswith("."))
        for orphan in orphans:
            operations.unlink(orphan)
        if orphans:
            operations.fsync_directory(directory)
    return orphans


def _files(directory: Path, suffix: str) -> tuple[Path, ...]:
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(suffix) and entry.is_file())
    except FileNotFoundError:
        return ()
    return tuple(directory / name for name in names)


@contextmanager
def _mapped(path: Path, what: str) -> Iterator[None]:
    """Turn the operating system's errors into ours, once and here."""
    try:
        yield
    except OSError as error:
        kind: type[DurableError] = StorageFailed
        if error.errno in _FULL:
            kind = StorageFull
        elif error.errno in _READ_ONLY:
            kind = StorageReadOnly
        raise kind(str(path), f"{what}: {error.strerror or type(error).__name__}") from error
