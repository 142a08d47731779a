"""What was seen of a TLS handshake while it ran: the peer's certificates, and whether it asked for ours.

OpenSSL refuses a bad chain before it hands out any of it, and one alert ("handshake failure") stands for two causes.
An operator needs the subject and issuer of what was refused, and the security event needs the cause, so the handshake
messages are overheard. Nothing is decided here, and what is overheard is only described, never trusted.

`SSLContext._msg_callback` is private, and there is no public way. Seen to work on 3.11, 3.12 and 3.13 in TLS 1.2 and
1.3. Where it is missing, nothing is seen and everything else works.
"""

import ssl
from collections.abc import Sequence
from typing import Any, Final

MAX_DESCRIBED_CHARACTERS: Final = 600  #: characters; a chain of three certificates fits, a log line stays readable
MAX_DESCRIBED_CERTIFICATES: Final = 5  #: certificates; deeper chains are not met in practice

_HANDSHAKE: Final = 22  # content type
_CERTIFICATE: Final = 11  # handshake message type
_CERTIFICATE_REQUEST: Final = 13


class Witness:
    """Overhears the handshake of the one connection that is made with a context.

    Attributes:
        certificate_requested: the peer asked for our certificate.
    """

    def __init__(self) -> None:
        self.certificate_requested = False
        self._certificate_message: bytes | None = None
        self._is_tls13 = False

    def watch(self, context: ssl.SSLContext) -> None:
        """Begin to overhear. The context must serve a single connection."""
        context._msg_callback = self._overhear  # type: ignore[attr-defined]

    def leave(self, context: ssl.SSLContext) -> None:
        """Stop overhearing; later records cost no call into Python."""
        context._msg_callback = None  # type: ignore[attr-defined]

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates that the peer sent, DER, leaf first; empty where none was seen or the message is broken."""
        if self._certificate_message is None:
            return ()
        return tuple(_certificates(self._certificate_message, is_tls13=self._is_tls13))

    def describe_peer(self) -> str:
        """Describe the peer's certificates for people."""
        return describe_chain(self.chain)

    # Any, because the enums that `ssl` hands in are private too; they are all integers.
    def _overhear(self, _: Any, direction: str, version: Any, content: Any, message: Any, data: bytes) -> None:
        if direction != "read" or content != _HANDSHAKE:
            return
        if message == _CERTIFICATE_REQUEST:
            self.certificate_requested = True
        elif message == _CERTIFICATE:
            self._certificate_message = bytes(data)
            self._is_tls13 = version >= ssl.TLSVersion.TLSv1_3


def describe_chain(chain: Sequence[bytes]) -> str:
    """Describe certificates (DER, leaf first) in one line: subject, issuer and dates of each.

    What a peer wrote into its names cannot break the line or grow without bound.
    """
    described = " < ".join(_describe(der) for der in chain[:MAX_DESCRIBED_CERTIFICATES])
    printable = "".join(character if character.isprintable() else "?" for character in described)
    return printable[:MAX_DESCRIBED_CHARACTERS]


def _describe(der: bytes) -> str:
    from cryptography import x509  # not imported before a certificate is to be described

    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
        span = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to {certificate.not_valid_after_utc:%Y-%m-%d %H:%M}"
    except Exception:  # noqa: BLE001 - a stranger's bytes raise more than is documented, and must not hide the failure
        return "a certificate that cannot be read"
    return f"{subject} (issuer {issuer}, valid {span} UTC)"


def _certificates(message: bytes, *, is_tls13: bool) -> list[bytes]:
    """Take a Certificate message apart (RFC 5246, 7.4.2; RFC 8446, 4.4.2), up to the first thing that does not fit."""
    rest = memoryview(message)[4:]  # type and length of the handshake message
    if is_tls13 and rest:
        rest = rest[1 + rest[0] :]  # certificate_request_context
    rest = rest[3:]  # length of the list
    found: list[bytes] = []
    while len(rest) > 3:
        length = int.from_bytes(rest[:3], "big")
        if len(rest) < 3 + length:
            break
        found.append(bytes(rest[3 : 3 + length]))
        rest = rest[3 + length :]
        if is_tls13:
            rest = rest[2 + int.from_bytes(rest[:2], "big") :]  # extensions of this certificate
    return found
