import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPResponseBuilder, OCSPResponseStatus, load_der_ocsp_request
from cryptography.x509.oid import ExtendedKeyUsageOID

from security.inquiry import CLOCK_SKEW, MAX_AGE_WITHOUT_END, RevocationStatus
from security.ocsp import ASKED_WITH, OcspResponder
from tests.openssl import OPENSSL
from tests.pki import DAY, NOW, Made, make, make_root, rsa_key
from tests.statements import GOOD, HOLD, REVOKED, UNKNOWN, ocsp_answer, subject

URL = "http://ca.example.com/ocsp"
ROOT = make_root()
LEAF = make("cs.example.com", issuer=ROOT)
RESPONDER = OcspResponder(URL, subject(LEAF, ROOT))
FOR_OCSP = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
NONCE = bytes(range(32))


def delegate(**changes: Any) -> Made:
    values: dict[str, Any] = {"issuer": ROOT, "organisation": None, "extensions": (FOR_OCSP,)} | changes
    return make("OCSP", **values)


def status(answer: bytes, now: datetime | None = NOW, nonce: bytes | None = None) -> RevocationStatus:
    return RESPONDER.judge(answer, now, nonce).status


@pytest.mark.parametrize("algorithm", ASKED_WITH)
def test_asks_about_the_certificate_with_a_nonce(algorithm: Any) -> None:
    question = OcspResponder(URL, subject(LEAF, ROOT), algorithm).question(NONCE)
    assert question.url == URL
    assert (question.content_type, question.accept) == ("application/ocsp-request", "application/ocsp-response")
    assert question.body is not None
    request = load_der_ocsp_request(question.body)
    assert request.serial_number == LEAF.x509.serial_number
    assert request.hash_algorithm.name == algorithm.name
    assert request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == NONCE


def test_one_answer_is_kept_for_a_certificate_however_it_was_asked() -> None:
    other = OcspResponder("http://elsewhere/", subject(LEAF, ROOT), ASKED_WITH[1])
    assert other.key == RESPONDER.key
    assert OcspResponder(URL, subject(make(issuer=ROOT), ROOT)).key != RESPONDER.key


@pytest.mark.parametrize("algorithm", [*ASKED_WITH, hashes.SHA384, hashes.SHA512])
def test_good_in_whatever_hash_it_names_the_certificate(algorithm: Any) -> None:
    finding = RESPONDER.judge(ocsp_answer(LEAF, ROOT, algorithm=algorithm()), NOW)
    assert (finding.status, finding.until) == (RevocationStatus.GOOD, NOW + DAY)


def test_revoked_says_since_when_and_why() -> None:
    finding = RESPONDER.judge(ocsp_answer(LEAF, ROOT, REVOKED, reason=x509.ReasonFlags.key_compromise), NOW)
    assert finding.status is RevocationStatus.REVOKED
    assert finding.reason == "revoked since 2030-05-31 12:00 UTC (keyCompromise)"
    assert finding.until is None


def test_unknown_is_what_it_says() -> None:
    assert status(ocsp_answer(LEAF, ROOT, UNKNOWN)) is RevocationStatus.UNKNOWN


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa_key(), ed25519.Ed25519PrivateKey.generate()]
)
def test_every_kind_of_key_of_an_issuer(key: Any) -> None:
    root = make_root(key=key)
    leaf = make(issuer=root)
    finding = OcspResponder(URL, subject(leaf, root)).judge(ocsp_answer(leaf, root), NOW)
    assert finding.status is RevocationStatus.GOOD


def test_a_responder_that_the_issuer_has_appointed() -> None:
    appointed = delegate()
    assert status(ocsp_answer(LEAF, ROOT, signer=appointed, certificates=[appointed])) is RevocationStatus.GOOD
    assert (
        status(ocsp_answer(LEAF, ROOT, REVOKED, signer=appointed, certificates=[appointed])) is RevocationStatus.REVOKED
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"extensions": ()},
        {"extensions": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),)},
        {"issuer": make_root("Stranger")},
        {"issuer": make_root()},
        {"not_after": NOW - DAY / 2},
        {"not_before": NOW + DAY},
        {"key": rsa_key(1024)},
        {"algorithm": hashes.SHA224()},
    ],
    ids=["no usage", "other usage", "stranger", "same name", "expired", "not yet", "weak key", "weak hash"],
)
@pytest.mark.parametrize("verdict", [GOOD, REVOKED])
def test_a_responder_that_the_issuer_has_not_appointed(wrong: dict[str, Any], verdict: Any) -> None:
    stranger = delegate(**wrong)
    answer = ocsp_answer(LEAF, ROOT, verdict, signer=stranger, certificates=[stranger])
    finding = RESPONDER.judge(answer, NOW)
    assert finding.status is RevocationStatus.UNKNOWN
    assert "not signed by the issuer" in finding.reason


def test_a_certificate_that_the_ca_issued_for_something_else_answers_for_nobody() -> None:
    assert status(ocsp_answer(LEAF, ROOT, signer=LEAF, certificates=[LEAF])) is RevocationStatus.UNKNOWN


def test_a_delegate_that_is_only_sent_along_signs_nothing() -> None:
    assert status(ocsp_answer(LEAF, ROOT, signer=make_root(), certificates=[delegate()])) is RevocationStatus.UNKNOWN


@pytest.mark.parametrize("root", [ROOT, make_root(key=rsa_key())], ids=["ec", "rsa"])
def test_a_signature_over_a_weak_hash_is_none(root: Made) -> None:
    leaf = make(issuer=root)
    answer = ocsp_answer(leaf, root, signed_over=hashes.SHA224())
    assert OcspResponder(URL, subject(leaf, root)).judge(answer, NOW).status is RevocationStatus.UNKNOWN


def test_another_certificate_of_the_issuer_is_not_meant() -> None:
    finding = RESPONDER.judge(ocsp_answer(make(issuer=ROOT), ROOT), NOW)
    assert finding.reason == "the OCSP answer is about another certificate"


def test_the_same_serial_number_of_another_issuer_is_not_meant() -> None:
    other = make_root("Other CA", key=ROOT.key)
    namesake = make(issuer=other, serial_number=LEAF.x509.serial_number)
    assert status(ocsp_answer(namesake, other, signer=ROOT)) is RevocationStatus.UNKNOWN


@pytest.mark.parametrize(("sent", "expected"), [(NONCE, "good"), (None, "good"), (NONCE[::-1], "unknown")])
def test_a_nonce_may_be_missing_but_not_wrong(sent: bytes | None, expected: str) -> None:
    assert status(ocsp_answer(LEAF, ROOT, nonce=sent), nonce=NONCE) == expected


def test_an_answer_out_of_the_cache_has_its_old_nonce() -> None:
    assert status(ocsp_answer(LEAF, ROOT, nonce=NONCE)) is RevocationStatus.GOOD


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW + DAY, "good"),
        (NOW + DAY + CLOCK_SKEW, "good"),
        (NOW + DAY + 2 * CLOCK_SKEW, "unknown"),
        (NOW - CLOCK_SKEW, "good"),
        (NOW - 2 * CLOCK_SKEW, "unknown"),
        (None, "good"),
    ],
)
def test_a_good_answer_is_of_today_where_the_clock_is_set(now: datetime | None, expected: str) -> None:
    assert status(ocsp_answer(LEAF, ROOT), now) == expected


def test_an_answer_without_an_end_counts_for_a_day() -> None:
    answer = ocsp_answer(LEAF, ROOT, next_update=None)
    assert RESPONDER.judge(answer, NOW).until is None
    assert status(answer, NOW + MAX_AGE_WITHOUT_END) is RevocationStatus.GOOD
    assert status(answer, NOW + MAX_AGE_WITHOUT_END + 2 * CLOCK_SKEW) is RevocationStatus.UNKNOWN


def test_a_revocation_is_for_ever() -> None:
    assert status(ocsp_answer(LEAF, ROOT, REVOKED), NOW + 1000 * DAY) is RevocationStatus.REVOKED


def test_a_certificate_on_hold_may_come_back() -> None:
    answer = ocsp_answer(LEAF, ROOT, REVOKED, reason=HOLD)
    assert RESPONDER.judge(answer, NOW).until == NOW + DAY
    assert status(answer) is RevocationStatus.REVOKED
    assert status(answer, NOW + 2 * DAY) is RevocationStatus.UNKNOWN


@pytest.mark.parametrize("refusal", [each for each in OCSPResponseStatus if each is not OCSPResponseStatus.SUCCESSFUL])
def test_a_responder_that_refuses_says_nothing(refusal: OCSPResponseStatus) -> None:
    answer = OCSPResponseBuilder.build_unsuccessful(refusal).public_bytes(Encoding.DER)
    assert RESPONDER.judge(answer, NOW).reason.startswith("the OCSP responder gives no status")


@pytest.mark.parametrize("answer", [b"", b"<html>", bytes(100), ocsp_answer(LEAF, ROOT)[:-1]])
def test_bytes_that_are_no_answer(answer: bytes) -> None:
    assert RESPONDER.judge(answer, NOW).reason == "the OCSP answer cannot be read"


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
@pytest.mark.parametrize("scheme", ["pkcs1", "pss", "ec"])
@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("V\t350101000000Z\t\t1234\tunknown\t/CN=x\n", "good"),
        ("R\t350101000000Z\t300101000000Z,keyCompromise\t1234\tunknown\t/CN=x\n", "revoked"),
        ("", "unknown"),
    ],
)
def test_openssl_answers_our_question(tmp_path: Path, scheme: str, entry: str, expected: str) -> None:
    """A responder that shares no line with us, in every kind of signature."""
    root = make_root(key=None if scheme == "ec" else rsa_key())
    leaf = make(issuer=root, serial_number=0x1234)
    responder = OcspResponder(URL, subject(leaf, root))
    body = responder.question(NONCE).body
    assert body is not None
    (tmp_path / "question").write_bytes(body)
    (tmp_path / "index").write_text(entry)
    (tmp_path / "root.pem").write_text(root.pem)
    (tmp_path / "root.key").write_bytes(root.key_pem.reveal())
    command = "ocsp -index index -CA root.pem -rsigner root.pem -rkey root.key -reqin question -respout answer -nmin 60"
    options = ["-rmd", "sha256", *(["-rsigopt", "rsa_padding_mode:pss"] if scheme == "pss" else [])]
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *command.split(), *options], cwd=tmp_path, check=True, capture_output=True, timeout=20)
    answer = (tmp_path / "answer").read_bytes()
    assert responder.judge(answer, None, NONCE).status == expected
    namesake = make_root(key=None if scheme == "ec" else rsa_key(3072))
    of_another_key = OcspResponder(URL, subject(make(issuer=namesake, serial_number=0x1234), namesake))
    assert of_another_key.judge(answer, None, NONCE).reason.startswith("the OCSP answer is not signed by the issuer")
