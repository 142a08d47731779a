from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from security.crl import CrlSource
from security.inquiry import CLOCK_SKEW, RevocationStatus
from tests.pki import DAY, NOW, make, make_root, rsa_key
from tests.statements import HOLD, crl, scope, subject

URL = "http://ca.example.com/list.crl"
ROOT = make_root()
LEAF, OTHER = make("cs.example.com", issuer=ROOT), make("other.example.com", issuer=ROOT)
INTERMEDIATE = make_root("Intermediate", issuer=ROOT)
SOURCE = CrlSource(URL, subject(LEAF, ROOT))


def status(answer: bytes, now: datetime | None = NOW) -> RevocationStatus:
    return SOURCE.judge(answer, now).status


def test_asks_for_the_list() -> None:
    question = SOURCE.question(b"")
    assert (question.url, question.body, question.accept) == (URL, None, "application/pkix-crl")


def test_one_list_is_kept_for_all_certificates_of_an_issuer() -> None:
    assert CrlSource(URL, subject(OTHER, ROOT)).key == SOURCE.key
    assert CrlSource(f"{URL}2", subject(LEAF, ROOT)).key != SOURCE.key
    assert CrlSource(URL, subject(LEAF, make_root())).key != SOURCE.key


def test_what_is_not_listed_is_good_until_the_next_list() -> None:
    finding = SOURCE.judge(crl(ROOT, OTHER), NOW)
    assert (finding.status, finding.until) == (RevocationStatus.GOOD, NOW + DAY)


def test_what_is_listed_is_revoked() -> None:
    finding = SOURCE.judge(crl(ROOT, OTHER, LEAF, reason=x509.ReasonFlags.superseded), NOW)
    assert finding.status is RevocationStatus.REVOKED
    assert finding.reason == "revoked since 2030-05-31 12:00 UTC (superseded)"
    assert SOURCE.judge(crl(ROOT, LEAF), NOW).reason.endswith("(no reason given)")


@pytest.mark.parametrize("key", [rsa_key(), ed25519.Ed25519PrivateKey.generate()], ids=["rsa", "ed25519"])
def test_every_kind_of_key_of_an_issuer(key: Any) -> None:
    root = make_root(key=key)
    leaf = make(issuer=root)
    assert CrlSource(URL, subject(leaf, root)).judge(crl(root, leaf), NOW).status is RevocationStatus.REVOKED


@pytest.mark.parametrize(
    "answer",
    [
        crl(ROOT, LEAF, signer=make_root()),
        crl(make_root("Stranger"), LEAF),
        crl(ROOT, LEAF, signed_over=hashes.SHA224()),
    ],
    ids=["forged", "stranger", "weak hash"],
)
def test_a_list_that_the_issuer_has_not_signed_says_nothing(answer: bytes) -> None:
    assert SOURCE.judge(answer, NOW).reason == "the CRL is not signed by the issuer of the certificate"


@pytest.mark.parametrize(("usages", "expected"), [(("key_cert_sign",), "unknown"), (None, "good")])
def test_an_issuer_must_be_allowed_to_sign_lists(usages: Any, expected: str) -> None:
    root = make_root(usages=usages)
    leaf = make(issuer=root)
    assert CrlSource(URL, subject(leaf, root)).judge(crl(root), NOW).status == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW + DAY + CLOCK_SKEW, "good"),
        (NOW + DAY + 2 * CLOCK_SKEW, "unknown"),
        (NOW - CLOCK_SKEW, "good"),
        (NOW - 2 * CLOCK_SKEW, "unknown"),
        (None, "good"),
    ],
)
def test_a_list_is_of_today_where_the_clock_is_set(now: datetime | None, expected: str) -> None:
    assert status(crl(ROOT), now) == expected


def test_a_revocation_is_for_ever_but_not_a_hold() -> None:
    assert status(crl(ROOT, LEAF), NOW + 1000 * DAY) is RevocationStatus.REVOKED
    assert status(crl(ROOT, LEAF, reason=HOLD)) is RevocationStatus.REVOKED
    assert status(crl(ROOT, LEAF, reason=HOLD), NOW + 1000 * DAY) is RevocationStatus.UNKNOWN


def der(tag: int, *parts: bytes) -> bytes:
    """Build a DER value of less than 256 bytes."""
    content = b"".join(parts)
    return bytes([tag, *([0x81] if len(content) > 0x7F else []), len(content)]) + content


def test_a_list_without_a_next_update_says_nothing() -> None:
    # `cryptography` makes none, so the field is cut out of a good list and the rest is signed again.
    signed = x509.load_der_x509_crl(crl(ROOT)).tbs_certlist_bytes
    content = signed[3 if signed[1] == 0x81 else 2 :]
    next_update = der(0x17, f"{NOW + DAY:%y%m%d%H%M%SZ}".encode())
    assert content.count(next_update) == 1
    changed = der(0x30, content.replace(next_update, b""))
    assert isinstance(ROOT.key, ec.EllipticCurvePrivateKey)
    signature = ROOT.key.sign(changed, ec.ECDSA(hashes.SHA256()))
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    answer = der(0x30, changed, ecdsa_with_sha256, der(0x03, b"\x00", signature))
    assert SOURCE.judge(answer, NOW).reason == "the CRL names no next update"


THIS = x509.UniformResourceIdentifier(URL)
ELSEWHERE = x509.UniformResourceIdentifier("http://ca.example.com/part-2.crl")
RELATIVE = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "part 2")])


@pytest.mark.parametrize(
    ("extension", "critical", "expected"),
    [
        (scope(full_name=[ELSEWHERE, THIS]), True, "good"),
        (scope(full_name=[ELSEWHERE]), True, "unknown"),
        (scope(full_name=[ELSEWHERE]), False, "unknown"),
        (scope(relative_name=RELATIVE), True, "unknown"),
        (scope(only_contains_user_certs=True), True, "good"),
        (scope(only_contains_ca_certs=True), True, "unknown"),
        (scope(only_contains_attribute_certs=True), True, "unknown"),
        (scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})), True, "unknown"),
        (scope(indirect_crl=True), True, "unknown"),
        (x509.DeltaCRLIndicator(3), True, "unknown"),
        (x509.CRLNumber(3), False, "good"),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True, "unknown"),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False, "good"),
    ],
)
def test_a_list_counts_only_where_it_speaks_of_the_certificate(
    extension: x509.ExtensionType, critical: bool, expected: str
) -> None:
    assert status(crl(ROOT, extensions=[(extension, critical)])) == expected


def test_a_list_of_authorities_speaks_of_an_intermediate() -> None:
    source = CrlSource(URL, subject(INTERMEDIATE, ROOT))
    for_authorities = crl(ROOT, INTERMEDIATE, extensions=[(scope(only_contains_ca_certs=True), True)])
    for_users = crl(ROOT, extensions=[(scope(only_contains_user_certs=True), True)])
    assert source.judge(for_authorities, NOW).status is RevocationStatus.REVOKED
    assert source.judge(for_users, NOW).status is RevocationStatus.UNKNOWN


@pytest.mark.parametrize("answer", [b"", b"<html>", bytes(100), crl(ROOT)[:-1]])
def test_bytes_that_are_no_list(answer: bytes) -> None:
    assert SOURCE.judge(answer, NOW).reason == "the CRL cannot be read"
