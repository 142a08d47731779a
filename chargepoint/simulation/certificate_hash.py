"""How the Central System names a certificate (CertificateHashDataType): its own code, from the PEM down to the DER.

The agent leaves all of it to `cryptography`; here the certificate is taken apart by hand (RFC 5280 4.1) and the two
values are hashed as RFC 6960 4.1.1 says: the issuer's name with tag and length, the content of the issuer's public key
without. So a mistake of one side does not pass at the other.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Algorithm = Literal["SHA256", "SHA384", "SHA512"]
HashData = Mapping[str, str]

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("SHA256", "SHA384", "SHA512")

_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_LINE_LENGTH: Final = 64  #: characters; RFC 7468, section 2
_VERSION: Final = 0xA0  # tag [0], which a version 1 certificate lacks
_LONG_FORM: Final = 0x80  # plus n: the length stands in the n bytes that follow


@dataclass(frozen=True, slots=True)
class _Element:
    tag: int
    whole: bytes
    content: bytes


def to_der(pem: str | bytes) -> bytes:
    """Return the certificate that is the only one in a text.

    Raises:
        ValueError: there is none, or more than one.
    """
    text = pem.decode("ascii") if isinstance(pem, bytes) else pem
    [block] = _BLOCK.findall(text)
    return base64.b64decode("".join(block.split()), validate=True)


def to_pem(der: bytes) -> str:
    """Return a certificate as text."""
    body = base64.b64encode(der).decode("ascii")
    lines = [body[start : start + _LINE_LENGTH] for start in range(0, len(body), _LINE_LENGTH)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))


def hash_data(pem: str | bytes, issuer_pem: str | bytes | None = None, algorithm: Algorithm = "SHA256") -> HashData:
    """Name a certificate as a payload does; the hex digits are lower case, which is as good as upper case.

    Args:
        pem: the certificate.
        issuer_pem: the one that has signed it; None where it has signed itself.
        algorithm: of the two hashes.
    """
    serial_number, issuer_name, _ = _parts(to_der(pem))
    _, _, issuer_key = _parts(to_der(issuer_pem or pem))
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": _digest(issuer_name, algorithm),
        "issuerKeyHash": _digest(issuer_key, algorithm),
        "serialNumber": serial_number.hex().lstrip("0"),
    }


def find(listed: Iterable[HashData], pem: str | bytes, issuer_pem: str | bytes | None = None) -> HashData | None:
    """Return the entry of GetInstalledCertificateIds.conf that names a certificate, None where none does.

    What is found is what goes into DeleteCertificate.req: so its algorithm is the one that the list has used
    (M04.FR.07).
    """
    names = {algorithm: hash_data(pem, issuer_pem, algorithm) for algorithm in ALGORITHMS}
    return next((entry for entry in listed if _folded(entry) in map(_folded, names.values())), None)


def _folded(data: HashData) -> dict[str, str]:
    return {key: value.lower() for key, value in data.items()}


def _digest(data: bytes, algorithm: Algorithm) -> str:
    return hashlib.new(algorithm.lower(), data).hexdigest()


def _parts(der: bytes) -> tuple[bytes, bytes, bytes]:
    """Return serial number, issuer's name with its tag, and public key without its tag and unused bits."""
    [certificate] = _elements(der)
    to_be_signed = next(_elements(certificate.content))
    fields = [field for field in _elements(to_be_signed.content) if field.tag != _VERSION]
    serial_number, _, issuer, _, _, key_info = fields[:6]
    _, public_key = _elements(key_info.content)
    return serial_number.content, issuer.whole, public_key.content[1:]


def _elements(der: bytes) -> Iterator[_Element]:
    """Take a sequence of DER elements apart."""
    at = 0
    while at < len(der):
        length, content = der[at + 1], at + 2
        if length >= _LONG_FORM:
            content += length - _LONG_FORM
            length = int.from_bytes(der[at + 2 : content], "big")
        end = content + length
        yield _Element(der[at], der[at:end], der[content:end])
        at = end
