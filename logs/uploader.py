"""Uploads one log at a time: carries out what the machine (machine.py) decides, and tells it what came of it.

Guaranteed:
- What the machine has become is on the disk before anything of it is done (`Journal.commit`), and what the Central
  System is to hear of it in the same transaction. After a kill or a power cut `open` goes on from there.
- A new request takes the place of the one that runs: from the moment on at which `request` returns, nothing of the old
  one is reported and its transfer is stopping (N01.FR.11); the new file is written when the old one is out of use.
- A fault of ours ends the upload it happened in, and nothing else. A disk that fails is tried again.

Tasks: one piece of work at a time (write, send, wait, remove), started here, cancelled here when its upload is canceled
or the agent ends; each begins when all before it have ended. Who asks and who is told share a lock, so that events
reach the machine one after the other; work is never cancelled while it holds the lock.

Not done here: what is in the file (`LogContent`), how it is sent (`UploadPort`), and the messages (`Journal`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from logs.command import Clear, Command, Report, StartUpload, Wait, WriteFile
from logs.event import (
    Answered,
    Canceled,
    Event,
    FileFailed,
    FileWritten,
    JobFailed,
    Outcome,
    Restarted,
    Suspended,
    UploadBegun,
    UploadCompleted,
    UploadInterrupted,
    WaitEnded,
)
from logs.machine import State, UploadMachine
from logs.request import UploadRequest
from logs.status import Answer, LogKind, UploadStatus
from logs.upload_port import ContentFailed, Journal, JournalFailed, LogContent, Progress, UploadPort, UploadRefused
from security import durable
from security.errors import DurableError

DISK_RETRY: Final = timedelta(minutes=1)  #: time; until a database that did not take a step is tried again

BEGIN_WAIT: Final = timedelta(seconds=30)  #: time; an answer that is not out by then went down with its connection

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request.

    Attributes:
        status: the answer.
        file_name: what the file will be called; None where the request is rejected (N01.FR.01).
        begin: to be called once the answer is out; returns at once.
    """

    status: Answer
    file_name: str | None = None
    begin: Callable[[], None] = lambda: None


class Uploader:
    """The uploads of one kind of request, one at a time.

    Args:
        name: of the job, for the log and the spool file.
        journal: keeps it.
        port: sends files.
        contents: what there is to upload.
        directory: for the spool file; it exists, and may be shared with other uploaders.
        now: asked for the time in the file's name.
    """

    def __init__(
        self,
        name: str,
        *,
        journal: Journal,
        port: UploadPort,
        contents: Mapping[LogKind, LogContent],
        directory: Path,
        now: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._journal = journal
        self._port = port
        self._contents = contents
        self._file = directory / f"{name.replace(' ', '-')}.spool"
        self._now = now
        self._machine: UploadMachine | None = None
        self._unbegun: UploadMachine | None = None
        self._taking: set[asyncio.Task[Accepted]] = set()
        self._lock = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._progress: Progress | None = None
        self._failure: str | None = None

    @property
    def present(self) -> tuple[UploadStatus, int | None]:
        """What a trigger is to be told: Idle without a requestId while nothing is under way (N01.FR.12)."""
        machine = self._machine
        if machine is None or machine.is_over:
            return UploadStatus.IDLE, None
        return machine.status, machine.request.request_id

    def status(self) -> dict[str, object]:
        """Tell people and programs what is under way, or how the last upload ended; all values are plain JSON."""
        machine = self._machine
        if machine is None:
            return {"state": "idle"}
        shown: dict[str, object] = {
            "state": str(machine.state),
            "request_id": machine.request.request_id,
            "log": str(machine.request.kind),
            "file_name": machine.file_name,
            "failed_tries": machine.failures,
        }
        if machine.end_status is not None:
            shown["last_status"] = str(machine.end_status)
        if self._failure is not None:
            shown["failure"] = self._failure
        if (progress := self._progress) is not None and not machine.is_over:
            shown |= {
                "sent_bytes": progress.done_bytes,
                "total_bytes": progress.total_bytes,
                "bytes_per_s": round(progress.bytes_per_s),
                "seconds_left": None if progress.seconds_left is None else round(progress.seconds_left),
            }
        return shown

    async def open(self) -> None:
        """Go on with what the last process has left; called once, before the first `request`."""
        async with self._lock:
            try:
                snapshot = await self._journal.load()
            except JournalFailed as error:
                _log.error("%s: what the last process has left is not known: %s", self._name, error)
                return
            if not snapshot:
                self._start(None, self._remove_file)
                return
            try:
                machine = self._machine = UploadMachine.restore(snapshot)
            except ValueError:
                await self._give_up(snapshot)
                return
            if machine.is_over:
                self._start(None, self._remove_file)
                return
            _log.info("%s goes on after a restart", self._described(machine))
            self._start(machine, lambda: self._restart(machine))

    async def request(self, request: UploadRequest) -> Accepted:
        """Take in a request, durably; it takes the place of the one that runs.

        Cancelled, as by a connection that is lost, it is taken in all the same. An upload that nobody begins, since
        its answer could not be sent, begins by itself after BEGIN_WAIT, as it would after a restart.

        Returns:
            The answer, and what is to be called once it is out.
        """
        taking = asyncio.create_task(self._take(request), name=self._name)
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        return await asyncio.shield(taking)

    async def _take(self, request: UploadRequest) -> Accepted:
        content = self._contents[request.kind]
        try:
            if not request.is_window_sound or not await content.is_available(request.oldest, request.latest):
                _log.warning("%s: there is nothing in the window that is asked for", self._name)
                return Accepted(Answer.REJECTED)
        except ContentFailed as error:
            _log.error("%s: the request is rejected, what there is cannot be read: %s", self._name, error)
            return Accepted(Answer.REJECTED)
        machine = UploadMachine(request, content.file_name(self._now()))
        async with self._lock:
            old = self._machine if self._machine is not None and not self._machine.is_over else None
            try:
                # What is still owed of an upload that has ended is told all the same.
                await self._journal.commit(machine.snapshot(), withdraw=old.request.request_id if old else None)
            except JournalFailed as error:
                _log.error("%s: the request is rejected, it cannot be kept: %s", self._name, error)
                return Accepted(Answer.REJECTED)
            if old is not None:
                _log.info("%s is canceled by the next request", self._described(old))
                self._carry_out(old, old.receive(Canceled()))
            self._machine = self._unbegun = machine
            self._progress = self._failure = None

        def begin() -> None:
            timer.cancel()
            if self._unbegun is machine:
                self._unbegun = None
                self._start(machine, lambda: self._feed(machine, Answered()))

        timer = asyncio.get_running_loop().call_later(BEGIN_WAIT.total_seconds(), begin)
        return Accepted(Answer.ACCEPTED_CANCELED if old else Answer.ACCEPTED, machine.file_name, begin)

    async def close(self) -> None:
        """Stop what runs, in order: the next process goes on with it."""
        async with self._lock:
            self._unbegun = None
            self._stop_work()
            if self._ending:
                await asyncio.wait(set(self._ending))
            machine = self._machine
            if machine is None or machine.is_over:
                return
            with contextlib.suppress(JournalFailed):  # then this end counts as a kill
                await self._keep(machine, Suspended())

    async def _give_up(self, snapshot: Mapping[str, Any]) -> None:
        """End an upload that no machine of this release can go on with."""
        _log.error("%s: what the last process has left is not understood, so it is over", self._name)
        request = snapshot.get("request")
        request_id = request.get("request_id") if isinstance(request, Mapping) else None
        report = Report(UploadStatus.UPLOAD_FAILURE, request_id if isinstance(request_id, int) else None)
        was_over = snapshot.get("state") in (State.UPLOADED, State.FAILED, State.CANCELED)
        with contextlib.suppress(JournalFailed):
            await self._journal.commit({}, [] if was_over else [report])
        self._start(None, self._remove_file)

    async def _feed(self, machine: UploadMachine, event: Event) -> None:
        """Take an event to its machine, persist what follows, and begin it; until the disk takes it."""
        while True:
            async with self._lock:
                if self._machine is not machine or (isinstance(event, Outcome) and not machine.awaits(event)):
                    return
                try:
                    commands = await self._keep(machine, event)
                except JournalFailed as error:
                    _log.error("%s waits, its next step cannot be kept: %s", self._described(machine), error)
                else:
                    self._carry_out(machine, commands)
                    return
            await asyncio.sleep(DISK_RETRY.total_seconds())

    async def _keep(self, machine: UploadMachine, event: Event) -> list[Command]:
        """Have the machine receive an event on the disk first, and then in memory."""
        trial = UploadMachine.restore(machine.snapshot())
        commands = trial.receive(event)
        await self._journal.commit(trial.snapshot(), [each for each in commands if isinstance(each, Report)])
        return machine.receive(event)

    def _carry_out(self, machine: UploadMachine, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, Report):
                _log.info("%s: %s", self._described(machine), command.status)
            else:
                self._start(machine, partial(self._do, machine, command))

    async def _do(self, machine: UploadMachine, command: Command) -> None:
        match command:
            case WriteFile(attempt):
                await self._feed(machine, await self._write(machine, attempt))
            case StartUpload(attempt, resume):
                await self._feed(machine, await self._upload(machine, attempt, resume=resume))
            case Wait(attempt, duration):
                _log.info("%s: tried again in %g s", self._described(machine), duration.total_seconds())
                await asyncio.sleep(duration.total_seconds())
                await self._feed(machine, WaitEnded(attempt))
            case Clear():
                await self._remove_file()

    def _start(self, machine: UploadMachine | None, work: Callable[[], Awaitable[None]]) -> None:
        """Begin a piece of work behind all before it; the present one is cancelled, unless it is the one that asks."""
        self._stop_work()
        self._work = asyncio.create_task(self._run(machine, set(self._ending), work), name=self._name)

    def _stop_work(self) -> None:
        work, self._work = self._work, None
        if work is None or work.done():
            return
        asks = work is asyncio.current_task()
        if not asks:
            work.cancel()
        self._ending.add(work)
        work.add_done_callback(self._ending.discard)

    async def _run(
        self, machine: UploadMachine | None, before: set[asyncio.Task[None]], work: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            if before:
                await asyncio.wait(before)
            await work()
        except Exception:  # noqa: BLE001 - whatever it is, it ends this upload and not the agent
            _log.exception("%s has failed by a fault of this program", self._name)
            if machine is not None and not machine.is_over:
                await self._feed(machine, JobFailed())

    async def _restart(self, machine: UploadMachine) -> None:
        file_is_there = await asyncio.to_thread(self._file.exists)
        await self._feed(machine, Restarted(file_is_there))

    async def _write(self, machine: UploadMachine, attempt: int) -> Outcome:
        request = machine.request
        try:
            size_bytes = await self._contents[request.kind].write(self._file, request.oldest, request.latest)
        except (ContentFailed, DurableError) as error:
            _log.error("%s: the file cannot be written: %s", self._described(machine), error)
            self._note_failure(machine, f"the file cannot be written: {error}")
            return FileFailed(attempt)
        _log.info("%s: %s has %d bytes", self._described(machine), machine.file_name, size_bytes)
        return FileWritten(attempt)

    async def _upload(self, machine: UploadMachine, attempt: int, *, resume: bool) -> Outcome:
        begun = asyncio.Event()

        def note(progress: Progress) -> None:
            self._progress = progress
            if progress.done_bytes and not machine.sent_in_part:
                begun.set()

        async def note_begun() -> None:
            await begun.wait()
            await self._feed(machine, UploadBegun(attempt))

        # It is cancelled by whoever has the lock, or when it waits for nothing: never while a step is kept.
        noting = asyncio.create_task(note_begun(), name=self._name)
        try:
            outcome = await self._send(machine, attempt, resume=resume, progress=note)
            if begun.is_set():
                await noting
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)
        return outcome

    async def _send(
        self, machine: UploadMachine, attempt: int, *, resume: bool, progress: Callable[[Progress], None]
    ) -> Outcome:
        location, file_name = machine.request.location, machine.file_name
        try:
            await self._port.upload(self._file, location, file_name=file_name, resume=resume, progress=progress)
        except UploadRefused as refusal:
            _log.warning("%s: the upload failed: %s", self._described(machine), refusal)
            self._note_failure(machine, str(refusal))
            return UploadInterrupted(attempt, refusal.status, refusal.worth_retrying)
        self._note_failure(machine, None)
        return UploadCompleted(attempt)

    def _note_failure(self, machine: UploadMachine, failure: str | None) -> None:
        if machine is self._machine:  # not that of an upload that the next request has canceled
            self._failure = failure

    async def _remove_file(self) -> None:
        # To its end, also when it is cancelled: a thread that is late must not take away the next file.
        removing = asyncio.ensure_future(asyncio.to_thread(durable.remove, self._file))
        try:
            await asyncio.shield(removing)
        except asyncio.CancelledError:
            await asyncio.wait([removing])
            raise
        except DurableError as error:
            _log.warning("%s: the spool file stays until the next start: %s", self._name, error)

    def _described(self, machine: UploadMachine) -> str:
        request_id = machine.request.request_id
        return self._name if request_id is None else f"{self._name} {request_id}"
