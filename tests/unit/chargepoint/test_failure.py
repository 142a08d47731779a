import socket
import ssl
from collections.abc import Mapping

import pytest
from websockets import exceptions
from websockets.datastructures import Headers
from websockets.http11 import Response

from chargepoint.failure import ConnectionFailed, Failure, WrongSubprotocol, failure_of
from security.event import SecurityEventType
from security.fallback import Outcome
from security.tls_fault import TlsFault

INVALID_CERTIFICATE = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def refused_with(status: int) -> exceptions.InvalidStatus:
    return exceptions.InvalidStatus(Response(status, "No", Headers()))


WORDS: Mapping[str, tuple[Exception, str]] = {
    "not understood": (exceptions.InvalidStatus(Response(400, "Bad Request", Headers())), "HTTP 400"),
    "subprotocol": (WrongSubprotocol(), "ocpp1.6"),
    "negotiation": (exceptions.NegotiationError("no"), "not offered"),
    "proxy status": (exceptions.InvalidProxyStatus(Response(502, "Bad", Headers())), "HTTP 502"),
    "proxy": (exceptions.InvalidProxy("http://user:secret@proxy", "no"), "proxy cannot be used"),
    "no SOCKS": (ImportError("python-socks"), "proxy cannot be used"),
    "end of file": (caused(exceptions.InvalidMessage("no answer"), EOFError()), "closed"),
    "lost in TLS": (ConnectionResetError(), "closed"),
    "no HTTP": (exceptions.InvalidMessage("no answer"), "WebSocket server"),
    "time-out": (TimeoutError(), "in time"),
    "kernel's time-out": (OSError(110, "Connection timed out"), "in time"),
    "DNS": (socket.gaierror(-2, "Name or service not known"), "resolved"),
    "bad name": (UnicodeError("label too long"), "resolved"),
    "refused": (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
    "no route": (OSError(113, "No route to host"), "No route to host"),
    "several addresses": (OSError("Multiple exceptions: ..."), "no address"),
    "anything else": (RuntimeError("surprise"), "unforeseen"),
}


@pytest.mark.parametrize(("error", "words"), WORDS.values(), ids=WORDS)
def test_each_failure_has_words_and_advice_and_is_no_security_event(error: Exception, words: str) -> None:
    failure = failure_of(error)
    assert words in failure.what
    assert failure.advice
    assert failure.event is None
    assert "secret" not in str(failure)
    assert "127.0.0.1" not in failure.what


def test_a_fault_of_tls_keeps_its_event_and_its_peer() -> None:
    fault = TlsFault("expired", advice="renew", event=INVALID_CERTIFICATE, peer="CN=cs")
    assert failure_of(fault) == Failure("expired", "renew", INVALID_CERTIFICATE, "CN=cs", Outcome.PEER_REFUSED)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (refused_with(401), Outcome.REFUSED),
        (refused_with(403), Outcome.REFUSED),
        (refused_with(404), Outcome.NO_OCPP),
        (refused_with(302), Outcome.NO_OCPP),
        (refused_with(503), Outcome.NO_OCPP),
        (WrongSubprotocol(), Outcome.NO_OCPP),
        (exceptions.NegotiationError("other"), Outcome.NO_OCPP),
        (exceptions.InvalidUpgrade("Upgrade"), Outcome.NO_OCPP),
        (TimeoutError(), Outcome.NO_ANSWER),
        (ConnectionRefusedError(111, "refused"), Outcome.NO_ANSWER),
        (exceptions.InvalidProxyStatus(refused_with(403).response), Outcome.NO_ANSWER),
        (
            TlsFault("unknown ca", advice="", event=SecurityEventType.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM),
            Outcome.CERTIFICATE_REFUSED,
        ),
        (TlsFault("old TLS", advice="", event=SecurityEventType.INVALID_TLS_VERSION), Outcome.PEER_REFUSED),
        (TlsFault("cut", advice="", event=None), Outcome.NO_ANSWER),
    ],
)
def test_tells_what_a_failure_means_for_credentials_on_trial(error: Exception, outcome: Outcome) -> None:
    assert failure_of(error).outcome is outcome


def test_a_tls_alert_is_found_below_the_missing_http_answer() -> None:
    alert = ssl.SSLError(1, "alert")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    failure = failure_of(caused(exceptions.InvalidMessage("no answer"), alert))
    assert failure.event is SecurityEventType.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM


def test_only_what_nobody_foresaw_leaves_a_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    failure_of(exceptions.InvalidProxy("http://user:secret@proxy", "no"))
    assert not caplog.records
    failure_of(RuntimeError("surprise"))
    assert "RuntimeError: surprise" in caplog.text


def test_what_was_mapped_before_stays() -> None:
    failure = Failure("what", "advice")
    assert failure_of(ConnectionFailed(failure)) is failure


def test_reads_as_one_line() -> None:
    assert str(Failure("what", "advice")) == "what; advice"
    assert str(Failure("what", "advice", peer="CN=cs")) == "what; advice; peer: CN=cs"
