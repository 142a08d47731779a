"""The installer port: all that a firmware update asks of whatever puts firmware into the device.

Guaranteed by every installer: the image is handed to it only after its signature was found good, and it brings the
image where the device boots from, or leaves the running firmware as it was. A power cut at any instant leaves a device
that boots: the old firmware, or the new one whole, never half an image as bootable. `inspect` tells the truth after a
power cut, a killed agent and a boot, because an installer keeps durably which image it was given before it begins.

Who calls what:

    firmware/updater.py   inspect after each start of the agent and before it asks for an installation anew; install
                          when all conditions hold, one at a time; withdraw when an update is cancelled that waits for
                          its reboot; mark_good when the agent's own health check has passed
    the roof              running_version for BootNotification.req

Not done here: downloads, signatures, the wait for transactions, and the reboot itself, which is the hardware port's.
Installers: simulated_slots.py, command_installer.py, rauc_installer.py.

    Exception
      InstallFailed             the image was not installed (InstallationFailed)
        VerificationFailed      ... because the installer's own check refused it (InstallVerificationFailed)
      InstallerUnavailable      a question or an order found nobody who obeys; worth another try later
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol


class InstallFailed(Exception):
    """Raised when an image was not installed; the running firmware goes on.

    Attributes:
        why: the reason in words, one line without secrets.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class VerificationFailed(InstallFailed):
    """Raised when the installer itself found the image not good: a checksum, its own signature, another board."""


class InstallerUnavailable(Exception):
    """Raised when the installer gives no answer, or did not do as it was told; the same may be asked again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A firmware image whose signature was found good.

    Attributes:
        path: the whole file; it stays as it is until the installation has ended.
        request_id: of the SignedUpdateFirmware.req that brought it.
        sha256: of the file, in hex; an installer knows an image again by it.
        file_name: its last name at the location that it was fetched from, where that is known.
    """

    path: Path
    request_id: int
    sha256: str
    file_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an installation is.

    Attributes:
        percent: 0 to 100, None where the installer does not know.
        text: what is done now, a short line for people, may be empty.
    """

    percent: int | None
    text: str


Tell = Callable[[Progress], None]
"""Is told of progress, on the event loop, in bounded number; it returns at once."""


class Outcome(Enum):
    """What a successful installation means."""

    ACTIVE = auto()
    """The new firmware runs already; nothing is to be booted."""
    NEEDS_REBOOT = auto()
    """The new firmware runs after the next boot of the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What is true now.

    Attributes:
        running_version: of the firmware that runs, None where the installer does not know.
        running_sha256: of the image that the running firmware came from, None where it did not come from an image
            that was given to this installer, or that is not known.
        waiting_sha256: of the image that the next boot activates, None where the next boot changes nothing.
        installing: an installation is under way now, whoever began it: one that outlived the agent that had asked for
            it, too. What it leads to is seen when this is False.
        confirmed: the running firmware was marked good. Where not, the boot loader may go back to the old one.
    """

    running_version: str | None
    running_sha256: str | None
    waiting_sha256: str | None
    installing: bool
    confirmed: bool


class Installer(Protocol):
    """Puts firmware into the device. All methods are called on the event loop and never block it."""

    @property
    def cancellable(self) -> bool:
        """Whether a running `install` can be stopped (else L01.FR.27: a second request is Rejected)."""

    async def install(self, image: Image, tell: Tell) -> Outcome:
        """Install an image; one call at a time.

        Args:
            image: what to install.
            tell: is told of progress.

        Returns:
            Whether the new firmware runs already.

        Raises:
            VerificationFailed: the installer's own check refused the image.
            InstallFailed: anything else that kept it from being installed. As with the above the old firmware runs on
                and is what the next boot starts.

        Cancelling: where `cancellable`, the installation is stopped and undone before CancelledError is raised. Else
            the caller merely waits no longer: the installation goes on, and `inspect` says so.
        """

    async def inspect(self) -> Slots:
        """Say what is true now; changes nothing.

        Raises:
            InstallerUnavailable: it cannot be known now.
        """

    async def mark_good(self) -> None:
        """Keep the running firmware for good: the boot loader no longer goes back. Harmless when repeated.

        Raises:
            InstallerUnavailable: it is not marked.
        """

    async def withdraw(self) -> bool:
        """See to it that an image that waits for the reboot is not booted.

        Returns:
            Whether no image waits any more; False where this installer cannot take one back.

        Raises:
            InstallerUnavailable: whether one waits is not known.
        """

    async def running_version(self) -> str | None:
        """Return the version of the firmware that runs, None where it is not known or cannot be known now."""
