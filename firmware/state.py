"""The states of a firmware update, the status that each has on the wire, and how an update is stopped in each.

A state without a status of its own leaves the last one in force: the Central System sees Downloading while the next try
is waited for. Pure data.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from firmware.status import FirmwareStatus


class State(Enum):
    """Where an update is; the values are for people (`status`) and for the snapshot."""

    ACCEPTED = "accepted"
    DOWNLOAD_SCHEDULED = "waiting for the retrieve date time"
    DOWNLOAD_HELD = "waiting for the end of charging before the download"
    DOWNLOADING = "downloading"
    RETRY_WAIT = "waiting for the next try to download"
    DOWNLOAD_PAUSED = "download paused while somebody charges"
    DOWNLOADED = "verifying the signature"
    SIGNATURE_VERIFIED = "signature verified"
    INSTALL_SCHEDULED = "waiting for the install date time"
    WAITING_FOR_TRANSACTIONS = "waiting for transactions to end before the installation"
    CHECKING = "checking certificate and image again"
    INSTALLING = "installing"
    FOLLOWING = "waiting for an installation under way"
    WAITING_FOR_REBOOT = "waiting for transactions to end before the reboot"
    INSTALL_REBOOTING = "telling the Central System of the reboot"
    REBOOTING = "rebooting"
    WITHDRAWING = "taking the installed image back"
    PROBATION = "new firmware on trial"
    RECORDING_SUCCESS = "recording the update"
    RECORDING_SIGNATURE = "recording the invalid signature"
    RECORDING_CERTIFICATE = "recording the invalid certificate"
    RECORDING_ROLL_BACK = "recording the roll-back"
    INSTALLED = "installed"
    DOWNLOAD_FAILED = "download failed"
    INVALID_SIGNATURE = "invalid signature"
    INSTALLATION_FAILED = "installation failed"
    INSTALL_VERIFICATION_FAILED = "verification before the installation failed"
    CANCELLED = "cancelled for another request"
    ROLLED_BACK = "rolled back by the boot loader"


STATUS: Final[Mapping[State, FirmwareStatus]] = {
    State.DOWNLOAD_SCHEDULED: FirmwareStatus.DOWNLOAD_SCHEDULED,  # L01.FR.13
    State.DOWNLOADING: FirmwareStatus.DOWNLOADING,
    State.DOWNLOAD_PAUSED: FirmwareStatus.DOWNLOAD_PAUSED,  # L01.FR.14
    State.DOWNLOADED: FirmwareStatus.DOWNLOADED,
    State.SIGNATURE_VERIFIED: FirmwareStatus.SIGNATURE_VERIFIED,
    State.INSTALL_SCHEDULED: FirmwareStatus.INSTALL_SCHEDULED,  # L01.FR.16
    State.INSTALLING: FirmwareStatus.INSTALLING,  # L01.FR.22 (MAY): not used, it is told whoever boots later
    State.INSTALL_REBOOTING: FirmwareStatus.INSTALL_REBOOTING,  # L01.FR.15
    State.INSTALLED: FirmwareStatus.INSTALLED,
    State.DOWNLOAD_FAILED: FirmwareStatus.DOWNLOAD_FAILED,
    State.INVALID_SIGNATURE: FirmwareStatus.INVALID_SIGNATURE,
    State.INSTALLATION_FAILED: FirmwareStatus.INSTALLATION_FAILED,
    State.INSTALL_VERIFICATION_FAILED: FirmwareStatus.INSTALL_VERIFICATION_FAILED,
}

ENDS: Final = frozenset(
    {
        State.INSTALLED,
        State.DOWNLOAD_FAILED,
        State.INVALID_SIGNATURE,
        State.INSTALLATION_FAILED,
        State.INSTALL_VERIFICATION_FAILED,
        State.CANCELLED,
        State.ROLLED_BACK,
    }
)
"""Where nothing is under way; all but INSTALLED, which a boot loader can undo, are for ever."""


class Stopping(Enum):
    """What it takes to stop an update for another request (L01.FR.26, L01.FR.27)."""

    AT_ONCE = auto()
    """The work is dropped."""
    SOON = auto()
    """The state ends by itself in a moment; then it is seen again."""
    BY_INSTALLER = auto()
    """The installer must be able to stop, and do so."""
    BY_WITHDRAWAL = auto()
    """The installer must take the installed image back."""
    NEVER = auto()
    """The second request is Rejected (L01.FR.27)."""


STOPPING: Final[Mapping[State, Stopping]] = {
    State.ACCEPTED: Stopping.AT_ONCE,
    State.DOWNLOAD_SCHEDULED: Stopping.AT_ONCE,
    State.DOWNLOAD_HELD: Stopping.AT_ONCE,
    State.DOWNLOADING: Stopping.AT_ONCE,
    State.RETRY_WAIT: Stopping.AT_ONCE,
    State.DOWNLOAD_PAUSED: Stopping.AT_ONCE,
    State.DOWNLOADED: Stopping.AT_ONCE,
    State.SIGNATURE_VERIFIED: Stopping.AT_ONCE,
    State.INSTALL_SCHEDULED: Stopping.AT_ONCE,
    State.WAITING_FOR_TRANSACTIONS: Stopping.AT_ONCE,
    State.CHECKING: Stopping.AT_ONCE,
    State.INSTALLING: Stopping.BY_INSTALLER,
    State.FOLLOWING: Stopping.NEVER,
    State.WAITING_FOR_REBOOT: Stopping.BY_WITHDRAWAL,
    State.INSTALL_REBOOTING: Stopping.BY_WITHDRAWAL,
    State.REBOOTING: Stopping.NEVER,
    State.WITHDRAWING: Stopping.SOON,
    State.PROBATION: Stopping.NEVER,
    State.RECORDING_SUCCESS: Stopping.SOON,
    State.RECORDING_SIGNATURE: Stopping.SOON,
    State.RECORDING_CERTIFICATE: Stopping.SOON,
    State.RECORDING_ROLL_BACK: Stopping.SOON,
}
"""Of every state in which something is under way."""
