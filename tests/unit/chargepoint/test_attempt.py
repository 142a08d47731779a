import base64
from dataclasses import replace
from pathlib import Path

import pytest

from chargepoint.attempt import Attempt
from security.profile import SecurityProfile
from security.secret import Secret
from tests.tls_pipe import KeyPair

PASSWORD = Secret(bytes(range(20)))
PAIR = KeyPair(Path("certificate.pem"), Path("certificate.key"))
WHOLE = Attempt(
    SecurityProfile.TLS_CLIENT_CERTIFICATE, "wss://cs.example.com/ocpp", "CP001", PASSWORD, (b"root",), PAIR
)


@pytest.mark.parametrize(
    ("url", "identity", "expected"),
    [
        ("ws://localhost/ocpp", "CP001", "ws://localhost/ocpp/CP001"),
        ("ws://localhost/ocpp/", "CP001", "ws://localhost/ocpp/CP001"),
        ("ws://localhost:8080", "CP 1/\u00e4?#%", "ws://localhost:8080/CP%201%2F%C3%A4%3F%23%25"),
    ],
)
def test_the_identity_ends_the_address(url: str, identity: str, expected: str) -> None:
    assert Attempt(SecurityProfile.UNSECURED, url, identity).address == expected


@pytest.mark.parametrize("profile", [SecurityProfile.BASIC, SecurityProfile.TLS_BASIC])
def test_basic_credentials_are_made_of_the_keys_bytes(profile: SecurityProfile) -> None:
    key = Secret(bytes.fromhex("0001020304050607" + "FF" * 12))
    headers = Attempt(profile, "ws://localhost", "AL1000", key).headers()
    # The example of OCPP-J 1.6, 6.2.2
    assert headers == {"Authorization": "Basic QUwxMDAwOgABAgMEBQYH////////////////"}


def test_a_colon_in_the_password_stays_in_it() -> None:
    attempt = Attempt(SecurityProfile.BASIC, "ws://localhost", "CP\u00e4", Secret(b"a:b" * 6))
    scheme, _, encoded = attempt.headers()["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded)) == ("Basic", "CP\u00e4:".encode() + b"a:b" * 6)


@pytest.mark.parametrize("profile", [SecurityProfile.UNSECURED, SecurityProfile.TLS_CLIENT_CERTIFICATE])
def test_no_other_profile_sends_the_password(profile: SecurityProfile) -> None:
    assert replace(WHOLE, profile=profile).headers() == {}


def test_the_password_is_in_no_repr() -> None:
    assert repr(PASSWORD.reveal()) not in repr(WHOLE)
    assert "<secret>" in repr(WHOLE)


def test_a_whole_attempt_may_be_made() -> None:
    assert WHOLE.impediment(system_trust_store=False) is None


@pytest.mark.parametrize(
    ("attempt", "word"),
    [
        (replace(WHOLE, url="ws://cs.example.com"), "wss://"),
        (replace(WHOLE, client_certificate=None), "Charge Point certificate"),
        (replace(WHOLE, roots=()), "CentralSystemRootCertificate"),
        (replace(WHOLE, profile=SecurityProfile.TLS_BASIC, authorization_key=None), "AuthorizationKey"),
        (replace(WHOLE, profile=SecurityProfile.UNSECURED, roots=()), "CentralSystemRootCertificate"),
        (replace(WHOLE, url="wss://10.0.0.1/ocpp"), "IP address"),
        (replace(WHOLE, url="wss://[::1]/ocpp"), "IP address"),
        (replace(WHOLE, tls_server_name="10.0.0.1"), "IP address"),
    ],
)
def test_names_what_stands_in_the_way(attempt: Attempt, word: str) -> None:
    failure = attempt.impediment(system_trust_store=False)
    assert failure is not None
    assert word in failure.what
    assert failure.advice
    assert failure.event is None


@pytest.mark.parametrize("profile", [SecurityProfile.UNSECURED, SecurityProfile.TLS_BASIC])
def test_the_machines_roots_stand_in_for_installed_ones_where_told(profile: SecurityProfile) -> None:
    assert replace(WHOLE, profile=profile, roots=()).impediment(system_trust_store=True) is None


def test_plain_profile_0_needs_nothing() -> None:
    attempt = Attempt(SecurityProfile.UNSECURED, "ws://10.0.0.1", "CP001")
    assert attempt.impediment(system_trust_store=False) is None


@pytest.mark.parametrize(
    ("url", "server_name", "expected"),
    [
        ("wss://CS.example.com:8443/ocpp", None, "cs.example.com"),
        ("wss://cs.example.com./ocpp", None, "cs.example.com"),
        ("wss://10.0.0.1/ocpp", "cs.example.com", "cs.example.com"),
    ],
)
def test_the_name_that_goes_out_and_has_to_come_back(url: str, server_name: str | None, expected: str) -> None:
    assert replace(WHOLE, url=url, tls_server_name=server_name).server_name == expected
