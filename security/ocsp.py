"""OCSP (RFC 6960): the question about one certificate, and what the responder's answer is worth.

An answer counts when it is signed by the issuer of the certificate, or by a responder that the issuer has appointed,
when it is about the very certificate, and when it is of today. Everything else says nothing: neither good nor revoked.

- Asked with SHA-1 first, because that is what every responder knows; the hash names the certificate and protects
  nothing (docs/decisions/0091-ocsp-as-it-is-spoken.md).
- A revocation is for ever, so one that is out of date still counts, unless the certificate was merely on hold.
- Not done: the revocation of the responder's own certificate, which would never end (RFC 6960, 4.2.2.2.1).
- The ResponderID is not looked at: whoever holds the key may answer, under whatever name.

Pure: no network, no clock.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import (
    OCSPCertStatus,
    OCSPRequest,
    OCSPRequestBuilder,
    OCSPResponse,
    OCSPResponseStatus,
    OCSPSingleResponse,
    load_der_ocsp_response,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from security.certificate import MIN_HASH_BYTES, Certificate, weaknesses_of
from security.inquiry import Finding, Question, RevocationStatus, Subject, out_of_date

MAX_OCSP_BYTES: Final = 16_384  #: bytes; an answer with two RSA 4096 certificates of the responder has about 5 KB
MAX_RESPONDER_CERTIFICATES: Final = 4  #: certificates looked at in one answer; one is usual
NONCE_BYTES: Final = 32  #: bytes; RFC 9654, section 2.1

Hash = hashes.SHA1 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512

_HASHES: Final[Mapping[str, type[Hash]]] = {
    kind.name: kind for kind in (hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512)
}
ASKED_WITH: Final[tuple[type[Hash], ...]] = (hashes.SHA1, hashes.SHA256)
"""The hashes that a responder is asked with, one after the other."""

_PSS_HASHES: Final = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())


@dataclass(frozen=True, slots=True)
class OcspResponder:
    """An OCSP responder that a certificate names.

    Attributes:
        url: where it is asked.
        subject: the certificate, and its issuer.
        algorithm: of the hashes by which the question names the certificate.
    """

    url: str
    subject: Subject
    algorithm: type[Hash] = hashes.SHA1

    @property
    def key(self) -> str:
        """The name of its answer in the cache: one for a certificate, whoever was asked and in whatever way."""
        return f"{self.subject.certificate.fingerprint}.ocsp"

    def question(self, nonce: bytes) -> Question:
        """Return the OCSP request, with the nonce, which the responder may leave out of its answer."""
        request = _builder(self.subject, self.algorithm).add_extension(x509.OCSPNonce(nonce), critical=False).build()
        return Question(
            self.url,
            accept="application/ocsp-response",
            max_bytes=MAX_OCSP_BYTES,
            body=request.public_bytes(Encoding.DER),
            content_type="application/ocsp-request",
        )

    def judge(self, answer: bytes, now: datetime | None, nonce: bytes | None = None) -> Finding:
        """Say what the OCSP response means; never raises."""
        try:
            return _judge(load_der_ocsp_response(answer), self.subject, now, nonce)
        except Exception:  # noqa: BLE001 - a stranger's bytes raise more than `cryptography` documents
            return Finding.unknown("the OCSP answer cannot be read")


def _judge(response: OCSPResponse, subject: Subject, now: datetime | None, nonce: bytes | None) -> Finding:
    if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
        refusal = response.response_status.name.lower().replace("_", " ")
        return Finding.unknown(f"the OCSP responder gives no status ({refusal})")
    if not _is_authentic(response, subject.issuer, now):
        return Finding.unknown("the OCSP answer is not signed by the issuer, or by a responder that it has appointed")
    if nonce is not None and _nonce(response) not in (None, nonce):
        return Finding.unknown("the OCSP answer belongs to another question")
    single = next((each for each in response.responses if _is_about(each, subject)), None)
    if single is None:
        return Finding.unknown("the OCSP answer is about another certificate")
    return _finding(single, now)


def _finding(single: OCSPSingleResponse, now: datetime | None) -> Finding:
    until = single.next_update_utc
    stale = out_of_date(single.this_update_utc, until, now)
    match single.certificate_status:
        case OCSPCertStatus.REVOKED:
            reason, at = single.revocation_reason, single.revocation_time_utc
            if reason is x509.ReasonFlags.certificate_hold and stale:
                return Finding.unknown(f"the OCSP answer {stale}")
            return Finding.revoked(reason, at or single.this_update_utc, until)
        case OCSPCertStatus.GOOD if stale is None:
            return Finding(RevocationStatus.GOOD, "the OCSP responder calls it good", until)
        case OCSPCertStatus.GOOD:
            return Finding.unknown(f"the OCSP answer {stale}")
        case _:
            return Finding.unknown("the OCSP responder does not know the certificate")


def _is_about(single: OCSPSingleResponse, subject: Subject) -> bool:
    # By the hash that the answer was made with: some responders answer in another than they were asked.
    algorithm = _HASHES.get(single.hash_algorithm.name)
    if algorithm is None or single.serial_number != subject.certificate.x509.serial_number:
        return False
    wanted = _builder(subject, algorithm).build()
    return _names(single) == _names(wanted)


def _names(named: OCSPSingleResponse | OCSPRequest) -> tuple[bytes, bytes]:
    return named.issuer_name_hash, named.issuer_key_hash


def _builder(subject: Subject, algorithm: type[Hash]) -> OCSPRequestBuilder:
    return OCSPRequestBuilder().add_certificate(subject.certificate.x509, subject.issuer.x509, algorithm())


def _nonce(response: OCSPResponse) -> bytes | None:
    try:
        return response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None


def _is_authentic(response: OCSPResponse, issuer: Certificate, now: datetime | None) -> bool:
    return any(_is_signed_by(response, signer) for signer in _signers(response, issuer, now))


def _signers(response: OCSPResponse, issuer: Certificate, now: datetime | None) -> Iterator[Certificate]:
    yield issuer
    for sent in response.certificates[:MAX_RESPONDER_CERTIFICATES]:
        delegate = Certificate.of(sent)
        if _is_appointed(delegate, issuer, now):
            yield delegate


def _is_appointed(delegate: Certificate, issuer: Certificate, now: datetime | None) -> bool:
    """Whether the issuer itself has made this certificate for the answering of OCSP (RFC 6960, 4.2.2.2)."""
    try:
        usages = delegate.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return (
        ExtendedKeyUsageOID.OCSP_SIGNING in usages
        and delegate.is_signed_by(issuer)
        and delegate.has_begun(now)
        and not delegate.has_expired(now)
        and not weaknesses_of(delegate)
    )


def _is_signed_by(response: OCSPResponse, signer: Certificate) -> bool:
    key, signature, signed = signer.x509.public_key(), response.signature, response.tbs_response_bytes
    with suppress(InvalidSignature, UnsupportedAlgorithm):
        match key:
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
                key.verify(signature, signed)
                return True
            case rsa.RSAPublicKey() if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
                return any(_is_signed_by_pss(key, signature, signed, used) for used in _PSS_HASHES)
        used = response.signature_hash_algorithm
        if used is None or used.digest_size < MIN_HASH_BYTES:  # A00.FR.506
            return False
        match key:
            case rsa.RSAPublicKey():
                key.verify(signature, signed, padding.PKCS1v15(), used)
                return True
            case ec.EllipticCurvePublicKey():
                key.verify(signature, signed, ec.ECDSA(used))
                return True
    return False


def _is_signed_by_pss(key: rsa.RSAPublicKey, signature: bytes, signed: bytes, used: hashes.HashAlgorithm) -> bool:
    # `cryptography` does not say which hash the parameters of RSA-PSS name, so each one that is good enough is tried.
    try:
        key.verify(signature, signed, padding.PSS(padding.MGF1(used), padding.PSS.AUTO), used)
    except InvalidSignature:
        return False
    return True
