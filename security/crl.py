"""Lists of revoked certificates (CRL, RFC 5280, section 5): what one says about one certificate.

A list counts when the issuer of the certificate has signed it, when it is the list that the certificate speaks of, and
when it is of today. Everything else says nothing: neither good nor revoked.

- A revocation is for ever, so a list that is out of date still revokes, unless the certificate was merely on hold.
- Not supported, and therefore saying nothing: delta CRLs, indirect CRLs, lists for some reasons only, and lists with a
  critical extension that is not known (docs/decisions/0092-crl-as-it-is-read.md).

Pure: no network, no clock.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from security.certificate import MIN_HASH_BYTES, Certificate
from security.inquiry import Finding, Question, RevocationStatus, Subject, out_of_date

MAX_CRL_BYTES: Final = 524_288  #: bytes; what a mobile link of 1 Mbit/s brings within 5 s: some 13000 revocations

_KNOWN_WHERE_CRITICAL: Final = frozenset({x509.IssuingDistributionPoint.oid})


@dataclass(frozen=True, slots=True)
class CrlSource:
    """A list of revoked certificates that a certificate names.

    Attributes:
        url: where it lies.
        subject: the certificate, and its issuer.
    """

    url: str
    subject: Subject

    @property
    def key(self) -> str:
        """The name of the list in the cache: one for all certificates of an issuer that name the same address."""
        return f"{hashlib.sha256(f'{self.subject.issuer.fingerprint} {self.url}'.encode()).hexdigest()}.crl"

    def question(self, nonce: bytes) -> Question:  # a list is made before anybody asks
        """Return the request for the list."""
        return Question(self.url, accept="application/pkix-crl", max_bytes=MAX_CRL_BYTES)

    def judge(self, answer: bytes, now: datetime | None, nonce: bytes | None = None) -> Finding:
        """Say what the list means for the certificate; never raises."""
        try:
            return self._judge(x509.load_der_x509_crl(answer), now)
        except Exception:  # noqa: BLE001 - a stranger's bytes raise more than `cryptography` documents
            return Finding.unknown("the CRL cannot be read")

    def _judge(self, crl: x509.CertificateRevocationList, now: datetime | None) -> Finding:
        if not _is_authentic(crl, self.subject.issuer):
            return Finding.unknown("the CRL is not signed by the issuer of the certificate")
        if mismatch := self._out_of_scope(crl):
            return Finding.unknown(f"the CRL {mismatch}")
        until = crl.next_update_utc
        if until is None:  # RFC 5280, 5.1.2.5
            return Finding.unknown("the CRL names no next update")
        stale = out_of_date(crl.last_update_utc, until, now)
        entry = crl.get_revoked_certificate_by_serial_number(self.subject.certificate.x509.serial_number)
        if entry is not None:
            reason = _reason(entry)
            if reason is not x509.ReasonFlags.certificate_hold or stale is None:
                return Finding.revoked(reason, entry.revocation_date_utc, until)
        if stale is not None:
            return Finding.unknown(f"the CRL {stale}")
        return Finding(RevocationStatus.GOOD, "the CRL does not list it", until)

    def _out_of_scope(self, crl: x509.CertificateRevocationList) -> str | None:
        """Say why the list may be silent about a certificate that is revoked all the same (RFC 5280, 6.3.3 b)."""
        for extension in crl.extensions:
            match extension.value:
                case x509.DeltaCRLIndicator():
                    return "is a delta CRL, which is not supported"
                case x509.IssuingDistributionPoint() as scope:
                    return self._beyond(scope)
            if extension.critical and extension.oid not in _KNOWN_WHERE_CRITICAL:
                return "has a critical extension that is not known"
        return None

    def _beyond(self, scope: x509.IssuingDistributionPoint) -> str | None:
        if scope.indirect_crl:
            return "is an indirect CRL, which is not supported"
        if scope.only_some_reasons:
            return "holds some reasons of revocation only"
        is_ca = self.subject.certificate.is_ca
        left_out = scope.only_contains_user_certs if is_ca else scope.only_contains_ca_certs
        if left_out or scope.only_contains_attribute_certs:
            return "is for other kinds of certificates"
        # A CA may split its list: another part, signed as well, would not list the certificate.
        names = scope.full_name or ()
        if scope.relative_name or (names and x509.UniformResourceIdentifier(self.url) not in names):
            return "is that of another distribution point"
        return None


def _is_authentic(crl: x509.CertificateRevocationList, issuer: Certificate) -> bool:
    used = crl.signature_hash_algorithm
    if used is not None and used.digest_size < MIN_HASH_BYTES:  # A00.FR.506; None for EdDSA, which has its own
        return False
    if crl.issuer != issuer.x509.subject or not _may_sign_lists(issuer):
        return False
    # The kinds of keys that a list may be signed with are those of a certificate's.
    return crl.is_signature_valid(issuer.x509.public_key())  # type: ignore[arg-type]


def _may_sign_lists(issuer: Certificate) -> bool:
    try:
        return issuer.x509.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None
