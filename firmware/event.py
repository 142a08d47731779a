"""What can happen to a firmware update: the events of its machine, each a fact with the time where it matters.

`held` says whether a download has to stand back just now, because the setting says so and somebody charges.
Pure data.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the installer says is true now (firmware/installer.py, `Slots`); images are told apart by SHA-256 in hex.

    Attributes:
        running_version: of the firmware that runs, None where that is not known.
        running_sha256: of the image that the running firmware came from, None where that is not known.
        waiting_sha256: of the image that the next boot activates, None where there is none.
        installing: an installation is under way.
        confirmed: the running firmware was marked good.
    """

    running_version: str | None = None
    running_sha256: str | None = None
    waiting_sha256: str | None = None
    installing: bool = False
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Begun:
    """SignedUpdateFirmware.conf is out."""

    now: datetime
    held: bool


@dataclass(frozen=True, slots=True)
class Restarted:
    """The agent has been started again, after an orderly end, a kill, a power cut or a reboot."""

    now: datetime
    held: bool
    found: Found


@dataclass(frozen=True, slots=True)
class TimeCame:
    """The instant that was waited for has come."""

    now: datetime
    held: bool


@dataclass(frozen=True, slots=True)
class HoldReleased:
    """The download need not stand back any more."""


@dataclass(frozen=True, slots=True)
class DownloadHeldBack:
    """The download was stopped because it has to stand back."""


@dataclass(frozen=True, slots=True)
class DownloadInterrupted:
    """A try to download came to nothing; a part of the file may be there."""

    now: datetime
    reason: str
    worth_retrying: bool


@dataclass(frozen=True, slots=True)
class DownloadCompleted:
    """The whole file is there."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SignatureAccepted:
    """The signature over the whole file is that of the signing certificate."""


@dataclass(frozen=True, slots=True)
class SignatureRefused:
    """The signature is missing, malformed or wrong, or the file is not the one that was verified."""

    reason: str


@dataclass(frozen=True, slots=True)
class CertificateRefused:
    """The signing certificate, judged again, is not good any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class ImageConfirmed:
    """Certificate, signature and file are still good, and will be installed within this process."""


@dataclass(frozen=True, slots=True)
class TransactionsEnded:
    """No transaction runs, and none can begin."""


@dataclass(frozen=True, slots=True)
class WaitExpired:
    """The longest time to wait for transactions is over."""


@dataclass(frozen=True, slots=True)
class ImageActivated:
    """The image is installed and runs already."""


@dataclass(frozen=True, slots=True)
class RebootRequired:
    """The image is installed and runs after the next boot."""

    now: datetime


@dataclass(frozen=True, slots=True)
class InstallFailed:
    """The image was not installed."""

    reason: str


@dataclass(frozen=True, slots=True)
class VerificationFailed:
    """The installer's own check has refused the image."""

    reason: str


@dataclass(frozen=True, slots=True)
class InstallFollowed:
    """An installation that had outlived the agent is over."""

    now: datetime
    found: Found


@dataclass(frozen=True, slots=True)
class ImageWithdrawn:
    """The installed image will not be booted."""


@dataclass(frozen=True, slots=True)
class WithdrawalRefused:
    """The installed image cannot be taken back: the next boot starts it."""


@dataclass(frozen=True, slots=True)
class RebootAnnounced:
    """The Central System has heard of the reboot, or had its time to."""


@dataclass(frozen=True, slots=True)
class MarkedGood:
    """The new firmware runs, is healthy, and the boot loader will keep it."""

    version: str | None


@dataclass(frozen=True, slots=True)
class MarkingFailed:
    """The installer did not mark the running firmware good."""

    reason: str


@dataclass(frozen=True, slots=True)
class EventRecorded:
    """The security event is in the security log, and owed where it is to be sent."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The update was taken back for another request; nothing of it goes on."""


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The update cannot go on, by a fault of ours or of the machine."""

    reason: str


Event = (
    Begun
    | Restarted
    | TimeCame
    | HoldReleased
    | DownloadHeldBack
    | DownloadInterrupted
    | DownloadCompleted
    | SignatureAccepted
    | SignatureRefused
    | CertificateRefused
    | ImageConfirmed
    | TransactionsEnded
    | WaitExpired
    | ImageActivated
    | RebootRequired
    | InstallFailed
    | VerificationFailed
    | InstallFollowed
    | ImageWithdrawn
    | WithdrawalRefused
    | RebootAnnounced
    | MarkedGood
    | MarkingFailed
    | EventRecorded
    | Stopped
    | JobFailed
)
