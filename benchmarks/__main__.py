"""Runs the benchmarks: ``python -m benchmarks [--quick] [NAME ...]``.

Speed is a wish here, never a test: the exit status is 0 unless a benchmark cannot be finished.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from benchmarks import (
    idle,
    imported,
    memory,
    roots,
    round_trip,
    security_events,
    security_log,
    soak,
    start,
    transfers,
)
from benchmarks.bed import Bed, bed
from benchmarks.process import Broken
from benchmarks.result import Row, table

BENCHMARKS: Final[Mapping[str, Callable[[Bed], Awaitable[list[Row]]]]] = {
    "start": start.measure,
    "memory": memory.measure,
    "imports": imported.measure,
    "idle": idle.measure,
    "round-trip": round_trip.measure,
    "security-events": security_events.measure,
    "security-log": security_log.measure,
    "roots": roots.measure,
    "transfers": transfers.measure,
    "soak": soak.measure,
}

LONGEST: Final = timedelta(minutes=15)  #: for one benchmark; the soak takes about four here


def main() -> int:
    """Run what was asked for and print the table.

    Returns:
        The exit status: 1 when a benchmark broke.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the agent beside its baselines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: rough figures in about a minute")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    return asyncio.run(_run(options.names or list(BENCHMARKS), quick=options.quick))


async def _run(names: list[str], *, quick: bool) -> int:
    rows, is_broken = [], False
    async with bed(quick=quick) as here:
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                async with asyncio.timeout(LONGEST.total_seconds()):
                    rows += await BENCHMARKS[name](here)
            except (Broken, TimeoutError, OSError) as error:
                print(f"{name} broke: {str(error) or type(error).__name__}", file=sys.stderr)
                is_broken = True
    print(table(rows))
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
