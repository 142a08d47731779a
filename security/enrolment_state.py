"""What is known of the life of the Charge Point certificate beyond the certificates themselves, and how it is kept.

A certificate request goes through these stages; it is one at a time, and a new trigger replaces it:

    wanted    a key pair and a request are to be made
    owed      SignCertificate.req is to be sent until it has its SignCertificate.conf
    answered  it was Accepted: CertificateSigned.req is waited for, without a time-out
    ended     it was Rejected; the key pair is forgotten, and when it was asked for is remembered

Of a request whose certificate was installed only the time is remembered at which it was asked for.

Pure: a state never changes, each step makes another; nothing is read or written here but text (enrolment.py has files).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from security.certificate import Certificate
from security.secret import Secret


class Stage(StrEnum):
    """How far a certificate request has come."""

    WANTED = "wanted"
    OWED = "owed"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Request:
    """A certificate request.

    Attributes:
        stage: how far it has come.
        triggered: the Central System asked for it (A02), so that it may go while Pending (A00.FR.806); else A03.
        asked_at: when it was wanted; None where the clock was not set.
        csr: PKCS #10 in PEM, empty before it is made and after its end.
        key: the private key as it is stored, or the name of one, in PEM; None as above.
    """

    stage: Stage
    triggered: bool
    asked_at: datetime | None
    csr: str = ""
    key: Secret | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EnrolmentState:
    """All that is remembered; the keys of the mappings are fingerprints of installed certificates.

    An instant is None where the clock was not set then; `with_time` fills it in later.

    Attributes:
        request: the certificate request, None where there is none.
        proven: which certificates have made a good connection, and since when.
        given_up: which were refused before they ever worked, while an older one worked, and since when.
        warned: at how many days before its end people were last warned of it.
        latest: fingerprint of the certificate that came last, "" for none.
        asked_at: when the request was wanted whose certificate came last, None if that is not known.
    """

    request: Request | None = None
    proven: Mapping[str, datetime | None] = field(default_factory=dict)
    given_up: Mapping[str, datetime | None] = field(default_factory=dict)
    warned: Mapping[str, int] = field(default_factory=dict)
    latest: str = ""
    asked_at: datetime | None = None

    def age(self, leaf: Certificate) -> tuple[datetime, bool, str]:
        """Sort key: the oldest first; where two began together, the one that came last is the newer one."""
        return leaf.not_before, leaf.fingerprint == self.latest, leaf.fingerprint

    def with_time(self, now: datetime) -> Self:
        """Give a time to what happened while the clock was not set: it was not later than now."""

        def dated(instants: Mapping[str, datetime | None]) -> Mapping[str, datetime | None]:
            return {name: instant or now for name, instant in instants.items()}

        request = self.request
        if request is not None and request.asked_at is None:
            request = replace(request, asked_at=now)
        return replace(self, request=request, proven=dated(self.proven), given_up=dated(self.given_up))

    def about(self, installed: Collection[str]) -> Self:
        """Forget what is said of certificates that are not installed any more."""

        def kept(notes: Mapping[str, Any]) -> Mapping[str, Any]:
            return {name: note for name, note in notes.items() if name in installed}

        return replace(self, proven=kept(self.proven), given_up=kept(self.given_up), warned=kept(self.warned))

    def to_json(self) -> bytes:
        """Write it down, private key included."""
        return json.dumps(
            {
                "request": None if self.request is None else _request_to_json(self.request),
                "proven": _instants_to_json(self.proven),
                "given_up": _instants_to_json(self.given_up),
                "warned": dict(self.warned),
                "latest": self.latest,
                "asked_at": self.asked_at.isoformat() if self.asked_at else None,
            },
            indent=1,
        ).encode("ascii")

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` has written.

        Raises:
            ValueError: it was not; the text of the error is not for a log.
        """
        try:
            read = json.loads(text)
            return cls(
                request=None if read["request"] is None else _request_from_json(read["request"]),
                proven=_instants_from_json(read["proven"]),
                given_up=_instants_from_json(read["given_up"]),
                warned={str(name): int(days) for name, days in read["warned"].items()},
                latest=str(read["latest"]),
                asked_at=_instant(read.get("asked_at")),  # additive: an earlier release has not written it
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("not a state of the enrolment") from error


def _request_to_json(request: Request) -> dict[str, object]:
    return {
        "stage": str(request.stage),
        "triggered": request.triggered,
        "asked_at": request.asked_at.isoformat() if request.asked_at else None,
        "csr": request.csr,
        "key": request.key.reveal().decode("ascii") if request.key else None,
    }


def _request_from_json(read: Mapping[str, Any]) -> Request:
    return Request(
        stage=Stage(read["stage"]),
        triggered=bool(read["triggered"]),
        asked_at=_instant(read["asked_at"]),
        csr=str(read["csr"]),
        key=None if read["key"] is None else Secret(str(read["key"]).encode("ascii")),
    )


def _instants_to_json(instants: Mapping[str, datetime | None]) -> dict[str, str | None]:
    return {name: instant.isoformat() if instant else None for name, instant in instants.items()}


def _instants_from_json(read: Mapping[str, Any]) -> dict[str, datetime | None]:
    return {str(name): _instant(instant) for name, instant in read.items()}


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without a zone")
    return instant
