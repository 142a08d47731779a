"""The signature over a file: whether the key of a signing certificate has signed its SHA-256 (L01.FR.04, L01.FR.12).

Guaranteed: `VERIFIED` is said only where the key of the certificate has signed exactly these bytes by an algorithm of
the table; everything else that a peer can send is another result with the reason, and never an error. A file is read
piece by piece in a thread, so that neither memory nor the event loop feels its size.

    key of the certificate    taken                                     not taken
    RSA                       PSS over SHA-256, MGF1 with SHA-256,      PKCS #1 v1.5, unless `accept_pkcs1`
                              salt of any length
    elliptic curve            ECDSA over SHA-256, DER or r || s         EC Schnorr (docs/decisions/0014)
    any other                                                           everything

Not done here: the certificate itself (signing_certificate.py), which has to be judged first.
"""

import asyncio
import base64
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from security import durable
from security.certificate import Certificate

MAX_SIGNATURE_CHARACTERS: Final = 800  #: characters; field signature of SignedUpdateFirmware.req, RSA 4096 takes 684
PIECE_BYTES: Final = 1_048_576  #: bytes read at a time; larger ones are no faster

_WHITE_SPACE: Final = str.maketrans("", "", " \t\r\n\v\f")
_STANDARD_ALPHABET: Final = str.maketrans("-_", "+/")
_DIGEST: Final = utils.Prehashed(hashes.SHA256())
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)


class SignatureResult(Enum):
    """What came of a verification; everything but VERIFIED is the state Invalid Signature of L01."""

    VERIFIED = "verified"
    MISSING = "missing"
    MALFORMED = "malformed"
    WRONG = "wrong"
    UNSUPPORTED_ALGORITHM = "unsupported algorithm"


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of a verification.

    Attributes:
        result: the outcome.
        reason: why it failed, in one line that repeats nothing of what came in; empty if it did not.
    """

    result: SignatureResult
    reason: str = ""

    @property
    def verified(self) -> bool:
        """Whether the file is what the holder of the key has signed."""
        return self.result is SignatureResult.VERIFIED


def verify_digest(
    digest: bytes, signature: str | None, certificate: Certificate, *, accept_pkcs1: bool = False
) -> Verification:
    """Verify the signature over a file whose SHA-256 is known already, from the download for instance.

    Args:
        digest: SHA-256 over the whole file, 32 bytes.
        signature: base64; white space, the alphabet for URLs and missing padding are tolerated.
        certificate: the signing certificate, judged good.
        accept_pkcs1: whether RSA PKCS #1 v1.5 is taken beside PSS, which L01.FR.04 names alone.
    """
    text = (signature or "").translate(_WHITE_SPACE)
    if not text:
        return Verification(SignatureResult.MISSING, "there is no signature")
    if signature is not None and len(signature) > MAX_SIGNATURE_CHARACTERS:
        reason = f"the signature is longer than {MAX_SIGNATURE_CHARACTERS} characters"
        return Verification(SignatureResult.MALFORMED, reason)
    try:
        signed = _decoded(text)
    except ValueError:  # binascii.Error, and what is not ASCII
        return Verification(SignatureResult.MALFORMED, "the signature is not base64")
    match certificate.x509.public_key():
        case rsa.RSAPublicKey() as key:
            return _verify_rsa(key, signed, digest, accept_pkcs1=accept_pkcs1)
        case ec.EllipticCurvePublicKey() as key:
            return _verify_ecdsa(key, signed, digest)
        case _:
            return Verification(
                SignatureResult.UNSUPPORTED_ALGORITHM, "the signing certificate's key is neither RSA nor elliptic curve"
            )


async def verify_file(
    path: Path, signature: str | None, certificate: Certificate, *, accept_pkcs1: bool = False
) -> Verification:
    """Verify the signature over a file that is read anew; as `verify_digest`.

    Cancelling stops the reading after the piece that is being read.

    Raises:
        DurableError: the file cannot be read to its end.
    """
    return verify_digest(await digest_of(path), signature, certificate, accept_pkcs1=accept_pkcs1)


async def digest_of(path: Path) -> bytes:
    """Return SHA-256 over a whole file, computed in a thread.

    Cancelling stops the reading after the piece that is being read.

    Raises:
        DurableError: the file cannot be read to its end.
    """
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_digest, path, stop)
    finally:
        stop.set()


def _digest(path: Path, stop: threading.Event) -> bytes:
    computed = hashlib.sha256()
    for piece in durable.pieces(path, piece_bytes=PIECE_BYTES):
        computed.update(piece)  # lets other threads run meanwhile
        if stop.is_set():
            break  # nobody waits for the result any more
    return computed.digest()


def _decoded(text: str) -> bytes:
    text = text.rstrip("=").translate(_STANDARD_ALPHABET)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _verify_rsa(key: rsa.RSAPublicKey, signed: bytes, digest: bytes, *, accept_pkcs1: bool) -> Verification:
    if len(signed) != (wanted := (key.key_size + 7) // 8):
        reason = f"the signature has {len(signed)} bytes, the certificate's key makes {wanted}"
        return Verification(SignatureResult.WRONG, reason)
    if _fits_rsa(key, signed, digest, _PSS):
        return Verification(SignatureResult.VERIFIED)
    if not _fits_rsa(key, signed, digest, padding.PKCS1v15()):
        reason = "it is no RSA-PSS signature of this file by the certificate's key, both hashes SHA-256"
        return Verification(SignatureResult.WRONG, reason)
    if accept_pkcs1:
        return Verification(SignatureResult.VERIFIED)
    reason = "it is made with RSA PKCS #1 v1.5, not RSA-PSS as L01.FR.04 has it; [interop] firmware_pkcs1 takes both"
    return Verification(SignatureResult.UNSUPPORTED_ALGORITHM, reason)


def _fits_rsa(key: rsa.RSAPublicKey, signed: bytes, digest: bytes, made_by: padding.AsymmetricPadding) -> bool:
    try:
        key.verify(signed, digest, made_by, _DIGEST)
    except InvalidSignature:
        return False
    return True


def _verify_ecdsa(key: ec.EllipticCurvePublicKey, signed: bytes, digest: bytes) -> Verification:
    for form in _forms(signed, key.key_size):
        try:
            key.verify(form, digest, ec.ECDSA(_DIGEST))
        except InvalidSignature:
            continue
        return Verification(SignatureResult.VERIFIED)
    # One made by EC Schnorr ends here too: nothing tells it from an ECDSA signature of something else.
    reason = "it is no ECDSA signature over SHA-256 of this file by the certificate's key; EC Schnorr is not supported"
    return Verification(SignatureResult.WRONG, reason)


def _forms(signed: bytes, key_bits: int) -> Iterator[bytes]:
    """Yield what the bytes may be in DER: themselves, and r and s side by side, as some signing hardware has them."""
    yield signed
    half = (key_bits + 7) // 8
    if len(signed) == 2 * half:
        yield utils.encode_dss_signature(int.from_bytes(signed[:half]), int.from_bytes(signed[half:]))
