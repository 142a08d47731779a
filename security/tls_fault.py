"""What went wrong with the peer's TLS: one typed error, its security event, and what to do about it.

Every failure of `ssl` is mapped here, once. Which security event a failure is, the white paper says (A00.FR.309,
A00.FR.315, A00.FR.318, A00.FR.322 and their twins of profile 3); a failure that proves nothing about the peer's
security (a reset, an end of file, a peer that speaks no TLS) is no event.

The tables below are the whole mapping; the reasons are in docs/decisions/0042-tls-failures-and-events.md.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from security.errors import SecurityError
from security.event import SecurityEventType
from security.handshake import Witness

MAX_CAUSES: Final = 8  #: exceptions; how deep a failure is looked for below others, which also ends a circle

_INVALID_CERTIFICATE: Final = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
_INVALID_VERSION: Final = SecurityEventType.INVALID_TLS_VERSION
_INVALID_SUITE: Final = SecurityEventType.INVALID_TLS_CIPHER_SUITE
_NOT_AUTHENTICATED: Final = SecurityEventType.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM

_ADVISE_VERSION: Final = "let the Central System offer TLS 1.2 or 1.3 (A00.FR.312)"
_ADVISE_SUITE: Final = "let the Central System offer the cipher suites of A00.FR.317"
_ADVISE_OWN: Final = (
    "look at the Charge Point certificate and whether the Central System trusts the CA that issued it (A00.FR.403)"
)
_ADVISE_ROOT: Final = (
    "install the root of the CA that issued the certificate (chargepoint install FILE --as central-system-root), and "
    "let the Central System send its intermediate certificates"
)
_ADVISE_SERVER: Final = (
    "let the operator give the Central System a certificate that fits section 2.6 of the white paper"
)
_ADVISE_WAIT: Final = "look at the Central System's own log; the Charge Point tries again"


class TlsFault(SecurityError):
    """Raised when a TLS connection cannot be made, or its peer is not acceptable.

    Attributes:
        event: the security event that this is, None where the white paper names none.
        what: what is wrong, one line: the alert or the verify code in words. The same cause has the same text.
        advice: what an operator can do.
        peer: subject, issuer and dates of the peer's certificates as far as seen, one line, empty where nothing was.
    """

    def __init__(self, what: str, *, advice: str, event: SecurityEventType | None, peer: str = "") -> None:
        super().__init__(what)
        self.event = event
        self.what = what
        self.advice = advice
        self.peer = peer


@dataclass(frozen=True, slots=True)
class _Row:
    event: SecurityEventType | None
    what: str
    advice: str


_REASONS: Final = {
    # A00.FR.315, A00.FR.419: the peer only speaks an older TLS. The first is its alert, the others its ServerHello.
    "TLSV1_ALERT_PROTOCOL_VERSION": _Row(_INVALID_VERSION, "the peer refuses TLS 1.2 and 1.3", _ADVISE_VERSION),
    "UNSUPPORTED_PROTOCOL": _Row(_INVALID_VERSION, "the peer speaks only TLS below 1.2", _ADVISE_VERSION),
    "WRONG_SSL_VERSION": _Row(_INVALID_VERSION, "the peer speaks only TLS below 1.2", _ADVISE_VERSION),
    # A00.FR.318, A00.FR.322, A00.FR.422, A00.FR.426: no acceptable suite, or an insecure algorithm in use.
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _Row(_INVALID_SUITE, "the peer has no cipher suite in common", _ADVISE_SUITE),
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": _Row(_INVALID_SUITE, "the peer wants other cipher suites", _ADVISE_SUITE),
    "WRONG_CIPHER_RETURNED": _Row(_INVALID_SUITE, "the peer chose a cipher suite that was not offered", _ADVISE_SUITE),
    "UNKNOWN_CIPHER_RETURNED": _Row(_INVALID_SUITE, "the peer chose an unknown cipher suite", _ADVISE_SUITE),
    "WRONG_SIGNATURE_TYPE": _Row(
        _INVALID_SUITE, "the peer signed with an algorithm that was not offered", _ADVISE_SUITE
    ),
    "UNSUPPORTED_COMPRESSION_ALGORITHM": _Row(_INVALID_SUITE, "the peer chose TLS compression", _ADVISE_SUITE),
    # The peer refuses our certificate, or misses one.
    "TLSV1_ALERT_UNKNOWN_CA": _Row(_NOT_AUTHENTICATED, "the peer does not trust our certificate's CA", _ADVISE_OWN),
    "SSLV3_ALERT_BAD_CERTIFICATE": _Row(_NOT_AUTHENTICATED, "the peer calls our certificate bad", _ADVISE_OWN),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _Row(
        _NOT_AUTHENTICATED, "the peer does not support our kind of certificate", _ADVISE_OWN
    ),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _Row(_NOT_AUTHENTICATED, "the peer calls our certificate revoked", _ADVISE_OWN),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _Row(_NOT_AUTHENTICATED, "the peer calls our certificate expired", _ADVISE_OWN),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _Row(_NOT_AUTHENTICATED, "the peer cannot accept our certificate", _ADVISE_OWN),
    "TLSV1_ALERT_ACCESS_DENIED": _Row(_NOT_AUTHENTICATED, "the peer denies access to our certificate", _ADVISE_OWN),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _Row(
        _NOT_AUTHENTICATED, "the peer demands a certificate of ours", _ADVISE_OWN
    ),
    # Nothing about security.
    "WRONG_VERSION_NUMBER": _Row(
        None, "the peer does not speak TLS", "look whether the URL's port is that of plain HTTP (ws://)"
    ),
    "HTTP_REQUEST": _Row(
        None, "the peer does not speak TLS", "look whether the URL's port is that of plain HTTP (ws://)"
    ),
    "TLSV1_UNRECOGNIZED_NAME": _Row(
        None, "the peer does not know the server name", "look at the host of the URL, or at tls_server_name"
    ),
}

# How `ssl` says that more bytes are needed; asyncio meets a reset while it handles one of these.
_NO_FAILURE: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

_WANTS_CERTIFICATE: Final = _Row(
    _NOT_AUTHENTICATED, "the peer asked for a certificate and then refused us", _ADVISE_OWN
)

_VERIFY_ADVICE: Final = {
    2: _ADVISE_ROOT,  # unable to get issuer certificate
    18: _ADVISE_SERVER,  # self-signed certificate
    19: _ADVISE_ROOT,  # self-signed certificate in certificate chain
    20: _ADVISE_ROOT,  # unable to get local issuer certificate
    21: _ADVISE_ROOT,  # unable to verify the first certificate
}


def classify(error: BaseException, *, witness: Witness | None = None) -> TlsFault | None:
    """Map an exception of a connection attempt to the TLS fault that it is, or that it hides.

    Args:
        error: what was raised; the exceptions that it was raised from are searched too, because websockets reports a
            TLS 1.3 alert as a broken HTTP answer.
        witness: what was seen of the handshake.

    Returns:
        The fault, with its cause; None where TLS is not what failed.
    """
    for exception in _with_causes(error):
        if isinstance(exception, TlsFault):
            return exception
        if isinstance(exception, ssl.SSLError) and not isinstance(exception, _NO_FAILURE):
            fault = _fault_of(exception, witness)
            fault.__cause__ = exception
            return fault
    return None


def _fault_of(error: ssl.SSLError, witness: Witness | None) -> TlsFault:
    peer = witness.describe_peer() if witness else ""
    if isinstance(error, ssl.SSLCertVerificationError):  # A00.FR.307, A00.FR.309, A00.FR.411, A00.FR.413
        advice = _VERIFY_ADVICE.get(error.verify_code, _ADVISE_SERVER)
        what = f"the peer's certificate is not valid: {error.verify_message} (verify code {error.verify_code})"
        return TlsFault(what, advice=advice, event=_INVALID_CERTIFICATE, peer=peer)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return TlsFault("the peer closed the connection during TLS", advice=_ADVISE_WAIT, event=None, peer=peer)
    reason = error.reason or ""
    row = _REASONS.get(reason) or _Row(None, "TLS failed", _ADVISE_WAIT)
    if reason == "SSLV3_ALERT_HANDSHAKE_FAILURE" and witness and witness.certificate_requested:
        # TLS 1.2 says the same for "no common suite" and "no certificate of yours", but a peer that asked for a
        # certificate has already agreed to a suite.
        row = _WANTS_CERTIFICATE
    alert = reason.replace("_", " ").lower() or "no reason given"
    return TlsFault(f"{row.what} ({alert})", advice=row.advice, event=row.event, peer=peer)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__
