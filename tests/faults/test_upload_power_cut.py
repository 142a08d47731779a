"""A power cut at any instant of an upload: the next start brings the whole file to the server and tells it once.

The journal is a file here, written by the door of durable.py, so that the recorder sees each commit between the steps
of the spool file; that a commit to SQLite is as atomic is shown for the database itself.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logs.command import Report
from logs.request import Retrying
from logs.spool import spool
from logs.status import LogKind
from logs.uploader import Uploader
from security import durable
from tests.recorder import Recorder
from tests.upload_bench import NOON, PATIENCE_S, Server, asked, refused

TEXT = "an event\n" * 100


class FileJournal:
    """Snapshot and reports in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = asyncio.Condition()

    def read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {"snapshot": None, "reports": []}
        kept: dict[str, Any] = json.loads(self._path.read_text())
        return kept

    async def load(self) -> dict[str, Any] | None:
        snapshot: dict[str, Any] | None = self.read()["snapshot"]
        return snapshot

    async def commit(
        self, snapshot: dict[str, Any], reports: Sequence[Report] = (), *, withdraw: int | None = None
    ) -> None:
        owed = [each for each in self.read()["reports"] if withdraw is None or each[1] != withdraw]
        owed += [[str(report.status), report.request_id] for report in reports]
        text = json.dumps({"snapshot": snapshot, "reports": owed}).encode()
        await asyncio.to_thread(durable.write, self._path, text)
        async with self._changed:
            self._changed.notify_all()

    async def until_over(self) -> None:
        def is_over() -> bool:
            return (self.read()["snapshot"] or {}).get("state") in (None, "uploaded", "failed")

        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(is_over)


class Spooled:
    """A content that is written as the real ones are."""

    async def is_available(self, oldest: datetime | None, latest: datetime | None) -> bool:
        return True

    def file_name(self, now: datetime) -> str:
        return "log.txt"

    async def write(self, target: Path, oldest: datetime | None, latest: datetime | None) -> int:
        async with spool(target, min_free_bytes=0) as file:
            await file.write(TEXT.encode())
        return file.size_bytes


class Process:
    """One process over a state directory."""

    def __init__(self, state: Path) -> None:
        self.journal = FileJournal(state / "journal.json")
        self.server = Server()
        self.directory = state / "uploads"
        self.uploader = Uploader(
            "log upload",
            journal=self.journal,
            port=self.server,
            contents={LogKind.SECURITY_LOG: Spooled()},
            directory=self.directory,
            now=lambda: NOON,
        )

    async def start(self) -> None:
        """Start as the agent does."""
        durable.make_directory(self.directory)
        durable.sweep(self.directory)
        await self.uploader.open()

    async def end(self) -> None:
        """Let what is under way come to its end."""
        await self.journal.until_over()
        async with asyncio.timeout(PATIENCE_S):
            while (work := self.uploader._work) is not None and not work.done():
                await asyncio.wait([work])

    async def ask(self, request_id: int) -> None:
        accepted = await self.uploader.request(asked(request_id, retrying=Retrying(1, timedelta())))
        accepted.begin()


async def live(state: Path) -> None:
    """Upload one log at the second try; begin another one, and cancel it for a third."""
    process = Process(state)
    await process.start()
    process.server.fail(refused())
    await process.ask(7)
    await process.end()
    process.server.go_on.clear()
    process.server.running.clear()
    await process.ask(8)
    await process.server.running.wait()
    await process.ask(9)
    process.server.go_on.set()
    await process.end()
    await process.uploader.close()


@pytest.mark.requirement("N01.FR.07", "N01.FR.09", "N01.FR.11")
async def test_every_step_of_an_upload_may_be_the_last(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with Recorder(state) as recorder:
        await live(state)
    steps, met = 0, set()
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        steps += 1
        process = Process(cut.directory)
        before = process.journal.read()
        await process.start()
        await process.end()
        kept = process.journal.read()
        # Whatever is sent is whole, and what was accepted arrives.
        assert all(text == TEXT for _, text, _ in process.server.received), cut.after
        last = (kept["snapshot"] or {}).get("request", {}).get("request_id")
        told = [status for status, request_id in kept["reports"] if request_id == last]
        assert told == ([] if last is None else ["Uploading", "Uploaded"]), cut.after
        assert all(each in kept["reports"] for each in before["reports"]), cut.after
        assert len(kept["reports"]) == len({tuple(each) for each in kept["reports"]}), cut.after
        assert list(process.directory.iterdir()) == [], cut.after
        # The next one goes as well as any.
        await process.ask(10)
        await process.end()
        assert process.journal.read()["reports"][-2:] == [["Uploading", 10], ["Uploaded", 10]], cut.after
        met.add(last)
        await process.uploader.close()
    assert steps > len(recorder.steps)
    assert met == {None, 7, 8, 9}
