"""The certificate request, read by two programs that nobody here wrote."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from security.keys import FileKeys, KeyType, fingerprint, read_key
from security.signing_request import signing_request
from tests.openssl import OPENSSL


@pytest.fixture(params=list(KeyType))
def csr(request: pytest.FixtureRequest) -> str:
    return signing_request(FileKeys(request.param).generate(), serial_number="SN-0001", organisation="Exämple CPO")


@pytest.mark.requirement("A02.FR.03", "A03.FR.03")
def test_openssl_verifies_the_request_with_its_own_key(csr: str, tmp_path: Path) -> None:
    assert OPENSSL is not None
    (tmp_path / "request.pem").write_text(csr)
    done = subprocess.run(
        [OPENSSL, "req", "-in", str(tmp_path / "request.pem"), "-verify", "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "verify OK" in done.stderr + done.stdout
    assert "Version: 1 (0x0)" in done.stdout
    assert "DNS:" not in done.stdout


@pytest.mark.requirement("A00.FR.511", "A02.FR.13", "A03.FR.13")
def test_the_subject_is_the_operator_and_the_serial_number(csr: str) -> None:
    request = x509.load_pem_x509_csr(csr.encode())
    assert request.is_signature_valid
    assert isinstance(request.signature_hash_algorithm, SHA256)
    assert [(each.oid, each.value) for each in request.subject] == [
        (NameOID.ORGANIZATION_NAME, "Exämple CPO"),
        (NameOID.COMMON_NAME, "SN-0001"),
    ]


@pytest.mark.requirement("A00.FR.512")
def test_asks_for_a_key_usage_that_allows_signatures_only(csr: str) -> None:
    (extension,) = x509.load_pem_x509_csr(csr.encode()).extensions
    assert extension.critical
    usage = extension.value
    assert isinstance(usage, x509.KeyUsage)
    assert usage.digital_signature
    assert not usage.key_encipherment
    assert not usage.key_cert_sign


@pytest.mark.parametrize(
    ("key_type", "curve", "bits"),
    [("ec-p256", "secp256r1", 256), ("ec-p384", "secp384r1", 384), ("rsa-2048", "", 2048), ("rsa-3072", "", 3072)],
)
@pytest.mark.requirement("A00.FR.501", "A00.FR.502", "A00.FR.503")
def test_makes_the_kind_of_key_that_is_wanted(key_type: str, curve: str, bits: int) -> None:
    key = FileKeys(KeyType(key_type)).generate()
    public_key = x509.load_pem_x509_csr(
        signing_request(key, serial_number="SN", organisation="O").encode()
    ).public_key()
    assert isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    assert public_key.key_size == bits
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        assert public_key.curve.name == curve
    assert read_key(key.pem) == (fingerprint(key.public_key), key.pem)


def test_each_key_is_a_new_one() -> None:
    keys = FileKeys()
    assert keys.generate().public_key != keys.generate().public_key
