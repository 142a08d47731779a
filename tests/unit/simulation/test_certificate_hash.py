"""The Central System's own hashing, against fixed vectors and the `openssl` program."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from chargepoint.simulation import certificate_hash
from chargepoint.simulation.authority import Authority
from tests import openssl

VECTORS = Path(__file__).parents[1] / "security" / "vectors"
PAIRS = [
    ("utf8_ec_serial_of_20_bytes", "utf8_ec_serial_of_20_bytes"),
    ("printable_rsa_serial_with_zero_nibble", "printable_rsa_serial_with_zero_nibble"),
    ("printable_ec_below_rsa", "printable_rsa_serial_with_zero_nibble"),
]


def pem(name: str) -> str:
    return (VECTORS / f"{name}.pem").read_text()


def test_agrees_with_a_fixed_vector() -> None:
    name = "printable_rsa_serial_with_zero_nibble"
    assert certificate_hash.hash_data(pem(name)) == {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": "8185e2e30292e69e0e12c3dd00c6a42c807f02a3a9484474929686f54471d4c0",
        "issuerKeyHash": "6f7ad7f68e5c0848e959981b852b92b03c0824c0f523b1d8ccbd25fa950b3da9",
        "serialNumber": "a1b2c3d4e5f",
    }


@pytest.mark.skipif(openssl.OPENSSL is None, reason="the openssl program is not installed")
@pytest.mark.parametrize(("name", "issuer"), PAIRS)
@pytest.mark.parametrize("algorithm", certificate_hash.ALGORITHMS)
def test_agrees_with_openssl(tmp_path: Path, name: str, issuer: str, algorithm: certificate_hash.Algorithm) -> None:
    own = certificate_hash.hash_data(pem(name), pem(issuer), algorithm)
    theirs = openssl.hash_data(tmp_path, pem(name), pem(issuer), algorithm)
    assert {key: value.upper() for key, value in own.items()} == theirs


def test_pem_and_der_are_one_another() -> None:
    root = Authority.root("Root", "Example CPO")
    assert certificate_hash.to_der(root.pem) == root.certificate.public_bytes(Encoding.DER)
    assert certificate_hash.to_pem(certificate_hash.to_der(root.pem)).encode() == root.pem


@pytest.mark.parametrize("text", ["", pem(PAIRS[0][0]) * 2])
def test_a_text_without_exactly_one_certificate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unpack"):
        certificate_hash.to_der(text)


@pytest.mark.requirement("M04.FR.07")
@pytest.mark.parametrize("algorithm", certificate_hash.ALGORITHMS)
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_finds_the_entry_of_a_list_in_whatever_algorithm_it_is(
    algorithm: certificate_hash.Algorithm, spelling: Callable[[str], str]
) -> None:
    wanted, other = Authority.root("Root", "Example CPO"), Authority.root("Other", "Example CPO")
    listed = [certificate_hash.hash_data(one.pem, algorithm=algorithm) for one in (other, wanted)]
    entry = {key: value if key == "hashAlgorithm" else spelling(value) for key, value in listed[1].items()}

    assert certificate_hash.find([listed[0], entry], wanted.pem) == entry
    assert entry["hashAlgorithm"] == algorithm
    assert certificate_hash.find([entry], other.pem) is None
