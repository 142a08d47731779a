"""An installer for any board: programs of the integrator's install an image, say what runs, and mark it good.

docs/firmware-installers.md is the contract with these programs: their environment, what they print, and their exit
status. Only the one that installs is required.

Guaranteed: which image was given to the program is on the disk before the program starts. A lock that the program
inherits tells a later start of the agent whether it is still at work, though the agent that started it was killed: the
kernel gives the lock free when the last process that holds it has ended, and in no other way.

What `inspect` says comes from the program that was made to answer, key by key; what it leaves open follows from the
record (command_record.py) and the version that runs.
"""

import asyncio
import fcntl
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from firmware import note
from firmware.command_record import Now, Record, Stage, Update
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
from firmware.program import Ended, ProgramFailed, run_program
from firmware.simulated_image import version_in
from security.errors import DurableError

NEEDS_REBOOT_STATUS: Final = 10  #: code; exit status of the program: installed, and the next boot activates it
VERIFICATION_FAILED_STATUS: Final = 11  #: code; exit status of the program: its own check has refused the image
ANSWER_TIMEOUT: Final = timedelta(
    seconds=60
)  #: time; for the programs that ask or order; a boot loader's tools are slow
MAX_PROGRESS: Final = 1000  #: tells; of progress in one installation, ten a percent
MAX_TEXT_CHARACTERS: Final = 200  #: characters; of the text of a progress line, and of a version

RECORD_NAME: Final = "command.json"
LOCK_NAME: Final = "command.lock"

_PROGRESS = re.compile(r"progress (\d{1,3})(?: (.*))?")
_ANSWER = re.compile(r"([a-z0-9_]+)=(.*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SWITCHES: Final = {"yes": True, "no": False}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The programs, each an argument vector whose first item is an absolute path; empty: there is none.

    Attributes:
        install: installs an image.
        inspect: says what is true now.
        mark_good: keeps the running firmware.
        withdraw: keeps an image that waits from being booted.
        cancellable: whether `install` may be ended while it works.
        timeout: of `install`, None for none.
    """

    install: tuple[str, ...]
    inspect: tuple[str, ...] = ()
    mark_good: tuple[str, ...] = ()
    withdraw: tuple[str, ...] = ()
    cancellable: bool = False
    timeout: timedelta | None = None


class CommandInstaller:
    """The installer.

    Args:
        commands: the programs.
        directory: where the record and the lock lie; it exists.
        record: what is remembered, as `load_record` has read it.
        boot_id: of the boot that runs.
        board_version: asks the hardware driver which version runs; None where it does not know.
    """

    def __init__(
        self,
        commands: Commands,
        directory: Path,
        record: Record,
        *,
        boot_id: str,
        board_version: Callable[[], str | None],
    ) -> None:
        self._commands = commands
        self._directory = directory
        self._record = record
        self._boot_id = boot_id
        self._board_version = board_version
        self._at_lock = asyncio.Lock()

    @property
    def cancellable(self) -> bool:
        """As config.toml has it: nobody else knows what the board is like in the middle of it."""
        return self._commands.cancellable

    async def install(self, image: Image, tell: Tell) -> Outcome:
        """Run the program that installs, as the port says."""
        async with self._at_lock:
            lock = await asyncio.to_thread(_take_lock, self._directory)
        try:
            version = version_in(image.file_name or "")
            before = Now(self._boot_id, await self.running_version())
            update = Update(image.request_id, image.sha256, version, before)
            try:
                await self._keep(self._record.begun(update))
            except DurableError as error:
                raise InstallFailed(f"nothing was started, because it could not be noted: {error}") from error
            environment = _about(update) | {"CHARGEPOINT_IMAGE": str(image.path)}
            ended = await self._run_install(environment, lock, tell)
        finally:
            # From now on the lock is held by the program alone, if it is left to itself.
            os.close(lock)
        return await self._judge(ended)

    async def inspect(self) -> Slots:
        """Say what the program says, and what follows from the record for all that it leaves open."""
        said = await self._ask()
        async with self._at_lock:  # to look is to hold it for a moment
            busy = await asyncio.to_thread(_is_locked, self._directory)
        version = said.get("running_version") or self._board_version()
        now = Now(self._boot_id, version)
        confirmed = not self._commands.mark_good or self._record.confirmed(now)
        return Slots(
            running_version=version,
            running_sha256=_hash(said, "running_sha256", self._record.running(now)),
            waiting_sha256=_hash(said, "waiting_sha256", self._record.waiting(now)),
            installing=busy or _switch(said, "installing", default=False),
            confirmed=_switch(said, "confirmed", default=confirmed),
        )

    async def mark_good(self) -> None:
        """Run the program that marks good; without one there is nothing to mark."""
        if self._commands.mark_good:
            now = Now(self._boot_id, await self.running_version())
            await self._order(self._commands.mark_good)
            await self._keep_or_complain(self._record.marked_good(now))

    async def withdraw(self) -> bool:
        """Run the program that withdraws; without one an image that waits cannot be taken back."""
        slots = await self.inspect()
        if slots.waiting_sha256 is None:
            return True
        if not self._commands.withdraw:
            return False
        await self._order(self._commands.withdraw)
        await self._keep_or_complain(self._record.withdrawn(Now(self._boot_id, slots.running_version)))
        return True

    async def running_version(self) -> str | None:
        """Return what the program that answers says, or the hardware driver."""
        try:
            said = await self._ask()
        except InstallerUnavailable as error:
            _log.warning("%s", error)
            said = {}
        return said.get("running_version") or self._board_version()

    async def _run_install(self, environment: Mapping[str, str], lock: int, tell: Tell) -> Ended:
        program = self._commands.install
        try:
            return await run_program(
                program,
                environment,
                on_line=_Report(tell),
                timeout=self._commands.timeout,
                end_when_cancelled=self.cancellable,
                keep_open=(lock,),
            )
        except ProgramFailed as error:
            await self._forget()
            raise InstallFailed(str(error)) from error
        except asyncio.CancelledError:
            if self.cancellable:
                await self._forget()
            raise

    async def _judge(self, ended: Ended) -> Outcome:
        if ended.status not in (0, NEEDS_REBOOT_STATUS):
            await self._forget()
            kind = VerificationFailed if ended.status == VERIFICATION_FAILED_STATUS else InstallFailed
            raise kind(f"{self._commands.install[0]} {ended}")
        active = ended.status == 0
        try:
            await self._keep(self._record.at(Stage.ACTIVE if active else Stage.WAITS))
        except DurableError as error:
            # It is installed all the same; after a restart the version that runs has to tell.
            _log.error("the outcome of the installation is not noted: %s", error)
        return Outcome.ACTIVE if active else Outcome.NEEDS_REBOOT

    async def _ask(self) -> Mapping[str, str]:
        """Return what the program that answers has said, nothing where there is none."""
        said: dict[str, str] = {}

        def note_line(line: str) -> None:
            if (answer := _ANSWER.fullmatch(line.strip())) is not None:
                said[answer[1]] = answer[2].strip()[:MAX_TEXT_CHARACTERS]

        if self._commands.inspect:
            await self._order(self._commands.inspect, note_line)
        return said

    async def _order(self, program: tuple[str, ...], on_line: Callable[[str], None] = _log.debug) -> None:
        environment = {} if self._record.update is None else _about(self._record.update)
        try:
            ended = await run_program(program, environment, on_line=on_line, timeout=ANSWER_TIMEOUT)
        except ProgramFailed as error:
            raise InstallerUnavailable(str(error)) from error
        if ended.status != 0:
            raise InstallerUnavailable(f"{program[0]} {ended}")

    async def _forget(self) -> None:
        try:
            await self._keep(self._record.failed())
        except DurableError as error:
            _log.error("the failed installation stays noted: %s", error)

    async def _keep_or_complain(self, record: Record) -> None:
        try:
            await self._keep(record)
        except DurableError as error:
            raise InstallerUnavailable(f"it is done and cannot be noted: {error}") from error

    async def _keep(self, record: Record) -> None:
        def store() -> None:
            note.store(self._directory / RECORD_NAME, record.to_json())
            self._record = record

        # To the end, even if nobody waits any more: memory and disk must not disagree.
        await asyncio.shield(asyncio.to_thread(store))


class _Report:
    """What the program that installs prints: progress is told, anything else is for the log."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told = 0

    def __call__(self, line: str) -> None:
        progress = _PROGRESS.fullmatch(line.strip())
        if progress is None or int(progress[1]) > 100:
            _log.debug("the installation says: %s", line)
        elif self._told < MAX_PROGRESS:
            self._told += 1
            self._tell(Progress(percent=int(progress[1]), text=(progress[2] or "")[:MAX_TEXT_CHARACTERS]))


def load_record(directory: Path) -> Record:
    """Read what is remembered; works in a thread.

    Raises:
        DurableError: the disk fails.
    """
    return note.load(directory / RECORD_NAME, Record.from_json) or Record()


def _about(update: Update) -> dict[str, str]:
    environment = {"CHARGEPOINT_REQUEST_ID": str(update.request_id), "CHARGEPOINT_SHA256": update.sha256}
    return environment if update.version is None else environment | {"CHARGEPOINT_VERSION": update.version}


def _hash(said: Mapping[str, str], key: str, otherwise: str | None) -> str | None:
    if (text := said.get(key)) is None:
        return otherwise
    if text and _SHA256.fullmatch(text.lower()) is None:
        raise InstallerUnavailable(f"{key} is no SHA-256 in hex")
    return text.lower() or None


def _switch(said: Mapping[str, str], key: str, *, default: bool) -> bool:
    if (text := said.get(key)) is None:
        return default
    if text not in _SWITCHES:
        raise InstallerUnavailable(f"{key} is neither yes nor no")
    return _SWITCHES[text]


def _take_lock(directory: Path) -> int:
    """Return a descriptor that holds the lock; it goes to the program."""
    try:
        lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InstallFailed(f"{directory / LOCK_NAME} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise InstallFailed("an installation is under way already, and its program has not ended yet") from error
    return lock


def _is_locked(directory: Path) -> bool:
    try:
        lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InstallerUnavailable(f"{directory / LOCK_NAME} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
