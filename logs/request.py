"""What an upload is asked for: a validated GetLog.req or GetDiagnostics.req, and how it is kept.

The location is not judged here: a URL that nobody can use is told by the status that the upload ends in. It may hold
credentials, so it is never part of a `repr`, and a finished upload forgets it (machine.py).

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from logs.status import LogKind

MAX_RETRIES: Final = 100  #: count; no server gets better at the hundredth retry
MAX_RETRY_INTERVAL: Final = timedelta(days=1)  #: time; whoever waits longer asks again


@dataclass(frozen=True, slots=True)
class Retrying:
    """How often a failed upload is tried again, and what is waited before.

    Attributes:
        retries: further tries after the first one (docs/decisions/0121).
        interval: the wait before each.
    """

    retries: int
    interval: timedelta

    def asked(self, retries: int | None, interval_s: int | None) -> "tuple[Retrying, list[str]]":
        """Return what holds for a request, these being the values for what it leaves open, and what is odd about it.

        Args:
            retries: what the request says; below zero it says nothing, above MAX_RETRIES that is meant.
            interval_s: seconds, as the request says; judged in the same way.
        """
        remarks = []
        meant, wait = self.retries, self.interval
        if retries is not None:
            if 0 <= retries <= MAX_RETRIES:
                meant = retries
            else:
                meant = self.retries if retries < 0 else MAX_RETRIES
                remarks.append(f"retries is not between 0 and {MAX_RETRIES}, {meant} is taken")
        if interval_s is not None:
            # Compared in seconds: a longer integer of JSON would be too large for a timedelta.
            longest_s = int(MAX_RETRY_INTERVAL.total_seconds())
            if 0 <= interval_s <= longest_s:
                wait = timedelta(seconds=interval_s)
            else:
                wait = self.interval if interval_s < 0 else MAX_RETRY_INTERVAL
                remarks.append(
                    f"retryInterval is not between 0 and {longest_s} s, {wait.total_seconds():g} s are taken"
                )
        return Retrying(meant, wait), remarks


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """An upload that was asked for.

    Attributes:
        kind: which log.
        request_id: of GetLog.req; None for GetDiagnostics.req, which has none.
        location: the URL that the file is to be sent to.
        retrying: what happens after a failure.
        oldest, latest: the window, both ends included; None where it is open.
    """

    kind: LogKind
    request_id: int | None
    location: str = field(repr=False)
    retrying: Retrying
    oldest: datetime | None = None
    latest: datetime | None = None

    @property
    def is_window_sound(self) -> bool:
        """Whether the window does not end before it begins."""
        return self.oldest is None or self.latest is None or self.oldest <= self.latest

    def to_json(self) -> dict[str, Any]:
        """Write it down, location included."""
        return {
            "kind": str(self.kind),
            "request_id": self.request_id,
            "location": self.location,
            "retries": self.retrying.retries,
            "retry_interval_s": self.retrying.interval.total_seconds(),
            "oldest": self.oldest and self.oldest.isoformat(),
            "latest": self.latest and self.latest.isoformat(),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Read what `to_json` has written.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: it was not; the text of the error is not for a log.
        """
        request_id = written["request_id"]
        return cls(
            kind=LogKind(written["kind"]),
            request_id=None if request_id is None else int(request_id),
            location=str(written["location"]),
            retrying=Retrying(int(written["retries"]), timedelta(seconds=float(written["retry_interval_s"]))),
            oldest=_instant(written["oldest"]),
            latest=_instant(written["latest"]),
        )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
