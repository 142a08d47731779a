"""The power is cut while transactions begin, end and are told: no half of one is found, and no connector is blocked.

What has not reached the disk is cut off: SQLite's log, copied beside the database, loses its end at every frame and in
the middle of each. On what is left the next boot starts, is asked for a legal state, and tells the Central System.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chargepoint.availability import Availability
from chargepoint.database import Database
from chargepoint.state_schema import MIGRATIONS
from chargepoint.transactions import MessageKind
from tests.charging_bench import Bench, on_bench

LOG_HEADER_BYTES: Final = 32
FRAME_BYTES: Final = 24 + 4096
BEFORE: Final = 100
AFTER: Final = 200

Told = list[tuple[str, int, str]]
"""Kind, our number and reason of each message, in order."""


def cuts(log: Path) -> Iterator[int]:
    """Yield lengths of the log, from nothing to all of it: after each frame, and in the middle of the next."""
    size = log.stat().st_size
    yield 0
    for end in range(LOG_HEADER_BYTES, size, FRAME_BYTES):
        yield from (end, end + FRAME_BYTES // 2)
    yield size


async def tell_first(bench: Bench, ids_from: int, told: Told) -> bool:
    """Be the Central System for one message; returns whether there was one."""
    message = await bench.store.first()
    if message is None:
        return False
    told.append((message.kind.value, message.number, message.reason))
    if message.kind is MessageKind.START:
        await bench.store.confirm_start(message, ids_from + message.number)
    else:
        assert message.transaction_id in (BEFORE + message.number, AFTER + message.number)
        await bench.store.confirm_stop(message)
    return True


async def live(bench: Bench, told: Told) -> None:
    """Two transactions that overlap, told with delay, and an order to leave service."""
    await bench.charge(1, "FIRST")
    await tell_first(bench, BEFORE, told)
    await bench.charge(2, "SECOND")
    await Availability(bench.database, bench.connectors, bench.clock).change(2, operative=False)
    await bench.board.plug_out(1)
    await bench.has_status(1, "Available")
    await tell_first(bench, BEFORE, told)
    await tell_first(bench, BEFORE, told)
    await bench.charge(1, "THIRD")
    await bench.board.plug_out(2)
    await bench.has_status(2, "Unavailable")
    await bench.board.plug_out(1)
    await bench.has_status(1, "Available")


async def test_a_power_cut_leaves_whole_transactions_and_free_connectors(tmp_path: Path) -> None:
    # So that only what is written below is in SQLite's log, and not the tables.
    await (await Database.open(tmp_path / "state.db", MIGRATIONS)).close()
    kept = tmp_path / "kept"
    kept.mkdir()
    before: Told = []
    async with on_bench(tmp_path) as new_bench:
        bench = new_bench()
        async with bench.at_work():
            await live(bench, before)
            for name in ("state.db", "state.db-wal"):
                shutil.copy(tmp_path / name, kept / name)

    found = []
    for length in cuts(kept / "state.db-wal"):
        cut = tmp_path / f"cut-{length}"
        cut.mkdir()
        shutil.copy(kept / "state.db", cut / "state.db")
        (cut / "state.db-wal").write_bytes((kept / "state.db-wal").read_bytes()[:length])
        found.append(await after_cut(cut, before))
        shutil.rmtree(cut)

    assert found[0] == []
    assert found[-1] == [("start", 3, ""), ("stop", 2, "EVDisconnected"), ("stop", 3, "EVDisconnected")]
    seen = {message for told in found for message in told}
    assert {("stop", 1, "PowerLoss"), ("stop", 2, "PowerLoss"), ("stop", 3, "PowerLoss")} <= seen, "each was cut off"


async def after_cut(directory: Path, before: Told) -> Told:
    """Start, and tell all that is owed; returns what was told."""
    told: Told = []
    async with on_bench(directory) as new_bench:
        bench = new_bench("boot-2")
        async with bench.at_work():
            assert await bench.store.running() == []
            await Availability(bench.database, bench.connectors, bench.clock).change(2, operative=True)
            assert bench.statuses() == ["Available"] * 3
            while await tell_first(bench, AFTER, told):
                pass
            rows = "SELECT count(*) FROM charging_transaction"
            assert await bench.database.read(lambda connection: connection.execute(rows).fetchone()) == (0,)
            for connector in (1, 2):
                await bench.charge(connector, f"NEXT {connector}")
    for number in {number for _, number, _ in told}:
        # What was told before the cut and had not reached the disk is told again, and never a stop without its start.
        starts = [kind for kind, each, _ in (*before, *told) if each == number and kind == "start"]
        stops = [kind for kind, each, _ in told if each == number and kind == "stop"]
        assert starts
        assert len(stops) == 1
    return told
