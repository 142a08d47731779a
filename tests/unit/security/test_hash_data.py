"""CertificateHashData against fixed vectors and against the `openssl` program, which shares no line with us."""

from pathlib import Path

import pytest

from security.certificate import Certificate, parse_one
from security.errors import CertificateError
from security.hash_data import CertificateHashData, HashAlgorithm
from tests import openssl
from tests.pki import make, make_root, rsa_key

VECTORS = Path(__file__).parent / "vectors"

RSA_ROOT = "printable_rsa_serial_with_zero_nibble"
EC_ROOT = "utf8_ec_serial_of_20_bytes"
EXPECTED = {
    (EC_ROOT, EC_ROOT): (
        "0B4305BEEE0BFF798D7E0DA31E198B7FF7799B01EAB98D8F8395DC8450E498FC",
        "77A16C60FEF32E8BA04D44BF2922159E08BC8B0B6E3A8C77DA3F92F978A6F33A",
        "7F0102030405060708090A0B0C0D0E0F10111213",
    ),
    (RSA_ROOT, RSA_ROOT): (
        "8185E2E30292E69E0E12C3DD00C6A42C807F02A3A9484474929686F54471D4C0",
        "6F7AD7F68E5C0848E959981B852B92B03C0824C0F523B1D8CCBD25FA950B3DA9",
        "A1B2C3D4E5F",
    ),
    ("printable_ec_below_rsa", RSA_ROOT): (
        "8185E2E30292E69E0E12C3DD00C6A42C807F02A3A9484474929686F54471D4C0",
        "6F7AD7F68E5C0848E959981B852B92B03C0824C0F523B1D8CCBD25FA950B3DA9",
        "FF",
    ),
}


def vector(name: str) -> Certificate:
    return parse_one((VECTORS / f"{name}.pem").read_text())


@pytest.mark.parametrize(("name", "issuer"), EXPECTED)
def test_agrees_with_the_fixed_vectors(name: str, issuer: str) -> None:
    data = CertificateHashData.compute(vector(name), vector(issuer))

    assert data.hash_algorithm is HashAlgorithm.SHA256
    assert (data.issuer_name_hash, data.issuer_key_hash, data.serial_number) == EXPECTED[name, issuer]


@pytest.mark.skipif(openssl.OPENSSL is None, reason="the openssl program is not installed")
@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_agrees_with_openssl(tmp_path: Path, algorithm: HashAlgorithm) -> None:
    ec_root = make_root()
    rsa_root = make_root(key=rsa_key())
    pairs = [
        (ec_root.certificate, ec_root.certificate),
        (make(issuer=rsa_root).certificate, rsa_root.certificate),
        (make(issuer=ec_root, serial_number=(1 << 159) - 1).certificate, ec_root.certificate),
        *((vector(name), vector(issuer)) for name, issuer in EXPECTED),
    ]
    for certificate, issuer in pairs:
        data = CertificateHashData.compute(certificate, issuer, algorithm)
        theirs = openssl.hash_data(tmp_path, certificate.pem, issuer.pem, algorithm)
        assert list(data.to_mapping().values()) == list(theirs.values())


def test_the_case_of_hex_digits_and_leading_zeros_make_no_difference() -> None:
    data = CertificateHashData.compute(vector(RSA_ROOT), vector(RSA_ROOT))
    mapping = data.to_mapping()
    other = CertificateHashData.from_mapping(
        {key: value if key == "hash_algorithm" else value.lower() for key, value in mapping.items()}
        | {"serial_number": "0a1b2c3d4e5f"}
    )

    assert other == data
    assert hash(other) == hash(data)
    assert other.to_mapping() == mapping


@pytest.mark.parametrize("field", ["hash_algorithm", "issuer_name_hash", "issuer_key_hash", "serial_number"])
def test_every_field_counts(field: str) -> None:
    data = CertificateHashData.compute(vector(EC_ROOT), vector(EC_ROOT))
    other = data.to_mapping() | {field: "SHA512" if field == "hash_algorithm" else "AB"}

    assert CertificateHashData.from_mapping(other) != data
    del other[field]
    with pytest.raises(CertificateError, match="not complete"):
        CertificateHashData.from_mapping(other)


def test_an_unknown_algorithm_is_refused() -> None:
    mapping = CertificateHashData.compute(vector(EC_ROOT), vector(EC_ROOT)).to_mapping()
    with pytest.raises(CertificateError):
        CertificateHashData.from_mapping(mapping | {"hash_algorithm": "SHA1"})


def test_the_issuer_has_to_be_the_issuer() -> None:
    with pytest.raises(ValueError, match="not the issuer"):
        CertificateHashData.compute(vector(EC_ROOT), vector(RSA_ROOT))
