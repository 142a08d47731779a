"""One transfer of ours in a process of its own, as the agent would carry it out, and what it did to the event loop.

Run as ``transfer_run.py upload URL FILE CERTIFICATE SIGNATURE``, or ``download`` in place of ``upload``, which verifies
the file as an update does up to Signature Verified. It prints seconds, growth of memory in bytes, and the 99th
percentile of the delay of the event loop, idle and meanwhile.
"""

import asyncio
import json
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any, Final

from chargepoint.configuration_table import TRANSFER_PROTOCOLS
from chargepoint.transfer import Transfers
from chargepoint.transfer_settings import TransferSettings
from security.certificate import parse_one
from security.signature import verify_digest

IDLE_SECONDS: Final = 1.0
TICK_SECONDS: Final = 0.005  #: seconds between two looks at the event loop
MAX_BYTES: Final = 1 << 34


async def main() -> None:
    """Measure."""
    kind, url, file = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    with TemporaryDirectory(prefix="bench-") as state:
        transfers = Transfers(TransferSettings(), Path(state), roots=tuple, allowed=lambda: TRANSFER_PROTOCOLS)
        await transfers.learn()
        import pycurl  # noqa: F401 - what it takes is not what a transfer takes

        idle, _ = await _watched(asyncio.sleep(IDLE_SECONDS))
        before = _resident_bytes()
        began = time.perf_counter()
        busy, most = await _watched(
            transfers.upload(file, url, file_name="log", resume=False, progress=lambda _: None)
            if kind == "upload"
            else _fetch_and_verify(transfers, url, file, certificate=sys.argv[4], signature=sys.argv[5])
        )
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "growth": most - before, "idle": idle, "busy": busy}))


async def _fetch_and_verify(transfers: Transfers, url: str, file: Path, *, certificate: str, signature: str) -> None:
    fetched = await transfers.download(url, file, max_bytes=MAX_BYTES, progress=lambda _: None)
    verification = verify_digest(fetched.sha256, signature, parse_one(certificate))
    if not verification.verified:
        raise RuntimeError(verification.reason)


async def _watched(work: Coroutine[Any, Any, object]) -> tuple[float, int]:
    """Do it; return the 99th percentile of the loop's delay in seconds, and the most memory that was held."""
    delays, most = [], 0
    task = asyncio.ensure_future(work)
    while not task.done():
        due = time.perf_counter() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        delays.append(time.perf_counter() - due)
        most = max(most, _resident_bytes())
    await task
    return quantiles(delays, n=100)[-1], most


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


if __name__ == "__main__":
    asyncio.run(main())
