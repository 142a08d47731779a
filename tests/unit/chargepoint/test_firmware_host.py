"""The adapters of a firmware update: time, health, events on a failing disk, and what a failed transfer means."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint import firmware_host
from chargepoint.clock import Clock
from chargepoint.database import Database
from chargepoint.database_error import DatabaseFailed
from chargepoint.events import EventDoor
from chargepoint.firmware_host import Downloads, FirmwareHost
from chargepoint.firmware_settings import FirmwareSettings
from chargepoint.firmware_update import policy_of
from chargepoint.history import History
from chargepoint.job_journal import FIRMWARE_UPDATE, JobJournal
from chargepoint.state_schema import MIGRATIONS
from chargepoint.status_delivery import StatusDelivery
from chargepoint.transfer import Download, TransferFailed, TransferFault
from firmware.command import Report
from firmware.port import FetchRefused
from firmware.record import Policy
from logs.security_log import SecurityLog
from security.event import SecurityEventType

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LOCATION = "https://user:secret@files.example.com/firmware.bin"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield opened
    await opened.close()


class Board:
    """A clock that is moved by the test."""

    def __init__(self) -> None:
        self.passed = timedelta()
        self.clock = Clock(system=lambda: NOW + self.passed, monotonic=self.passed.total_seconds)


def host_on(
    database: Database,
    *,
    board: Board | None = None,
    delivery: StatusDelivery | None = None,
    mark_good_after: timedelta = timedelta(minutes=10),
    did: list[str] | None = None,
) -> FirmwareHost:
    """A host on a real database."""
    clock = (board or Board()).clock
    notes = [] if did is None else did

    async def note() -> None:
        notes.append("new firmware")

    return FirmwareHost(
        clock=clock,
        events=EventDoor(SecurityLog(database, max_events=100, max_age=timedelta(days=365)), clock, "boot-1"),
        delivery=delivery or StatusDelivery(),
        mark_good_after=mark_good_after,
        note_new_firmware=note,
        reboot=lambda: notes.append("reboot"),
    )


class TestHost:
    async def test_time_is_waited_for_by_looking_at_the_clock(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        board, looks = Board(), []
        host = host_on(database, board=board)

        async def sleep(seconds: float) -> None:
            looks.append(seconds)
            board.passed += timedelta(seconds=seconds)

        monkeypatch.setattr("chargepoint.firmware_host.asyncio.sleep", sleep)
        await host.wait_until(NOW + timedelta(seconds=7))
        assert looks == [5.0, 2.0]
        assert host.now() == NOW + timedelta(seconds=7)
        await host.wait_until(NOW)
        assert len(looks) == 2

    async def test_an_event_that_the_disk_refuses_is_recorded_before_anything_goes_on(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(firmware_host, "DISK_RETRY", timedelta())
        record, failures = SecurityLog.record, [2]

        async def failing(self: SecurityLog, *about: Any, **more: Any) -> None:
            if failures[0]:
                failures[0] -= 1
                raise DatabaseFailed(Path("state.db"), "no space is left", "free some")
            await record(self, *about, **more)

        monkeypatch.setattr(SecurityLog, "record", failing)
        await host_on(database).record(SecurityEventType.FIRMWARE_UPDATED, "request 1")
        log = SecurityLog(database, max_events=100, max_age=timedelta(days=365))
        assert [each.event.tech_info for each in await log.read(None, None, 10)] == ["request 1"]

    async def test_one_connection_is_health_enough(self, database: Database) -> None:
        host = host_on(database)
        waiting = asyncio.create_task(host.wait_until_healthy())
        connected = asyncio.create_task(host.wait_until_connected())
        await asyncio.sleep(0)
        assert not waiting.done()
        host.note_connected()
        await asyncio.wait_for(asyncio.gather(waiting, connected), 5)

    async def test_so_is_having_run_for_long_enough(self, database: Database) -> None:
        await asyncio.wait_for(host_on(database, mark_good_after=timedelta()).wait_until_healthy(), 5)

    async def test_whether_all_was_told_is_asked_of_the_delivery(self, database: Database) -> None:
        journal, delivery = JobJournal(database, FIRMWARE_UPDATE), StatusDelivery()
        delivery.add(journal, lambda report: report)
        host = host_on(database, delivery=delivery)
        assert await host.wait_until_told(timedelta(seconds=5))
        await journal.commit({}, [Report("InstallRebooting", 1)])
        assert not await host.wait_until_told(timedelta())

    async def test_what_only_the_agent_can_do_is_handed_on(self, database: Database) -> None:
        did: list[str] = []
        host = host_on(database, did=did)
        await host.note_new_firmware()
        host.reboot()
        assert did == ["new firmware", "reboot"]


class Door:
    """Transfers that end as the test says."""

    def __init__(self, failure: TransferFailed | None = None) -> None:
        self.failure = failure
        self.asked: list[tuple[str, int]] = []

    async def download(self, location: str, target: Path, *, max_bytes: int, progress: Callable[..., None]) -> Download:
        self.asked.append((location, max_bytes))
        if self.failure is not None:
            raise self.failure
        return Download(5, b"\x5e" * 32)


async def at_once() -> None:
    return


def downloads(door: Door, online: Callable[[], Any] = at_once) -> tuple[Downloads, History]:
    history = History(lambda: NOW)
    return Downloads(door, max_bytes=1000, online=online, history=history), history  # type: ignore[arg-type]


class TestDownloads:
    async def test_what_is_fetched_is_bounded_and_told_by_its_hash(self, tmp_path: Path) -> None:
        door = Door()
        fetch, history = downloads(door)
        fetched = await fetch.fetch(LOCATION, tmp_path / "image", lambda progress: None)
        assert (fetched.sha256, fetched.size_bytes) == ("5e" * 32, 5)
        assert door.asked == [(LOCATION, 1000)]
        assert "secret" not in str(history.entries())

    @pytest.mark.parametrize(
        ("fault", "again"),
        [
            (TransferFault.UNREACHABLE, True),
            (TransferFault.NOT_FOUND, True),
            (TransferFault.BAD_URL, False),
            (TransferFault.TOO_LARGE, False),
        ],
    )
    async def test_a_failed_transfer_says_whether_another_try_is_worth_it(
        self, fault: TransferFault, again: bool, tmp_path: Path
    ) -> None:
        fetch, history = downloads(Door(TransferFailed(fault, "why it failed")))
        with pytest.raises(FetchRefused, match="why it failed") as raised:
            await fetch.fetch(LOCATION, tmp_path / "image", lambda progress: None)
        assert raised.value.worth_retrying is again
        assert "why it failed" in str(history.entries())

    async def test_the_network_is_waited_for_but_not_for_ever(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(firmware_host, "MAX_NETWORK_WAIT", timedelta(milliseconds=1))
        door = Door()
        fetch, _ = downloads(door, asyncio.Event().wait)
        await fetch.fetch(LOCATION, tmp_path / "image", lambda progress: None)
        assert door.asked


def test_the_table_becomes_the_policy_of_the_machine() -> None:
    assert policy_of(FirmwareSettings()) == Policy()
    assert policy_of(FirmwareSettings(max_wait=timedelta(hours=1))).max_wait == timedelta(hours=1)
