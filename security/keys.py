"""Key pairs of the Charge Point, and where the private keys live: in files, or in hardware behind a provider.

A `KeyStore` makes a new key pair for each certificate request (A02.FR.02, A03.FR.02), so that no two Charge Points ever
share one (A00.FR.427), and hands out the PEM that OpenSSL loads for TLS. That PEM is the private key itself
(`FileKeys`), or merely names a key that never leaves a TPM or a PKCS#11 token (provider_keys.py). Either way it stays
in the state directory, readable by the agent's user alone (A02.FR.05, A03.FR.05); keeping it there is not done here
(enrolment.py, shelf.py). Where there is a passphrase ([security] key_passphrase_file), a private key is text only as
encrypted PKCS #8, here and everywhere above; a key that came unencrypted is read all the same.

A PEM that names a key does not tell its public key to anybody without the hardware. So a line before the PEM block,
where RFC 7468 has explanatory text, holds the SHA-256 of the public key, and certificates can be matched to it
(docs/decisions/0071-where-private-keys-live.md).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from security.errors import CertificateError, KeyLocked
from security.secret import Secret

PUBLIC_EXPONENT: Final = 65537  #: number; what RFC 4210 4.2.1.3 leaves open and FIPS 186-5 sets as the least

_LOCKED: Final = re.compile(rb"^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: *4, *ENCRYPTED", re.MULTILINE)
_NAMES_A_KEY: Final = re.compile(rb"-----BEGIN (PKCS#11 PROVIDER URI|TSS2 PRIVATE KEY)-----")
_NOTE: Final = "public key: "
_NOTE_LINE: Final = re.compile(rb"^public key: ([0-9a-f]{64})$", re.MULTILINE)


class KeyType(StrEnum):
    """The kinds of keys that are made: 112 bits of strength and more (A00.FR.501 to A00.FR.504)."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"

    @property
    def curve(self) -> ec.EllipticCurve | None:
        """The curve of an elliptic key, None for RSA."""
        return {KeyType.EC_P256: ec.SECP256R1(), KeyType.EC_P384: ec.SECP384R1()}.get(self)

    @property
    def bits(self) -> int:
        """The length of the key."""
        return int(self.value[-4:] if self.curve is None else self.value[-3:])


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key pair that was just made.

    Attributes:
        pem: what OpenSSL loads as the private key: the key, encrypted where there is a passphrase, or the name of one.
        public_key: SubjectPublicKeyInfo, DER.
        sign: signs a SHA-256 digest with ECDSA or RSA PKCS #1 v1.5, as X.509 has it; may raise KeyStoreError.
    """

    pem: Secret
    public_key: bytes
    sign: Callable[[bytes], bytes] = field(repr=False)


class KeyStore(Protocol):
    """Where private keys live.

    Attributes:
        place: the same in words, for people.
    """

    place: str

    def generate(self) -> KeyPair:
        """Make a new key pair; blocking, and slow for RSA or in hardware.

        Raises:
            KeyStoreError: there is none.
        """


class FileKeys:
    """Private keys as files: made by this process from the operating system's random numbers, PKCS #8 in PEM.

    Args:
        key_type: of new keys.
        passphrase: new keys are encrypted with it; None leaves them as they are.
    """

    def __init__(self, key_type: KeyType = KeyType.EC_P256, passphrase: Secret | None = None) -> None:
        self.place = _place_of_file(locked=passphrase is not None)
        self._type = key_type
        self._passphrase = passphrase

    def generate(self) -> KeyPair:
        """Make a new key pair."""
        curve = self._type.curve
        if curve is None:
            return _pair(rsa.generate_private_key(PUBLIC_EXPONENT, self._type.bits), self._passphrase)
        return _pair(ec.generate_private_key(curve), self._passphrase)


def _pair(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, passphrase: Secret | None) -> KeyPair:
    digest = Prehashed(SHA256())

    def sign(value: bytes) -> bytes:
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(value, padding.PKCS1v15(), digest)
        return key.sign(value, ec.ECDSA(digest))

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase))
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(Secret(pem), public_key, sign)


def fingerprint(public_key: bytes) -> str:
    """Return the name of a key pair: the SHA-256 of its SubjectPublicKeyInfo, 64 lower-case hex digits."""
    return sha256(public_key).hexdigest()


def name_key(pem: bytes, public_key: bytes) -> Secret:
    """Put the fingerprint of the public key before a PEM that names a private key."""
    return Secret(f"{_NOTE}{fingerprint(public_key)}\n".encode() + pem)


def names_key(pem: bytes) -> bool:
    """Tell whether a PEM names a private key instead of being one."""
    return _NAMES_A_KEY.search(pem) is not None


def is_locked(pem: Secret) -> bool:
    """Tell whether a PEM is an encrypted private key."""
    return _LOCKED.search(pem.reveal()) is not None


def place_of(pem: Secret) -> str:
    """Say where the private key of a PEM lives, in one word or two."""
    named = _NAMES_A_KEY.search(pem.reveal())
    if named is None:
        return _place_of_file(locked=is_locked(pem))
    return "TPM" if named[1].startswith(b"TSS2") else "PKCS#11 token"


def lock(pem: Secret, passphrase: Secret | None) -> Secret:
    """Return a private key as it may be written: encrypted where there is a passphrase.

    Raises:
        CertificateError: it is not a key.
    """
    if passphrase is None or is_locked(pem) or names_key(pem.reveal()):
        return pem
    return read_key(pem, passphrase)[1]


def read_key(pem: Secret, passphrase: Secret | None = None) -> tuple[str, Secret]:
    """Read a private key, encrypted or not, or the name of one.

    Args:
        pem: what came, or what was stored.
        passphrase: opens the key if it is encrypted; what is to be stored is encrypted with it.

    Returns:
        The fingerprint of its public key, and the PEM to be stored: a key as PKCS #8, the name of one as it came.

    Raises:
        KeyLocked: it is encrypted, and the passphrase does not open it.
        CertificateError: it is neither.
    """
    if names_key(pem.reveal()):
        note = _NOTE_LINE.search(pem.reveal())
        if note is None:
            raise CertificateError("the PEM names a key, but has no line that names its public key")
        return note[1].decode("ascii"), pem
    locked = is_locked(pem)
    if locked and passphrase is None:
        raise KeyLocked("the private key is encrypted, and [security] key_passphrase_file names no passphrase")
    try:
        key = load_pem_private_key(pem.reveal(), passphrase.reveal() if locked and passphrase else None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        # Without the cause: what the parser says of a key is nobody's business.
        if locked:
            raise KeyLocked("the passphrase does not open the private key") from None
        raise CertificateError("the private key is not a key in PEM") from None
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    normal = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase))
    return fingerprint(public_key), Secret(normal)


def _encryption(passphrase: Secret | None) -> KeySerializationEncryption:
    return NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.reveal())


def _place_of_file(*, locked: bool) -> str:
    return "encrypted file" if locked else "file"
