"""A state directory that is read-only, full, damaged or half-written: a clear word, and nothing lost or overwritten."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chargepoint.database import MAX_CHECKED_BYTES, Database
from chargepoint.database_error import DatabaseDamaged
from chargepoint.migration import StateForeign
from chargepoint.state_schema import MIGRATIONS

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("state_worker.py")

RunOnDisk = Callable[[str, str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_on_disk(tmp_path: Path) -> RunOnDisk:
    """Run the worker on a disk of its own, a real file system in a mount namespace of the worker's process.

    The shell commands before it prepare the disk ($DISK) and the state directory on it ($STATE).
    """

    def run(prepare: str, what: str) -> "subprocess.CompletedProcess[str]":
        mount = "mount -t tmpfs -o size=1m,mode=0700 tmpfs $DISK"
        script = f"set -e; {mount}; {prepare}; exec {sys.executable} {WORKER} {what} $STATE"
        environment = os.environ | {"PYTHONPATH": str(ROOT), "DISK": str(tmp_path), "STATE": str(tmp_path / "state")}
        command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)

    try:
        probe = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
        subprocess.run(probe, check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine gives no mount namespace; the refusals are tested one by one in test_state.py")
    return run


def test_a_read_only_disk_is_said_in_words(run_on_disk: RunOnDisk) -> None:
    done = run_on_disk("mkdir -m 700 $STATE; mount -o remount,ro $DISK", "open")
    assert done.returncode == 3, done.stderr
    assert "the file system is read-only; mount it writable" in done.stdout


def test_a_disk_that_is_full_at_start_is_said_in_words(run_on_disk: RunOnDisk) -> None:
    done = run_on_disk("mkdir -m 700 $STATE; head -c 2M /dev/zero > $DISK/ballast || true", "open")
    assert done.returncode == 3, done.stderr
    assert "the disk is full; make room on it" in done.stdout


def test_a_disk_that_fills_up_costs_no_more_than_what_does_not_fit(run_on_disk: RunOnDisk) -> None:
    done = run_on_disk("true", "fill")
    assert done.returncode == 0, done.stderr
    reason, old_value_holds, accepted_again, events = done.stdout.splitlines()
    assert "could not be stored" in reason
    assert old_value_holds == "True"
    assert accepted_again == "Accepted"
    assert int(events) >= 1  # and those that waited in memory


def files(directory: Path) -> dict[str, bytes]:
    """Return what the directory holds, without the index of the log that SQLite makes to read."""
    return {each.name: each.read_bytes() for each in directory.iterdir() if not each.name.endswith("-shm")}


async def make_database(path: Path, size_bytes: int = 0) -> None:
    database = await Database.open(path, MIGRATIONS)
    await database.write(
        lambda connection: (
            connection.execute("INSERT INTO configuration VALUES ('CpoName', ?)", ("x" * size_bytes,)).rowcount
        )
    )
    await database.close()


async def refuse(path: Path) -> str:
    """Open a database that cannot be used; return what is said, after a look that nothing was touched."""
    before = files(path.parent)
    with pytest.raises((DatabaseDamaged, StateForeign)) as refusal:
        await Database.open(path, MIGRATIONS)
    after = {name: content for name, content in files(path.parent).items() if content or name in before}
    assert after == before
    return str(refusal.value)


@pytest.mark.parametrize("left", [2, 50, 100, 4096 + 1, 3 * 4096, 5 * 4096 - 1])
async def test_a_half_written_database_is_refused_and_left_as_it_is(tmp_path: Path, left: int) -> None:
    path = tmp_path / "state.db"
    await make_database(path)
    os.truncate(path, left)
    assert "keep the file for an examination" in await refuse(path)


@pytest.mark.parametrize("size_bytes", [0, 2 * MAX_CHECKED_BYTES])
async def test_a_damaged_page_is_found_at_start_in_small_files_and_where_tables_begin(
    tmp_path: Path, size_bytes: int
) -> None:
    path = tmp_path / "state.db"
    await make_database(path, size_bytes)
    content = bytearray(path.read_bytes())
    for page in range(2, min(len(content) // 4096, 12)):
        content[page * 4096 : page * 4096 + 200] = os.urandom(200)
    path.write_bytes(content)
    assert "keep the file for an examination" in await refuse(path)


async def test_a_log_whose_database_is_gone_is_not_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch()
    path.with_name("state.db-wal").write_bytes(bytes(5000))
    assert "it is empty, but its -wal file is not" in await refuse(path)


async def test_a_damaged_database_with_a_log_keeps_both(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make_database(path)
    database = await Database.open(path, MIGRATIONS)
    await database.write(lambda connection: connection.execute("DELETE FROM configuration").rowcount)
    whole = files(tmp_path)
    await database.close()
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
    path.write_bytes(os.urandom(len(whole["state.db"])))
    await refuse(path)


async def test_a_database_that_is_damaged_later_breaks_reads_and_not_the_agent(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make_database(path, 500_000)
    database = await Database.open(path, MIGRATIONS)
    with path.open("r+b") as file:
        file.seek(5 * 4096)
        await asyncio.to_thread(file.write, os.urandom(200_000))
    with pytest.raises(DatabaseDamaged):
        await database.read(lambda connection: connection.execute("SELECT value FROM configuration").fetchall())
    assert await database.read(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
    await database.close()
