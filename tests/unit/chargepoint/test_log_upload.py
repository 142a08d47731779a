"""The adapters between uploads and the world."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint import log_upload
from chargepoint.database import Database
from chargepoint.history import History
from chargepoint.job_journal import LOG_UPLOAD, JobJournal
from chargepoint.log_upload import MAX_LOCATION_CHARACTERS, MAX_ORDERS, STATUS_OF, LogUploads
from chargepoint.state import StateUnusable
from chargepoint.state_schema import MIGRATIONS
from chargepoint.status_delivery import StatusDelivery
from chargepoint.transfer_fault import TransferFailed, TransferFault
from logs.request import Retrying
from logs.status import FAILURES, LogKind, UploadStatus
from tests.upload_bench import LOCATION, NOON, PATIENCE_S, Server, Text


class Bench:
    """The uploads over a database, with a server that is a list."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.server = Server()
        self.content = Text()
        self.booted = asyncio.Event()
        self.booted.set()
        self.database = database
        self.history = History(lambda: NOON)
        self.uploads = LogUploads(
            database,
            transfers=self.server,
            contents=dict.fromkeys(LogKind, self.content),
            directory=directory,
            retrying=Retrying(0, timedelta()),
            now=lambda: NOON,
            history=self.history,
            delivery=StatusDelivery(),
            booted=self._wait,
        )

    async def _wait(self) -> None:
        await self.booted.wait()

    async def ask(self, request_id: int | None = 7, location: str = LOCATION) -> str:
        accepted = await self.uploads.ask(
            LogKind.SECURITY_LOG,
            location,
            request_id=request_id,
            retries=None,
            retry_interval_s=None,
            oldest=None,
            latest=None,
        )
        accepted.begin()
        return str(accepted.status)

    async def over(self) -> UploadStatus | None:
        """Wait for the end of the upload of a log and return its status."""
        async with asyncio.timeout(PATIENCE_S):
            while (work := self.uploads.log._work) is not None and not work.done():
                await asyncio.wait([work])
        machine = self.uploads.log._machine
        return machine.end_status if machine else None

    async def owed(self, job: str) -> list[tuple[str, int | None]]:
        """Empty the queue of a job and return what was in it."""
        journal, found = JobJournal(self.database, job), []
        while (report := await journal.next_report()) is not None:
            found.append((report.status, report.request_id))
            await journal.note_sent(report)
        return found


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    bench = Bench(database, tmp_path)
    await bench.uploads.open()
    yield bench
    await bench.uploads.close()
    await database.close()


@pytest.mark.parametrize("fault", TransferFault)
async def test_each_fault_of_a_transfer_has_its_status(bench: Bench, fault: TransferFault) -> None:
    bench.server.fail(TransferFailed(fault))
    await bench.ask()
    assert STATUS_OF[fault] in FAILURES
    assert await bench.over() is STATUS_OF[fault]


async def test_a_spool_file_is_made_below_the_state_directory(bench: Bench, tmp_path: Path) -> None:
    bench.server.go_on.clear()
    await bench.ask()
    await asyncio.wait_for(bench.server.running.wait(), PATIENCE_S)
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["log-upload.spool"]
    assert (tmp_path / "uploads").stat().st_mode & 0o777 == 0o700


async def test_an_orphan_of_a_kill_is_swept_at_the_start(bench: Bench, tmp_path: Path) -> None:
    orphan = tmp_path / "uploads" / ".log-upload.spool.0123456789abcdef.tmp"
    orphan.write_text("half a file")
    await bench.uploads.open()
    assert not orphan.exists()


async def test_an_upload_begins_when_the_charge_point_is_accepted(bench: Bench) -> None:
    bench.booted.clear()
    await bench.ask()
    assert bench.server.received == []
    bench.booted.set()
    assert await bench.over() is UploadStatus.UPLOADED


async def test_an_upload_begins_all_the_same_where_that_takes_too_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_upload, "MAX_BOOT_WAIT", timedelta())
    bench.booted.clear()
    await bench.ask()
    assert await bench.over() is UploadStatus.UPLOADED


async def test_requests_without_an_id_are_told_apart(bench: Bench) -> None:
    bench.server.go_on.clear()
    assert await bench.ask(None) == "Accepted"
    await asyncio.wait_for(bench.server.running.wait(), PATIENCE_S)
    assert await bench.ask(None) == "AcceptedCanceled"
    assert await bench.owed("diagnostics upload") == []
    assert "request_id" not in bench.uploads.status()["diagnostics_upload"]  # type: ignore[operator]


async def test_a_flood_wears_no_flash_out(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    answers = [await bench.ask(number) for number in range(MAX_ORDERS + 2)]
    assert "Rejected" not in answers[:MAX_ORDERS]
    assert answers[MAX_ORDERS:] == ["Rejected", "Rejected"]
    assert f"more than {MAX_ORDERS} came at once" in caplog.text
    assert await bench.over() is UploadStatus.UPLOADED


async def test_a_location_that_is_worth_nothing_is_not_kept(bench: Bench) -> None:
    assert await bench.ask(location="ftp://h/".ljust(MAX_LOCATION_CHARACTERS + 1, "x")) == "Rejected"
    assert await JobJournal(bench.database, LOG_UPLOAD).load() is None


async def test_status_shows_both(bench: Bench) -> None:
    assert bench.uploads.status() == {"log_upload": {"state": "idle"}, "diagnostics_upload": {"state": "idle"}}


async def test_each_try_is_in_the_history_without_its_credentials(bench: Bench) -> None:
    bench.server.fail(TransferFailed(TransferFault.INTERRUPTED, "after 5 bytes"))
    await bench.ask(location="ftp://user:word@files.example.com/inbox/")
    await bench.over()
    (entry,) = bench.history.entries(None, None)
    assert entry["what"] == "log upload"
    assert "after 5 bytes" in str(entry)
    assert "files.example.com" in str(entry)
    assert "word" not in str(entry)


class TestBroken:
    """What the database cannot do ends no more than it must."""

    FAULT = StateUnusable(Path("state.db"), "it is damaged", "put a copy back")

    async def test_a_window_that_cannot_be_looked_at_is_rejected(self, bench: Bench) -> None:
        bench.content.unreadable = self.FAULT
        assert await bench.ask() == "Rejected"

    async def test_a_log_that_cannot_be_read_fails_its_upload(self, bench: Bench) -> None:
        bench.content.fault = self.FAULT
        await bench.ask()
        assert await bench.over() is UploadStatus.UPLOAD_FAILURE
        assert await bench.owed("log upload") == [("UploadFailure", 7)]

    async def test_a_request_that_cannot_be_kept_is_rejected(self, bench: Bench) -> None:
        refuse: Any = "CREATE TRIGGER full BEFORE INSERT ON job BEGIN SELECT raise(FAIL, 'full'); END"
        await bench.database.write(lambda connection: connection.execute(refuse).rowcount)
        assert await bench.ask() == "Rejected"

    async def test_a_past_that_cannot_be_read_is_told_in_the_log(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        await bench.database.write(lambda connection: connection.execute("DROP TABLE job").rowcount)
        await bench.uploads.open()
        assert "log upload: what the last process has left is not known" in caplog.text
