"""What CAs say about revocation, signed, with every property at will; a real responder is in the simulation.

A statement is good, and of `NOW`, unless a keyword breaks one thing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponderEncoding, OCSPResponseBuilder
from cryptography.x509.oid import AuthorityInformationAccessOID

from security.inquiry import Subject
from tests.pki import DAY, NOW, Made, SigningKey

GOOD, REVOKED, UNKNOWN = OCSPCertStatus.GOOD, OCSPCertStatus.REVOKED, OCSPCertStatus.UNKNOWN
HOLD = x509.ReasonFlags.certificate_hold


def subject(made: Made, issuer: Made) -> Subject:
    return Subject(made.certificate, issuer.certificate)


def naming_ocsp(*urls: str) -> x509.AuthorityInformationAccess:
    method = AuthorityInformationAccessOID.OCSP
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for url in urls]
    )


def naming_crl(*urls: str, **properties: Any) -> x509.CRLDistributionPoints:
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    points = {"relative_name": None, "reasons": None, "crl_issuer": None} | properties
    return x509.CRLDistributionPoints([x509.DistributionPoint(names, **points)])


def ocsp_answer(
    made: Made,
    issuer: Made,
    status: OCSPCertStatus = GOOD,
    *,
    reason: x509.ReasonFlags | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
    this_update: datetime = NOW,
    next_update: datetime | None = NOW + DAY,
    signer: Made | None = None,
    certificates: Sequence[Made] = (),
    nonce: bytes | None = None,
    signed_over: Any = None,
) -> bytes:
    """An OCSP response about a certificate, DER."""
    key: SigningKey = (signer or issuer).key
    builder = (
        OCSPResponseBuilder()
        .add_response(
            made.x509,
            issuer.x509,
            algorithm or hashes.SHA256(),
            status,
            this_update,
            next_update,
            NOW - DAY if status is REVOKED else None,
            reason,
        )
        .responder_id(OCSPResponderEncoding.HASH, (signer or issuer).x509)
    )
    if certificates:
        builder = builder.certificates([each.x509 for each in certificates])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    without_hash = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    response = builder.sign(key, None if without_hash else signed_over or hashes.SHA256())
    return response.public_bytes(Encoding.DER)


def crl(
    issuer: Made,
    *revoked: Made,
    reason: x509.ReasonFlags | None = None,
    this_update: datetime = NOW,
    next_update: datetime = NOW + DAY,
    signer: Made | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    signed_over: Any = None,
) -> bytes:
    """A list of revoked certificates, DER; `extensions` come with whether they are critical."""
    entries = []
    for made in revoked:
        entry = x509.RevokedCertificateBuilder(made.x509.serial_number, NOW - DAY)
        if reason:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        entries.append(entry.build())
    builder = x509.CertificateRevocationListBuilder(
        issuer.x509.subject, this_update, next_update, revoked_certificates=entries
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    key = (signer or issuer).key
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else signed_over or hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def scope(**properties: Any) -> x509.IssuingDistributionPoint:
    """An IssuingDistributionPoint that says nothing but what is given."""
    nothing: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(nothing | properties))
