import ssl
from pathlib import Path

import pytest

from security.event import SecurityEventType
from security.handshake import Witness
from security.tls import client_context
from security.tls_fault import MAX_CAUSES, TlsFault, classify
from tests.pki import NOW, make, make_root
from tests.tls_pipe import KeyPair, server_context, shake_hands, write_pair

HOST = "cs.example.com"
ROOT = make_root()
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

NO_COMMON_SUITE = "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"

INVALID_CERTIFICATE = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
INVALID_VERSION = SecurityEventType.INVALID_TLS_VERSION
INVALID_SUITE = SecurityEventType.INVALID_TLS_CIPHER_SUITE
NOT_AUTHENTICATED = SecurityEventType.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM


def fault_between(
    server: ssl.SSLContext, client_certificate: KeyPair | None = None, *, watched: bool = True
) -> TlsFault:
    context = client_context(roots=[ROOT.pem.encode()], client_certificate=client_certificate, now=NOW)
    witness = Witness()
    if watched:
        witness.watch(context)
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(context, server, HOST)
    fault = classify(caught.value, witness=witness)
    assert fault is not None
    assert fault.__cause__ is caught.value
    return fault


def demanding(server: ssl.SSLContext, roots: str = ROOT.pem) -> ssl.SSLContext:
    """A server that wants a client certificate below the given roots."""
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=roots)
    return server


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_an_unknown_issuer_is_named_with_the_chain_that_was_seen(version: ssl.TLSVersion) -> None:
    stranger = make_root("Stranger Root")
    intermediate = make_root("Stranger Intermediate", issuer=stranger)
    fault = fault_between(server_context(make(HOST, issuer=intermediate), intermediate, maximum=version))
    assert fault.event is INVALID_CERTIFICATE
    assert "unable to get local issuer certificate (verify code 20)" in fault.what
    assert "CN=cs.example.com" in fault.peer
    assert "CN=Stranger Root" in fault.peer
    assert "central-system-root" in fault.advice


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_peer_that_only_speaks_tls_1_1() -> None:
    old = server_context(make(HOST, issuer=ROOT), minimum=ssl.TLSVersion.TLSv1, maximum=ssl.TLSVersion.TLSv1_1)
    fault = fault_between(old)
    assert fault.event is INVALID_VERSION
    assert "tlsv1 alert protocol version" in fault.what


def test_a_peer_without_a_common_suite() -> None:
    fault = fault_between(server_context(make(HOST, issuer=ROOT), maximum=TLS12, ciphers=NO_COMMON_SUITE))
    assert fault.event is INVALID_SUITE


def test_the_same_alert_after_a_request_for_our_certificate_is_about_our_certificate() -> None:
    fault = fault_between(demanding(server_context(make(HOST, issuer=ROOT), maximum=TLS12)))
    assert fault.event is NOT_AUTHENTICATED
    assert "sslv3 alert handshake failure" in fault.what


def test_where_nothing_is_overheard_that_alert_counts_as_no_common_suite() -> None:
    fault = fault_between(demanding(server_context(make(HOST, issuer=ROOT), maximum=TLS12)), watched=False)
    assert fault.event is INVALID_SUITE
    assert fault.peer == ""


def test_a_peer_that_demands_a_certificate_of_ours_in_tls_1_3() -> None:
    fault = fault_between(demanding(server_context(make(HOST, issuer=ROOT), minimum=TLS13)))
    assert fault.event is NOT_AUTHENTICATED
    assert "certificate required" in fault.what


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_peer_that_does_not_trust_our_certificate(version: ssl.TLSVersion, tmp_path: Path) -> None:
    ours = KeyPair(*write_pair(tmp_path, make("CP001", issuer=make_root("Our CA"))))
    fault = fault_between(demanding(server_context(make(HOST, issuer=ROOT), maximum=version)), ours)
    assert fault.event is NOT_AUTHENTICATED
    assert "unknown ca" in fault.what


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("UNSUPPORTED_PROTOCOL", INVALID_VERSION),
        ("WRONG_SSL_VERSION", INVALID_VERSION),
        ("WRONG_CIPHER_RETURNED", INVALID_SUITE),
        ("TLSV1_ALERT_INSUFFICIENT_SECURITY", INVALID_SUITE),
        ("UNSUPPORTED_COMPRESSION_ALGORITHM", INVALID_SUITE),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", NOT_AUTHENTICATED),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", NOT_AUTHENTICATED),
        ("SSLV3_ALERT_BAD_CERTIFICATE", NOT_AUTHENTICATED),
        ("TLSV1_ALERT_ACCESS_DENIED", NOT_AUTHENTICATED),
        ("WRONG_VERSION_NUMBER", None),
        ("TLSV1_UNRECOGNIZED_NAME", None),
        ("TLSV1_ALERT_INTERNAL_ERROR", None),
        ("A_REASON_OF_TOMORROW", None),
    ],
)
def test_each_reason_has_its_event(reason: str, event: SecurityEventType | None) -> None:
    fault = classify(ssl_error(reason))
    assert fault is not None
    assert fault.event is event
    assert reason.replace("_", " ").lower() in fault.what


@pytest.mark.parametrize("error", [ssl.SSLEOFError(8, "EOF"), ssl.SSLZeroReturnError(6, "closed")])
def test_an_end_of_file_is_no_event(error: ssl.SSLError) -> None:
    fault = classify(error)
    assert fault is not None
    assert fault.event is None


def test_finds_what_other_exceptions_hide() -> None:
    hidden = ssl_error("TLSV1_ALERT_UNKNOWN_CA")
    by_cause, by_context = RuntimeError("outer"), RuntimeError("outer")
    by_cause.__cause__, by_context.__context__ = EOFError(), hidden
    by_cause.__cause__.__cause__ = hidden
    for error in (by_cause, by_context):
        fault = classify(error)
        assert fault is not None
        assert fault.event is NOT_AUTHENTICATED


def test_a_fault_stays_the_fault_that_it_is() -> None:
    fault = TlsFault("what", advice="advice", event=None)
    assert classify(fault) is fault


def test_a_reset_while_more_was_wanted_is_no_fault_of_tls() -> None:
    reset = ConnectionResetError(104, "reset")
    reset.__context__ = ssl.SSLWantReadError(2, "more")
    assert classify(reset) is None


def test_what_has_nothing_to_do_with_tls_is_no_fault() -> None:
    assert classify(ConnectionResetError(104, "reset")) is None


def test_a_circle_of_causes_ends() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert classify(one) is None


def test_the_search_is_bounded() -> None:
    error: Exception = ssl_error("TLSV1_ALERT_UNKNOWN_CA")
    for _ in range(MAX_CAUSES):
        outer = RuntimeError("outer")
        outer.__cause__, error = error, outer
    assert classify(error) is None


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error
