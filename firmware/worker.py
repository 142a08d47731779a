"""Carries out what the machine of a firmware update orders: each order is one coroutine and brings one event.

A driver without decisions: what is a failure and what follows from it, the machine says. Foreign errors are mapped here
once; one that is not foreseen goes up and ends the update (updater.py).

- A clock that is not set shows a time that it cannot be earlier than: an instant that it says has come, has come
  (docs/decisions/0133).
- Each coroutine may be cancelled at any time, and leaves nothing running behind it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from firmware import command, event
from firmware.command import Command
from firmware.event import Event, Found
from firmware.installer import (
    Image,
    Installer,
    InstallerUnavailable,
    InstallFailed,
    Outcome,
    Progress,
    Slots,
    VerificationFailed,
)
from firmware.port import Agent, Charging, Fetcher, FetchProgress, FetchRefused, Verifier
from firmware.request import FirmwareRequest
from firmware.summary import Activity
from security import durable
from security.errors import DurableError
from security.signature import digest_of

HOLD_POLL: Final = timedelta(seconds=1)  #: time; between two looks whether a download has to stand back
INSTALLER_RETRY: Final = timedelta(seconds=10)  #: time; until an installer that did not answer is asked again
MAX_INSTALLER_TRIES: Final = 30  #: tries; five minutes, which a daemon may need after a boot

IMAGE_NAME: Final = "image"
"""The file in the directory of downloads."""

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What carries out the orders.

    Attributes:
        fetcher, verifier, installer, charging, agent: the ports.
        directory: of downloads, for nothing else; made where it is missing.
        pause_while_charging: a download stands back while somebody charges.
        report_wait: how long a reboot waits for the Central System to hear of it (L01.FR.15).
        activity: what is under way.
    """

    fetcher: Fetcher
    verifier: Verifier
    installer: Installer
    charging: Charging
    agent: Agent
    directory: Path
    pause_while_charging: bool
    report_wait: timedelta
    activity: Activity = field(default_factory=Activity)

    @property
    def image(self) -> Path:
        """The file that is downloaded and installed."""
        return self.directory / IMAGE_NAME

    @property
    def held(self) -> bool:
        """Whether a download has to stand back now."""
        return self.pause_while_charging and self.charging.transactions_running() > 0

    async def carry_out(self, request: FirmwareRequest, order: Command) -> Event | None:
        """Carry out one order; returns the event that it brings, None where it brings none."""
        try:
            return await self._carry_out(request, order)
        except InstallerUnavailable as error:
            return event.JobFailed(f"the installer does not answer: {error}")

    async def _carry_out(self, request: FirmwareRequest, order: Command) -> Event | None:
        match order:
            case command.HoldConnectors():
                self.charging.hold_connectors()
            case command.ReleaseConnectors():
                self.charging.release_connectors()
            case command.DiscardImage():
                await self.discard()
            case command.AwaitTime(at):
                return await self._await_time(at)
            case command.AwaitRelease():
                return await self._await_release()
            case command.Download():
                return await self._download(request)
            case command.VerifySignature(sha256):
                return await self._verify(request, bytes.fromhex(sha256))
            case command.CheckImage(sha256):
                return await self._check(request, sha256)
            case command.AwaitIdle(until):
                return await self._await_idle(until)
            case command.Install(sha256):
                return await self._install(request, sha256)
            case command.FollowInstall():
                return await self._follow()
            case command.Withdraw():
                return event.ImageWithdrawn() if await self.withdraw() else event.WithdrawalRefused()
            case command.AwaitReport():
                return await self._await_report()
            case command.Reboot():
                self.agent.reboot()
                await asyncio.Event().wait()  # the agent ends, and this with it
            case command.MarkGood(delay):
                return await self._mark_good(delay)
            case command.RecordEvent(event_type, tech_info):
                await self.agent.record(event_type, tech_info)
                return event.EventRecorded()
        return None

    async def inspect(self) -> Found:
        """Ask the installer what is true now, until it answers.

        Raises:
            InstallerUnavailable: it does not.
        """
        slots = await self._insist(self.installer.inspect)
        return _found(slots)

    async def withdraw(self) -> bool:
        """Have the installed image taken back; returns whether none waits any more.

        Raises:
            InstallerUnavailable: the installer does not answer.
        """
        return await self._insist(self.installer.withdraw)

    async def discard(self) -> None:
        """Remove what was downloaded; what the disk does not give up is removed by the next start."""
        removing = asyncio.ensure_future(asyncio.to_thread(_empty, self.directory))
        try:
            await asyncio.shield(removing)
        except asyncio.CancelledError:
            await asyncio.wait([removing])  # a thread that is late must not take away the next image
            raise
        except DurableError as error:
            _log.warning("a downloaded image stays until the next start: %s", error)

    async def _await_time(self, at: datetime | None) -> Event:
        if at is not None:
            await self.agent.wait_until(at)
        return event.TimeCame(self.agent.now(), self.held)

    async def _await_release(self) -> Event:
        while self.held:
            await self.charging.wait_until_idle()
        return event.HoldReleased()

    async def _download(self, request: FirmwareRequest) -> Event:
        self.activity.download = None
        try:
            await asyncio.to_thread(durable.make_directory, self.directory)
        except DurableError as error:
            return event.DownloadInterrupted(self.agent.now(), str(error), worth_retrying=True)
        outcome = await _either(self._fetch(request), self._wait_until_held())
        return outcome or event.DownloadHeldBack()

    async def _fetch(self, request: FirmwareRequest) -> Event:
        try:
            fetched = await self.fetcher.fetch(request.location, self.image, self._note_download)
        except FetchRefused as refusal:
            _log.warning("the firmware was not downloaded: %s", refusal)
            return event.DownloadInterrupted(self.agent.now(), str(refusal), refusal.worth_retrying)
        return event.DownloadCompleted(fetched.sha256, fetched.size_bytes)

    async def _wait_until_held(self) -> None:
        while True:
            if self.held:
                return
            await asyncio.sleep(HOLD_POLL.total_seconds())

    async def _verify(self, request: FirmwareRequest, digest: bytes) -> Event:
        verification = await self.verifier.verify(digest, request.signature, request.signing_certificate)
        return event.SignatureAccepted() if verification.verified else event.SignatureRefused(verification.reason)

    async def _check(self, request: FirmwareRequest, sha256: str) -> Event:
        """Judge everything once more: months may lie between, the root may be gone, the file may be another."""
        verdict = await self.verifier.judge(request.signing_certificate)
        if not verdict.accepted:
            return event.CertificateRefused(verdict.reason)
        try:
            digest = await digest_of(self.image)
        except DurableError as error:
            return event.JobFailed(f"the downloaded image cannot be read: {error.what}")
        if digest.hex() != sha256:
            return event.SignatureRefused("the image on the disk is not the one that was verified")
        verified = await self._verify(request, digest)
        return event.ImageConfirmed() if isinstance(verified, event.SignatureAccepted) else verified

    async def _await_idle(self, until: datetime | None) -> Event:
        if until is None:
            await self.charging.wait_until_idle()
        else:
            await _either(self.charging.wait_until_idle(), self.agent.wait_until(until))
        return event.WaitExpired() if self.charging.transactions_running() else event.TransactionsEnded()

    async def _install(self, request: FirmwareRequest, sha256: str) -> Event:
        image = Image(path=self.image, request_id=request.request_id, sha256=sha256, file_name=request.file_name)
        self.activity.installation, self.activity.installing = None, True
        try:
            outcome = await self.installer.install(image, self._note_installation)
        except VerificationFailed as refusal:
            return event.VerificationFailed(refusal.why)
        except InstallFailed as failure:
            return event.InstallFailed(failure.why)
        finally:
            self.activity.installing = False
        if outcome is Outcome.NEEDS_REBOOT:
            return event.RebootRequired(self.agent.now())
        await self.agent.note_new_firmware()
        return event.ImageActivated()

    async def _follow(self) -> Event:
        while True:
            found = await self.inspect()
            if not found.installing:
                return event.InstallFollowed(self.agent.now(), found)
            await asyncio.sleep(INSTALLER_RETRY.total_seconds())

    async def _await_report(self) -> Event:
        if not await self.agent.wait_until_told(self.report_wait):
            _log.warning("the device reboots before the Central System has heard of it: it will when it is back")
        return event.RebootAnnounced()

    async def _mark_good(self, delay: timedelta) -> Event:
        await asyncio.sleep(delay.total_seconds())
        await self.agent.wait_until_healthy()
        try:
            await self.installer.mark_good()
        except InstallerUnavailable as error:
            _log.warning("the running firmware was not marked good: %s", error)
            return event.MarkingFailed(str(error))
        return event.MarkedGood(await self.installer.running_version())

    async def _insist(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        for _ in range(MAX_INSTALLER_TRIES - 1):
            try:
                return await ask()
            except InstallerUnavailable as error:
                _log.warning("the firmware installer does not answer, it is asked again: %s", error)
                await asyncio.sleep(INSTALLER_RETRY.total_seconds())
        return await ask()

    def _note_download(self, progress: FetchProgress) -> None:
        self.activity.download = progress

    def _note_installation(self, progress: Progress) -> None:
        self.activity.installation = progress


async def _either(first: Coroutine[Any, Any, _T], second: Coroutine[Any, Any, None]) -> _T | None:
    """Wait for one of two; returns what the first one does, None where the second one is done before."""
    tasks = asyncio.create_task(first), asyncio.create_task(second)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _found(slots: Slots) -> Found:
    return Found(
        running_version=slots.running_version,
        running_sha256=slots.running_sha256,
        waiting_sha256=slots.waiting_sha256,
        installing=slots.installing,
        confirmed=slots.confirmed,
    )


def _empty(directory: Path) -> None:
    for path in durable.files(directory, suffix=""):
        durable.remove(path)
