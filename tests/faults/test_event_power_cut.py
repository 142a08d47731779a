"""The power is cut while security events are recorded and confirmed: the queue is as it was at some instant.

What has not reached the disk is cut off: SQLite's log, copied beside the database, loses its end at every frame and in
the middle of each. No state is listed by hand but those that the queue itself went through.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from chargepoint.database import Database
from chargepoint.state_schema import MIGRATIONS
from logs.event_queue import EventQueue
from logs.security_log import SecurityLog
from security.event import SecurityEvent, SecurityEventType

NOON: Final = datetime(2027, 3, 1, 12, tzinfo=UTC)
LOG_HEADER_BYTES: Final = 32
FRAME_BYTES: Final = 24 + 4096

State = tuple[list[str | None], list[str | None]]


class Bench:
    """A log with a queue of 4, and the states that they went through."""

    def __init__(self, database: Database) -> None:
        self.log = SecurityLog(database, max_events=8, max_age=timedelta(days=365), max_queued_events=4)
        self.queue = EventQueue(database)
        self.states: list[State] = []

    async def state(self) -> State:
        """What is in the log, and what waits."""
        logged = [each.event.tech_info for each in await self.log.read()]
        return logged, [each.event.tech_info for each in await self.queue.page()]

    async def note(self) -> None:
        self.states.append(await self.state())

    async def record(self, number: int) -> None:
        event = SecurityEvent(
            SecurityEventType.TAMPER_DETECTION_ACTIVATED, NOON + timedelta(seconds=number), str(number)
        )
        await self.log.record(event, boot_id="boot", monotonic=float(number), time_known=True)
        await self.note()

    async def clear(self, number: int) -> None:
        event = SecurityEvent(SecurityEventType.SECURITY_LOG_WAS_CLEARED, NOON + timedelta(seconds=number), "cleared")
        await self.log.clear(event, boot_id="boot", monotonic=float(number), time_known=True)
        await self.note()


async def live(database: Database) -> list[State]:
    """Record, confirm, refuse, fill the queue, roll and clear the log; return every state in between."""
    bench = Bench(database)
    await bench.note()
    for number in range(3):
        await bench.record(number)
    await bench.queue.confirm((await bench.queue.page())[:2])
    await bench.note()
    await bench.queue.note_refusal((await bench.queue.page())[0], 1)
    await bench.note()
    for number in range(3, 12):
        await bench.record(number)
    await bench.queue.confirm(await bench.queue.page())
    await bench.note()
    await bench.record(12)
    await bench.clear(13)
    await bench.queue.confirm(await bench.queue.page())
    await bench.note()
    await bench.clear(14)
    return bench.states


def cuts(log: Path) -> Iterator[int]:
    """Yield lengths of the log, from nothing to all of it: after each frame, and in the middle of the next."""
    size = log.stat().st_size
    yield 0
    for end in range(LOG_HEADER_BYTES, size, FRAME_BYTES):
        yield from (end, end + FRAME_BYTES // 2)
    yield size


@pytest.mark.requirement("A04.FR.02", "A04.FR.04")
async def test_a_power_cut_leaves_the_queue_and_the_log_as_they_were_at_an_instant(tmp_path: Path) -> None:
    # So that only what is written below is in SQLite's log, and not the tables.
    await (await Database.open(tmp_path / "state.db", MIGRATIONS)).close()
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    states = await live(database)
    copy = tmp_path / "copy.db"
    shutil.copy(database.path, tmp_path / "kept.db")
    shutil.copy(f"{database.path}-wal", tmp_path / "kept.db-wal")
    await database.close()

    reached = [await after_cut(tmp_path / "kept.db", copy, length) for length in cuts(tmp_path / "kept.db-wal")]

    assert [states.index(state) for state in reached] == sorted(states.index(state) for state in reached)
    assert {states.index(state) for state in reached} == set(range(len(states))), "each instant was met"


async def after_cut(kept: Path, copy: Path, length: int) -> State:
    """Return what the next start finds."""
    for leftover in copy.parent.glob(f"{copy.name}*"):
        leftover.unlink()
    shutil.copy(kept, copy)
    copy.with_name(f"{copy.name}-wal").write_bytes(kept.with_name(f"{kept.name}-wal").read_bytes()[:length])
    database = await Database.open(copy, MIGRATIONS)
    state = await Bench(database).state()
    await database.close()
    return state
