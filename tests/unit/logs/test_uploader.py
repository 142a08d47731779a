"""The driver of uploads: what it keeps, what it does, and what it leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from logs import uploader as uploader_module
from logs.request import Retrying
from logs.status import Answer, UploadStatus
from logs.upload_port import ContentFailed
from security import durable
from security.errors import StorageFailed
from tests.upload_bench import DISK_FULL, LOCATION, NOON, PATIENCE_S, Bench, Half, asked, refused

UPLOADING = ("Uploading", 7)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "uploads")
    await bench.uploader.open()
    yield bench
    await bench.uploader.close()


async def test_an_upload_is_written_sent_told_and_cleared_away(bench: Bench) -> None:
    accepted = await bench.uploader.request(asked())
    assert (accepted.status, accepted.file_name) == (Answer.ACCEPTED, "log-1200.txt")
    assert (bench.memory.state, bench.server.received) == ("accepted", [])  # nothing begins before the answer is out
    accepted.begin()
    assert await bench.over() == [UPLOADING, ("Uploaded", 7)]
    assert bench.server.received == [("log-1200.txt", "an event\n", False)]
    assert bench.server.locations == [LOCATION]
    assert bench.spool == []


@pytest.mark.parametrize(
    "window", [{"oldest": NOON, "latest": NOON - timedelta(seconds=1)}, {}], ids=["turned", "empty"]
)
async def test_a_window_with_nothing_in_it_is_rejected_and_disturbs_nobody(bench: Bench, window: Any) -> None:
    bench.server.go_on.clear()
    await bench.ask(asked())
    await bench.begun()
    if not window:
        bench.content.text = None
    accepted = await bench.uploader.request(asked(8, **window))
    assert (accepted.status, accepted.file_name) == (Answer.REJECTED, None)
    accepted.begin()
    bench.server.go_on.set()
    assert await bench.over() == [UPLOADING, ("Uploaded", 7)]


async def test_a_log_that_cannot_be_read_is_rejected(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.content.unreadable = ContentFailed("state.db: it is damaged")
    assert await bench.ask(asked()) == "Rejected"
    assert "what there is cannot be read: state.db: it is damaged" in caplog.text


class TestFailed:
    async def test_is_tried_again_where_it_ended_and_told_once(self, bench: Bench) -> None:
        bench.server.fail(refused(), refused())
        await bench.ask(asked(retries=2))
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]
        assert [resumed for _, _, resumed in bench.server.received] == [False, True, True]

    async def test_before_the_server_took_anything_begins_anew(self, bench: Bench) -> None:
        bench.server.taken = Half(done_bytes=0)
        bench.server.fail(refused())
        await bench.ask(asked(retries=1))
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]
        assert [resumed for _, _, resumed in bench.server.received] == [False, False]

    async def test_for_good_ends_in_the_status_of_the_last_try(self, bench: Bench) -> None:
        bench.server.fail(refused(), refused(UploadStatus.PERMISSION_DENIED))
        await bench.ask(asked(retries=1))
        assert await bench.over() == [UPLOADING, ("PermissionDenied", 7)]
        assert bench.spool == []

    async def test_is_not_tried_again_where_that_is_no_use(self, bench: Bench) -> None:
        bench.server.fail(refused(UploadStatus.BAD_MESSAGE, worth_retrying=False))
        await bench.ask(asked())
        assert await bench.over() == [UPLOADING, ("BadMessage", 7)]
        assert len(bench.server.received) == 1

    @pytest.mark.parametrize("fault", [DISK_FULL, ContentFailed("state.db: it is damaged")], ids=["disk", "content"])
    async def test_to_write_the_file_is_told(
        self, bench: Bench, caplog: pytest.LogCaptureFixture, fault: Exception
    ) -> None:
        bench.content.fault = fault
        await bench.ask(asked())
        assert await bench.over() == [("UploadFailure", 7)]
        assert f"log upload 7: the file cannot be written: {fault}" in caplog.text

    @pytest.mark.parametrize("where", ["content", "port"])
    async def test_by_a_fault_of_ours_ends_this_upload_and_no_other(
        self, bench: Bench, caplog: pytest.LogCaptureFixture, where: str
    ) -> None:
        fault = ZeroDivisionError("a slip")
        if where == "content":
            bench.content.fault = fault
        else:
            bench.server.fail(fault)
        await bench.ask(asked())
        assert (await bench.over())[-1] == ("UploadFailure", 7)
        assert "log upload has failed by a fault of this program" in caplog.text
        bench.content.fault = None
        await bench.ask(asked(8))
        await bench.memory.until(lambda memory: ("Uploaded", 8) in memory.reports)

    async def test_waits_as_long_as_it_was_told_to(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        sleep = asyncio.sleep

        async def note(seconds: float) -> None:
            waits.append(seconds)
            await sleep(0)

        bench.server.fail(refused(), refused())
        monkeypatch.setattr(asyncio, "sleep", note)
        await bench.ask(asked(retrying=Retrying(2, timedelta(seconds=75))))
        assert (await bench.over())[-1] == ("Uploaded", 7)
        assert [wait for wait in waits if wait] == [75, 75]


class TestCanceled:
    async def test_an_upload_stops_and_tells_nothing_more(self, bench: Bench) -> None:
        bench.server.go_on.clear()
        await bench.ask(asked(7))
        await bench.begun()
        accepted = await bench.uploader.request(asked(8))
        assert accepted.status is Answer.ACCEPTED_CANCELED
        assert bench.memory.reports == []
        bench.server.go_on.set()
        accepted.begin()
        assert await bench.over() == [("Uploading", 8), ("Uploaded", 8)]
        assert bench.server.stopped == 1

    @pytest.mark.parametrize("request_id", [7, 8])
    async def test_two_requests_that_race_leave_the_last_one(self, bench: Bench, request_id: int) -> None:
        first, second = await asyncio.gather(
            bench.uploader.request(asked(7)), bench.uploader.request(asked(request_id))
        )
        assert (first.status, second.status) == (Answer.ACCEPTED, Answer.ACCEPTED_CANCELED)
        second.begin()
        first.begin()
        assert await bench.over() == [("Uploading", request_id), ("Uploaded", request_id)]
        assert len(bench.server.received) == 1

    async def test_what_is_owed_of_an_upload_that_has_ended_stays_owed(self, bench: Bench) -> None:
        await bench.ask(asked(7))
        await bench.over()
        assert await bench.ask(asked(8)) == "Accepted"
        await bench.memory.until(lambda memory: ("Uploaded", 8) in memory.reports)
        assert bench.memory.reports[:2] == [UPLOADING, ("Uploaded", 7)]

    async def test_while_it_waits_for_its_next_try(self, bench: Bench) -> None:
        bench.server.fail(refused())
        await bench.ask(asked(7, retrying=Retrying(1, timedelta(hours=1))))
        await bench.memory.until(lambda memory: memory.state == "waiting")
        assert await bench.ask(asked(8)) == "AcceptedCanceled"
        assert await bench.over() == [("Uploading", 8), ("Uploaded", 8)]

    async def test_the_next_file_is_written_when_the_old_one_is_out_of_use(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        leave, write = asyncio.Event(), bench.content.write

        async def upload(*_: object, **__: object) -> None:
            bench.server.running.set()
            try:
                await asyncio.Event().wait()
            finally:
                await leave.wait()
                steps.append("the old transfer ends")

        async def note(*args: Any) -> int:
            steps.append("a file is written")
            return await write(*args)

        with monkeypatch.context() as patched:
            patched.setattr(bench.server, "upload", upload)
            patched.setattr(bench.content, "write", note)
            await bench.ask(asked(7))
            await bench.server.running.wait()
            await bench.ask(asked(8))
            asyncio.get_running_loop().call_soon(leave.set)
            await bench.memory.until(lambda memory: ("Uploading", 8) in memory.reports)
        assert steps == ["a file is written", "the old transfer ends", "a file is written"]


class TestRestarted:
    async def _interrupted(self, bench: Bench) -> None:
        bench.server.go_on.clear()
        await bench.ask(asked())
        await bench.begun()

    @pytest.mark.parametrize("orderly", [True, False])
    async def test_in_the_middle_of_the_transfer_goes_on_behind_what_is_there(
        self, bench: Bench, orderly: bool
    ) -> None:
        await self._interrupted(bench)
        if orderly:
            await bench.uploader.close()
            bench.start()
        else:
            await bench.kill()
        bench.server.go_on.set()
        await bench.uploader.open()
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]
        assert bench.server.received[-1] == ("log-1200.txt", "an event\n", True)
        assert bench.spool == []

    async def test_before_the_answer_was_out_begins(self, bench: Bench) -> None:
        await bench.uploader.request(asked())
        await bench.kill()
        await bench.uploader.open()
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]

    async def test_without_its_file_writes_it_anew(self, bench: Bench) -> None:
        await self._interrupted(bench)
        await bench.kill()
        for path in bench.spool:
            path.unlink()
        bench.content.text = "more\n"
        bench.server.go_on.set()
        await bench.uploader.open()
        await bench.over()
        assert bench.server.received[-1] == ("log-1200.txt", "more\n", False)

    async def test_that_is_killed_again_and_again_is_given_up(self, bench: Bench) -> None:
        await self._interrupted(bench)
        for number in range(2):
            await bench.kill()
            bench.server.running.clear()
            await bench.uploader.open()
            await asyncio.wait_for(bench.server.running.wait(), PATIENCE_S)
            assert len(bench.server.received) == 2 + number
        await bench.kill()
        await bench.uploader.open()
        assert await bench.over() == [UPLOADING, ("UploadFailure", 7)]
        assert bench.spool == []

    async def test_in_order_may_be_as_often_as_it_is_wanted(self, bench: Bench) -> None:
        await self._interrupted(bench)
        for _ in range(4):
            await bench.uploader.close()
            bench.server.running.clear()
            bench.start()
            await bench.uploader.open()
            await asyncio.wait_for(bench.server.running.wait(), PATIENCE_S)
        bench.server.go_on.set()
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]

    async def test_after_the_end_only_clears_away(self, bench: Bench) -> None:
        await bench.ask(asked())
        await bench.over()
        await bench.kill()
        (bench.directory / "log-upload.spool").write_text("left behind")
        await bench.uploader.open()
        await bench.settled()
        assert bench.spool == []
        assert len(bench.memory.reports) == 2
        assert bench.uploader.status()["last_status"] == "Uploaded"

    async def test_without_a_past_clears_away_what_nobody_knows(self, bench: Bench) -> None:
        (bench.directory / "log-upload.spool").write_text("left behind")
        await (await bench.kill()).open()
        await bench.settled()
        assert bench.spool == []

    @pytest.mark.parametrize(
        ("text", "owed"),
        [
            ('{"state": "sleeping", "request": {"request_id": 9}}', [("UploadFailure", 9)]),
            ('{"state": "sleeping", "request": {"request_id": "nine"}}', [("UploadFailure", None)]),
            ('{"state": "sleeping", "request": null}', [("UploadFailure", None)]),
            ('{"state": "uploaded", "request": {"request_id": 9}}', []),
        ],
    )
    async def test_over_what_is_not_understood_gives_it_up_once(
        self, bench: Bench, text: str, owed: list[tuple[str, int | None]]
    ) -> None:
        bench.memory.text = text
        for _ in range(2):
            await (await bench.kill()).open()
            await bench.settled()
        assert bench.memory.reports == owed
        assert bench.uploader.present == (UploadStatus.IDLE, None)
        assert await bench.ask(asked()) == "Accepted"

    async def test_over_a_disk_that_cannot_be_read_takes_requests_all_the_same(self, bench: Bench) -> None:
        bench.memory.unreadable = True
        await (await bench.kill()).open()
        await bench.ask(asked())
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]

    async def test_without_anything_under_way_ends_at_once(self, bench: Bench) -> None:
        await bench.uploader.close()
        assert bench.memory.text is None


class TestDisk:
    async def test_that_fails_rejects_a_request_and_lets_the_running_one_run(self, bench: Bench) -> None:
        bench.server.go_on.clear()
        await bench.ask(asked(7))
        await bench.begun()
        bench.memory.failing = 1
        assert await bench.ask(asked(8)) == "Rejected"
        bench.server.go_on.set()
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]

    async def test_that_fails_in_between_is_tried_again(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(uploader_module, "DISK_RETRY", timedelta())
        accepted = await bench.uploader.request(asked())
        bench.memory.failing = 3
        accepted.begin()
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]
        assert len(bench.server.received) == 1
        assert "log upload 7 waits, its next step cannot be kept: the disk is full" in caplog.text

    async def test_that_fails_at_the_end_of_the_agent_does_not_hold_it_up(self, bench: Bench) -> None:
        bench.server.go_on.clear()
        await bench.ask(asked())
        await bench.begun()
        bench.memory.failing = 1
        await bench.uploader.close()
        assert bench.memory.state == "uploading"

    async def test_that_keeps_the_file_is_told_in_the_log(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(path: Path) -> None:
            raise StorageFailed(str(path), "cannot be removed: Input/output error")

        monkeypatch.setattr(durable, "remove", refuse)
        await bench.ask(asked())
        assert await bench.over() == [UPLOADING, ("Uploaded", 7)]
        assert "the spool file stays until the next start" in caplog.text


class TestStatus:
    async def test_before_and_after(self, bench: Bench) -> None:
        assert bench.uploader.status() == {"state": "idle"}
        assert bench.uploader.present == (UploadStatus.IDLE, None)
        await bench.ask(asked())
        await bench.over()
        assert bench.uploader.present == (UploadStatus.IDLE, None)
        assert bench.uploader.status() == {
            "state": "uploaded",
            "request_id": 7,
            "log": "SecurityLog",
            "file_name": "log-1200.txt",
            "failed_tries": 0,
            "last_status": "Uploaded",
        }

    async def test_shows_bytes_rate_and_time_left_and_never_where_it_goes(self, bench: Bench) -> None:
        bench.server.go_on.clear()
        await bench.ask(asked(location="ftp://user:word@files.example.com/"))
        await bench.begun()
        shown = bench.uploader.status()
        assert bench.uploader.present == (UploadStatus.UPLOADING, 7)
        assert (shown["state"], shown["sent_bytes"], shown["total_bytes"]) == ("uploading", 5, 10)
        assert (shown["bytes_per_s"], shown["seconds_left"]) == (2, 2)
        assert "word" not in str(shown)

    async def test_says_what_went_wrong_until_it_goes_well(self, bench: Bench) -> None:
        bench.server.fail(refused(worth_retrying=False))
        await bench.ask(asked())
        await bench.over()
        assert (bench.uploader.status()["state"], bench.uploader.status()["failure"]) == ("failed", "no")
        bench.content.fault = DISK_FULL
        await bench.ask(asked(8))
        await bench.memory.until(lambda memory: ("UploadFailure", 8) in memory.reports)
        assert bench.uploader.status()["failure"] == f"the file cannot be written: {DISK_FULL}"
        bench.content.fault = None
        bench.server.fail(refused())
        await bench.ask(asked(9, retries=1))
        await bench.memory.until(lambda memory: ("Uploaded", 9) in memory.reports)
        assert "failure" not in bench.uploader.status()

    async def test_of_an_upload_without_a_request_id(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        bench.server.fail(refused(worth_retrying=False))
        await bench.ask(asked(None))
        assert await bench.over() == [("Uploading", None), ("UploadFailure", None)]
        assert "log upload: the upload failed: no" in caplog.text
