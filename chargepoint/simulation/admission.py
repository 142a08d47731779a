"""Who may connect: the decision about an upgrade request, before a byte of the upgrade is answered.

- One profile at a time; a Charge Point in another one is refused (A00.FR.001, A00.FR.002).
- Profiles 1 and 2: HTTP Basic, user name = identity, password = the bytes that are known for it (A00.FR.202 to 205).
- Profile 3: a client certificate whose O names the CPO and whose CN is the serial number of this Charge Point
  (A00.FR.404, A00.FR.405). Its path and dates were judged in the handshake (A00.FR.403); where the Central System has
  a calendar of its own, its dates are judged here.
- Once connected in a profile, an identity is not let in with a lower one (A05.FR.09).

Pure: nothing is read or written here but the register itself.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.x509.oid import NameOID

from chargepoint.simulation.finding import Rule

MIN_PASSWORD_BYTES: Final = 16  #: bytes; A00.FR.205
MAX_PASSWORD_BYTES: Final = 20  #: bytes; A00.FR.205, 40 hex digits

Observation = tuple[Rule, str]


@dataclass(frozen=True, slots=True)
class Visitor:
    """What is known of a Charge Point when its upgrade request has arrived.

    Attributes:
        target: request target, as sent.
        authorization: the values of all its Authorization headers.
        inside_tls: whether the request came through TLS.
        client_certificate: DER of the client certificate that passed the handshake.
    """

    target: str
    authorization: Sequence[str]
    inside_tls: bool
    client_certificate: bytes | None


@dataclass(frozen=True, slots=True)
class Admission:
    """The verdict.

    Attributes:
        identity: the identity in the URL, "" where it has none.
        status: 101 to let it in, else the HTTP status to answer.
        reason: why it is refused.
        observations: what it did wrong, whether or not it was let in.
        by_maker: it came with its maker's certificate, which is to be renewed before anything else (A00.FR.406).
    """

    identity: str
    status: int = 101
    reason: str = ""
    observations: tuple[Observation, ...] = ()
    by_maker: bool = False


class Refused(Exception):
    """Raised inside this module to leave a check early."""

    def __init__(self, status: int, reason: str, *observations: Observation) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.observations = observations


@dataclass
class Register:
    """The Charge Points that the Central System knows.

    Attributes:
        path: what stands before the identity in the URL.
        organisation: the CPO's name that O of a client certificate has to contain.
        passwords: identity -> password, the decoded bytes of AuthorizationKey.
        serial_numbers: identity -> serial number, the CN of its certificate.
        highest_profiles: identity -> the highest profile in which it was connected;
            remove an entry to let it in with a lower one.
        only: the identities that may connect at all, None for any.
        accept_unknown: take a Charge Point that is not known and remember its first password or serial number.
        makers: names that O of a maker's certificate contains; with it a Charge Point is let in to have it renewed.
        hangs_up_on: client certificates (DER) on which the connection is cut without an alert or an answer.
        calendar: the time that client certificates are judged by, None where the handshake has judged their dates.
    """

    path: str = "/ocpp"
    organisation: str = ""
    passwords: dict[str, bytes] = field(default_factory=dict)
    serial_numbers: dict[str, str] = field(default_factory=dict)
    highest_profiles: dict[str, int] = field(default_factory=dict)
    only: frozenset[str] | None = None
    accept_unknown: bool = False
    makers: set[str] = field(default_factory=set)
    hangs_up_on: set[bytes] = field(default_factory=set)
    calendar: Callable[[], datetime] | None = None

    def judge(self, profile: int, visitor: Visitor) -> Admission:
        """Decide whether a visitor is let in while `profile` is served."""
        identity = self._identity(visitor.target)
        if identity is None or (self.only is not None and identity not in self.only):
            return Admission("", 404, f"no Charge Point is known at this path, use {self.path}/<identity>")
        observations: tuple[Observation, ...] = ()
        by_maker = False
        try:
            if self.highest_profiles.get(identity, 0) > profile:  # A05.FR.09
                raise Refused(403, f"was connected in security profile {self.highest_profiles[identity]} before")
            match profile:
                case 1 | 2:
                    self._check_password(identity, visitor)
                case 3:
                    observations, by_maker = self._check_certificate(identity, visitor)
                case _:
                    self._check_unsecured(visitor)
        except Refused as refusal:
            return Admission(identity, refusal.status, refusal.reason, refusal.observations)
        return Admission(identity, observations=observations, by_maker=by_maker)

    def confirm(self, identity: str, profile: int) -> None:
        """Note that a Charge Point connected in a profile."""
        self.highest_profiles[identity] = max(profile, self.highest_profiles.get(identity, 0))

    def _identity(self, target: str) -> str | None:
        before, _, last = target.partition("?")[0].rpartition("/")
        identity = unquote_to_bytes(last).decode("utf-8", "replace")
        return identity if identity and before == self.path.rstrip("/") else None

    def _check_unsecured(self, visitor: Visitor) -> None:
        if visitor.authorization:  # A00.FR.002: only profiles 1 and 2 send credentials
            raise Refused(403, "security profile 0 is served here, without credentials")

    def _check_password(self, identity: str, visitor: Visitor) -> None:
        if not visitor.authorization:
            raise Refused(401, "no credentials")
        user, password = _credentials(visitor.authorization)
        if user != identity.encode():  # A00.FR.204, A00.FR.303
            raise Refused(401, "wrong user name", (Rule.BASIC_HEADER, "the user name is not the identity of the URL"))
        expected = self.passwords.get(identity)
        if expected is None:
            if not self.accept_unknown:
                raise Refused(401, "unknown Charge Point")
            self.passwords[identity] = _acceptable(password)
        elif not hmac.compare_digest(password, expected):
            if password.lower() == expected.hex().encode():
                raise Refused(401, "wrong password", (Rule.HEX_CREDENTIAL, "decision 0010"))
            raise Refused(401, "wrong password")

    def _check_certificate(self, identity: str, visitor: Visitor) -> tuple[tuple[Observation, ...], bool]:
        if visitor.client_certificate is None:
            raise Refused(403, "no client certificate")
        certificate = x509.load_der_x509_certificate(visitor.client_certificate)
        if self.calendar is not None:
            _check_dates(certificate, self.calendar())
        subject = certificate.subject
        organisations = _texts(subject, NameOID.ORGANIZATION_NAME)
        ours = any(self.organisation in text for text in organisations)
        if not ours and not any(maker in text for maker in self.makers for text in organisations):  # A00.FR.404
            raise Refused(403, f"O of the client certificate does not contain {self.organisation!r}")
        common_names = _texts(subject, NameOID.COMMON_NAME)
        expected = self.serial_numbers.get(identity)
        if expected is None and self.accept_unknown and common_names:
            self.serial_numbers[identity] = expected = common_names[0]
        if expected is None or expected not in common_names:  # A00.FR.405
            raise Refused(403, "CN of the client certificate is not the serial number of this Charge Point")
        return ((Rule.UNASKED_CREDENTIAL, "profile 3"),) if visitor.authorization else (), not ours


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:  # A00.FR.403
        raise Refused(403, "the client certificate is out of date")


def _credentials(values: Sequence[str]) -> tuple[bytes, bytes]:
    scheme, _, encoded = values[0].partition(" ")
    if len(values) != 1 or scheme.lower() != "basic":
        raise Refused(401, "no Basic credentials", (Rule.BASIC_HEADER, "not one header of the Basic scheme"))
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error as error:
        raise Refused(401, "unreadable credentials", (Rule.BASIC_HEADER, "not base64")) from error
    user, colon, password = decoded.partition(b":")  # the password is raw bytes and may hold a colon itself
    if not colon:
        raise Refused(401, "unreadable credentials", (Rule.BASIC_HEADER, "no colon in it"))
    return user, password


def _acceptable(password: bytes) -> bytes:
    if MIN_PASSWORD_BYTES <= len(password) <= MAX_PASSWORD_BYTES:
        return password
    try:
        decoded = bytes.fromhex(password.decode("ascii"))
    except ValueError:
        decoded = b""
    if MIN_PASSWORD_BYTES <= len(decoded) <= MAX_PASSWORD_BYTES:
        raise Refused(401, "wrong password", (Rule.HEX_CREDENTIAL, "decision 0010"))
    raise Refused(401, f"a password has {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes")


def _texts(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]
