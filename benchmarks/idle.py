"""How much CPU time a connected Charge Point takes that nobody asks anything."""

import asyncio
import time
from typing import Final

from benchmarks.bed import Bed
from benchmarks.process import Process
from benchmarks.result import Of, Row, Wish

WISH: Final = Wish(0.05, of=Of.VALUE)
"""Percent of one core: what `top` still shows as 0.0."""

SETTLE_SECONDS: Final = 3.0  #: seconds; what follows the boot is over
REPETITIONS: Final = 6
QUICK_REPETITIONS: Final = 2
SPAN_SECONDS: Final = 5.0  #: seconds a value covers; all of them together stay below the first heartbeat


async def measure(bed: Bed) -> list[Row]:
    """Watch ours and the baseline at the same time: idle as they are, they do not disturb each other."""
    charge_points = (bed.agent(tls=True), bed.bare("bare_ocpp.py", tls=True))
    async with bed.start(charge_points[0]) as ours, bed.start(charge_points[1]) as bare:
        await asyncio.sleep(SETTLE_SECONDS)
        spans = [
            await _span(ours.process, bare.process) for _ in range(QUICK_REPETITIONS if bed.quick else REPETITIONS)
        ]
    used, bare_used = zip(*spans, strict=True)
    return [Row("CPU when idle, TLS", "%", used, bare_used, WISH)]


async def _span(*processes: Process) -> list[float]:
    """Return the share of one core that each process took over a while, in percent."""
    began, before = time.perf_counter(), [process.cpu_seconds() for process in processes]
    await asyncio.sleep(SPAN_SECONDS)
    elapsed = time.perf_counter() - began
    return [100 * (process.cpu_seconds() - was) / elapsed for process, was in zip(processes, before, strict=True)]
