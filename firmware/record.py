"""What is known of a firmware update beyond its state, how an event changes it, and how it lies on the disk.

A record never changes, each event makes another. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Self

from firmware import event
from firmware.event import Event
from firmware.request import FirmwareRequest
from firmware.state import ENDS, State
from firmware.status import FirmwareStatus

FORMAT: Final = 1  #: code; of the form of the snapshot
MAX_REASON_LENGTH: Final = 200  #: characters; of a reason in the snapshot, a status and a security event

_Dated: Final = event.TimeCame | event.Restarted | event.RebootRequired | event.InstallFollowed
"""What leads to a wait for transactions and says when; a withdrawal that was refused leads to one without end."""

_WAITED_TOO_LONG: Final = "transactions went on for longer than [firmware] max_wait_s"
_CUT: Final = "the installation was interrupted and left nothing"
_OLD_BOOTED: Final = "the device has booted the old firmware"
_NOT_BOOTED: Final = "the device does not boot the new firmware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What config.toml says, in the table [firmware].

    Attributes:
        charging_during_install: charging can go on while the image is written; a reboot waits for its end all the same.
        max_wait: how long transactions are waited for; None: as long as it takes (L01.FR.06, L01.FR.18).
        retries: where the request leaves it open.
        retry_interval: where the request leaves it open.
    """

    charging_during_install: bool = False
    max_wait: timedelta | None = None
    retries: int = 3
    retry_interval: timedelta = timedelta(minutes=1)

    def wait_until(self, now: datetime) -> datetime | None:
        """Return when a wait for transactions that begins now is over; None where that may take as long as it takes."""
        return None if self.max_wait is None else now + self.max_wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known.

    Attributes:
        request: what the Central System wants.
        state: where the update is.
        status: the status in force on the wire.
        failed_tries: tries to download that came to nothing.
        retry_at: when the next one is due.
        sha256: of the image as it was downloaded, in hex, "" before.
        size_bytes: of the image.
        waiting_until: when the present wait for transactions is over in any case.
        timed_out: it was over, which is no fault of the installed image.
        installs, reboots, markings: how often each was begun, or failed.
        recognised: the installer knew the running firmware for this image.
        version: of the new firmware, where it is known.
        failure: why the update failed, or is about to; the last failed try of a download too.
        starts: starts of the agent with this snapshot that are not known to have gone well.
    """

    request: FirmwareRequest
    state: State = State.ACCEPTED
    status: FirmwareStatus | None = None
    failed_tries: int = 0
    retry_at: datetime | None = None
    sha256: str = ""
    size_bytes: int = 0
    waiting_until: datetime | None = None
    timed_out: bool = False
    installs: int = 0
    reboots: int = 0
    markings: int = 0
    recognised: bool = False
    version: str | None = None
    failure: str = ""
    starts: int = 0

    def after(self, what: Event, target: State, policy: Policy) -> Self:
        """Return what is known once an event has led to a state."""
        record = replace(self._noting(what, policy), state=target)
        if not isinstance(what, event.Restarted):
            record = replace(record, starts=0)
        if target is self.state:
            return record
        match target:
            case State.INSTALLING:
                return replace(record, installs=self.installs + 1)
            case State.REBOOTING:
                return replace(record, reboots=self.reboots + 1)
            case State.WAITING_FOR_TRANSACTIONS | State.WAITING_FOR_REBOOT:
                now = what.now if isinstance(what, _Dated) else None
                return replace(record, waiting_until=now and policy.wait_until(now), failure="")
            case State.INSTALLATION_FAILED | State.WITHDRAWING if isinstance(
                what, event.Restarted | event.InstallFollowed
            ):
                if self.state is not State.WITHDRAWING:  # else it is known already
                    return replace(record, failure=_reason(self.state, target))
        return record

    def _noting(self, what: Event, policy: Policy) -> Self:
        match what:
            case event.DownloadInterrupted(now, reason):
                interval = self.request.retry_interval
                wait = policy.retry_interval if interval is None else interval
                return replace(
                    self, failed_tries=self.failed_tries + 1, retry_at=now + wait, failure=reason[:MAX_REASON_LENGTH]
                )
            case event.DownloadCompleted(sha256, size_bytes):
                return replace(self, sha256=sha256, size_bytes=size_bytes, failure="")
            case event.WaitExpired():
                return replace(self, failure=_WAITED_TOO_LONG, timed_out=True)
            case event.Restarted(found=found) if found.running_sha256 == self.sha256 and self.sha256:
                return replace(self, recognised=True, version=found.running_version)
            case event.Restarted(found=found) if self.state is State.INSTALLED:
                return replace(self, version=found.running_version)
            case event.MarkedGood(version):
                return replace(self, version=version or self.version, failure="")
            case event.MarkingFailed(reason):
                return replace(self, markings=self.markings + 1, failure=reason[:MAX_REASON_LENGTH])
            case event.JobFailed(reason):
                return replace(self, failure=reason[:MAX_REASON_LENGTH], timed_out=False)
            case (
                event.SignatureRefused(reason)
                | event.CertificateRefused(reason)
                | event.InstallFailed(reason)
                | event.VerificationFailed(reason)
            ):
                return replace(self, failure=reason[:MAX_REASON_LENGTH])
        return self

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads again."""
        return {
            "format": FORMAT,
            # What is over needs its location no more, which may hold a password.
            "request": self.request.to_json() | ({"location": ""} if self.state in ENDS else {}),
            "state": self.state.name,
            "status": self.status and self.status.value,
            "failed_tries": self.failed_tries,
            "retry_at": self.retry_at and self.retry_at.isoformat(),
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "waiting_until": self.waiting_until and self.waiting_until.isoformat(),
            "timed_out": self.timed_out,
            "installs": self.installs,
            "reboots": self.reboots,
            "markings": self.markings,
            "recognised": self.recognised,
            "version": self.version,
            "failure": self.failure,
            "starts": self.starts,
        }

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Self:
        """Read what `to_json` has returned.

        Raises:
            ValueError: it has not, or a later release has.
        """
        try:
            if read["format"] != FORMAT:
                raise ValueError("a snapshot of another release")
            return cls(
                request=FirmwareRequest.from_json(read["request"]),
                state=State[read["state"]],
                status=None if read["status"] is None else FirmwareStatus(read["status"]),
                failed_tries=int(read["failed_tries"]),
                retry_at=_instant(read["retry_at"]),
                sha256=str(read["sha256"]),
                size_bytes=int(read["size_bytes"]),
                waiting_until=_instant(read["waiting_until"]),
                timed_out=bool(read["timed_out"]),
                installs=int(read["installs"]),
                reboots=int(read["reboots"]),
                markings=int(read["markings"]),
                recognised=bool(read["recognised"]),
                version=None if read["version"] is None else str(read["version"]),
                failure=str(read["failure"]),
                starts=int(read["starts"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not a snapshot of a firmware update") from error


def _reason(was: State, target: State) -> str:
    if target is State.WITHDRAWING:
        return _NOT_BOOTED
    return _CUT if was in {State.INSTALLING, State.FOLLOWING} else _OLD_BOOTED


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without a zone")
    return instant
