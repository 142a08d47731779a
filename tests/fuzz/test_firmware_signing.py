"""Whatever SignedUpdateFirmware.req brings as certificate and signature, the outcome is a result and never an error."""

import base64
import hashlib
import warnings

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from security.signature import SignatureResult, verify_digest
from security.signing_certificate import SigningCertificateResult, judge
from tests.pki import NOW, Made, make, make_root, rsa_key

IMAGE = b"firmware 1.1.0"
DIGEST = hashlib.sha256(IMAGE).digest()
ROOT = make_root()
BY_RSA, BY_CURVE = make(issuer=ROOT, key=rsa_key()), make(issuer=ROOT)
ROOTS = (ROOT.certificate,)

# `cryptography` warns of certificates that it still reads; what is made of them is ours to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def signature_of(made: Made) -> bytes:
    if isinstance(made.key, rsa.RSAPrivateKey):
        return made.key.sign(IMAGE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    assert isinstance(made.key, ec.EllipticCurvePrivateKey)
    return made.key.sign(IMAGE, ec.ECDSA(hashes.SHA256()))


GOOD = {BY_RSA.pem: signature_of(BY_RSA), BY_CURVE.pem: signature_of(BY_CURVE)}
signers = st.sampled_from([BY_RSA, BY_CURVE])


def check(made: Made, text: str, *, accept_pkcs1: bool) -> None:
    outcome = verify_digest(DIGEST, text, made.certificate, accept_pkcs1=accept_pkcs1)
    assert outcome.result is not SignatureResult.VERIFIED
    assert outcome.reason
    assert "\n" not in outcome.reason
    assert not any(len(word) > 20 and word in outcome.reason for word in text.split())


@settings(deadline=None)
@given(signers, st.text(max_size=900), st.booleans())
def test_any_text_is_no_signature(made: Made, text: str, accept_pkcs1: bool) -> None:
    check(made, text, accept_pkcs1=accept_pkcs1)


@settings(deadline=None)
@given(signers, st.binary(max_size=590), st.booleans())
def test_any_bytes_are_no_signature(made: Made, signed: bytes, accept_pkcs1: bool) -> None:
    check(made, base64.b64encode(signed).decode(), accept_pkcs1=accept_pkcs1)


@settings(deadline=None)
@given(signers, st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_signature_is_none(made: Made, position: int, change: int) -> None:
    signed = bytearray(GOOD[made.pem])
    signed[position % len(signed)] ^= change
    check(made, base64.b64encode(signed).decode(), accept_pkcs1=True)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_no_signing_certificate(text: str) -> None:
    assert judge(text, ROOTS, NOW).result is SigningCertificateResult.INVALID


@settings(max_examples=300, deadline=None)
@given(signers, st.lists(st.tuples(st.integers(min_value=0), st.integers(1, 255)), min_size=1, max_size=3))
def test_a_changed_certificate_is_refused(made: Made, changes: list[tuple[int, int]]) -> None:
    der = bytearray(made.x509.public_bytes(Encoding.DER))
    changed = {position % len(der): change for position, change in changes}
    for position, change in changed.items():
        der[position] ^= change
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verdict = judge(pem, ROOTS, NOW)
    assert not verdict.accepted
    assert verdict.reason
    assert "\n" not in verdict.reason
