"""Roots that succeed one another, for the tests of M04 and M05."""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chargepoint.simulation.authority import Authority, subject_name
from chargepoint.simulation.pki import CPO_NAME

SUCCESSOR_NAME: Final = "Example CPO Root 2"


def successor_of(
    old: Authority,
    name: str = SUCCESSOR_NAME,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Authority:
    """A new key, signed by the old root: a cross-signed root, whose leaves bring no certificate above themselves.

    Its validity is that of the old one, unless it is given.
    """
    assert isinstance(old.key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject_name(name, CPO_NAME))
        .issuer_name(old.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or old.certificate.not_valid_before_utc)
        .not_valid_after(not_after or old.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(old.key, hashes.SHA256())
    )
    return Authority(key, certificate)
