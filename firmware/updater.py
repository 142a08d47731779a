"""Carries firmware updates on, one at a time: takes requests in, feeds the machine, and persists before it acts (L01).

Guaranteed:
- What the machine has become is on the disk before anything of it is done, and what the Central System is to hear of it
  in the same transaction (`Journal.commit`). After a kill, a power cut or a reboot `start` goes on from there.
- A request is answered after its certificate was judged (L01.FR.23), and when it is kept. Nothing of it is done or
  told before `Accepted.begin`, which is called once the answer is out.
- A second request takes the place of the first one without looking at its file (L01.FR.26): when it is answered, the
  first one has stopped, and nothing of it is reported any more. Where it cannot be stopped, it goes on (L01.FR.27).
- A fault of ours ends the update that it happened in with its failed end, and nothing else. A disk that does not take
  a step is tried again until it does; meanwhile nothing is done.

Tasks: the job, which lives one update from its first event to its end, and one that notes after a while that a start
went well. Both are started here, and cancelled by the next request or by `close`. An outcome is what the work of the
present state returns within the job: none comes late, for a job has ended before another one begins.

Not done here: what follows from what (machine.py), and the work itself (worker.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from firmware import event
from firmware.command import Command, Report
from firmware.event import Event, Found
from firmware.installer import InstallerUnavailable
from firmware.kept_update import KeptUpdate
from firmware.machine import Update
from firmware.port import Journal, JournalFailed
from firmware.record import Policy
from firmware.request import FirmwareRequest
from firmware.state import Stopping
from firmware.status import Answer
from firmware.summary import summary
from firmware.worker import Worker
from security.event import SecurityEventType
from security.signing_certificate import SigningCertificateResult

BEGIN_WAIT: Final = timedelta(minutes=1)  #: time; for an answer to go out; longer than a CALL may take
DISK_RETRY: Final = timedelta(minutes=1)  #: time; until a database that did not take a step is tried again
SETTLED_AFTER: Final = timedelta(minutes=1)  #: time; a start that has lived so long was not killed by its snapshot
STOP_WAIT: Final = timedelta(seconds=10)  #: time; for what ends by itself, of the time that an answer may take
CLOSE_WAIT: Final = timedelta(seconds=2)  #: time; for the work to stop, of the 5 s that the agent may take to end

_REFUSALS: Final = {
    SigningCertificateResult.INVALID: Answer.INVALID_CERTIFICATE,  # L01.FR.24
    SigningCertificateResult.REVOKED: Answer.REVOKED_CERTIFICATE,  # L01.FR.25
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request.

    Attributes:
        answer: the status of SignedUpdateFirmware.conf.
        begin: to be called once the answer is out; returns at once.
    """

    answer: Answer
    begin: Callable[[], None] = lambda: None


class Updater:
    """The firmware updates of this Charge Point.

    Args:
        journal: keeps the machine and what is to be told.
        worker: does the work.
        policy: what config.toml says.
        can_install: whether there is an installer; without one every request with a good certificate is Rejected.
    """

    def __init__(self, journal: Journal, worker: Worker, policy: Policy, *, can_install: bool = True) -> None:
        self._kept = KeptUpdate(journal, policy)
        self._worker = worker
        self._policy = policy
        self._can_install = can_install
        self._begun = asyncio.Event()
        self._job: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._accepting = asyncio.Lock()

    @property
    def update(self) -> Update | None:
        """The last update as it is now, over or not; None before the first."""
        return self._kept.last

    def status(self) -> dict[str, object]:
        """Tell what is under way, or how the last update ended."""
        return summary(self._kept.last, self._worker.activity, self._worker.charging.transactions_running())

    async def wait_for_change(self) -> None:
        """Wait until the update takes its next step."""
        await self._kept.wait_for_change()

    async def start(self) -> None:
        """Go on with what the last process has left; to be called once, before the first request."""
        await self._kept.load()
        update = self._kept.last
        if update is None or update.is_over:
            await self._worker.discard()
        if update is not None and update.expects_restart:
            self._begin_job(self._restart)

    async def request(self, request: FirmwareRequest) -> Accepted:
        """Take in a request, durably, and stop what is under way for it; two that race come one after the other.

        Cancelled, or without success, what was under way goes on.

        Returns:
            The answer, and what is to be called once it is out.
        """
        async with self._accepting:
            verdict = await self._worker.verifier.judge(request.signing_certificate)  # L01.FR.23
            if not verdict.accepted:
                _log.warning("firmware update %d is refused: %s", request.request_id, verdict.reason)
                await self._note_invalid_certificate(f"request {request.request_id}: {verdict.reason}")
                return Accepted(_REFUSALS[verdict.result])
            present = self._kept.under_way
            if present is not None and present.request == request:
                # Our answer was lost, and the Central System says it again (docs/decisions/0131).
                return Accepted(Answer.ACCEPTED, self._begun.set)
            if not self._can_install:
                _log.warning("firmware update %d is rejected: [firmware] installer is none", request.request_id)
                return Accepted(Answer.REJECTED)
            try:
                return await self._replace(Update.of(request, self._policy))
            finally:
                self._go_on()

    async def close(self) -> None:
        """Stop, in order: the next process goes on."""
        await self._end_job(CLOSE_WAIT)
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait({self._settling})
        await self._kept.settle()

    async def _note_invalid_certificate(self, tech_info: str) -> None:
        # L01.FR.02. Recorded before the answer, so that no power cut loses it, but a failing disk keeps no answer back.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT.total_seconds()):
                await self._worker.agent.record(SecurityEventType.INVALID_FIRMWARE_SIGNING_CERTIFICATE, tech_info)

    async def _replace(self, new: Update) -> Accepted:
        stopped, old = await self._stop()
        if not stopped:
            _log.warning("firmware update %d is rejected: another one cannot be stopped", new.request.request_id)
            return Accepted(Answer.REJECTED)  # L01.FR.27
        try:
            await self._kept.replace(new, old)
        except JournalFailed as error:
            _log.error("firmware update %d is rejected, it cannot be kept: %s", new.request.request_id, error)
            return Accepted(Answer.REJECTED)
        self._begun = asyncio.Event()
        if old is not None:
            _log.info("%s is cancelled by request %d", _named(old), new.request.request_id)
            for order in old.receive(event.Stopped()):
                await self._worker.carry_out(old.request, order)
        self._begin_job(self._await_answer)
        return Accepted(Answer.ACCEPTED_CANCELED if old else Answer.ACCEPTED, self._begun.set)  # L01.FR.26

    async def _stop(self) -> tuple[bool, Update | None]:
        """Stop what is under way; returns whether nothing goes on, and what was stopped, None where nothing was."""
        while (update := self._kept.under_way) is not None:
            how, work = update.stopping, self._worker
            if how is Stopping.NEVER:
                return False, None
            if how is Stopping.BY_INSTALLER and work.activity.installing and not work.installer.cancellable:
                return False, None
            if how is Stopping.SOON:
                if not await self._wait_for_change():
                    return False, None
                continue
            await self._end_job()
            update = self._kept.under_way  # the job may have kept one more step before it ended
            if update is None or update.stopping in {Stopping.SOON, Stopping.NEVER}:
                self._go_on()
            elif update.stopping is Stopping.AT_ONCE or await self._take_back(update):
                return True, update
            else:
                return False, None
        return True, None

    async def _take_back(self, update: Update) -> bool:
        # Asked after an installation was stopped, too: its last byte may have been written in the same moment.
        installer = self._worker.installer
        try:
            if not await installer.withdraw():
                return False
            # What was activated at once does not wait and cannot be taken back: it runs, and is to be marked good.
            return (await installer.inspect()).running_sha256 != update.record.sha256
        except InstallerUnavailable as error:
            _log.warning("%s goes on, it cannot be taken back: %s", _named(update), error)
            return False

    async def _wait_for_change(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT.total_seconds()):
                await self._kept.wait_for_change()
                return True
        return False

    def _begin_job(self, first: Callable[[], Awaitable[Event | None]]) -> None:
        self._job = asyncio.create_task(self._live(first), name="firmware update")

    def _go_on(self) -> None:
        """Go on with what was stopped for a request that came to nothing: to the machine it is a restart."""
        if self._kept.under_way is not None and self._job is None:
            self._begin_job(self._restarted)

    async def _end_job(self, wait: timedelta | None = None) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        job.cancel()
        ending = asyncio.ensure_future(asyncio.wait({job}, timeout=None if wait is None else wait.total_seconds()))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait({ending})  # a job that goes on in its place must not meet its last steps
            raise

    async def _live(self, first: Callable[[], Awaitable[Event | None]]) -> None:
        """Live an update from an event to its end."""
        what = await self._safely(first)
        while what is not None:
            what = await self._safely(self._step, what)

    async def _safely(self, act: Callable[..., Awaitable[Event | None]], *about: Event) -> Event | None:
        was = self._kept.present.state
        try:
            return await act(*about)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this update and not the agent
            _log.exception("a firmware update has failed by a fault of this program")
            # A failed state may have orders of its own, and fail again; one that is not even left would for ever.
            is_stuck = self._kept.present.state is was and any(isinstance(each, event.JobFailed) for each in about)
            if self._kept.present.is_over or is_stuck:
                return None
            return event.JobFailed(f"a fault of this program: {type(error).__name__}")

    async def _step(self, what: Event) -> Event | None:
        """Take an event to the machine, on the disk first, and carry out what it orders; returns the next event."""
        was_over = self._kept.present.is_over
        while True:
            try:
                orders = await self._kept.take(lambda update: update.receive(what))
                break
            except JournalFailed as error:
                _log.error("a firmware update waits, its next step cannot be kept: %s", error)
                await asyncio.sleep(DISK_RETRY.total_seconds())
        update = self._kept.present
        if was_over and update.is_over:
            _log.debug("%s is still %s", _named(update), update.state.value)  # at each start: nothing has happened
        elif update.is_over and update.record.failure:
            _log.warning("%s: %s: %s", _named(update), update.state.value, update.record.failure)
        else:
            _log.info("%s: %s", _named(update), update.state.value)
        outcome = None
        for order in orders:
            if not isinstance(order, Report):  # that one is on the disk already
                outcome = await self._worker.carry_out(update.request, order)
        return outcome

    async def _await_answer(self) -> Event:
        # A handler that is cancelled with its connection may never say that the answer is out.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEGIN_WAIT.total_seconds()):
                await self._begun.wait()
        return event.Begun(self._worker.agent.now(), self._worker.held)

    async def _restart(self) -> Event | None:
        """Count this start before anything else: the snapshot may be what kills the agent."""
        update = self._kept.present
        if not update.is_over:
            counted = True

            def count(update: Update) -> list[Command]:
                nonlocal counted
                counted = update.count_start()
                return []

            try:
                await self._kept.take(count)
            except JournalFailed as error:
                _log.error("this start cannot be counted: %s", error)
            if not counted:
                return event.JobFailed("it has killed the agent at its last starts")
            self._settling = asyncio.create_task(self._settle_later(), name="firmware update settles")
            _log.info("%s goes on after a restart", _named(update))
        return await self._restarted()

    async def _restarted(self) -> Event | None:
        found = Found()
        if self._kept.present.asks_installer:
            try:
                found = await self._worker.inspect()
            except InstallerUnavailable as error:
                if self._kept.present.is_over:
                    _log.warning("whether the last firmware update is still there is not known: %s", error)
                    return None
                return event.JobFailed(f"the installer does not say what is installed: {error}")
        return event.Restarted(self._worker.agent.now(), self._worker.held, found)

    async def _settle_later(self) -> None:
        await asyncio.sleep(SETTLED_AFTER.total_seconds())
        await self._kept.settle()


def _named(update: Update) -> str:
    return f"firmware update {update.request.request_id}"
