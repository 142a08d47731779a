"""What a firmware update wants done: the commands of its machine, in the order in which they are to be carried out.

`Report`, `HoldConnectors`, `ReleaseConnectors` and `DiscardImage` bring no event; every other one is the last of its
list and brings exactly one, named at it (or none, where the agent ends before).
Pure data.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from security.event import SecurityEventType


@dataclass(frozen=True, slots=True)
class Report:
    """Owe the Central System a SignedFirmwareStatusNotification.req; kept together with the snapshot."""

    status: str
    request_id: int


@dataclass(frozen=True, slots=True)
class HoldConnectors:
    """Set idle connectors to Unavailable, others as they fall free (L01.FR.07, L01.FR.19); harmless when repeated."""


@dataclass(frozen=True, slots=True)
class ReleaseConnectors:
    """Let the connectors come back; harmless where none is held."""


@dataclass(frozen=True, slots=True)
class DiscardImage:
    """Remove the file, whole or in part."""


@dataclass(frozen=True, slots=True)
class AwaitTime:
    """Wait until an instant, None for this one: `TimeCame`."""

    at: datetime | None


@dataclass(frozen=True, slots=True)
class AwaitRelease:
    """Wait until a download need not stand back: `HoldReleased`."""


@dataclass(frozen=True, slots=True)
class Download:
    """Go on with the download: `DownloadCompleted`, `DownloadInterrupted` or `DownloadHeldBack`."""


@dataclass(frozen=True, slots=True)
class VerifySignature:
    """Verify the signature over what was downloaded: `SignatureAccepted` or `SignatureRefused`."""

    sha256: str


@dataclass(frozen=True, slots=True)
class CheckImage:
    """Judge the certificate again, and read the file again: `ImageConfirmed`, or one of the refusals."""

    sha256: str


@dataclass(frozen=True, slots=True)
class AwaitIdle:
    """Wait for the end of all transactions, for so long at most: `TransactionsEnded` or `WaitExpired`.

    Attributes:
        until: when the wait is over in any case; None: as long as it takes.
    """

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Install:
    """Install the image: `ImageActivated`, `RebootRequired`, `InstallFailed` or `VerificationFailed`."""

    sha256: str


@dataclass(frozen=True, slots=True)
class FollowInstall:
    """Wait for the end of an installation that is under way: `InstallFollowed`."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """See to it that the installed image is not booted: `ImageWithdrawn` or `WithdrawalRefused`."""


@dataclass(frozen=True, slots=True)
class AwaitReport:
    """Wait until the Central System has all reports, in bounded time (L01.FR.15): `RebootAnnounced`."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """Reboot the device; the next event is `Restarted`."""


@dataclass(frozen=True, slots=True)
class MarkGood:
    """Mark the running firmware good once it is healthy: `MarkedGood` or `MarkingFailed`.

    Attributes:
        delay: what to wait before, after a failure.
    """

    delay: timedelta


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Raise a security event: `EventRecorded`."""

    type: SecurityEventType
    tech_info: str


Work = (
    AwaitTime
    | AwaitRelease
    | Download
    | VerifySignature
    | CheckImage
    | AwaitIdle
    | Install
    | FollowInstall
    | Withdraw
    | AwaitReport
    | Reboot
    | MarkGood
    | RecordEvent
)
"""The commands that bring an event."""

Command = Report | HoldConnectors | ReleaseConnectors | DiscardImage | Work
