"""The responder of the simulation, asked by `openssl`, which shares no line with it or with the agent."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from chargepoint.simulation.authority import OCSP_SIGNING, Authority, Issued, generate_key, subject_name
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.responder import HUGE_BYTES, Fault, Responder, Signer
from tests.openssl import OPENSSL

KEY_COMPROMISE = x509.ReasonFlags.key_compromise
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")


@pytest.fixture
def responder() -> Iterator[Responder]:
    with Responder() as responder:
        yield responder


@pytest.fixture
def pki() -> Pki:
    return Pki.create()


def ask(directory: Path, pki: Pki, issued: Issued, *options: str) -> str:
    """What `openssl ocsp` makes of the answer; it verifies it."""
    assert OPENSSL is not None
    (directory / "root.pem").write_bytes(pki.root_pem)
    (directory / "leaf.pem").write_bytes(issued.certificate_pem)
    (url,) = pki.central_system_root.whereabouts.ocsp
    command = [
        OPENSSL,
        "ocsp",
        *options,
        "-issuer",
        "root.pem",
        "-cert",
        "leaf.pem",
        "-CAfile",
        "root.pem",
        "-url",
        url,
    ]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr


@needs_openssl
@pytest.mark.parametrize("option", ["-sha1", "-sha256"])
def test_openssl_believes_the_ocsp_responder(responder: Responder, pki: Pki, tmp_path: Path, option: str) -> None:
    responder.serve(pki.central_system_root)
    issued = pki.server_certificate()
    assert "leaf.pem: good" in (said := ask(tmp_path, pki, issued, option))
    assert "Response verify OK" in said
    assert "WARNING" not in said  # the nonce has come back
    pki.revoke(issued, reason=KEY_COMPROMISE)
    assert "leaf.pem: revoked" in (said := ask(tmp_path, pki, issued, option))
    assert "Reason: keyCompromise" in said


@needs_openssl
def test_openssl_believes_a_responder_that_was_appointed(responder: Responder, pki: Pki, tmp_path: Path) -> None:
    responder.serve(pki.central_system_root)
    key = generate_key()
    appointed = pki.central_system_root.issue(subject_name("OCSP", "Example CPO"), usages=(OCSP_SIGNING,), key=key)
    responder.signer = Signer(appointed.x509, key)
    assert "Response verify OK" in ask(tmp_path, pki, pki.server_certificate())


@needs_openssl
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.WRONG_SIGNATURE, "Response Verify Failure"),
        (Fault.STALE, "Status times invalid"),
        (Fault.FUTURE, "Status times invalid"),
        (Fault.UNKNOWN, "leaf.pem: unknown"),
        (Fault.OTHER_CERTIFICATE, "No Status found"),
        (Fault.OTHER_QUESTION, "Nonce Verify error"),
        (Fault.TRY_LATER, "trylater"),
        (Fault.GARBAGE, "Error querying OCSP responder"),
        (Fault.SERVER_ERROR, "Error querying OCSP responder"),
    ],
)
def test_a_fault_is_what_it_says(responder: Responder, pki: Pki, tmp_path: Path, fault: Fault, expected: str) -> None:
    responder.serve(pki.central_system_root)
    responder.fault = fault
    assert expected in ask(tmp_path, pki, pki.server_certificate())


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the URL is that of the fixture
        return bytes(answer.read())


def test_the_list_holds_what_was_revoked(responder: Responder, pki: Pki) -> None:
    (url,) = responder.serve(pki.central_system_root).crl
    good, bad = pki.server_certificate(), pki.server_certificate()
    pki.revoke(bad, reason=KEY_COMPROMISE)
    crl = x509.load_der_x509_crl(get(url))
    assert crl.is_signature_valid(pki.central_system_root.key.public_key())
    assert [entry.serial_number for entry in crl] == [bad.x509.serial_number]
    assert crl.get_revoked_certificate_by_serial_number(good.x509.serial_number) is None


def test_each_authority_has_its_own(responder: Responder, pki: Pki) -> None:
    responder.serve(pki.central_system_root, ocsp=False)
    intermediate = pki.intermediate()
    responder.serve(intermediate, crl=False)
    assert named(intermediate.certificate) == ([], list(pki.central_system_root.whereabouts.crl))
    leaf = pki.server_certificate(issuer=intermediate)
    assert named(leaf.x509) == (list(intermediate.whereabouts.ocsp), [])
    pki.revoke(leaf, issuer=intermediate)
    assert leaf.x509.serial_number in intermediate.revoked
    assert not pki.central_system_root.revoked


def test_nobody_is_named_by_default(pki: Pki) -> None:
    assert named(pki.server_certificate().x509) == ([], [])
    assert named(Authority.root("CN", "O").certificate) == ([], [])


def named(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """The addresses of OCSP and CRL in a certificate."""
    responders, lists = [], []
    for extension in certificate.extensions:
        match extension.value:
            case x509.AuthorityInformationAccess() as access:
                responders += [each.access_location.value for each in access]
            case x509.CRLDistributionPoints() as points:
                lists += [name.value for point in points for name in point.full_name or ()]
    return responders, lists


def test_huge_is_huge_and_unknown_paths_are_unknown(responder: Responder, pki: Pki) -> None:
    (url,) = responder.serve(pki.central_system_root).crl
    responder.fault = Fault.HUGE
    assert len(get(url)) == HUGE_BYTES
    for path in ("/", "/7/crl", "/0/other"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(url.rpartition("/0/")[0] + path)
    assert responder.questions == ["/0/crl", "/", "/7/crl", "/0/other"]


def test_a_hash_that_it_does_not_know_gets_no_status(responder: Responder, pki: Pki) -> None:
    responder.serve(pki.central_system_root)
    responder.hashes = frozenset({"sha256"})
    issued = pki.server_certificate()
    assert status(responder, pki, issued, hashes.SHA384()) is ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert status(responder, pki, issued, hashes.SHA256()) is ocsp.OCSPResponseStatus.SUCCESSFUL
    malformed = responder.answer("/0/ocsp", b"no question")
    assert malformed is not None
    assert ocsp.load_der_ocsp_response(malformed[1]).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def status(
    responder: Responder, pki: Pki, issued: Issued, algorithm: hashes.SHA256 | hashes.SHA384
) -> ocsp.OCSPResponseStatus:
    builder = ocsp.OCSPRequestBuilder().add_certificate(issued.x509, pki.central_system_root.certificate, algorithm)
    answer = responder.answer("/0/ocsp", builder.build().public_bytes(Encoding.DER))
    assert answer is not None
    return ocsp.load_der_ocsp_response(answer[1]).response_status


def test_an_answer_may_name_no_end_and_no_nonce(responder: Responder, pki: Pki) -> None:
    responder.serve(pki.central_system_root)
    responder.next_update, responder.nonces = None, False
    issued = pki.server_certificate()
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        issued.x509, pki.central_system_root.certificate, hashes.SHA256()
    )
    request = builder.add_extension(x509.OCSPNonce(bytes(16)), critical=False).build()
    answer = responder.answer("/0/ocsp", request.public_bytes(Encoding.DER))
    assert answer is not None
    response = ocsp.load_der_ocsp_response(answer[1])
    assert response.next_update_utc is None
    assert not list(response.extensions)


def test_silence_and_slowness_end_with_the_responder(pki: Pki) -> None:
    for fault in (Fault.SILENT, Fault.SLOW):
        with Responder() as responder:
            (url,) = responder.serve(pki.central_system_root).crl
            responder.fault = fault
            with pytest.raises((TimeoutError, OSError)):
                urllib.request.urlopen(url, timeout=timedelta(seconds=0.05).total_seconds()).read()  # noqa: S310
