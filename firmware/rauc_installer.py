"""An installer for boards with RAUC: its daemon installs bundles, by D-Bus.

Guaranteed: which image was given to RAUC is on the disk before RAUC is told to begin (rauc_record.py). From there on
RAUC is asked, never guessed at: its signals say when to ask, and what it says of its slots decides where its word of
the outcome was not heard, because the agent was killed, RAUC was restarted, or the bus went away.

RAUC is not told to stop, because it cannot be: a cancelled wait leaves it at work, and `inspect` says so. An
installation that somebody else has begun is waited for.
"""

import asyncio
import logging
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from firmware import note
from firmware.installer import (
    Image,
    InstallerUnavailable,
    InstallFailed,
    Outcome,
    Progress,
    Slots,
    Tell,
    VerificationFailed,
)
from firmware.rauc_bus import SYSTEM_BUS, Rauc, RaucRefused, open_rauc
from firmware.rauc_record import Begun, Board, Record
from security.errors import DurableError

RECORD_NAME: Final = "rauc.json"
IDLE: Final = "idle"

ASK_INTERVAL: Final = timedelta(seconds=10)  #: time; RAUC is asked again though no signal came: one may have been lost
RETURN_INTERVAL: Final = timedelta(
    seconds=1
)  #: time; between tries to reach a RAUC that went away; systemd restarts it
MAX_PROGRESS: Final = 1000  #: tells; of progress in one installation, ten a percent

_NOT_GOOD = re.compile(
    r"signature|verif|certificate|checksum|digest|hash|compatible mismatch|bundle format|manifest", re.IGNORECASE
)
"""What RAUC says of a bundle that it refuses, and of no disk and no boot loader."""

_log = logging.getLogger(__name__)


class RaucInstaller:
    """The installer.

    Args:
        directory: where the record lies; it exists.
        record: what is remembered, as `load_record` has read it.
        timeout: of an installation, the wait for one of somebody else's included; None for none.
        address: of the D-Bus that RAUC is on.
    """

    def __init__(
        self, directory: Path, record: Record, *, timeout: timedelta | None = None, address: str = SYSTEM_BUS
    ) -> None:
        self._path = directory / RECORD_NAME
        self._record = record
        self._timeout = timeout
        self._address = address
        self._installing = False
        self._last: Slots | None = None

    @property
    def cancellable(self) -> bool:
        """No: RAUC's interface has no order for it."""
        return False

    async def install(self, image: Image, tell: Tell) -> Outcome:
        """Have RAUC install the image, a bundle, as the port says."""
        if self._installing:
            raise InstallFailed("another image is being installed")
        self._installing = True
        try:
            async with asyncio.timeout(self._timeout.total_seconds() if self._timeout else None):
                await self._install(image, _Report(tell))
        except TimeoutError as error:
            raise InstallFailed(f"RAUC did not end within {self._timeout}, and cannot be told to") from error
        except InstallerUnavailable as error:
            raise InstallFailed(str(error)) from error
        finally:
            self._installing = False
        return Outcome.NEEDS_REBOOT

    async def inspect(self) -> Slots:
        """Say what RAUC says; while it installs it says nothing of its slots, and what was last known holds."""
        if self._installing:
            return self._busy()
        async with open_rauc(self._address) as rauc:
            if await rauc.operation() != IDLE:
                return self._busy()
            board = await _ask(rauc)
        if self._record.begun is not None:
            # Nobody has heard of the outcome: the agent was killed before, or has given up waiting.
            await self._keep(self._record.ended(board, self._record.target(board, heard=None)))
        running, waiting = self._record.running(board), self._record.waiting(board)
        self._last = Slots(
            running_version=board.booted.version if board.booted else None,
            running_sha256=running.sha256 if running else None,
            waiting_sha256=waiting.sha256 if waiting else None,
            installing=False,
            confirmed=self._record.confirmed(board),
        )
        return self._last

    async def mark_good(self) -> None:
        """Have the boot loader stay with the slot that runs."""
        async with open_rauc(self._address) as rauc:
            board = await _ask(rauc)
            await _mark(rauc, "good")
        await self._keep(self._record.marked_good(board))

    async def withdraw(self) -> bool:
        """Have the boot loader try the slot that runs first, which makes the other one wait no more."""
        async with open_rauc(self._address) as rauc:
            board = await _ask(rauc)
            if board.booted is not None and board.primary != board.booted.name:
                await _mark(rauc, "active")
        return True

    async def running_version(self) -> str | None:
        """Return the version of the bundle that the booted slot came from, None where RAUC keeps no status."""
        try:
            async with open_rauc(self._address) as rauc:
                board = await _ask(rauc)
        except InstallerUnavailable as error:
            _log.warning("%s", error)
            return None
        return board.booted.version if board.booted else None

    async def _install(self, image: Image, report: "_Report") -> None:
        try:
            async with open_rauc(self._address) as rauc:
                await rauc.follow()
                await self._begin(rauc, image, report)
                return await self._follow(rauc, report)
        except InstallerUnavailable as error:
            if self._record.begun is None:
                raise
            _log.warning("RAUC went away in the middle of an installation: %s", error)
        while True:
            await asyncio.sleep(RETURN_INTERVAL.total_seconds())
            try:
                async with open_rauc(self._address) as rauc:
                    await rauc.follow()
                    return await self._follow(rauc, report)
            except InstallerUnavailable as error:
                _log.debug("RAUC is not back: %s", error)

    async def _begin(self, rauc: Rauc, image: Image, report: "_Report") -> None:
        """Note the image and have RAUC begin, as soon as it does nothing else."""
        while True:
            while await rauc.operation() != IDLE:
                report(Progress(percent=None, text="waiting for another installation"))
                await rauc.changed(ASK_INTERVAL)
            rauc.forget_result()
            begun = Begun.of(image.request_id, image.sha256, await _ask(rauc))
            try:
                await asyncio.shield(asyncio.to_thread(self._store, self._record.beginning(begun)))
            except DurableError as error:
                raise InstallFailed(f"nothing was begun, because it could not be noted: {error}") from error
            try:
                return await rauc.install_bundle(str(image.path))
            except RaucRefused as error:
                await self._keep(self._record.given_up())
                if await rauc.operation() == IDLE:
                    raise _failure(str(error)) from error
                # Somebody was quicker.

    async def _follow(self, rauc: Rauc, report: "_Report") -> None:
        """Wait until RAUC has ended, and judge how.

        Raises:
            InstallFailed: it has not installed the image.
        """
        while await rauc.operation() != IDLE:
            report(await rauc.progress())
            await rauc.changed(ASK_INTERVAL)
        why, board, result = await rauc.last_error(), await _ask(rauc), rauc.result()
        heard = None if result is None else result == 0
        target = self._record.target(board, heard=heard)
        await self._keep(self._record.ended(board, target))
        if target is None and not heard:
            raise _failure(why or "RAUC ended in the middle of it")
        if target is not None and board.primary not in (None, target):
            raise InstallFailed(f"RAUC has written {target} and does not have it booted: see activate-installed")

    def _busy(self) -> Slots:
        if self._last is not None:
            return replace(self._last, waiting_sha256=None, installing=True)
        return Slots(running_version=None, running_sha256=None, waiting_sha256=None, installing=True, confirmed=False)

    async def _keep(self, record: Record) -> None:
        """Keep what is true already; where the disk does not take it, RAUC is asked again after a restart."""
        try:
            await asyncio.shield(asyncio.to_thread(self._store, record))
        except DurableError as error:
            self._record = record
            _log.error("what became of an image is not noted: %s", error)

    def _store(self, record: Record) -> None:
        note.store(self._path, record.to_json())
        self._record = record


class _Report:
    """Tells progress, in bounded number and nothing twice."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told = 0
        self._last: Progress | None = None

    def __call__(self, progress: Progress | None) -> None:
        if progress is None or progress == self._last or self._told >= MAX_PROGRESS:
            return
        self._last = progress
        self._told += 1
        self._tell(progress)


def load_record(directory: Path) -> Record:
    """Read what is remembered; works in a thread.

    Raises:
        DurableError: the disk fails.
    """
    return note.load(directory / RECORD_NAME, Record.from_json) or Record()


async def _ask(rauc: Rauc) -> Board:
    try:
        slots = await rauc.slots()
    except RaucRefused as error:
        raise InstallerUnavailable(f"RAUC does not say what is in its slots: {error}") from error
    return Board({slot.name: slot for slot in slots if slot.bootable}, await rauc.primary())


async def _mark(rauc: Rauc, state: str) -> None:
    try:
        await rauc.mark(state, "booted")
    except RaucRefused as error:
        raise InstallerUnavailable(f"RAUC does not mark the booted slot as {state}: {error}") from error


def _failure(why: str) -> InstallFailed:
    return VerificationFailed(why) if _NOT_GOOD.search(why) else InstallFailed(why)
