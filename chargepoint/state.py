"""The state directory: everything of the agent that must survive a power cut lives below it.

Guaranteed: the directory belongs to this user, is closed to all others (0700), has been written to, and is held by a
lock that dies with the process, so that no two agents share it. Whatever stands in the way is one `StateUnusable`
that says what and what to do; nothing that was in the directory is changed then.

Not done here: reading what is inside. That is the business of the database and of the certificate store.
"""

import errno
import fcntl
import os
import pwd
import stat
from pathlib import Path
from typing import Final, Self

from security import durable
from security.errors import DurableError

PROBE_BYTES: Final = 65_536  #: bytes; room that must be left at start: a commit of a few pages and a certificate
DATABASE_NAME: Final = "state.db"
CERTIFICATES_NAME: Final = "certificates"
REVOCATION_NAME: Final = "revocation"
TRANSFERS_NAME: Final = "transfers"
LOCK_NAME: Final = "lock"
PROBE_NAME: Final = "probe"


class StateUnusable(Exception):
    """Raised when what must survive cannot be kept; the agent ends with exit code 3.

    Attributes:
        path: the directory or file in question.
        why: what is wrong, in words.
        advice: what a person can do about it.
    """

    def __init__(self, path: Path, why: str, advice: str) -> None:
        super().__init__(f"{path}: {why}; {advice}")
        self.path = path
        self.why = why
        self.advice = advice


_FULL: Final = ("the disk is full", "make room on it")
_READ_ONLY: Final = ("the file system is read-only", "mount it writable, or set [state] directory to another place")
_FORBIDDEN: Final = ("this user may not write there", "give the directory to the user that runs the agent")

_REASONS: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ENOENT: ("its parent directory does not exist", "make it, or set [state] directory to another place"),
    errno.ENOTDIR: ("it is not a directory", "move the file away, or set [state] directory to another place"),
}


def unusable(path: Path, error: OSError) -> StateUnusable:
    """Say in words and with advice what an error of the operating system means for the state."""
    why, advice = _REASONS.get(error.errno or 0, (error.strerror or str(error), "check the disk and its mount"))
    return StateUnusable(path, why, advice)


class StateDirectory:
    """The directory of everything that must survive, held by this process alone until `close`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path: Final = path
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the directory where it is missing, close it to others, try to write to it and lock it.

        Args:
            path: absolute path; its parent must exist, because a mistyped path must not grow a tree somewhere else.

        Raises:
            StateUnusable: it cannot be used, or another agent uses it; nothing that was there is changed.
        """
        lock = None
        try:
            _make_private(path)
            lock = _take_lock(path)
            durable.sweep(path)
            _probe(path)
        except BaseException as error:
            if lock is not None:
                os.close(lock)
            cause = error.__cause__ if isinstance(error, DurableError) else error
            if isinstance(cause, OSError):
                raise unusable(path, cause) from error
            raise
        return cls(path, lock)

    @property
    def database_path(self) -> Path:
        """Where the database lies."""
        return self.path / DATABASE_NAME

    @property
    def certificates(self) -> Path:
        """Where the certificate store lies."""
        return self.path / CERTIFICATES_NAME

    @property
    def revocation(self) -> Path:
        """Where answers about revoked certificates are kept."""
        return self.path / REVOCATION_NAME

    @property
    def transfers(self) -> Path:
        """Where host keys of file servers, and what libcurl can do, are remembered."""
        return self.path / TRANSFERS_NAME

    def close(self) -> None:
        """Give the directory free for another agent; harmless when repeated.

        The lock file stays: to unlink it would let a third process lock a new file while a second holds the old one.
        """
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _make_private(path: Path) -> None:
    if not path.exists():
        durable.make_directory(path)
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if status.st_uid != os.geteuid():
        # Root could write there, but would leave files behind that the agent's own user cannot open.
        owner = _user_name(status.st_uid)
        raise StateUnusable(path, f"it belongs to the user {owner}", f"run the agent and its commands as {owner}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(0o700)  # the AuthorizationKey lies in clear text below it (A01.FR.10)


def _take_lock(path: Path) -> int:
    lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
    except BlockingIOError as error:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise StateUnusable(
            path,
            f"another agent uses it (process {holder})",
            "stop that agent, or give this one a directory of its own",
        ) from error
    except OSError:
        os.close(lock)
        raise
    return lock


def _probe(path: Path) -> None:
    """Write and remove a file: only that tells of a full disk, a quota and a read-only mount alike."""
    durable.write(path / PROBE_NAME, bytes(PROBE_BYTES))
    durable.remove(path / PROBE_NAME)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
