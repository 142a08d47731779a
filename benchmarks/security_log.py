"""What a long security log costs: a million events beside a thousand, and beside none.

Guaranteed: both logs lie on the same disk and are measured in turn, in short rounds. An upload starts when its spool
file is whole; so a window is timed from the question whether there is anything to the last byte on the disk. Memory is
that of this process, looked at while a whole export runs.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.bed import Bed
from benchmarks.result import Of, Row, Wish
from chargepoint.database import Database
from chargepoint.state_schema import MIGRATIONS
from logs.event_table import to_us
from logs.security_log import SecurityLog
from logs.security_log_export import SecurityLogExport
from security.event import SecurityEvent, SecurityEventType

WINDOW_WISH: Final = Wish(1.5)
RECORD_WISH: Final = Wish(1.5)
MEMORY_WISH: Final = Wish(16, of=Of.VALUE)

EVENTS: Final = 1_000_000
QUICK_EVENTS: Final = 100_000
WINDOW: Final = 1_000  #: events
ROUNDS: Final = 20
QUICK_ROUNDS: Final = 5
BATCH: Final = 50  #: events; so short that a disturbance hits both alike
FILL: Final = 50_000  #: events; in one transaction while a log is filled

BEGIN: Final = datetime(2027, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(seconds=1)
TEXT: Final = "a peer that is not the Central System: subject CN=somebody, issuer CN=nobody"
LOOK_SECONDS: Final = 0.01  #: seconds; between two looks at the memory
TICK_SECONDS: Final = 0.005  #: seconds; between two beats of the event loop
MIB: Final = 1024 * 1024

_INSERT: Final = (
    "INSERT INTO security_event (type, tech_info, occurred_us, time_known, boot_id, monotonic_us, critical, owed) "
    "VALUES (?, ?, ?, 1, 'bench', 0, 0, 0)"
)


@dataclass(frozen=True)
class _Log:
    """A security log with so many events, one a second."""

    events: int
    database: Database
    log: SecurityLog
    export: SecurityLogExport
    target: Path

    async def write_window(self) -> float:
        """Write a window in the middle, and return the milliseconds that it took."""
        oldest = BEGIN + max(self.events - WINDOW, 0) // 2 * STEP
        latest = oldest + (WINDOW - 1) * STEP
        began = time.perf_counter()
        assert await self.export.is_available(oldest, latest)
        await self.export.write(self.target, oldest, latest)
        return (time.perf_counter() - began) * 1e3

    async def record_batch(self) -> float:
        """Record some events, and return the microseconds for each."""
        began = time.perf_counter()
        for number in range(BATCH):
            at = BEGIN + (self.events + number) * STEP
            event = SecurityEvent(SecurityEventType.INVALID_MESSAGES, at, TEXT)
            await self.log.record(event, boot_id="bench", monotonic=0, time_known=True)
        return (time.perf_counter() - began) / BATCH * 1e6


async def measure(bed: Bed) -> list[Row]:
    """Fill the logs, then measure."""
    events = QUICK_EVENTS if bed.quick else EVENTS
    rounds = QUICK_ROUNDS if bed.quick else ROUNDS
    with TemporaryDirectory(prefix="bench-") as directory:
        async with (
            _log_of(events, Path(directory, "long")) as long,
            _log_of(WINDOW, Path(directory, "short")) as short,
            _log_of(0, Path(directory, "empty")) as empty,
        ):
            windows = await _in_turn(rounds, long.write_window, short.write_window)
            recorded = await _in_turn(rounds, long.record_batch, empty.record_batch)
            whole = await _whole_export(long, empty)
    return [
        Row(f"window of {WINDOW:,} events of {events:,}, beside one of {WINDOW:,}", "ms", *windows, WINDOW_WISH),
        Row(f"record an event in a log of {events:,}, beside an empty one", "us", *recorded, RECORD_WISH),
        *whole,
    ]


async def _in_turn(
    rounds: int, ours: Callable[[], Awaitable[float]], baseline: Callable[[], Awaitable[float]]
) -> tuple[list[float], list[float]]:
    found = [(await ours(), await baseline()) for _ in range(1 + rounds)][1:]
    return [each for each, _ in found], [each for _, each in found]


async def _whole_export(long: _Log, empty: _Log) -> list[Row]:
    """Export all, look at the memory meanwhile, and record meanwhile."""
    async with _beating() as idle:
        await asyncio.sleep(1)
    before = _resident_bytes()
    async with _beating() as beats, _watching_memory() as memory:
        began = time.perf_counter()
        size = await long.export.write(long.target, None, None)
        seconds = time.perf_counter() - began
    export = asyncio.create_task(long.export.write(long.target, None, None))
    recorded, beside = [], []
    while not export.done():  # both meanwhile: what they share is the machine, what they do not is the database
        recorded.append(await long.record_batch())
        beside.append(await empty.record_batch())
    await export
    return [
        Row(f"export {size / MIB:.0f} MiB: events written", "/s", [long.events / seconds]),
        Row("the same: growth of memory", "MiB", [(max(memory) - before) / MIB], wish=MEMORY_WISH),
        Row("the same: delay of the event loop, p99, beside idle", "ms", [_p99(beats)], [_p99(idle)]),
        Row("record an event meanwhile, beside an empty log at the same time", "us", recorded, beside),
    ]


@asynccontextmanager
async def _log_of(events: int, directory: Path) -> AsyncIterator[_Log]:
    await asyncio.to_thread(directory.mkdir)
    database = await Database.open(directory / "state.db", MIGRATIONS)
    for first in range(0, events, FILL):
        numbers = range(first, min(first + FILL, events))
        rows = [(SecurityEventType.INVALID_MESSAGES, TEXT, to_us(BEGIN + number * STEP)) for number in numbers]
        await database.write(lambda connection, rows=rows: connection.executemany(_INSERT, rows).rowcount)  # type: ignore[misc]
    log = SecurityLog(database, max_events=EVENTS, max_age=timedelta(days=3650))
    export = SecurityLogExport(database, identity="bench", form="jsonl", compressed=False, min_free_bytes=0)
    try:
        yield _Log(events, database, log, export, directory / "spool")
    finally:
        await database.close()


@asynccontextmanager
async def _beating() -> AsyncIterator[list[float]]:
    """Note by how many milliseconds the event loop comes too late, as long as the block lasts."""
    late: list[float] = []

    async def beat() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            late.append((time.perf_counter() - began - TICK_SECONDS) * 1e3)

    async with _running(beat):
        yield late


@asynccontextmanager
async def _watching_memory() -> AsyncIterator[list[int]]:
    found: list[int] = []

    async def look() -> None:
        while True:
            found.append(_resident_bytes())
            await asyncio.sleep(LOOK_SECONDS)

    async with _running(look):
        yield found


@asynccontextmanager
async def _running(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]
