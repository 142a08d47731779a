"""Whether the Central System knows this Charge Point: the life of BootNotification.req.

    nobody answered yet   only BootNotification.req is sent; requests are answered
    Pending               requests are answered, own messages go only when triggered; asked again after the interval
    Rejected              nothing is sent and nothing answered until the interval is over; then asked again
    Accepted              everything; a mere reconnect asks only if the content of the BootNotification.req changed

The registration outlives connections: a Central System that said "not for an hour" is not asked earlier because the
link broke in between. But it is asked once a day at least: a wrong number of seconds must not silence a Charge Point
until somebody drives there. Pure: time arrives as a monotonic number of seconds.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

MAX_INTERVAL: Final = timedelta(days=1)  #: time; as the longest silence between heartbeats (heartbeat.py)


class RegistrationStatus(StrEnum):
    """What BootNotification.conf says."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class Registration:
    """The answer that holds, and when to ask again.

    Args:
        retry: how long to wait when nobody answers, and where an interval of 0 leaves it to the Charge Point.
    """

    def __init__(self, retry: timedelta) -> None:
        self._retry_s = retry.total_seconds()
        self._status: RegistrationStatus | None = None
        self._content: object = None
        self._due_at: float | None = 0.0
        self._interval_holds = False

    @property
    def status(self) -> RegistrationStatus | None:
        """The last answer, None before the first."""
        return self._status

    def connected(self, content: object) -> None:
        """A new connection stands; `content` is what a BootNotification.req would say now."""
        silence_only = not self._interval_holds
        if self._status is not RegistrationStatus.ACCEPTED:
            # An interval that the Central System set outlives the link; our own back-off does not.
            self._due_at = 0.0 if silence_only else self._due_at
        elif content != self._content:
            self._due_at = 0.0

    def due_in(self, now: float) -> float | None:
        """Seconds until a BootNotification.req is due, zero or less for now, None while none is."""
        return None if self._due_at is None else self._due_at - now

    def trigger(self) -> None:
        """The Central System asked for a BootNotification.req."""
        self._due_at = 0.0

    def answered(self, status: RegistrationStatus, interval_s: int, content: object, now: float) -> None:
        """A BootNotification.conf came.

        Args:
            status: what it says.
            interval_s: heartbeat interval when accepted, else seconds until the next try; 0 leaves it to us.
            content: what was asked with.
            now: monotonic seconds.
        """
        self._status = status
        self._content = content
        self._interval_holds = status is not RegistrationStatus.ACCEPTED and interval_s > 0
        if status is RegistrationStatus.ACCEPTED:
            self._due_at = None
        else:
            self._due_at = now + (min(interval_s, MAX_INTERVAL.total_seconds()) if interval_s > 0 else self._retry_s)

    def failed(self, now: float) -> None:
        """Silence or a CALLERROR instead of an answer: ask again after our own wait; the status stays."""
        self._due_at = now + self._retry_s
        self._interval_holds = False

    def is_silent(self, now: float) -> bool:
        """Whether requests of the Central System are left unanswered (Rejected, and the interval not over)."""
        return self._status is RegistrationStatus.REJECTED and self._due_at is not None and self._due_at > now
