import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from chargepoint.database import Database
from chargepoint.database_error import DatabaseFailed
from chargepoint.migration import APPLICATION_ID, Migration, StateForeign, StateTooNew
from chargepoint.state import StateUnusable
from chargepoint.state_schema import MIGRATIONS
from security import durable

FIRST = Migration(("CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY)",))
ADDED = Migration(
    (
        "ALTER TABLE fact ADD COLUMN weight INTEGER NOT NULL DEFAULT 1",
        "CREATE INDEX IF NOT EXISTS fact_by_weight ON fact (weight)",
        "CREATE TABLE IF NOT EXISTS opinion (name TEXT PRIMARY KEY)",
    )
)
BROKEN = Migration(("ALTER TABLE fact RENAME COLUMN name TO title",), additive=False)


async def add_fact(path: Path, name: str, *migrations: Migration) -> list[str]:
    """Open the database as a release does that knows these migrations, add a fact and return all of them."""
    database = await Database.open(path, migrations)
    try:
        await database.write(
            lambda connection: connection.execute("INSERT INTO fact (name) VALUES (?)", (name,)).rowcount
        )
        return await database.read(lambda c: [row[0] for row in c.execute("SELECT name FROM fact ORDER BY rowid")])
    finally:
        await database.close()


def number(path: Path, query: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(query).fetchone()[0])


def files(directory: Path) -> dict[str, bytes]:
    """Return what the directory holds, without the index of the log that SQLite makes to read."""
    return {each.name: each.read_bytes() for each in directory.iterdir() if not each.name.endswith(("-shm", "-wal"))}


async def test_the_previous_release_runs_on_the_newer_state_and_the_newer_one_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await add_fact(path, "old", FIRST)
    await add_fact(path, "new", FIRST, ADDED)
    assert await add_fact(path, "rolled back", FIRST) == ["old", "new", "rolled back"]
    assert number(path, "PRAGMA user_version") == 2
    assert await add_fact(path, "again", FIRST, ADDED) == ["old", "new", "rolled back", "again"]
    assert number(path, "SELECT sum(weight) FROM fact") == 4


async def test_the_first_release_runs_on_a_file_that_a_later_one_made(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await add_fact(path, "new", FIRST, ADDED)
    assert await add_fact(path, "old", FIRST) == ["new", "old"]


async def test_a_release_that_cannot_follow_a_later_one_refuses_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await add_fact(path, "old", FIRST)
    database = await Database.open(path, (FIRST, ADDED, BROKEN))
    await database.close()
    before = files(tmp_path)
    with pytest.raises(StateTooNew, match=r"a later release .*; run the later release, or put back the copy"):
        await Database.open(path, (FIRST, ADDED))
    assert files(tmp_path) == before


async def test_sets_a_copy_aside_that_the_previous_release_can_open(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await add_fact(path, "old", FIRST, ADDED)
    database = await Database.open(path, (FIRST, ADDED, BROKEN))
    await database.close()
    copy = tmp_path / "state.db.before-2"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert {each.name for each in tmp_path.iterdir()} == {"state.db", "state.db.before-2"}
    assert await add_fact(copy, "on the copy", FIRST, ADDED) == ["old", "on the copy"]


async def test_sets_no_copy_aside_for_an_additive_migration_or_a_new_file(tmp_path: Path) -> None:
    await add_fact(tmp_path / "state.db", "old", FIRST)
    await add_fact(tmp_path / "state.db", "new", FIRST, ADDED)
    await (await Database.open(tmp_path / "other.db", (FIRST, ADDED, BROKEN))).close()
    assert {each.name for each in tmp_path.iterdir()} == {"state.db", "other.db"}


@pytest.mark.parametrize("additive", [True, False])
async def test_a_migration_that_fails_leaves_the_old_file(tmp_path: Path, additive: bool) -> None:
    path = tmp_path / "state.db"
    await add_fact(path, "old", FIRST)
    failing = Migration((*ADDED.statements, "ALTER TABLE missing ADD COLUMN more TEXT"), additive=additive)
    with pytest.raises(DatabaseFailed, match="no such table"):
        await Database.open(path, (FIRST, failing))
    assert await add_fact(path, "still here", FIRST, ADDED) == ["old", "still here"]


async def test_nothing_is_changed_where_the_copy_cannot_be_made(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await add_fact(path, "old", FIRST)
    (tmp_path / ".state.db.before-1.tmp").touch()
    with pytest.raises(StateUnusable, match="File exists"):
        await Database.open(path, (FIRST, BROKEN))
    assert await add_fact(path, "still here", FIRST) == ["old", "still here"]


async def test_a_copy_that_is_not_on_the_disk_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FailingDisk(durable.Operations):
        def fsync(self, descriptor: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "state.db"
    await add_fact(path, "old", FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "operations", FailingDisk())
        with pytest.raises(StateUnusable, match="Input/output error"):
            await Database.open(path, (FIRST, BROKEN))
    assert {each.name for each in tmp_path.iterdir()} == {"state.db"}
    assert await add_fact(path, "still here", FIRST) == ["old", "still here"]


async def test_nothing_is_written_where_nothing_is_pending(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await add_fact(path, "old", FIRST)
    before = files(tmp_path)
    await (await Database.open(path, (FIRST,))).close()
    assert files(tmp_path) == before


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photograph (name TEXT)")
    before = files(tmp_path)
    with pytest.raises(StateForeign, match="not of this program"):
        await Database.open(path, (FIRST,))
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE fact",
        "CREATE TABLE fact (name TEXT)",
        "CREATE UNIQUE INDEX IF NOT EXISTS one ON fact (name)",
        "ALTER TABLE fact DROP COLUMN name",
        "UPDATE fact SET name = ''",
    ],
)
def test_what_the_previous_release_would_trip_over_is_not_called_additive(statement: str) -> None:
    with pytest.raises(ValueError, match="not additive"):
        Migration((statement,))
    assert Migration((statement,), additive=False).statements == (statement,)


async def test_the_tables_of_this_release_are_made(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await (await Database.open(path, MIGRATIONS)).close()
    assert number(path, "PRAGMA application_id") == APPLICATION_ID
    assert number(path, "PRAGMA user_version") == len(MIGRATIONS)
    with closing(sqlite3.connect(path)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {
        "schema_mark", "clock_floor", "configuration", "boot", "security_event", "configuration_trial",
        "configuration_trial_previous",
        "job", "job_report", "inoperative_connector",
        "charging_transaction", "transaction_message", "sqlite_sequence",
    }  # fmt: skip
