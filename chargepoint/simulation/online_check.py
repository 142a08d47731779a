"""The Central System's question to the certificate authority about a Charge Point certificate (A00.FR.702, A00.FR.704).

One OCSP question for each connection, to the address that the certificate names, so that a revocation takes effect at
the very next connection. The answer counts where the issuer's key has signed it.

Not done here: certificates that name nobody, or that an intermediate has issued, are not asked about; a responder that
does not answer keeps nobody out. A real Central System has to choose there.
"""

import asyncio
import urllib.request
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

ANSWER_TIMEOUT: Final = timedelta(seconds=3)  #: time for the answer; the upgrade has 10 s in all
MAX_ANSWER_BYTES: Final = 16_384  #: bytes; an answer about one certificate has less than 1 KB

_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


async def is_revoked(certificate: bytes, issuers: Iterable[bytes]) -> bool:
    """Ask whether a client certificate is revoked; False also where nobody says so.

    Args:
        certificate: DER, its path verified.
        issuers: DER of the roots that vouch for Charge Points.
    """
    subject = x509.load_der_x509_certificate(certificate)
    for issuer in map(x509.load_der_x509_certificate, issuers):
        if issuer.subject == subject.issuer and (address := _address(subject)):
            return await asyncio.to_thread(_ask, address, subject, issuer)
    return False


def _address(certificate: x509.Certificate) -> str | None:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return None
    named = [each.access_location for each in access if each.access_method == AuthorityInformationAccessOID.OCSP]
    urls = [name.value for name in named if isinstance(name, x509.UniformResourceIdentifier)]
    return next((url for url in urls if url.startswith("http://")), None)


def _ask(address: str, subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    question = ocsp.OCSPRequestBuilder().add_certificate(subject, issuer, hashes.SHA256()).build()
    request = urllib.request.Request(  # noqa: S310 - `_address` takes http only
        address, question.public_bytes(Encoding.DER), {"Content-Type": "application/ocsp-request"}
    )
    try:
        with _OPENER.open(request, timeout=ANSWER_TIMEOUT.total_seconds()) as answer:
            response = ocsp.load_der_ocsp_response(answer.read(MAX_ANSWER_BYTES))
    except (OSError, ValueError):
        return False
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL or not _is_signed(response, issuer):
        return False
    return (
        response.serial_number == subject.serial_number and response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    )


def _is_signed(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    key, algorithm = issuer.public_key(), response.signature_hash_algorithm
    if algorithm is None:
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            return False
    except InvalidSignature:
        return False
    return True
