"""The PEM door: whatever comes in, it is read completely or refused with one line that repeats nothing of it."""

import base64
import warnings
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from security.certificate import MAX_CERTIFICATES, Certificate, Purpose, faults_of, parse_chain, parse_one, remarks_of
from security.errors import CertificateError
from security.hash_data import CertificateHashData
from tests.pki import Made, make, make_root, rsa_key

ROOT = make_root()
SEEDS = (ROOT, make_root(key=rsa_key()), make("CP001", issuer=ROOT))
LINES = sorted({line for made in SEEDS for line in made.pem.splitlines()})

# `cryptography` warns of certificates that it still reads; what is made of them is ours to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def armour(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


def check(text: str, parse: Callable[[str], Certificate | tuple[Certificate, ...]]) -> None:
    """What holds for every input."""
    try:
        parsed = parse(text)
    except CertificateError as refused:
        reason = refused.reason
    else:
        certificates = parsed if isinstance(parsed, tuple) else (parsed,)
        assert 1 <= len(certificates) <= MAX_CERTIFICATES
        for one in certificates:
            judge(one)
        return
    assert "\n" not in reason
    assert len(reason) < 200
    assert not any(len(word) > 20 and word in reason for word in text.split())


def judge(one: Certificate) -> None:
    """Nothing that is asked of a certificate later may raise."""
    assert parse_one(one.pem) == one
    assert one.subject.isprintable()
    assert one.serial_number == one.serial_number.upper().lstrip("0")
    for purpose in Purpose:
        assert all("\n" not in line for line in [*faults_of(one, None, purpose), *remarks_of(one, purpose)])
    one.is_signed_by(one)
    if one.is_self_issued:
        assert CertificateHashData.compute(one, one).serial_number == one.serial_number


@settings(deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    check(text, parse_one)
    check(text, parse_chain)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=70)), max_size=40), st.sampled_from(["\n", "\r\n", " "])
)
def test_any_lines_of_certificates(lines: list[str], end: str) -> None:
    check(end.join(lines), parse_one)
    check(end.join(lines), parse_chain)


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_in_armour(der: bytes) -> None:
    check(armour(der), parse_one)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(min_value=0), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_a_certificate_with_some_bytes_changed(made: Made, changes: list[tuple[int, int]]) -> None:
    der = bytearray(made.x509.public_bytes(Encoding.DER))
    for position, value in changes:
        der[position % len(der)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(armour(bytes(der)), parse_one)


@settings(deadline=None)
@given(st.sampled_from(SEEDS), st.integers(0, 2000))
def test_a_certificate_that_was_cut_off(made: Made, length: int) -> None:
    check(made.pem[:length], parse_one)
    check(armour(made.x509.public_bytes(Encoding.DER)[:length]), parse_chain)
