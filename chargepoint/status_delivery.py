"""Sends the statuses of the long jobs to the Central System: those of one job in order, each at least once.

Guaranteed: a report leaves the journal only when it was confirmed, refused too often, or withdrawn with its job.
Whatever happens in between (a lost connection, a kill, a reboot), it is sent again.

- The jobs do not wait for each other: each has a line of its own, one report under way in each.
- A time-out or a lost connection says nothing about the report: it is sent again and nothing is counted.
- A CALLERROR, or an answer that no schema allows, is a refusal: counted durably, the report is sent again after a wait,
  and set aside with a line in the log when it was refused too often, so that no report blocks those behind it.
- A CALLERROR NotImplemented or NotSupported means that the Central System does not have the message: the line rests
  until it accepts a boot again, and then tries one report (docs/decisions/0120).
- A report that cannot be made a message, or whose sending fails by a fault of ours, counts as refused; whatever else
  goes wrong in a line is logged, and the line tries again after a wait. No line ends while the connection is there.
- When `JobJournal.commit` withdraws reports, one of them that still waits for its turn on the wire is taken back.

Tasks: one for each line, within `deliver` and ended with it.

Not done here: what may be sent when, and whose turn it is (session.py, outbox.py); what is owed (job_journal.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from chargepoint.job_journal import JobJournal, OwedReport, Report
from chargepoint.rpc_port import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from chargepoint.state import StateUnusable

MAX_REFUSALS: Final = 3  #: attempts; a refused report is set aside then, as [security] event_attempts has it
RETRY: Final = timedelta(seconds=10)  #: time; after the first refusal or time-out, grows by as much with each
MAX_RETRY_WAIT: Final = timedelta(minutes=5)  #: time; the wait is no longer: a job tells how it is now
DISK_RETRY: Final = timedelta(minutes=1)  #: time; until a failing disk is tried again

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

Send = Callable[[Any], Awaitable[Any]]
"""Sends a request when its turn has come and returns the answer, or raises `CallFailed`."""


class StatusDelivery:
    """Empties the journals of all jobs, over as many connections as it takes: a `Source` of session.py."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def add(self, journal: JobJournal, make_request: Callable[[Report], Any]) -> None:
        """Deliver the reports of one more job, over each connection from the next on.

        Args:
            journal: holds what is owed.
            make_request: makes the request that tells one report.
        """
        self._lines[journal.job] = _Line(journal, make_request)

    def booted(self) -> None:
        """The Central System has accepted a BootNotification.req: lines that rest try again."""
        for line in self._lines.values():
            line.booted()

    async def wait_until_sent(self, job: str, timeout: timedelta) -> bool:
        """Wait until nothing of a job is owed any more, for instance before a reboot (L01.FR.15).

        Args:
            job: its name.
            timeout: how long to wait at most; a Charge Point without a connection must go on too.

        Returns:
            Whether nothing is owed; False at once where the Central System does not have the message.
        """
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await self._lines[job].wait_until_empty()
        except TimeoutError:
            return False

    @contextlib.asynccontextmanager
    async def between_reports(self) -> AsyncIterator[None]:
        """Hold the lines as long as the block lasts: no report is under way, and what was last sent is known.

        An answer to a trigger belongs there: it neither repeats what is out of date by then (L01.FR.29), nor is it
        overtaken by what has happened since.
        """
        async with contextlib.AsyncExitStack() as stack:
            for line in self._lines.values():
                await stack.enter_async_context(line.turn)
            yield

    async def deliver(self, send: Send) -> None:
        """Send what is owed and what comes, over one connection; returns when that is lost.

        Cancelled, it records what was confirmed and ends.

        Args:
            send: raises `ConnectionLost` when the connection is gone.
        """
        tasks = [asyncio.create_task(line.deliver(send), name=job) for job, line in self._lines.items()]
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Line:
    """The reports of one job on their way.

    Attributes:
        turn: held while a report is under way, from the disk to the disk.
    """

    def __init__(self, journal: JobJournal, make_request: Callable[[Report], Any]) -> None:
        self.turn: Final = asyncio.Lock()
        self._journal = journal
        self._make_request = make_request
        self._wake = asyncio.Event()
        self._change = asyncio.Event()
        self._resting = False
        self._commits = 0
        self._under_way: tuple[int | None, asyncio.Future[Any]] | None = None
        journal.subscribe(self._note_commit)

    def booted(self) -> None:
        """Try again where the line rests."""
        self._resting = False
        self._wake.set()

    async def wait_until_empty(self) -> bool:
        """Return True once nothing is owed, False where the line rests."""
        while True:
            change = self._change
            try:
                if await self._journal.next_report() is None:
                    return True
            except StateUnusable as error:
                _log.error("whether all of the %s was told is not known: %s", self._journal.job, error)
                return False
            if self._resting:
                return False
            await change.wait()

    async def deliver(self, send: Send) -> None:
        """Send what is owed and what comes; returns when the connection is lost."""
        failing, failures = 0, 0
        while True:
            self._wake.clear()
            try:
                async with self.turn:
                    report = await self._next()
                    settled = report is None or await self._send(send, report)
                if report is None:
                    await self._wake.wait()
                if report is None or settled:
                    continue
            except ConnectionLost:
                return
            except StateUnusable as error:
                _log.error("the statuses of the %s wait: %s", self._journal.job, error)
                await self._wait(DISK_RETRY)
                continue
            except Exception:  # noqa: BLE001 - a line that ended would take the others with it, and nobody would know
                _log.exception("the statuses of the %s wait, by a fault of this program", self._journal.job)
                await self._wait(DISK_RETRY)
                continue
            # Refusals of earlier processes count too: the wait does not begin anew with each restart.
            failures = failures + 1 if report.id == failing else report.refusals + 1
            failing = report.id
            await self._wait(min(RETRY * failures, MAX_RETRY_WAIT))

    async def _next(self) -> OwedReport | None:
        """Return what is to be sent now, as it stands after the last commit."""
        while not self._resting:
            commits = self._commits
            report = await self._journal.next_report()
            if commits == self._commits:
                return report
        return None

    async def _send(self, send: Send, report: OwedReport) -> bool:
        """Send a report once; returns False where it is to be sent again after a wait."""
        job = self._journal.job
        try:
            request = self._make_request(report)
        except Exception as fault:  # noqa: BLE001 - what cannot be said must not block what can
            return await self._note_fault(report, fault)
        sending = asyncio.ensure_future(send(request))
        sending.add_done_callback(_look_at)
        self._under_way = (report.request_id, sending)
        try:
            # Not awaited itself: who withdraws the report cancels it, which must not end the line.
            await asyncio.wait([sending])
            if sending.cancelled():
                return True
            sending.result()
        except (CallErrorReceived, InvalidAnswer) as refusal:
            return await self._note_refusal(report, refusal)
        except CallTimedOut as silence:
            _log.warning("%s: status %s is sent again: %s", job, report.status, silence)
            return False
        except ConnectionLost:
            raise
        except Exception as fault:  # noqa: BLE001 - as above
            return await self._note_fault(report, fault)
        finally:
            self._under_way = None
            sending.cancel()
        await _to_its_end(self._journal.note_sent(report))
        self._note_change()
        return True

    async def _note_fault(self, report: OwedReport, fault: Exception) -> bool:
        job = self._journal.job
        _log.error("%s: status %s failed by a fault of this program", job, report.status, exc_info=fault)
        return await self._note_refusal(report, fault)

    async def _note_refusal(self, report: OwedReport, refusal: Exception) -> bool:
        job = self._journal.job
        if isinstance(refusal, CallErrorReceived) and refusal.lacks_message:
            self._resting = True
            self._note_change()
            _log.warning("%s: statuses wait until the Central System accepts a boot again: %s", job, refusal)
            return True
        _log.warning("%s: status %s was not taken: %s", job, report.status, refusal)
        set_aside = await _to_its_end(self._journal.note_refusal(report, MAX_REFUSALS))
        if set_aside:
            _log.error("%s: status %s is given up after %d refusals", job, report.status, MAX_REFUSALS)
            self._note_change()
        return set_aside

    def _note_commit(self, withdrawn: int | None) -> None:
        self._commits += 1
        if withdrawn is not None and self._under_way is not None and self._under_way[0] == withdrawn:
            self._under_way[1].cancel()  # takes it out of its lane; what is on the wire already cannot be called back
        self._note_change()
        self._wake.set()

    def _note_change(self) -> None:
        self._change.set()
        self._change = asyncio.Event()  # one for each change: whoever waits for one does not miss it for another

    async def _wait(self, delay: timedelta) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay.total_seconds()):
                await self._wake.wait()


async def _to_its_end(writing: Awaitable[_T]) -> _T:
    """Wait for a write, which goes on when the line is cancelled meanwhile; the line then ends behind it."""
    task = asyncio.ensure_future(writing)
    task.add_done_callback(_look_at)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _look_at(done: asyncio.Future[Any]) -> None:
    """See the failure of what nobody waits for any more: it is no matter, and asyncio would complain."""
    if not done.cancelled():
        done.exception()
