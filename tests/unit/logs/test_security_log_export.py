"""The security log as a file: the right events, all of them, in order, while others are recorded; read page by page."""

import asyncio
import gzip
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.database import Database
from chargepoint.migration import Migration
from logs import event_table
from logs.event_queue import EventQueue
from logs.security_log import SecurityLog
from logs.security_log_export import PAGE_EVENTS, SecurityLogExport
from security.errors import StorageFull
from security.event import SecurityEvent, SecurityEventType

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LOGGED = SecurityEventType.INVALID_MESSAGES
SENT = SecurityEventType.TAMPER_DETECTION_ACTIVATED


class Bench:
    """A log, and what is written of it."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database = database
        self.log = SecurityLog(database, max_events=1_000_000, max_age=timedelta(days=365))
        self.target = directory / "spool"

    def export(self, form: str = "jsonl", *, compressed: bool = False, min_free_bytes: int = 0) -> SecurityLogExport:
        return SecurityLogExport(
            self.database, identity="CP001", form=form, compressed=compressed, min_free_bytes=min_free_bytes
        )

    async def record(self, at: datetime, text: str = "", event_type: str = LOGGED, *, time_known: bool = True) -> int:
        event = SecurityEvent(event_type, at, text)
        return await self.log.record(event, boot_id="boot", monotonic=0, time_known=time_known)

    async def fill(self, count: int, step: timedelta = SECOND) -> None:
        """Record so many events, numbered, one a step."""
        rows = [(str(number), event_table.to_us(NOON + number * step)) for number in range(count)]
        insert = (
            "INSERT INTO security_event "
            "(type, tech_info, occurred_us, time_known, boot_id, monotonic_us, critical, owed)"
            " VALUES ('InvalidMessages', ?, ?, 1, 'boot', 0, 0, 0)"
        )
        await self.database.write(lambda connection: connection.executemany(insert, rows).rowcount)

    async def exported(self, oldest: datetime | None = None, latest: datetime | None = None) -> list[Any]:
        """Return the tech infos of a window, as the file has them."""
        size = await self.export().write(self.target, oldest, latest)
        content = self.target.read_bytes()
        assert len(content) == size
        return [json.loads(line)["techInfo"] for line in content.splitlines()]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = await Database.open(tmp_path / "state.db", (Migration(event_table.SCHEMA),))
    yield Bench(database, tmp_path)
    await database.close()


async def test_holds_every_event_of_the_log_with_every_field(bench: Bench) -> None:
    await bench.record(NOON, "first", SENT)
    await bench.record(NOON + SECOND, "second", time_known=False)
    await EventQueue(bench.database).confirm(await EventQueue(bench.database).page())
    await bench.export().write(bench.target, None, None)
    first, second = map(json.loads, bench.target.read_text().splitlines())
    assert first == {
        "id": 1,
        "timestamp": "2027-03-01T12:00:00.000Z",
        "type": "TamperDetectionActivated",
        "techInfo": "first",
        "timeKnown": True,
        "critical": True,
        "owed": True,
        "delivered": True,
    }
    assert (second["timeKnown"], second["critical"], second["owed"], second["delivered"]) == (False,) * 4


@pytest.mark.parametrize(
    ("oldest", "latest", "expected"),
    [
        (None, None, 5),
        (NOON, None, 5),
        (NOON + SECOND, NOON + 3 * SECOND, 3),
        (NOON + SECOND / 2, NOON + 3 * SECOND / 2, 1),
        (None, NOON, 1),
        (NOON + 4 * SECOND, None, 1),
        (NOON + 5 * SECOND, None, 0),
        (None, NOON - SECOND, 0),
        (NOON + 3 * SECOND, NOON + SECOND, 0),
        (NOON + 2 * SECOND, NOON + SECOND, 0),
    ],
)
async def test_the_window_has_both_its_ends(
    bench: Bench, oldest: datetime | None, latest: datetime | None, expected: int
) -> None:
    await bench.fill(5)
    assert len(await bench.exported(oldest, latest)) == expected
    assert await bench.export().is_available(oldest, latest) is bool(expected)


async def test_a_time_as_it_was_shown_finds_its_event(bench: Bench) -> None:
    await bench.record(NOON + timedelta(microseconds=123_456), "x")
    shown = NOON + timedelta(milliseconds=123)
    assert await bench.exported(shown, shown) == ["x"]
    assert await bench.export().is_available(shown, shown)


@pytest.mark.parametrize("step", [SECOND, timedelta()])
async def test_pages_follow_each_other_without_a_gap(bench: Bench, step: timedelta) -> None:
    count = 2 * PAGE_EVENTS + 3
    await bench.fill(count, step)  # the second time all at one instant
    assert await bench.exported() == [str(number) for number in range(count)]


async def test_comes_in_the_order_of_time_and_not_of_recording(bench: Bench) -> None:
    await bench.record(NOON + SECOND, "later")
    await bench.record(NOON, "earlier")
    await bench.record(NOON + SECOND, "later, too")
    assert await bench.exported() == ["earlier", "later", "later, too"]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("compressed", [False, True])
async def test_an_empty_log_is_a_sane_file(bench: Bench, form: str, compressed: bool) -> None:
    await bench.export(form, compressed=compressed).write(bench.target, None, None)
    content = bench.target.read_bytes()
    text = gzip.decompress(content) if compressed else content
    head = b"id,timestamp,type,techInfo,timeKnown,critical,owed,delivered\r\n"
    assert text == (b"" if form == "jsonl" else head)


async def test_csv_has_its_head_once_and_a_record_an_event(bench: Bench) -> None:
    await bench.fill(PAGE_EVENTS + 1)
    await bench.export("csv").write(bench.target, None, None)
    lines = bench.target.read_bytes().split(b"\r\n")
    assert lines.pop() == b""
    assert len(lines) == PAGE_EVENTS + 2
    assert lines.count(lines[0]) == 1


async def test_is_compressed_where_that_is_wanted(bench: Bench) -> None:
    await bench.fill(PAGE_EVENTS + 1)
    plain = await bench.export().write(bench.target, None, None)
    text = bench.target.read_bytes()
    compressed = await bench.export(compressed=True).write(bench.target, None, None)
    assert gzip.decompress(bench.target.read_bytes()) == text
    assert compressed < plain / 4


@pytest.mark.parametrize(
    ("form", "compressed", "extension"),
    [("jsonl", False, ".jsonl"), ("jsonl", True, ".jsonl.gz"), ("csv", False, ".csv"), ("csv", True, ".csv.gz")],
)
def test_the_name_tells_what_it_is(form: str, compressed: bool, extension: str) -> None:
    storage: Any = None
    export = SecurityLogExport(storage, identity="CP001", form=form, compressed=compressed, min_free_bytes=0)
    assert export.file_name(NOON) == f"CP001-security-log-20270301T120000Z{extension}"


async def test_events_are_recorded_meanwhile_and_wait_for_the_next_export(bench: Bench) -> None:
    await bench.fill(5 * PAGE_EVENTS)
    export = asyncio.create_task(bench.exported())
    recorded = 0
    while not export.done():
        await bench.record(NOON + timedelta(days=1), "meanwhile")
        recorded += 1
    exported = await export
    assert recorded > 5, "each page lets others have their turn"
    assert exported[: 5 * PAGE_EVENTS] == [str(number) for number in range(5 * PAGE_EVENTS)]
    assert len(exported) <= 5 * PAGE_EVENTS + 1  # the one that came before the first page


async def test_a_page_is_found_by_the_index_and_not_sorted(bench: Bench) -> None:
    statements: list[str] = []

    def watch(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(statements.append)

    await bench.fill(3)
    await bench.database.read(watch)
    await bench.exported(NOON, NOON + SECOND)
    await bench.export().is_available(NOON, NOON + SECOND)
    pages = [each for each in statements if "occurred_us" in each]
    assert len(pages) == 3  # the page, the one behind it, the look whether there is anything
    plans = [await plan_of(bench.database, page) for page in pages]
    for plan in plans:
        assert "security_event_by_time (occurred_us>? AND occurred_us<?)" in plan
        assert "TEMP B-TREE" not in plan
        assert "SCAN" not in plan
    # Thousands of events at one instant cost no more than others.
    assert "security_event_by_time (occurred_us=? AND rowid>? AND rowid<?)" in plans[0]


async def plan_of(database: Database, query: str) -> str:
    return str(await database.read(lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()))


async def test_a_disk_without_room_leaves_no_file(bench: Bench, tmp_path: Path) -> None:
    await bench.fill(10)
    with pytest.raises(StorageFull):
        await bench.export(min_free_bytes=2**62).write(bench.target, None, None)
    assert not [each for each in tmp_path.iterdir() if "spool" in each.name]
