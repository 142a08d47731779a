"""The database: one SQLite file, one thread, one writer.

Guaranteed: when `write` returns, the change is on the disk; when it raises, nothing of it is. A damaged, full or
foreign file is reported in words and left as it is.

- All jobs run on one thread, in the order in which they were handed in, on one connection: little memory, no lock,
  and a task reads what it wrote.
- Writes that wait together are committed together, one fsync for all of them. Each has a savepoint of its own, so
  that one that fails takes nothing with it; where SQLite had to give up the whole transaction, each is run again
  alone. So the work of a write may run twice, and does nothing but talk to the connection.
- A read keeps the writes waiting: it is bounded by its owner (a limit, a page at a time).
- Cancelling the task that waits leaves its write done or not done, never half.
- SQLite's errors become `DatabaseError` here, and nowhere else (database_error.py).

Not done here: what is in the tables (their owners bring the statements) and how they change (migration.py).
"""

import asyncio
import queue
import sqlite3
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from chargepoint.database_error import DAMAGED_ADVICE, DatabaseDamaged, DatabaseFailed, DatabaseFull, mapped
from chargepoint.migration import Migration, check, migrate
from chargepoint.state import unusable
from security import durable

MAX_GROUP_JOBS: Final = 256  #: count; writes that share one commit: bounds how long the first waits for the last
MAX_CHECKED_BYTES: Final = (
    4_194_304  #: bytes; up to this size the whole file is checked at start, 10 ms on a slow board
)
MAX_WAL_BYTES: Final = 1_048_576  #: bytes; the log is cut back to this after a checkpoint; flash is small
CHECKPOINT_PAGES: Final = (
    256  #: pages of 4 KiB; a checkpoint a MiB: each page is written fewer times than at SQLite's default file size
)
CACHE_KIB: Final = 512  #: KiB; the pages of the few tables in use fit, SQLite's default would take four times as much
BUSY_TIMEOUT_MS: Final = 2_000  #: ms; somebody who looks into the file with the sqlite3 shell does not stop the agent
MAX_FREE_BYTES: Final = 1_048_576  #: bytes; above this, free pages are given back to the file system at start

T = TypeVar("T")


_PRAGMAS: Final[dict[str, tuple[str | int, str | int]]] = {
    # Before the first table: later it takes a VACUUM.
    "auto_vacuum": ("INCREMENTAL", 2),
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "busy_timeout": (BUSY_TIMEOUT_MS, BUSY_TIMEOUT_MS),
    "journal_size_limit": (MAX_WAL_BYTES, MAX_WAL_BYTES),
    "wal_autocheckpoint": (CHECKPOINT_PAGES, CHECKPOINT_PAGES),
    "cache_size": (-CACHE_KIB, -CACHE_KIB),
    "temp_store": ("MEMORY", 2),
    "cell_size_check": ("ON", 1),
    "trusted_schema": ("OFF", 0),
}
"""Pragma -> what it is set to, and what it must say then."""


class _Job:
    """Work for the thread, and the future of the task that waits for it.

    A future of the event loop itself: one of `concurrent.futures` wrapped for it would take as long again as the work.
    """

    __slots__ = ("_loop", "answer", "work", "writes")

    def __init__(self, work: Callable[[sqlite3.Connection], Any], *, writes: bool) -> None:
        self.work = work
        self.writes = writes
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()

    def succeed(self, result: object) -> None:
        """Thread: give the result to the task."""
        self._tell(self.answer.set_result, result)

    def fail(self, error: Exception) -> None:
        """Thread: raise the error in the task."""
        self._tell(self.answer.set_exception, error)

    def _tell(self, tell: Callable[[Any], None], what: object) -> None:
        def tell_who_waits() -> None:
            if not self.answer.cancelled():
                tell(what)

        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(tell_who_waits)


class Database:
    """An open database; one per state directory, whose lock keeps other agents away."""

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        self.path: Final = path
        self._migrations = tuple(migrations)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._tell_full: Callable[[], None] | None = None
        self._closing = False
        self._closed: Future[None] = Future()

    @classmethod
    async def open(cls, path: Path, migrations: Sequence[Migration]) -> Self:
        """Open or make the file, check it and bring it to this release.

        Args:
            path: the file; it and the files beside it are made private to this user (0600).
            migrations: the whole history of the tables, oldest first.

        Raises:
            StateUnusable: it cannot be used; what was there is left as it is.
        """
        database = cls(path, migrations)
        opened: Future[None] = Future()
        # A daemon, because all that was promised is on the disk: a crash of the agent must not hang on its thread.
        threading.Thread(target=database._serve, args=(opened,), name="database", daemon=True).start()
        await asyncio.wrap_future(opened)
        return database

    def subscribe_full(self, tell_full: Callable[[], None]) -> None:
        """Have somebody told whenever the disk has no room for a change."""
        self._tell_full = tell_full

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction and return its result once that is on the disk.

        Args:
            work: talks to the connection and does nothing else; it may run twice, it neither begins nor commits.

        Raises:
            DatabaseError: nothing of the work is on the disk.
            Exception: what the work raised; nothing of it is on the disk.
        """
        return await self._ask(work, writes=True)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work, which sees all that was committed and may not change it, and return its result.

        Raises:
            DatabaseError: the file cannot be read, or the work tried to write.
            Exception: what the work raised.
        """
        return await self._ask(work, writes=False)

    async def close(self) -> None:
        """Finish all that was handed in, then close the file; harmless when repeated. Cancelled, it goes on alone."""
        if not self._closing:
            self._closing = True
            self._jobs.put(None)
        await asyncio.shield(asyncio.wrap_future(self._closed))

    async def _ask(self, work: Callable[[sqlite3.Connection], T], *, writes: bool) -> T:
        if self._closing:
            raise RuntimeError("the database is closed")
        job = _Job(work, writes=writes)
        self._jobs.put(job)
        try:
            result: T = await job.answer
        except DatabaseFull:
            if self._tell_full is not None:
                self._tell_full()
            raise
        return result

    def _serve(self, opened: Future[None]) -> None:
        """Thread: started by `open`, ended by `close`; it raises nothing, each fault goes to whom it concerns."""
        try:
            connection = _connect(self.path, self._migrations)
        except BaseException as error:  # noqa: BLE001 - handed to the task that waits for it
            opened.set_exception(error)
            return
        opened.set_result(None)
        try:
            for group in self._groups():
                if group[0].writes:
                    _commit(connection, group, self.path)
                else:
                    _look_up(connection, group[0], self.path)
        finally:
            connection.close()  # checkpoints and removes the log
            self._closed.set_result(None)

    def _groups(self) -> Iterator[list[_Job]]:
        """Yield what is to run next, until `close`: one read, or all the writes that wait in a row."""
        waiting: deque[_Job | None] = deque()
        while True:
            if not waiting:
                waiting.append(self._jobs.get())
            while not self._jobs.empty():
                waiting.append(self._jobs.get())
            job = waiting.popleft()
            if job is None:
                return
            group = [job]
            while job.writes and len(group) < MAX_GROUP_JOBS and waiting and waiting[0] and waiting[0].writes:
                group.append(waiting[0])
                waiting.popleft()
            # A job whose task was cancelled while it waited is dropped whole; from here on it runs to its end.
            if group := [each for each in group if not each.answer.cancelled()]:
                yield group


def _commit(connection: sqlite3.Connection, group: list[_Job], path: Path) -> None:
    """Run the writes in one transaction and resolve them after the commit, when they are on the disk."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_run_in_savepoint(connection, job) for job in group]
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - handed to the tasks that wait for it
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")  # an error where SQLite has rolled back by itself
        if len(group) == 1:
            group[0].fail(mapped(error, path))
        else:
            for job in group:
                _commit(connection, [job], path)
        return
    for job, (result, fault) in zip(group, outcomes, strict=True):
        if fault is None:
            job.succeed(result)
        else:
            job.fail(mapped(fault, path))


def _run_in_savepoint(connection: sqlite3.Connection, job: _Job) -> tuple[Any, Exception | None]:
    """Run one write. Its own fault is undone and returned; one that cost the whole transaction is raised."""
    connection.execute("SAVEPOINT job")
    try:
        result = job.work(connection)
    except Exception as error:
        if not connection.in_transaction:  # SQLite gave all of it up, as it may when the disk is full or fails
            raise
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return None, error
    connection.execute("RELEASE job")
    return result, None


def _look_up(connection: sqlite3.Connection, job: _Job, path: Path) -> None:
    try:
        connection.execute("PRAGMA query_only = ON")
        result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - handed to the task that waits for it
        job.fail(mapped(error, path))
    else:
        job.succeed(result)
    finally:
        connection.execute("PRAGMA query_only = OFF")


def _connect(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Look at the file without changing it, then open it and bring it to this release."""
    try:
        if _has_content(path):
            # Read-only, because even to close a writable connection would move the log into a file that may be damaged.
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as looking:
                check(looking, path, migrations)
                _check_content(looking, path)
        _make_private(path)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            _set_pragmas(connection, path)
            migrate(connection, path, migrations)
            _give_back_free_pages(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise mapped(error, path) from error
    except OSError as error:
        raise unusable(path, error) from error
    return connection


def _has_content(path: Path) -> bool:
    size = path.stat().st_size if path.exists() else 0
    log = path.with_name(f"{path.name}-wal")
    if not size and log.exists() and log.stat().st_size:
        # SQLite would take the file for a new one and delete the log, the only thing that is left.
        raise DatabaseDamaged(path, "it is empty, but its -wal file is not", DAMAGED_ADVICE)
    return size > 0


def _check_content(connection: sqlite3.Connection, path: Path) -> None:
    """Find damage at the start and not in the middle of a night, at a cost that does not grow with the logs."""
    if path.stat().st_size <= MAX_CHECKED_BYTES:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DatabaseDamaged(path, f"it is damaged ({verdict})", DAMAGED_ADVICE)
        return
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for order in ("ASC", "DESC"):
            ends = f'SELECT * FROM "{table}" ORDER BY rowid {order} LIMIT 1'  # noqa: S608 - a table of ours
            connection.execute(ends).fetchall()


def _make_private(path: Path) -> None:
    """Let only this user read the file, which holds the AuthorizationKey (A01.FR.10), and SQLite's files beside it."""
    disk = durable.operations
    if not path.exists():
        disk.close(disk.create(path, durable.PRIVATE_FILE_MODE))
        disk.fsync_directory(path.parent)
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if each.exists() and stat.S_IMODE(each.stat().st_mode) & 0o077:
            each.chmod(durable.PRIVATE_FILE_MODE)


def _set_pragmas(connection: sqlite3.Connection, path: Path) -> None:
    for name, (value, expected) in _PRAGMAS.items():
        if _read_pragma(connection, name) == expected:
            continue  # some are kept in the file: set again, they would write to it at each start
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        if (found := _read_pragma(connection, name)) != expected:
            # Without the log in this mode a power cut may take what was promised to be on the disk.
            raise DatabaseFailed(
                path,
                f"SQLite {sqlite3.sqlite_version} says {name} = {found}, not {expected}",
                "put the state directory on a local file system",
            )


def _read_pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _give_back_free_pages(connection: sqlite3.Connection) -> None:
    free_pages = _read_pragma(connection, "freelist_count")
    if free_pages * _read_pragma(connection, "page_size") > MAX_FREE_BYTES:
        connection.executescript("PRAGMA incremental_vacuum")  # `execute` would step once and free one page
