"""How much memory a Charge Point holds, connected by TLS and idle.

VmRSS counts (decision 0050): Pss divides pages among all who share them, and the Central System of this benchmark is a
Python program too, so that Pss would charge it with a part of what a board has to bear alone. It is shown beside.
"""

import asyncio
from typing import Final

from benchmarks.bed import Bed
from benchmarks.result import Row, Wish

WISH: Final = Wish(1.55)
REPETITIONS: Final = 5
QUICK_REPETITIONS: Final = 2
SETTLE_SECONDS: Final = 2.0  #: seconds; what follows the boot is over

MIB: Final = 1024 * 1024


async def measure(bed: Bed) -> list[Row]:
    """Start ours and the baseline in turn and look at each once it is idle."""
    found = []
    for _ in range(QUICK_REPETITIONS if bed.quick else REPETITIONS):
        figures = []
        for charge_point in (bed.agent(tls=True), bed.bare("bare_ocpp.py", tls=True)):
            async with bed.start(charge_point) as running:
                await asyncio.sleep(SETTLE_SECONDS)
                figures += [running.process.resident_bytes() / MIB, running.process.proportional_bytes() / MIB]
        found.append(figures)
    resident, proportional, bare_resident, bare_proportional = zip(*found, strict=True)
    return [
        Row("resident memory (VmRSS), TLS, idle", "MiB", resident, bare_resident, WISH),
        Row("the same as Pss", "MiB", proportional, bare_proportional),
    ]
