"""Whether memory stays flat over many reconnects and much garbage.

What counts is growth after a warm-up, for the first tenth fills caches that are bounded. A leak of one small object for
each reconnect or frame shows: 10,000 of 128 bytes are more than is allowed.
"""

import itertools
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Final

from benchmarks.bed import Bed
from benchmarks.garbage import frames
from benchmarks.process import KIB, Broken, Process
from benchmarks.result import Of, Row, Wish

RECONNECTS: Final = 10_000
GARBAGE_FRAMES: Final = 100_000
QUICK_PART: Final = 10  #: the part of these that a quick run does without its verdict being worth much
PARTS: Final = 40  #: readings of the memory; the first tenth warms up, the last quarter counts

WISH: Final = Wish(1024, of=Of.VALUE)
"""KiB: what fragmentation may take, less than one small object for each of 10,000 turns."""

RETRY_AT_ONCE: Final = {"retry_first_s": 0, "retry_jitter": 0.0}


async def measure(bed: Bed) -> list[Row]:
    """Soak one process of ours in each."""
    return [*await _reconnects(bed), *await _garbage(bed)]


async def _reconnects(bed: Bed) -> list[Row]:
    """End the connection again and again, by turns in order and without a word."""
    charge_point = bed.agent(tls=True, settings=RETRY_AT_ONCE)
    async with bed.start(charge_point) as running:
        session = running.session

        async def reconnect(count: int) -> None:
            nonlocal session
            for number in range(count):
                # One message at least: a link that brings none counts as a failure and is waited after.
                await session.call("GetConfiguration", {"key": ["HeartbeatInterval"]})
                if number % 2:
                    await session.close()
                else:
                    session.cut()
                session = await bed.central_system.session(charge_point.identity)

        return await _soak("reconnects by TLS", _count(RECONNECTS, bed), running.process, reconnect)


async def _garbage(bed: Bed) -> list[Row]:
    """Send garbage, and ask now and then for something sensible."""
    async with bed.start(bed.agent()) as running:
        garbage = frames()

        async def send(count: int) -> None:
            for frame in itertools.islice(garbage, count):
                await running.session.send(frame)
            answer = await running.session.call("GetConfiguration", {"key": ["HeartbeatInterval"]})
            if not answer.startswith("[3"):
                raise Broken(f"after garbage, GetConfiguration.req was answered with {answer[:200]}")

        return await _soak("garbage frames", _count(GARBAGE_FRAMES, bed), running.process, send)


def _count(count: int, bed: Bed) -> int:
    return count // QUICK_PART if bed.quick else count


async def _soak(what: str, count: int, process: Process, turn: Callable[[int], Awaitable[None]]) -> list[Row]:
    before = process.resident_bytes() / KIB
    began = time.perf_counter()
    readings = []
    for _ in range(PARTS):
        await turn(count // PARTS)
        readings.append(process.resident_bytes() / KIB)
    elapsed = time.perf_counter() - began
    growth = median(readings[-PARTS // 4 :]) - readings[PARTS // 10]
    return [
        Row(f"growth over {count:,} {what}", "KiB", [growth], wish=WISH),
        # What the warm-up took is no leak, but memory all the same.
        Row(f"resident memory after {what}, before {before / KIB:.1f} MiB", "MiB", [readings[-1] / KIB]),
        Row(f"speed of {what}", "/s", [count / elapsed]),
    ]
