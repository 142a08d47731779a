"""Answers about revocation: whatever comes in, nothing raises, and only the CA's own word says good or revoked."""

import http.client
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from chargepoint.fetch import body_of
from security.crl import CrlSource
from security.errors import FetchFailed
from security.inquiry import RevocationStatus, Source
from security.ocsp import OcspResponder
from security.revocation import sources_of
from security.revocation_cache import RevocationCache
from tests.pki import NOW, make, make_root, rsa_key
from tests.statements import REVOKED, crl, naming_crl, naming_ocsp, ocsp_answer, scope, subject

# `cryptography` warns of what it still reads; what is made of it is ours to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

URL = "http://ca.example.com/"
ROOT, RSA_ROOT = make_root(), make_root(key=rsa_key())
LEAF, RSA_LEAF = make(issuer=ROOT), make(issuer=RSA_ROOT)
DELEGATE = make("OCSP", issuer=ROOT, extensions=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]),))
DELEGATED = ocsp_answer(LEAF, ROOT, REVOKED, signer=DELEGATE, certificates=[DELEGATE])
SEEDS: tuple[tuple[Source, bytes], ...] = (
    (OcspResponder(URL, subject(LEAF, ROOT)), ocsp_answer(LEAF, ROOT, nonce=bytes(32))),
    (
        OcspResponder(URL, subject(LEAF, ROOT)),
        ocsp_answer(LEAF, ROOT, REVOKED, signer=DELEGATE, certificates=[DELEGATE]),
    ),
    (OcspResponder(URL, subject(RSA_LEAF, RSA_ROOT)), ocsp_answer(RSA_LEAF, RSA_ROOT)),
    (CrlSource(URL, subject(LEAF, ROOT)), crl(ROOT, LEAF, extensions=[(scope(only_contains_user_certs=True), True)])),
    (CrlSource(URL, subject(RSA_LEAF, RSA_ROOT)), crl(RSA_ROOT)),
)
UNKNOWN = RevocationStatus.UNKNOWN
HEADS = (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def judge(source: Source, answer: bytes) -> RevocationStatus:
    """What holds for every input."""
    statuses = {source.judge(answer, now, nonce).status for now in (NOW, None) for nonce in (None, bytes(32))}
    finding = source.judge(answer, NOW)
    assert finding.reason.isprintable()
    assert len(finding.reason) < 200
    return UNKNOWN if statuses == {UNKNOWN} else finding.status


@settings(deadline=None)
@given(st.sampled_from(SEEDS), st.binary(max_size=600))
def test_any_bytes(seed: tuple[Source, bytes], answer: bytes) -> None:
    assert judge(seed[0], answer) is UNKNOWN


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(min_value=0), st.integers(1, 255)), min_size=1, max_size=3),
)
def test_an_answer_with_some_bytes_changed(seed: tuple[Source, bytes], changes: list[tuple[int, int]]) -> None:
    source, answer = seed
    changed = bytearray(answer)
    for position, difference in changes:
        changed[position % len(changed)] ^= difference
    whole = source.judge(answer, NOW).status
    # What stands outside of the signature may change: then it says what it said, or nothing.
    assert judge(source, bytes(changed)) in (UNKNOWN, whole)


@settings(deadline=None)
@given(st.sampled_from(SEEDS), st.integers(0, 2000))
def test_an_answer_that_was_cut_off(seed: tuple[Source, bytes], length: int) -> None:
    source, answer = seed
    assert judge(source, answer[: min(length, len(answer) - 1)]) is UNKNOWN


@settings(deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_any_bytes_instead_of_http(begin: bytes, data: bytes) -> None:
    try:
        body = body_of(begin + data, 100)
    except (FetchFailed, http.client.HTTPException, ValueError, OSError):
        return
    assert len(body) <= 100


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.text("htps:/[]@.:%#? \r\n01axé", max_size=40)))
def test_any_address_in_a_certificate(url: str) -> None:
    try:
        extensions: tuple[Any, ...] = (naming_ocsp(url), naming_crl(url))
        leaf = make(issuer=ROOT, extensions=extensions)
    except ValueError:
        return  # no address that fits into a certificate
    for source in sources_of(subject(leaf, ROOT)) or ():
        assert source.url.isprintable()
        assert source.url.isascii()
        assert source.url.lower().startswith(("http://", "https://"))


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_file_in_the_cache(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    directory = tmp_path_factory.mktemp("cache")
    (directory / "a.ocsp").write_bytes(content)
    kept = RevocationCache(directory).read("a.ocsp")
    if kept is not None:
        assert kept.asked_at.tzinfo is not None
