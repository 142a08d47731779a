import ssl
import warnings

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from security.handshake import MAX_DESCRIBED_CHARACTERS, Witness, describe_chain
from security.tls import client_context
from tests.pki import NOW, make, make_root
from tests.tls_pipe import server_context, shake_hands

UNREADABLE = "a certificate that cannot be read"
HOST = "cs.example.com"
ROOT = make_root()
LEAF = make(HOST, issuer=ROOT)
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def watched_handshake(version: ssl.TLSVersion) -> tuple[Witness, ssl.SSLContext]:
    witness, context = Witness(), client_context(roots=[ROOT.pem.encode()], now=NOW)
    witness.watch(context)
    shake_hands(context, server_context(LEAF, ROOT, maximum=version), HOST)
    return witness, context


@pytest.mark.parametrize("version", VERSIONS)
def test_overhears_the_peers_certificates(version: ssl.TLSVersion) -> None:
    witness, _ = watched_handshake(version)
    assert witness.chain == tuple(made.x509.public_bytes(Encoding.DER) for made in (LEAF, ROOT))
    assert not witness.certificate_requested
    assert witness.describe_peer().startswith(
        "O=Example CPO,CN=cs.example.com (issuer O=Example CPO,CN=Example CPO Root"
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_overhears_nothing_any_more_after_leaving(version: ssl.TLSVersion) -> None:
    witness, context = Witness(), client_context(roots=[ROOT.pem.encode()], now=NOW)
    witness.watch(context)
    witness.leave(context)
    shake_hands(context, server_context(LEAF, maximum=version), HOST)
    assert witness.chain == ()
    assert witness.describe_peer() == ""


def test_what_a_peer_writes_cannot_break_a_log_line_or_fill_it() -> None:
    rude = make(["two\nlines\x1b[31m", "x" * 64], organisation="y" * 64)
    described = describe_chain([rude.x509.public_bytes(Encoding.DER)] * 9)
    assert described.isprintable()
    assert len(described) == MAX_DESCRIBED_CHARACTERS


def test_what_cannot_be_read_is_said_to_be_so() -> None:
    assert describe_chain([b"\x30\x03abc"]) == UNREADABLE


def test_a_certificate_of_no_known_version_is_one_that_cannot_be_read() -> None:
    der = LEAF.x509.public_bytes(Encoding.DER)
    assert describe_chain([der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x0b", 1)]) == UNREADABLE


@given(st.integers(0, 999), st.integers(0, 255))
def test_no_changed_byte_of_a_certificate_keeps_the_peer_from_being_described(place: int, value: int) -> None:
    der = bytearray(LEAF.x509.public_bytes(Encoding.DER))
    der[place % len(der)] = value
    with warnings.catch_warnings(action="ignore"):  # of `cryptography`, about names and serial numbers that are odd
        assert describe_chain([bytes(der)])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_truncated_message_yields_whole_certificates_only(version: ssl.TLSVersion) -> None:
    witness, _ = watched_handshake(version)
    whole, message = witness.chain, witness._certificate_message
    assert message is not None
    for length in range(len(message)):
        witness._certificate_message = message[:length]
        assert witness.chain == whole[: len(witness.chain)]


@given(st.binary(max_size=200), st.booleans())
def test_garbage_in_place_of_a_certificate_message_raises_nothing(message: bytes, is_tls13: bool) -> None:
    witness = Witness()
    witness._certificate_message, witness._is_tls13 = message, is_tls13
    assert witness.describe_peer().isprintable()
