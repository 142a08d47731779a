"""The PKI of the simulation: right by default, wrong only where a knob says so, lasting in a directory."""

import contextlib
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from chargepoint.simulation.authority import Issued, PrivateKey, generate_key, subject_name
from chargepoint.simulation.pki import CsrError, Pki


def handshake(issued: Issued, root_pem: bytes, host: str = "localhost") -> str | None:
    """Make a real TLS handshake over a socket pair; return the client's complaint."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.set_ciphers("DEFAULT:@SECLEVEL=0")
    issued.load_into(server_context)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.load_verify_locations(cadata=root_pem.decode())
    near, far = socket.socketpair()

    def serve() -> None:
        with far, contextlib.suppress(OSError):  # the client says why
            server_context.wrap_socket(far, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    with near:
        try:
            client_context.wrap_socket(near, server_hostname=host).close()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        finally:
            thread.join(5)
    return None


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki.create()


@pytest.mark.parametrize("key", ["ec", "rsa"])
def test_a_server_certificate_passes_a_real_handshake(pki: Pki, key: str) -> None:
    assert handshake(pki.server_certificate(key="ec" if key == "ec" else "rsa"), pki.root_pem) is None


def test_the_chain_of_an_intermediate_passes_a_real_handshake(pki: Pki) -> None:
    issued = pki.server_certificate(issuer=pki.intermediate())
    assert handshake(issued, pki.root_pem) is None
    assert len(x509.load_pem_x509_certificates(issued.chain_pem)) == 2


def test_the_rsa_root_vouches_too(pki: Pki) -> None:
    root = pki.central_system_rsa_root
    assert handshake(pki.server_certificate(issuer=root), root.pem) is None


def test_each_wrong_certificate_is_refused_for_its_own_reason(pki: Pki) -> None:
    now = datetime.now(UTC)
    complaints = {
        "expired": handshake(pki.server_certificate(not_after=now - timedelta(hours=1)), pki.root_pem),
        "future": handshake(pki.server_certificate(not_before=now + timedelta(hours=1)), pki.root_pem),
        "stranger": handshake(Pki.create().server_certificate(), pki.root_pem),
        "self-signed": handshake(pki.server_certificate(self_signed=True), pki.root_pem),
        "wrong name": handshake(pki.server_certificate(common_name="other.test"), pki.root_pem),
        "weak": handshake(pki.server_certificate(key="rsa", weak_key=True), pki.root_pem),
    }
    assert complaints == {
        "expired": "certificate has expired",
        "future": "certificate is not yet valid",
        "stranger": "unable to get local issuer certificate",
        "self-signed": "self-signed certificate",
        "wrong name": "Hostname mismatch, certificate is not valid for 'localhost'.",
        "weak": "EE certificate key too weak",
    }


def test_a_wildcard_stands_for_the_hosts_siblings(pki: Pki) -> None:
    certificate = pki.server_certificate("cs.example.test", wildcard=True).x509
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "*.example.test"
    with pytest.raises(ValueError, match="no parent domain"):
        pki.server_certificate("localhost", wildcard=True)


def test_a_certificate_may_carry_its_name_in_the_san_only(pki: Pki) -> None:
    issued = pki.server_certificate(common_name="", san=("localhost",))
    assert issued.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME) == []
    assert handshake(issued, pki.root_pem) is None


def test_weak_keys_are_weak(pki: Pki) -> None:
    weak_ec = pki.server_certificate(weak_key=True).x509.public_key()
    weak_rsa = pki.charge_point_certificate("SN-1", key="rsa", weak_key=True).x509.public_key()
    assert isinstance(weak_ec, ec.EllipticCurvePublicKey)
    assert weak_ec.key_size < 224
    assert isinstance(weak_rsa, rsa.RSAPublicKey)
    assert weak_rsa.key_size < 2048


def test_a_charge_point_certificate_names_serial_number_and_cpo(pki: Pki) -> None:
    subject = pki.charge_point_certificate("SN-0001").x509.subject
    assert subject.rfc4514_string() == "CN=SN-0001,O=Example CPO"
    foreign = pki.charge_point_certificate("SN-0001", "Other CPO").x509.subject
    assert foreign.rfc4514_string() == "CN=SN-0001,O=Other CPO"


def test_the_trees_share_no_root(pki: Pki) -> None:
    assert pki.root_pem != pki.manufacturer_root_pem
    certificate = pki.firmware_signing_certificate().x509
    certificate.verify_directly_issued_by(pki.manufacturer_root.certificate)
    with pytest.raises(ValueError, match="does not match"):
        certificate.verify_directly_issued_by(pki.central_system_root.certificate)


def test_a_directory_makes_the_roots_lasting_and_keeps_keys_private(tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    first = Pki.create(directory)
    rsa_root = first.central_system_rsa_root.pem
    second = Pki.create(directory)
    assert second.root_pem == first.root_pem
    assert second.manufacturer_root_pem == first.manufacturer_root_pem
    assert second.central_system_rsa_root.pem == rsa_root
    assert handshake(second.server_certificate(), first.root_pem) is None
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.glob("*.key")} == {0o600}


def csr(key: PrivateKey, common_name: str = "SN-1", organisation: str = "Example CPO") -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_name(common_name, organisation))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_request_is_signed_under_its_own_subject_and_key(pki: Pki) -> None:
    key = generate_key()
    issued = pki.sign_csr(csr(key).decode(), serial_number="SN-1")
    assert issued.x509.subject.rfc4514_string() == "CN=SN-1,O=Example CPO"
    assert issued.x509.public_key() == key.public_key()
    assert issued.key_pem == b""
    issued.x509.verify_directly_issued_by(pki.central_system_root.certificate)


def test_a_request_that_a_ca_must_not_sign_is_refused(pki: Pki) -> None:
    good = csr(generate_key())
    tampered = x509.load_pem_x509_csr(good).public_bytes(serialization.Encoding.DER).replace(b"SN-1", b"SN-2")
    tampered_pem = x509.load_der_x509_csr(tampered).public_bytes(serialization.Encoding.PEM)
    refused = {
        "no PKCS #10": b"garbage",
        "not signed by its own key": tampered_pem,
        "too weak": csr(generate_key("rsa", weak=True)),
        "O of the subject": csr(generate_key(), organisation="Other CPO"),
        "CN of the subject": csr(generate_key(), common_name="SN-9"),
    }
    for reason, request in refused.items():
        with pytest.raises(CsrError, match=reason):
            pki.sign_csr(request, serial_number="SN-1")
