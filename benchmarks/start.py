"""How long it takes from the start of the process until the Central System has read BootNotification.req."""

from typing import Final

from benchmarks.bed import Bed
from benchmarks.result import Row, Wish

WISH: Final = Wish(1.4)
REPETITIONS: Final = 15
QUICK_REPETITIONS: Final = 5


async def measure(bed: Bed) -> list[Row]:
    """Start ours with a fresh and an existing state and the baseline in turn; the first round only warms the caches."""
    kept, kept_tls = bed.agent(), bed.agent(tls=True)
    bare, bare_tls = bed.bare("bare_ocpp.py"), bed.bare("bare_ocpp.py", tls=True)
    rounds, spent = [], []
    for _ in range(1 + (QUICK_REPETITIONS if bed.quick else REPETITIONS)):
        times, cpu = [], []
        for charge_point in (bare, bed.agent(), kept, bare_tls, kept_tls):
            async with bed.start(charge_point) as running:
                times.append(running.start_seconds * 1000)
                cpu.append(running.process.cpu_seconds() * 1000)
        rounds.append(times)
        spent.append(cpu)
    baseline, fresh, existing, baseline_tls, existing_tls = zip(*rounds[1:], strict=True)
    baseline_cpu, _, existing_cpu, *_ = zip(*spent[1:], strict=True)
    return [
        Row("start to boot, fresh state", "ms", fresh, baseline, WISH),
        Row("start to boot, existing state", "ms", existing, baseline, WISH),
        Row("start to boot, existing state, TLS", "ms", existing_tls, baseline_tls, WISH),
        # Steadier than the time on a busy machine, so the better guide when something is to be made faster.
        Row("CPU time until then, existing state", "ms", existing_cpu, baseline_cpu),
    ]
