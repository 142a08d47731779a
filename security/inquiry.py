"""An inquiry about one certificate: what is asked of those who know its revocation status, and what their answer says.

Two kinds of sources answer: an OCSP responder (ocsp.py) and a list of revoked certificates, a CRL (crl.py). Both are
signed, so that it does not matter over which way an answer came.

Not done here: reading the answers, sending the questions (chargepoint/fetch.py), what a finding leads to
(revocation.py). Pure: no time but the one that is handed in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from cryptography.x509 import ReasonFlags

from security.certificate import Certificate

CLOCK_SKEW: Final = timedelta(minutes=5)  #: time; between the agent's clock and the CA's, as `openssl ocsp` allows
MAX_AGE_WITHOUT_END: Final = timedelta(days=1)  #: time; of an answer that names no end, a day as in A00.FR.701


class RevocationStatus(StrEnum):
    """What is known of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one answer, or all that was asked, says about a certificate.

    Attributes:
        status: the outcome.
        reason: why, in one line for people; nothing of it is the responder's own text.
        until: when it ceases to count; None where a good status names no end, and where a revocation has none.
    """

    status: RevocationStatus
    reason: str
    until: datetime | None = None

    @classmethod
    def unknown(cls, reason: str) -> "Finding":
        """Say that nothing is known, and why."""
        return cls(RevocationStatus.UNKNOWN, reason)

    @classmethod
    def revoked(cls, why: ReasonFlags | None, at: datetime, until: datetime | None) -> "Finding":
        """Say that the certificate is revoked: for ever, unless it is on hold (RFC 5280, 5.3.1).

        Args:
            why: the reason code; None where none is given.
            at: since when.
            until: when the source was to make its next statement.
        """
        words = f"revoked since {at:%Y-%m-%d %H:%M} UTC ({why.value if why else 'no reason given'})"
        return cls(RevocationStatus.REVOKED, words, until if why is ReasonFlags.certificate_hold else None)


@dataclass(frozen=True, slots=True)
class Question:
    """One HTTP request.

    Attributes:
        url: http or https.
        accept: the media type that is wanted.
        max_bytes: the longest answer that is taken.
        body: what is posted; None for a GET.
        content_type: of the body.
    """

    url: str
    accept: str
    max_bytes: int
    body: bytes | None = None
    content_type: str = ""


class Source(Protocol):
    """Somebody who knows whether one certificate is revoked."""

    @property
    def url(self) -> str:
        """Where it is asked."""

    @property
    def key(self) -> str:
        """The name of its answer in the cache."""

    def question(self, nonce: bytes) -> Question:
        """Return what is asked; the nonce goes along where the kind of source knows one."""

    def judge(self, answer: bytes, now: datetime | None, nonce: bytes | None = None) -> Finding:
        """Say what the answer means; whatever the bytes are, this never raises.

        Args:
            answer: as it came.
            now: the agent's time; None while its clock is not set: then no answer is held to be out of date.
            nonce: what was asked with; None for an answer out of the cache.
        """


@dataclass(frozen=True, slots=True)
class Subject:
    """The certificate in question, and the certificate of its issuer, whose key vouches for every answer."""

    certificate: Certificate
    issuer: Certificate


def out_of_date(this_update: datetime, next_update: datetime | None, now: datetime | None) -> str | None:
    """Say why a statement is not of today, None where it is, or where the clock is not set.

    Args:
        this_update: when it was true.
        next_update: when a newer one was to come at the latest; None where the source names no end.
        now: the agent's time.
    """
    if now is None:
        return None
    if this_update > now + CLOCK_SKEW:
        return "is from the future; look at this Charge Point's clock"
    if now - CLOCK_SKEW > (next_update or this_update + MAX_AGE_WITHOUT_END):
        return "is out of date"
    return None
