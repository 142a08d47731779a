"""What security events cost: recording one durably, and sending a long queue of them.

Guaranteed: recording is compared with a bare insert into an SQLite file that makes the same promise (WAL, FULL), in
short batches that alternate. The queue is emptied by an agent in a process of its own; its baseline is a process that
sends as many of the same messages by our own exchange, one after the other, with nothing to read or record.
"""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.bed import HERE, Bed
from benchmarks.process import Broken, running
from benchmarks.result import Row, Wish
from chargepoint.database import Database
from chargepoint.state import StateDirectory
from chargepoint.state_schema import MIGRATIONS
from logs.security_log import SecurityLog
from security.event import SecurityEvent, SecurityEventType

RECORD_WISH: Final = Wish(2)
DRAIN_WISH: Final = Wish(0.8, at_least=True)

BATCHES: Final = 20
QUICK_BATCHES: Final = 5
BATCH: Final = 50  #: events; so short that a disturbance hits both alike

EVENTS: Final = 10_000
QUICK_EVENTS: Final = 2_000
DRAINS: Final = 5
QUICK_DRAINS: Final = 2
DRAIN_TIMEOUT: Final = 120.0  #: seconds; twenty times what it takes

YEAR: Final = timedelta(days=365)
TEXT: Final = "a peer that is not the Central System: subject CN=somebody, issuer CN=nobody"


async def measure(bed: Bed) -> list[Row]:
    """Record, then drain."""
    return [await _recording(bed), await _draining(bed)]


async def _recording(bed: Bed) -> Row:
    with TemporaryDirectory(prefix="bench-") as directory:
        database = await Database.open(Path(directory, "ours.db"), MIGRATIONS)
        log = SecurityLog(database, max_events=20_000, max_age=YEAR)
        with closing(_bare_table(Path(directory, "bare.db"))) as bare:
            rounds = [
                (await _record_batch(log), _insert_batch(bare))
                for _ in range(1 + (QUICK_BATCHES if bed.quick else BATCHES))
            ]
        await database.close()
    ours, baseline = zip(*rounds[1:], strict=True)
    return Row("record a security event, beside a bare insert", "us", ours, baseline, RECORD_WISH)


def _bare_table(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, type TEXT, tech_info TEXT, occurred_us INTEGER)")
    return connection


def _insert_batch(connection: sqlite3.Connection) -> float:
    began = time.perf_counter()
    for number in range(BATCH):
        values = (SecurityEventType.TAMPER_DETECTION_ACTIVATED, TEXT, number)
        connection.execute("INSERT INTO event (type, tech_info, occurred_us) VALUES (?, ?, ?)", values)
    return (time.perf_counter() - began) / BATCH * 1e6


async def _record_batch(log: SecurityLog) -> float:
    began = time.perf_counter()
    for number in range(BATCH):
        await _record(log, number)
    return (time.perf_counter() - began) / BATCH * 1e6


async def _record(log: SecurityLog, number: int) -> None:
    event = SecurityEvent(SecurityEventType.TAMPER_DETECTION_ACTIVATED, datetime.now(UTC), TEXT)
    await log.record(event, boot_id="bench", monotonic=float(number), time_known=True)


async def _draining(bed: Bed) -> Row:
    count = QUICK_EVENTS if bed.quick else EVENTS
    ours, baseline = [], []
    async with _counting() as central_system:
        for number in range(QUICK_DRAINS if bed.quick else DRAINS):
            ours.append(await _drain_rate(bed, central_system, count))
            baseline.append(await _call_rate(bed, central_system, f"bare-calls-{number}", count))
    return Row(f"send {count:,} queued events, beside calls in a row", "/s", ours, baseline, DRAIN_WISH)


class _Counter:
    """A Central System that accepts everybody and notes when the first and when the last event came."""

    def __init__(self) -> None:
        self.url = ""
        self._wanted = 0
        self._first_at = 0.0
        self._count = 0
        self._done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def rate(self, count: int) -> float:
        """Return the events per second of the next so many."""
        self._wanted, self._count = count, 0
        self._done = asyncio.get_running_loop().create_future()
        return (count - 1) / await self._done

    async def converse(self, socket: ServerConnection) -> None:
        """Answer until the connection ends."""
        with suppress(ConnectionClosed):  # the Charge Point is ended without a word
            async for message in socket:
                _, unique_id, action, _ = json.loads(message)
                now = datetime.now(UTC).isoformat()
                boot = {"status": "Accepted", "currentTime": now, "interval": 300}
                await socket.send(json.dumps([3, unique_id, boot if action == "BootNotification" else {}]))
                if action == "SecurityEventNotification":
                    self._note()

    def _note(self) -> None:
        now = time.perf_counter()
        self._count += 1
        if self._count == 1:
            self._first_at = now
        if self._count == self._wanted:
            self._done.set_result(now - self._first_at)


@asynccontextmanager
async def _counting() -> AsyncIterator[_Counter]:
    counter = _Counter()
    subprotocols = [Subprotocol("ocpp1.6")]
    async with serve(
        counter.converse, "127.0.0.1", 0, subprotocols=subprotocols, compression=None, ping_interval=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        counter.url = f"ws://localhost:{port}/ocpp"
        yield counter


async def _drain_rate(bed: Bed, central_system: _Counter, count: int) -> float:
    """Fill the queue of an agent that does not run, start it and let it empty the queue."""
    # Room for what the agent adds itself, so that nothing is left out.
    charge_point = bed.agent(settings={"url": central_system.url, "event_queue_max_events": 2 * count})
    await _fill(charge_point.log.with_name("state"), count)
    return await _rate(charge_point.command, charge_point.log, central_system, count)


async def _fill(state: Path, count: int) -> None:
    directory = StateDirectory.open(state)
    database = await Database.open(directory.database_path, MIGRATIONS)
    log = SecurityLog(database, max_events=2 * count, max_age=YEAR)
    await asyncio.gather(*(_record(log, number) for number in range(count)))
    await database.close()
    directory.close()


async def _call_rate(bed: Bed, central_system: _Counter, identity: str, count: int) -> float:
    command = (sys.executable, HERE / "bare_calls.py", f"{central_system.url}/{identity}", str(count))
    return await _rate(command, bed.root.with_name(f"{identity}.log"), central_system, count)


async def _rate(command: Sequence[str | Path], log: Path, central_system: _Counter, count: int) -> float:
    async with running(command, log) as process:
        sending = asyncio.create_task(central_system.rate(count))
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({sending, ended}, timeout=DRAIN_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise Broken(f"not all of {count} events came:\n{process.tail()}")
            return sending.result()
        finally:
            sending.cancel()
            ended.cancel()
