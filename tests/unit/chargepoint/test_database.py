import asyncio
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from chargepoint import database as database_module
from chargepoint.database import Database
from chargepoint.database_error import DatabaseDamaged, DatabaseFailed, DatabaseFull, DatabaseReadOnly
from chargepoint.migration import Migration
from chargepoint.state import StateUnusable

MIGRATIONS = (Migration(("CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, body BLOB)",)),)

Work = Callable[[sqlite3.Connection], object]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield database
    await database.close()


def insert(name: str, body: bytes = b"") -> Work:
    return lambda connection: connection.execute("INSERT INTO fact VALUES (?, ?)", (name, body)).rowcount


def names(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM fact ORDER BY rowid")]


def names_on_disk(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return names(connection)


class Gate:
    """Work that keeps the database's thread busy until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._opened = threading.Event()

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.entered.set()
        assert self._opened.wait(30)

    def open(self) -> None:
        self._opened.set()

    async def hold(self, database: Database) -> "asyncio.Task[None]":
        task = asyncio.create_task(database.read(self))
        assert await asyncio.to_thread(self.entered.wait, 30)
        return task


async def test_what_was_written_is_seen_by_others_when_write_returns(database: Database) -> None:
    assert await database.write(insert("a")) == 1
    assert names_on_disk(database.path) == ["a"]
    assert await database.read(names) == ["a"]


async def test_promises_hold_over_a_power_cut_only_with_these_settings(database: Database) -> None:
    def look(connection: sqlite3.Connection) -> list[object]:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "auto_vacuum", "trusted_schema", "cell_size_check")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]

    assert await database.read(look) == ["wal", 2, 1, 2, 0, 1]


async def test_a_setting_that_does_not_hold_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(database_module._PRAGMAS, "synchronous", ("OFF", 2))
    monkeypatch.setitem(database_module._PRAGMAS, "fullfsync", ("OFF", 1))
    with pytest.raises(DatabaseFailed, match="fullfsync = 0, not 1; put the state directory on a local file system"):
        await Database.open(tmp_path / "state.db", MIGRATIONS)


async def test_only_its_user_can_read_the_files(database: Database) -> None:
    await database.write(insert("a"))
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in database.path.parent.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await (await Database.open(path, MIGRATIONS)).close()
    path.chmod(0o644)
    await (await Database.open(path, MIGRATIONS)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_writes_that_wait_together_share_one_commit(database: Database) -> None:
    statements: list[str] = []
    await database.read(lambda connection: connection.set_trace_callback(statements.append))
    gate = Gate()
    held = await gate.hold(database)
    writes = [asyncio.create_task(database.write(insert(str(number)))) for number in range(20)]
    await asyncio.sleep(0)  # one turn, in which each hands in its job
    gate.open()
    await asyncio.gather(held, *writes)
    await database.read(lambda connection: connection.set_trace_callback(None))
    assert statements.count("COMMIT") == 1
    assert await database.read(names) == [str(number) for number in range(20)]


async def test_a_write_that_fails_takes_no_other_with_it(database: Database) -> None:
    await database.write(insert("twice"))
    gate = Gate()
    held = await gate.hold(database)

    def half(connection: sqlite3.Connection) -> None:
        insert("half")(connection)
        raise LookupError("changed its mind")

    works = (insert("before"), insert("twice"), half, insert("after"))
    writes = [asyncio.create_task(database.write(work)) for work in works]
    await asyncio.sleep(0)
    gate.open()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    await held
    assert [type(outcome) for outcome in outcomes] == [int, DatabaseFailed, LookupError, int]
    assert names_on_disk(database.path) == ["twice", "before", "after"]


async def test_a_write_that_costs_the_whole_transaction_fails_alone(database: Database) -> None:
    gate = Gate()
    held = await gate.hold(database)

    def lose_all(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # as SQLite does by itself when a disk fails in the middle
        raise sqlite3.OperationalError("disk I/O error")

    writes = [asyncio.create_task(database.write(work)) for work in (insert("before"), lose_all, insert("after"))]
    await asyncio.sleep(0)
    gate.open()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    await held
    assert [type(outcome) for outcome in outcomes] == [int, DatabaseFailed, int]
    assert names_on_disk(database.path) == ["before", "after"]


async def test_a_full_disk_refuses_what_does_not_fit_and_takes_the_rest(database: Database) -> None:
    await database.write(lambda connection: connection.execute("PRAGMA max_page_count = 40").fetchone())
    writes = [database.write(insert("big", bytes(1_000_000))), database.write(insert("small"))]
    big, small = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(big, DatabaseFull)
    assert "make room on the disk" in str(big)
    assert isinstance(big.__cause__, sqlite3.Error)
    assert small == 1
    assert names_on_disk(database.path) == ["small"]


async def test_whoever_watches_the_room_is_told_of_a_full_disk(database: Database) -> None:
    told: list[str] = []
    database.subscribe_full(lambda: told.append("full"))
    await database.write(lambda connection: connection.execute("PRAGMA max_page_count = 40").fetchone())
    await database.write(insert("small"))
    assert not told
    with pytest.raises(DatabaseFull):
        await database.write(insert("big", bytes(1_000_000)))
    assert told == ["full"]


async def test_a_write_that_is_cancelled_while_it_waits_is_not_done(database: Database) -> None:
    gate = Gate()
    held = await gate.hold(database)
    write = asyncio.create_task(database.write(insert("late")))
    await asyncio.sleep(0)
    write.cancel()
    with suppress(asyncio.CancelledError):
        await write
    gate.open()
    await held
    assert await database.read(names) == []


async def test_a_write_that_is_cancelled_while_it_runs_is_done(database: Database) -> None:
    gate = Gate()

    def work(connection: sqlite3.Connection) -> None:
        insert("begun")(connection)
        gate(connection)
        insert("ended")(connection)

    write = asyncio.create_task(database.write(work))
    assert await asyncio.to_thread(gate.entered.wait, 30)
    write.cancel()
    with suppress(asyncio.CancelledError):
        await write
    gate.open()
    assert await database.read(names) == ["begun", "ended"]


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseReadOnly, match="readonly"):
        await database.read(insert("sneaked in"))
    assert await database.write(insert("in order")) == 1


async def test_what_the_work_raises_comes_out_as_it_is(database: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await database.read(work)


async def test_jobs_run_in_the_order_in_which_they_were_handed_in(database: Database) -> None:
    gate = Gate()
    held = await gate.hold(database)
    first = asyncio.create_task(database.write(insert("a")))
    look = asyncio.create_task(database.read(names))
    second = asyncio.create_task(database.write(insert("b")))
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(held, first, second)
    assert await look == ["a"]


async def test_close_finishes_what_was_handed_in(database: Database) -> None:
    gate = Gate()
    held = await gate.hold(database)
    writes = [asyncio.create_task(database.write(insert(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    closing_task = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(held, *writes, closing_task)
    await database.close()
    with pytest.raises(RuntimeError, match="closed"):
        await database.write(insert("too late"))
    assert names_on_disk(database.path) == ["0", "1", "2"]
    assert [each.name for each in database.path.parent.iterdir()] == ["state.db"]


async def test_a_missing_directory_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="parent directory does not exist"):
        await Database.open(tmp_path / "missing" / "state.db", MIGRATIONS)


async def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    assert await database.write(insert("a")) == 1
    await database.close()


async def test_free_pages_are_given_back_at_start(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = await Database.open(path, MIGRATIONS)
    await database.write(insert("big", bytes(3_000_000)))
    await database.write(lambda connection: connection.execute("DELETE FROM fact").rowcount)
    await database.close()
    assert path.stat().st_size > 3_000_000
    await (await Database.open(path, MIGRATIONS)).close()
    assert path.stat().st_size < 100_000


async def test_the_log_beside_the_file_stays_small(database: Database) -> None:
    for number in range(100):
        await database.write(insert(str(number), bytes(50_000)))
    assert database.path.with_name("state.db-wal").stat().st_size < 2 * database_module.MAX_WAL_BYTES


async def test_damage_is_found_at_start(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(DatabaseDamaged, match="not a database; keep the file"):
        await Database.open(path, MIGRATIONS)
