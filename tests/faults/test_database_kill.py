"""A process that writes is killed at any instant: what was promised is there, and nothing is half there.

SIGKILL is not a power cut, because the page cache survives it: that a promise holds over a power cut rests on SQLite's
own journal, with the settings that the database asserts at each start (tests/unit/chargepoint/test_database.py).
"""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("state_worker.py")


async def kill_after(promises: int, state: Path) -> int:
    """Let the worker keep so many promises, kill it in the middle of the next and return the last that it made."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        WORKER,
        "write",
        state,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        for _ in range(promises):
            assert await process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        rest = await process.stdout.read()
        await process.wait()
    return promises - 1 + rest.count(b"\n")


@pytest.mark.parametrize("promises", [1, 7, 40])
async def test_what_was_promised_survives_a_kill(tmp_path: Path, promises: int) -> None:
    state = tmp_path / "state"
    last = await kill_after(promises, state)
    assert (state / "state.db-wal").exists(), "the process ended orderly"
    with closing(sqlite3.connect(state / "state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = dict(connection.execute("SELECT name, value FROM configuration"))
        (events,) = connection.execute("SELECT count(*) FROM security_event").fetchone()
    # One more may have been on the disk before the promise was printed.
    assert kept["HeartbeatInterval"] in (str(last), str(last + 1))
    assert kept["CpoName"] in (f"operator {last}", f"operator {last + 1}")
    # A security parameter is recorded before it is changed: never an event too few.
    assert last + 1 <= events <= last + 2


async def test_the_next_start_goes_on_where_the_killed_one_was(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for _ in range(3):
        await kill_after(2, state)
    with closing(sqlite3.connect(state / "state.db")) as connection:
        (events,) = connection.execute("SELECT count(*) FROM security_event").fetchone()
    assert events >= 6
