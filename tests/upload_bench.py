"""The driver of uploads over fakes of its ports: a journal in memory, a text for content, a server that is a list."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from logs.command import Report
from logs.request import Retrying, UploadRequest
from logs.status import LogKind, UploadStatus
from logs.upload_port import JournalFailed, Progress, UploadRefused
from logs.uploader import Uploader
from security.errors import StorageFull

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
PATIENCE_S = 20
LOCATION = "ftp://files.example.com/inbox/"


class Memory:
    """What would be on the disk; it outlives the uploaders.

    Attributes:
        reports: (status, request id), in the order in which they became owed, withdrawn ones taken out.
        failing: how many of the next commits fail.
    """

    def __init__(self) -> None:
        self.text: str | None = None
        self.reports: list[tuple[str, int | None]] = []
        self.failing = 0
        self.unreadable = False
        self._changed = asyncio.Condition()

    @property
    def state(self) -> str | None:
        """State of the upload as it was kept."""
        state: str | None = json.loads(self.text or "{}").get("state")
        return state

    @property
    def sent_in_part(self) -> bool:
        """Whether the upload, as it was kept, has begun on the server."""
        return bool(json.loads(self.text or "{}").get("sent_in_part"))

    async def load(self) -> dict[str, Any] | None:
        if self.unreadable:
            raise JournalFailed("the disk fails")
        snapshot: dict[str, Any] | None = None if self.text is None else json.loads(self.text)
        return snapshot

    async def commit(
        self, snapshot: dict[str, Any], reports: Sequence[Report] = (), *, withdraw: int | None = None
    ) -> None:
        await asyncio.sleep(0)
        if self.failing:
            self.failing -= 1
            raise JournalFailed("the disk is full")
        self.text = json.dumps(snapshot)
        if withdraw is not None:
            self.reports = [each for each in self.reports if each[1] != withdraw]
        self.reports += [(str(report.status), report.request_id) for report in reports]
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[["Memory"], bool]) -> None:
        """Wait for a commit that makes the condition true."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: condition(self))


@dataclass
class Text:
    """A content that is a text; None for an empty window."""

    text: str | None = "an event\n"
    fault: Exception | None = None
    unreadable: Exception | None = None

    async def is_available(self, oldest: datetime | None, latest: datetime | None) -> bool:
        if self.unreadable is not None:
            raise self.unreadable
        return self.text is not None

    def file_name(self, now: datetime) -> str:
        return f"log-{now:%H%M}.txt"

    async def write(self, target: Path, oldest: datetime | None, latest: datetime | None) -> int:
        if self.fault is not None:
            raise self.fault
        return target.write_text(self.text or "")


@dataclass(frozen=True)
class Half:
    done_bytes: int = 5
    total_bytes: int | None = 10
    bytes_per_s: float = 2.4
    seconds_left: float | None = 2.1


class Server:
    """The transfer and what arrived by it.

    Attributes:
        received: (file name, text, resumed) of each try.
        stopped: how many tries were cancelled.
        taken: what each try is told to have got through before it ends.
        running: set while a try waits for `go_on`.
    """

    def __init__(self) -> None:
        self.received: list[tuple[str, str, bool]] = []
        self.locations: list[str] = []
        self.stopped = 0
        self.taken = Half()
        self.running = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self._faults: deque[Exception] = deque()

    def fail(self, *faults: Exception) -> None:
        """Let the next tries fail so."""
        self._faults.extend(faults)

    async def upload(
        self, source: Path, location: str, *, file_name: str, resume: bool, progress: Callable[[Progress], None]
    ) -> None:
        self.received.append((file_name, source.read_text(), resume))
        self.locations.append(location)
        progress(self.taken)
        self.running.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if self._faults:
            raise self._faults.popleft()


def refused(status: UploadStatus = UploadStatus.UPLOAD_FAILURE, *, worth_retrying: bool = True) -> UploadRefused:
    return UploadRefused(status, "no", worth_retrying=worth_retrying)


DISK_FULL = StorageFull("/state/uploads/x", "cannot be written: no space left")


def asked(request_id: int | None = 7, *, retries: int = 2, **fields: Any) -> UploadRequest:
    given: dict[str, Any] = {
        "kind": LogKind.SECURITY_LOG,
        "request_id": request_id,
        "location": LOCATION,
        "retrying": Retrying(retries, timedelta()),
    }
    return UploadRequest(**(given | fields))


class Bench:
    """One process after the other over one memory, one server and one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.memory = Memory()
        self.server = Server()
        self.content = Text()
        self.start()

    @property
    def spool(self) -> list[Path]:
        """What lies in the directory of the spool files."""
        return sorted(self.directory.iterdir())

    def start(self) -> Uploader:
        """Let another process take over; what the one before does from now on reaches nobody."""
        self.uploader = Uploader(
            "log upload",
            journal=self.memory,
            port=self.server,
            contents={LogKind.SECURITY_LOG: self.content},
            directory=self.directory,
            now=lambda: NOON,
        )
        return self.uploader

    async def kill(self) -> Uploader:
        """Have the process gone without a word, and another one started."""
        old = self.uploader
        tasks = {each for each in (old._work, *old._ending) if each is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return self.start()

    async def ask(self, request: UploadRequest) -> str:
        """Ask for an upload, let it begin, and return the answer."""
        accepted = await self.uploader.request(request)
        accepted.begin()
        return str(accepted.status)

    async def begun(self) -> None:
        """Wait until the server has taken bytes, and that is kept."""
        await asyncio.wait_for(self.server.running.wait(), PATIENCE_S)
        await self.memory.until(lambda memory: memory.sent_in_part)

    async def over(self) -> list[tuple[str, int | None]]:
        """Wait for the end of the upload and return what is owed."""
        await self.memory.until(lambda memory: memory.state in ("uploaded", "failed"))
        await self.settled()
        return self.memory.reports

    async def settled(self) -> None:
        """Wait until no work is left."""
        async with asyncio.timeout(PATIENCE_S):
            while (work := self.uploader._work) is not None and not work.done():
                await asyncio.wait([work])
