"""Why a connection to the Central System could not be made, in words for people and as a security event if it is one.

Every exception that an attempt to connect can end with is mapped here, once, to a `Failure`: plain data, without the
exception, so that nothing it refers to stays in memory or reaches a log.

FailedToAuthenticateAtCentralSystem is raised only where the Central System said so: HTTP 401 and 403, and TLS alerts
about our certificate (security/tls_fault.py). A reset, an end of file, plain HTTP, DNS, a time-out, 404 and 5xx are no
security event (docs/decisions/0042-tls-failures-and-events.md).

Not done here: counting, raising events (outage.py, connection.py).
"""

import logging
import os
import socket
import ssl
from dataclasses import dataclass, replace
from typing import Final

from websockets import exceptions

from security.event import SecurityEventType
from security.fallback import Outcome
from security.handshake import Witness
from security.tls_fault import MAX_CAUSES, classify

SUBPROTOCOL: Final = "ocpp1.6"

_log = logging.getLogger(__name__)

_ADVISE_ADDRESS: Final = "look at the URL (ws or wss, host, port), the network and the Central System"
_ADVISE_OWN: Final = "look at the Central System's log; it may not take the Charge Point certificate, or be away itself"
_HUNG_UP: Final = "the peer asked for our certificate and closed the connection without a word"
_ADVISE_SERVER: Final = "look at the Central System and whatever stands before it; the Charge Point tries again"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no connection.

    Attributes:
        what: the cause in one line; the same cause has the same text.
        advice: what an operator can do about it.
        event: the security event that it is, if it is one.
        peer: subject, issuer and dates of the peer's certificates as far as seen.
        outcome: what it means for credentials on trial.
    """

    what: str
    advice: str
    event: SecurityEventType | None = None
    peer: str = ""
    outcome: Outcome = Outcome.NO_ANSWER

    def __str__(self) -> str:
        peer = f"; peer: {self.peer}" if self.peer else ""
        return f"{self.what}; {self.advice}{peer}"


class ConnectionFailed(Exception):
    """Raised when an attempt to connect has failed.

    Attributes:
        failure: why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.what)
        self.failure = failure


class WrongSubprotocol(exceptions.InvalidHandshake):
    """Raised when the Central System upgraded the connection without agreeing to OCPP 1.6."""


def failure_of(error: Exception, *, witness: Witness | None = None) -> Failure:
    """Map what an attempt to connect ended with.

    Args:
        error: the exception.
        witness: what was seen of the TLS handshake.
    """
    if isinstance(error, ConnectionFailed):
        return error.failure
    if fault := classify(error, witness=witness):
        failure = Failure(fault.what, fault.advice, fault.event, fault.peer, _outcome_of_tls(fault.event))
    else:
        failure = replace(_failure_without_tls(error), peer=witness.describe_peer() if witness else "")
    if witness and witness.certificate_requested and failure.outcome is Outcome.NO_ANSWER and _is_hang_up(error):
        return replace(failure, what=_HUNG_UP, advice=_ADVISE_OWN, outcome=Outcome.HUNG_UP)
    return failure


def _is_hang_up(error: BaseException | None) -> bool:
    """Whether the peer closed the connection, in order or not; a silence until the time-out is none."""
    for _ in range(MAX_CAUSES):
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | EOFError | ConnectionError):
            return True
        error = error and (error.__cause__ or error.__context__)
    return False


def _failure_without_tls(error: Exception) -> Failure:
    match error:
        case exceptions.InvalidStatus():
            return _refusal(error.response.status_code)
        case WrongSubprotocol():
            return Failure(
                f"the Central System did not agree to the subprotocol {SUBPROTOCOL}",
                "look for the address at which it speaks OCPP 1.6J",
                outcome=Outcome.NO_OCPP,
            )
        case exceptions.NegotiationError():
            what = "the Central System chose a subprotocol or an extension that was not offered"
            return Failure(what, _ADVISE_SERVER, outcome=Outcome.NO_OCPP)
        case exceptions.InvalidProxyStatus():
            return Failure(f"the proxy answered HTTP {error.response.status_code}", "look at [connection] proxy")
        case exceptions.ProxyError() | exceptions.InvalidProxy() | ImportError():
            return Failure(
                "the proxy cannot be used", "look at [connection] proxy; SOCKS needs the package python-socks"
            )
        case exceptions.InvalidMessage(__cause__=EOFError()) | ConnectionError(errno=None):
            return Failure("the peer closed the connection instead of answering", _ADVISE_ADDRESS)
        case exceptions.InvalidHandshake():
            what = "the peer does not answer as a WebSocket server"
            return Failure(what, _ADVISE_ADDRESS, outcome=Outcome.NO_OCPP)
        case TimeoutError():
            return Failure("the peer did not answer in time", _ADVISE_ADDRESS)
        case socket.gaierror() | UnicodeError():
            return Failure("the name of the Central System cannot be resolved", "look at the URL and at DNS")
        case OSError(errno=int() as number):
            # Not `strerror`: asyncio puts the address into it, and each address would be a cause of its own.
            return Failure(f"the network failed ({os.strerror(number)})", _ADVISE_ADDRESS)
        case OSError():  # asyncio's sum of what happened at several addresses
            return Failure("no address of the Central System takes the connection", _ADVISE_ADDRESS)
    _log.error("a try to connect failed in a way that nobody foresaw", exc_info=error)
    return Failure(f"an unforeseen failure ({type(error).__name__})", "report it with the log")


def _outcome_of_tls(event: SecurityEventType | None) -> Outcome:
    if event is None:
        return Outcome.NO_ANSWER
    is_ours = event is SecurityEventType.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM
    return Outcome.CERTIFICATE_REFUSED if is_ours else Outcome.PEER_REFUSED


def _refusal(status: int) -> Failure:
    match status:
        case 401 | 403:
            return Failure(
                f"the Central System refuses this Charge Point (HTTP {status})",
                "compare identity and AuthorizationKey, or the Charge Point certificate, with the Central System's",
                SecurityEventType.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM,
                outcome=Outcome.REFUSED,
            )
        case 404:
            what, advice = "the Central System does not know this address (HTTP 404)", "look at URL and identity"
        case _ if 300 <= status < 400:
            # A redirect could lead the password to a stranger, or out of TLS.
            what, advice = f"the Central System redirects (HTTP {status}), which is not followed", "correct the URL"
        case 400:
            what = "the Central System does not understand the upgrade (HTTP 400)"
            advice = f"see that it speaks {SUBPROTOCOL} at this address"
        case _:
            what, advice = f"the Central System answered HTTP {status} instead of an upgrade", _ADVISE_SERVER
    return Failure(what, advice, outcome=Outcome.NO_OCPP)
