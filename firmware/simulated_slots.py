"""Two simulated slots, A and B, as files in the state directory: the installer of the simulated board and of the demo.

It behaves as the slots of a real board do: an image is copied into the slot that does not run, checked, and tried by
the next boot; a boot loader counts the tries of firmware that is not marked good, and goes back. What an image can
order is in simulated_image.py, what the boot loader decides in simulated_boot.py.

Guaranteed: a power cut or a kill at any instant leaves the running slot as it is, and the other one either whole or not
bootable: it counts as empty before the first byte is written and as bootable after the last one is on the disk.

The boot loader has its say in `open`, which is called with the boot id of the board: a boot id that it does not know
is a boot. Everything but `open` may be called on the event loop; the disk is moved in threads.
"""

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

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
from firmware.simulated_boot import BootEnvironment, Slot
from firmware.simulated_image import HEAD_BYTES, Activation, Behaviour, SimulatedImage, read_image
from security import durable
from security.errors import DurableError

CHUNK_BYTES: Final = 1_048_576  #: bytes; copied at a time, so that memory stays flat and a cancelled copy ends soon
BOOT_FILE: Final = "boot.json"

Step = Callable[[BootEnvironment], BootEnvironment]

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """Raised in the copying thread when nobody waits for the copy any more."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy that is under way.

    Attributes:
        stop: is set when it is to end.
        tell: takes a number of percent, from any thread.
    """

    stop: threading.Event
    tell: Callable[[int], None]


class SimulatedSlots:
    """The installer.

    Args:
        directory: where the slots lie; it exists.
        environment: what the boot loader has decided for the boot that runs.
        factory_version: of the firmware that was in the first slot from the beginning.
        activation: when a new firmware begins to run, where the image does not say.
    """

    def __init__(
        self, directory: Path, environment: BootEnvironment, factory_version: str | None, activation: Activation
    ) -> None:
        self._directory = directory
        self._environment = environment
        self._factory_version = factory_version
        self._activation = activation
        self._installing = False
        self._changing = threading.Lock()

    @classmethod
    def open(
        cls, directory: Path, *, boot_id: str, factory_version: str | None, activation: Activation = Activation.REBOOT
    ) -> Self:
        """Open the slots, and let the boot loader decide where the device has booted since.

        Args:
            directory: of the slots, whose parent exists; made on first use.
            boot_id: of the boot that runs.
            factory_version: see the class.
            activation: see the class.

        Raises:
            DurableError: the disk fails; nothing was decided.
        """
        durable.make_directory(directory)
        durable.sweep(directory)
        known = note.load(directory / BOOT_FILE, BootEnvironment.from_json)
        environment = BootEnvironment(boot_id) if known is None else known.booted(boot_id)
        if environment != known:
            note.store(directory / BOOT_FILE, environment.to_json())
        return cls(directory, environment, factory_version, activation)

    @property
    def cancellable(self) -> bool:
        """Yes, up to the last byte."""
        return True

    async def install(self, image: Image, tell: Tell) -> Outcome:
        """Copy the image into the slot that does not run, as the port says."""
        if self._installing:
            raise InstallFailed("another image is being installed")
        if not self._environment.confirmed:
            raise InstallFailed("the running firmware is not marked good yet, and the other slot holds the old one")
        self._installing = True
        try:
            return await self._install(image, tell)
        finally:
            self._installing = False

    async def inspect(self) -> Slots:
        """Say what the boot loader knows."""
        environment = self._environment
        return Slots(
            running_version=await self.running_version(),
            running_sha256=environment.current.sha256,
            waiting_sha256=environment.waiting.sha256 if environment.waiting else None,
            installing=self._installing,
            confirmed=environment.confirmed,
        )

    async def mark_good(self) -> None:
        """Have the boot loader stay with what runs."""
        await self._order(BootEnvironment.marked_good)

    async def withdraw(self) -> bool:
        """Empty the slot that waits for the reboot."""
        if self._environment.waiting is not None:
            await self._order(BootEnvironment.emptied)
        return True

    async def running_version(self) -> str | None:
        """Return the version that the running image has named, or that of the factory."""
        return self._environment.current.version or self._factory_version

    async def _install(self, image: Image, tell: Tell) -> Outcome:
        loop, stop, running = asyncio.get_running_loop(), threading.Event(), self._environment.running

        def tell_percent(percent: int) -> None:
            loop.call_soon_threadsafe(tell, Progress(percent=percent, text="copying"))

        work = asyncio.ensure_future(asyncio.to_thread(self._fill_other_slot, image, _Copy(stop, tell_percent)))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()
            # The next image must not meet the end of this one in the same slot.
            await asyncio.wait([work])
            if work.exception() is None:
                try:
                    await self._order(lambda environment: environment.only(running))
                except InstallerUnavailable as error:
                    _log.error("the cancelled image waits for the reboot: %s", error)
            raise

    def _fill_other_slot(self, image: Image, copy: _Copy) -> Outcome:
        """Bring the image into the slot that does not run, and have it booted; works in a thread."""
        try:
            # Before anything else: a boot from now on must not try what waited before, or what is half there.
            self._change(BootEnvironment.emptied)
            about = self._read(image)
            at_once = (about.activation or self._activation) is Activation.AT_ONCE
            slot = Slot(image.sha256, about.version, about.behaviour is not Behaviour.ROLLBACK)
            target = self._directory / f"{self._environment.running.other}.image"
            durable.write_chunks(target, _chunks(image, copy, hang=about.behaviour is Behaviour.HANG))
            self._change(lambda environment: environment.installed(slot, at_once=at_once))
        except DurableError as error:
            raise InstallFailed(f"the slot cannot be written: {error}") from error
        return Outcome.ACTIVE if at_once else Outcome.NEEDS_REBOOT

    def _read(self, image: Image) -> SimulatedImage:
        try:
            with image.path.open("rb") as source:
                head = source.read(HEAD_BYTES)
            about = read_image(head, image.file_name or image.path.name, image.sha256)
        except OSError as error:
            raise InstallFailed(f"the image cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise InstallFailed(f"the image has a marker that is not understood: {error}") from error
        if about.behaviour is Behaviour.FAIL:
            raise InstallFailed("the image orders its installation to fail")
        if about.behaviour is Behaviour.VERIFICATION:
            raise VerificationFailed("the image orders its verification to fail")
        return about

    async def _order(self, step: Step) -> None:
        try:
            # To the end, even if nobody waits any more: the memory and the disk of the boot loader must not disagree.
            await asyncio.shield(asyncio.to_thread(self._change, step))
        except DurableError as error:
            raise InstallerUnavailable(f"the boot loader's memory cannot be written: {error}") from error

    def _change(self, step: Step) -> None:
        """Take one step of the boot environment, on the disk first; works in a thread."""
        with self._changing:
            changed = step(self._environment)
            note.store(self._directory / BOOT_FILE, changed.to_json())
            self._environment = changed


def _chunks(image: Image, copy: _Copy, *, hang: bool) -> Iterator[bytes]:
    """Yield the image piece by piece, and refuse it at the end where it is not the one that was verified."""
    digest, done, told = hashlib.sha256(), 0, -1
    try:
        total = image.path.stat().st_size
        with image.path.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                if copy.stop.is_set():
                    raise _Stopped
                digest.update(chunk)
                yield chunk
                done += len(chunk)
                percent = min(done * 100 // max(total, 1), 100)
                if percent != told:
                    told = percent
                    copy.tell(percent)
                if hang and done * 2 >= total:
                    copy.stop.wait()
    except OSError as error:
        raise InstallFailed(f"the image cannot be read: {error.strerror}") from error
    if copy.stop.is_set():
        raise _Stopped
    if digest.hexdigest() != image.sha256:
        raise VerificationFailed("the copy is not the image whose signature was found good")
