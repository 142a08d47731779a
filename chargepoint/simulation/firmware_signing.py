"""The manufacturer's side of a firmware update: certificates that sign, signatures, and the look at both before use.

No code is shared with the agent's own verification, so that a common mistake cannot pass.
"""

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chargepoint.simulation.authority import CLIENT, CODE_SIGNING, SERVER, Authority, Issued
from chargepoint.simulation.pki import MANUFACTURER_NAME, Pki

PIECE_BYTES: Final = 1_048_576  #: bytes read at once; memory stays flat whatever the size of an image
MIN_RSA_BITS: Final = 2048  #: bits; A00.FR.502
MIN_EC_BITS: Final = 224  #: bits; A00.FR.503

Method = Literal["rsa-pss", "ecdsa", "rsa-pkcs1"]
"""How a signature is made: L01.FR.04 wants RSA-PSS or EC; PKCS #1 v1.5 is what some of the field does instead."""

_DIGEST: Final = utils.Prehashed(hashes.SHA256())
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


class Unfit(Exception):
    """Raised when an image must not be handed out; the text says why."""


def sha256_of(file: Path) -> bytes:
    """Return the hash of a file of any size."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
    return digest.digest()


def sign(digest: bytes, signer: Issued, method: Method | None = None) -> str:
    """Sign a SHA-256 hash.

    Args:
        digest: the hash.
        signer: whose key signs.
        method: how; None: as the white paper wants it of that kind of key.

    Returns:
        Base64, as SignedUpdateFirmware.req carries it.

    Raises:
        ValueError: that key cannot sign so.
    """
    match load_pem_private_key(signer.key_pem, password=None), method:
        case ec.EllipticCurvePrivateKey() as key, None | "ecdsa":
            signature = key.sign(digest, ec.ECDSA(_DIGEST))
        case rsa.RSAPrivateKey() as key, None | "rsa-pss":
            signature = key.sign(digest, _PSS, _DIGEST)
        case rsa.RSAPrivateKey() as key, "rsa-pkcs1":
            signature = key.sign(digest, padding.PKCS1v15(), _DIGEST)
        case _:
            raise ValueError(f"this key does not sign by {method}")
    return b64encode(signature).decode()


def check(file: Path, certificate_pem: str, signature: str, root: Authority, now: datetime | None = None) -> None:
    """Look at an image as a Central System has to before it hands it out (A00.FR.706).

    Args:
        file: the image.
        certificate_pem: the signing certificate.
        signature: Base64.
        root: the manufacturer's root.
        now: the Central System's time, None for the machine's.

    Raises:
        Unfit: the certificate or the signature is wrong.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError as error:
        raise Unfit(f"the signing certificate is no PEM: {error}") from error
    _check_certificate(certificate, root, now or datetime.now(UTC))
    try:
        _check_signature(certificate, sha256_of(file), b64decode(signature, validate=True))
    except (InvalidSignature, Base64Error) as error:
        raise Unfit("the signature is not that of this image by this certificate") from error


def _check_certificate(certificate: x509.Certificate, root: Authority, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Unfit("the signing certificate is not valid now")
    try:
        certificate.verify_directly_issued_by(root.certificate)  # L01, remarks: no intermediate
    except (ValueError, TypeError, InvalidSignature) as error:
        raise Unfit("the manufacturer's root has not signed the signing certificate") from error
    if certificate.serial_number in root.revoked:
        raise Unfit("the signing certificate was revoked")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and CODE_SIGNING not in usage:
        raise Unfit("the signing certificate is not for code")
    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits) if bits >= MIN_RSA_BITS:
            pass
        case ec.EllipticCurvePublicKey(key_size=bits) if bits >= MIN_EC_BITS:
            pass
        case _:
            raise Unfit("the key of the signing certificate is too weak")


def _check_signature(certificate: x509.Certificate, digest: bytes, signature: bytes) -> None:
    match certificate.public_key():
        case ec.EllipticCurvePublicKey() as key:
            key.verify(signature, digest, ec.ECDSA(_DIGEST))
        case rsa.RSAPublicKey() as key:
            try:
                key.verify(signature, digest, _PSS, _DIGEST)
            except InvalidSignature:
                key.verify(signature, digest, padding.PKCS1v15(), _DIGEST)


def bad_signing_certificates(pki: Pki) -> dict[str, Issued]:
    """Return a signing certificate for each way to be refused; the one that was revoked is known to its root."""
    now, hour = datetime.now(UTC), timedelta(hours=1)
    revoked = pki.firmware_signing_certificate()
    pki.revoke(revoked, issuer=pki.manufacturer_root)
    intermediate = pki.manufacturer_root.intermediate("Example Manufacturer Intermediate", MANUFACTURER_NAME)
    return {
        "expired": pki.firmware_signing_certificate(not_after=now - hour),
        "not yet valid": pki.firmware_signing_certificate(not_before=now + hour),
        "unknown root": Pki.create().firmware_signing_certificate(),
        "central system root": pki.firmware_signing_certificate(issuer=pki.central_system_root),
        "under an intermediate": pki.firmware_signing_certificate(issuer=intermediate),
        "self-signed": pki.firmware_signing_certificate(self_signed=True),
        "weak key": pki.firmware_signing_certificate(key="rsa", weak_key=True),
        "for a server": pki.firmware_signing_certificate(usages=(SERVER,)),
        "for a client": pki.firmware_signing_certificate(usages=(CLIENT,)),
        "revoked": revoked,
    }
