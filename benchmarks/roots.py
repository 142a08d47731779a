"""What GetInstalledCertificateIds.req costs with a full store: files opened after the first answer, and its time."""

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.bed import Bed
from benchmarks.result import Of, Row, Wish
from chargepoint.simulation.authority import Authority
from security.store import CaDomain, CertificateStore, Policy

ROOTS: Final = 100
LISTINGS: Final = 200
QUICK_LISTINGS: Final = 50
WISH: Final = Wish(0, of=Of.VALUE)


async def measure(bed: Bed) -> list[Row]:
    """Fill a store, open it anew, and list it again and again."""
    with TemporaryDirectory(prefix="bench-") as directory:
        return await asyncio.to_thread(_measure, Path(directory), QUICK_LISTINGS if bed.quick else LISTINGS)


def _measure(directory: Path, listings: int) -> list[Row]:
    _fill(directory)
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    store = CertificateStore.open(directory, policy=lambda: Policy(max_roots=ROOTS))
    first_ms = _listing_ms(store)
    opened.clear()
    times = [_listing_ms(store) for _ in range(listings)]
    below = [name for name in opened if name.startswith(str(directory))]
    return [
        Row(f"files opened by {listings} listings of {ROOTS} roots after the first", "", [len(below)], wish=WISH),
        Row(f"one listing of {ROOTS} roots, beside the first", "ms", times, [first_ms]),
    ]


def _fill(directory: Path) -> None:
    store = CertificateStore.open(directory, policy=lambda: Policy(max_roots=ROOTS))
    now = datetime.now(UTC)
    for number in range(ROOTS):
        root = Authority.root(f"Root {number}", "Example CPO")
        store.install_root(CaDomain.CENTRAL_SYSTEM, root.pem.decode(), now)


def _listing_ms(store: CertificateStore) -> float:
    began = time.perf_counter()
    listed = [data.to_mapping() for data in store.hash_data(CaDomain.CENTRAL_SYSTEM)]
    if len(listed) != ROOTS:
        raise RuntimeError(f"{len(listed)} roots were listed, not {ROOTS}")
    return (time.perf_counter() - began) * 1000
