"""Judges the firmware signing certificate of SignedUpdateFirmware.req (L01.FR.11, L01.FR.12, L01.FR.23).

Guaranteed of one that is accepted: it is the only certificate in the text; an installed ManufacturerRootCertificate has
signed it itself, without an intermediate (remark of L01; section 2.6.2); that root and it pass the rules of section
2.6.1, KeyUsage and ExtendedKeyUsage allow the signing of code, no critical extension says something that is not
understood here, and its key can make a signature that signature.py takes.

    result     answer of L01                         said by
    INVALID    InvalidCertificate (L01.FR.24)        `judge`; `with_finding` under hard
    REVOKED    RevokedCertificate (L01.FR.25)        `with_finding`
    ACCEPTED   the update begins

- A begin that is still to come is a fault here, unlike with certificates that are installed and wait (decision 0018):
  this one is to be good now.
- The time is an argument. None means that the clock is not set, and then no certificate is judged by its dates
  (docs/decisions/0141-the-firmware-signing-certificate.md).

Pure. Not done here: which roots are installed (store.py), asking about revocation (revocation.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from security.certificate import Certificate, Purpose, faults_of, parse_one, remarks_of
from security.errors import CertificateError
from security.inquiry import Finding, RevocationStatus

_UNDERSTOOD: Final = frozenset(
    {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
)
"""The extensions that are judged; RFC 5280 (4.2) refuses a certificate with another one that is critical."""


class SigningCertificateResult(Enum):
    """What became of a signing certificate; a cause of InvalidFirmwareSigningCertificate unless it is ACCEPTED."""

    ACCEPTED = "accepted"
    INVALID = "invalid"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class SigningVerdict:
    """The outcome of a judgement.

    Attributes:
        result: the outcome.
        reason: why it was refused, in one line, for the techInfo of its event; empty if it was not.
        path: the certificate and the root that has signed it; empty unless it was accepted.
        remarks: what is odd about it, for the log; one line each.
    """

    result: SigningCertificateResult
    reason: str = ""
    path: tuple[Certificate, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether firmware may be verified by it."""
        return self.result is SigningCertificateResult.ACCEPTED

    @classmethod
    def invalid(cls, reason: str) -> "SigningVerdict":
        """Refuse it."""
        return cls(SigningCertificateResult.INVALID, reason)


def judge(pem: str, roots: Sequence[Certificate], now: datetime | None) -> SigningVerdict:
    """Judge a signing certificate by everything but its revocation.

    Args:
        pem: the text of signingCertificate, exactly one certificate.
        roots: the installed ManufacturerRootCertificates, and no others (section 2.6.2).
        now: the agent's time, None while its clock is not set.
    """
    try:
        certificate = parse_one(pem)
        if certificate in roots:
            raise CertificateError("it is an installed root itself")
        if faults := [*faults_of(certificate, now, Purpose.FIRMWARE_SIGNING), *_signing_faults(certificate, now)]:
            raise CertificateError("; ".join(faults))
        path = (certificate, _root_of(certificate, roots, now))
    except CertificateError as error:
        return SigningVerdict.invalid(error.reason)
    remarks = tuple(remarks_of(certificate, Purpose.FIRMWARE_SIGNING))
    return SigningVerdict(SigningCertificateResult.ACCEPTED, path=path, remarks=remarks)


def with_finding(verdict: SigningVerdict, finding: Finding, *, must_be_known: bool) -> SigningVerdict:
    """Take into account what was found out about the revocation of a certificate that was accepted (L01.FR.25).

    Args:
        verdict: as `judge` has returned it.
        finding: what is known.
        must_be_known: whether a certificate is refused of which nobody says that it is good (policy hard).
    """
    match finding.status:
        case RevocationStatus.REVOKED:
            return SigningVerdict(SigningCertificateResult.REVOKED, finding.reason)
        case RevocationStatus.UNKNOWN if must_be_known:
            # Not REVOKED: nobody has said so, and the operator would look for the cause in the wrong place.
            return SigningVerdict.invalid(f"it is not known whether it is revoked: {finding.reason}")
        case RevocationStatus.UNKNOWN:
            remark = f"it is not known whether it is revoked, it is accepted: {finding.reason}"
            return replace(verdict, remarks=(*verdict.remarks, remark))
        case _:
            return verdict


def _root_of(certificate: Certificate, roots: Sequence[Certificate], now: datetime | None) -> Certificate:
    reasons = []
    for root in roots:
        if not certificate.is_signed_by(root):
            continue
        faults = [*faults_of(root, now, Purpose.ROOT), *_dormant(root, now), *_not_understood(root)]
        if not faults:
            return root
        reasons.append(f"its root {root.subject} cannot vouch for it: {'; '.join(faults)}")
    nobody = f"no installed ManufacturerRootCertificate has signed it itself: issued by {certificate.issuer}"
    raise CertificateError(reasons[0] if reasons else nobody)


def _signing_faults(certificate: Certificate, now: datetime | None) -> Iterator[str]:
    yield from _dormant(certificate, now)
    if certificate.is_ca:
        yield "it is a certificate authority"
    if not isinstance(certificate.x509.public_key(), rsa.RSAPublicKey | ec.EllipticCurvePublicKey):  # A00.FR.504
        yield "its key is neither RSA nor elliptic curve, so that no signature of L01.FR.04 can be made with it"
    if not _may_sign_code(certificate):
        yield "its ExtendedKeyUsage does not allow the signing of code"
    yield from _not_understood(certificate)


def _dormant(certificate: Certificate, now: datetime | None) -> Iterator[str]:
    if not certificate.has_begun(now):
        yield f"its validity begins at {certificate.not_before:%Y-%m-%dT%H:%M:%SZ}"


def _may_sign_code(certificate: Certificate) -> bool:
    try:
        usages = certificate.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CODE_SIGNING in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


def _not_understood(certificate: Certificate) -> Iterator[str]:
    for extension in certificate.x509.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            yield f"the critical extension {extension.oid.dotted_string} is not supported"
