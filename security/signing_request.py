"""The certificate request of the Charge Point: PKCS #10 (RFC 2986) in PEM, for SignCertificate.req.

Guaranteed: version 0; the subject is O = the operator (A02.FR.13, A03.FR.13) and CN = the serial number of the Charge
Point (A00.FR.511); a KeyUsage is asked for that allows digital signatures and nothing else (A00.FR.512), and no
subjectAltName (the note of A00.FR.511); the signature is ECDSA or RSA PKCS #1 v1.5 over SHA-256, which every authority
can check.

The request is put together here and not by `cryptography`, whose builder wants a private key in memory, nor by `openssl
req`, which writes a signature algorithm that strict authorities refuse for some keys in hardware
(docs/decisions/0071-where-private-keys-live.md). What needs care, names and extensions, `cryptography` encodes.

Pure but for `KeyPair.sign`.
"""

import base64
from hashlib import sha256
from textwrap import wrap
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import NameOID

from security.keys import KeyPair

_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_INTEGER: Final = 0x02
_BIT_STRING: Final = 0x03
_OCTET_STRING: Final = 0x04
_OBJECT_IDENTIFIER: Final = 0x06
_ATTRIBUTES: Final = 0xA0  # [0], constructed

_TRUE: Final = b"\x01\x01\xff"
_EXTENSION_REQUEST: Final = bytes.fromhex("2a864886f70d01090e")  # 1.2.840.113549.1.9.14
_KEY_USAGE: Final = bytes.fromhex("551d0f")  # 2.5.29.15
_ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")  # without parameters, RFC 5758 3.2
_RSA_WITH_SHA256: Final = bytes.fromhex("300d06092a864886f70d01010b0500")  # with NULL, RFC 4055 5


def signing_request(key: KeyPair, *, serial_number: str, organisation: str) -> str:
    """Make the request for a key pair and sign it.

    Args:
        key: the new key pair.
        serial_number: of the Charge Point.
        organisation: the value of CpoName.

    Raises:
        KeyStoreError: the key cannot sign.
    """
    info = _der(
        _SEQUENCE,
        _der(_INTEGER, b"\x00"),  # version 0, which is called v1
        _subject(serial_number, organisation),
        key.public_key,
        _der(_ATTRIBUTES, _der(_SEQUENCE, _der(_OBJECT_IDENTIFIER, _EXTENSION_REQUEST), _der(_SET, _extensions()))),
    )
    is_elliptic = isinstance(load_der_public_key(key.public_key), ec.EllipticCurvePublicKey)
    algorithm = _ECDSA_WITH_SHA256 if is_elliptic else _RSA_WITH_SHA256
    signature = key.sign(sha256(info).digest())
    return _pem(_der(_SEQUENCE, info, algorithm, _der(_BIT_STRING, b"\x00", signature)))


def _subject(serial_number: str, organisation: str) -> bytes:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),  # A02.FR.13, A03.FR.13
            x509.NameAttribute(NameOID.COMMON_NAME, serial_number),  # A00.FR.511
        ]
    ).public_bytes()


def _extensions() -> bytes:
    usage = x509.KeyUsage(  # A00.FR.512
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    value = _der(_OCTET_STRING, usage.public_bytes())
    return _der(_SEQUENCE, _der(_SEQUENCE, _der(_OBJECT_IDENTIFIER, _KEY_USAGE), _TRUE, value))


def _der(tag: int, *parts: bytes) -> bytes:
    """Encode one element: tag, definite length in the shortest form, content."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _pem(der: bytes) -> str:
    lines = wrap(base64.b64encode(der).decode("ascii"), 64)
    return "\n".join(("-----BEGIN CERTIFICATE REQUEST-----", *lines, "-----END CERTIFICATE REQUEST-----", ""))
