"""The four values by which OCPP names an installed certificate (CertificateHashDataType, RFC 6960).

Guaranteed: two names of one certificate are equal and hash alike, in whichever case their hex digits came.

Not done here: which certificates are installed (store.py), the camelCase of the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from cryptography.hazmat.primitives import hashes
from cryptography.x509.ocsp import OCSPRequest, OCSPRequestBuilder

from security.certificate import Certificate
from security.errors import CertificateError


class HashAlgorithm(StrEnum):
    """The algorithms of CertificateHashDataType, as they go over the wire."""

    SHA256 = "SHA256"
    SHA384 = "SHA384"
    SHA512 = "SHA512"


_HASHES: Final[Mapping[HashAlgorithm, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    HashAlgorithm.SHA256: hashes.SHA256,
    HashAlgorithm.SHA384: hashes.SHA384,
    HashAlgorithm.SHA512: hashes.SHA512,
}


@dataclass(frozen=True, slots=True)
class CertificateHashData:
    """How OCPP names an installed certificate (CertificateHashDataType); hex digits in either case are equal.

    Attributes:
        hash_algorithm: of the two hashes.
        issuer_name_hash: over the DER of the issuer's name as it stands in the certificate (RFC 6960 4.1.1), hex.
        issuer_key_hash: over the content of the issuer's public key BIT STRING, hex.
        serial_number: hex without leading zeros.
    """

    hash_algorithm: HashAlgorithm
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str

    def __post_init__(self) -> None:
        # One spelling inside, so that the comparison and the hash value need no second thought.
        object.__setattr__(self, "issuer_name_hash", self.issuer_name_hash.upper())
        object.__setattr__(self, "issuer_key_hash", self.issuer_key_hash.upper())
        object.__setattr__(self, "serial_number", self.serial_number.upper().lstrip("0"))

    @classmethod
    def compute(
        cls, certificate: Certificate, issuer: Certificate, algorithm: HashAlgorithm = HashAlgorithm.SHA256
    ) -> Self:
        """Compute the hash data of a certificate whose issuer is at hand.

        Args:
            certificate: the certificate that is named.
            issuer: the certificate of its issuer; itself, where it is self-signed.
            algorithm: of the two hashes.

        Raises:
            ValueError: `issuer` bears another name than the certificate's issuer.
        """
        if certificate.x509.issuer != issuer.x509.subject:
            raise ValueError("the issuer given is not the issuer that the certificate names")
        return cls.of(certificate, _certificate_id(issuer, algorithm).issuer_key_hash.hex(), algorithm)

    @classmethod
    def of(cls, certificate: Certificate, issuer_key_hash: str, algorithm: HashAlgorithm) -> Self:
        """Return the hash data of a certificate of whose issuer only the hash of the key is known."""
        return cls(
            hash_algorithm=algorithm,
            issuer_name_hash=issuer_name_hash(certificate, algorithm),
            issuer_key_hash=issuer_key_hash,
            serial_number=certificate.serial_number,
        )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str]) -> Self:
        """Read the fields of a request, in snake_case, that has passed its schema.

        Raises:
            CertificateError: the hash algorithm is unknown, or a field is missing.
        """
        try:
            return cls(
                hash_algorithm=HashAlgorithm(mapping["hash_algorithm"]),
                issuer_name_hash=mapping["issuer_name_hash"],
                issuer_key_hash=mapping["issuer_key_hash"],
                serial_number=mapping["serial_number"],
            )
        except (KeyError, ValueError) as error:
            raise CertificateError("the certificate hash data is not complete") from error

    def to_mapping(self) -> dict[str, str]:
        """Return the fields in snake_case, as payloads hold them."""
        return {
            "hash_algorithm": self.hash_algorithm.value,
            "issuer_name_hash": self.issuer_name_hash,
            "issuer_key_hash": self.issuer_key_hash,
            "serial_number": self.serial_number,
        }


def issuer_name_hash(certificate: Certificate, algorithm: HashAlgorithm) -> str:
    """Return the hash over the DER of the issuer's name as it stands in the certificate, in hex."""
    return _certificate_id(certificate, algorithm).issuer_name_hash.hex().upper()


def _certificate_id(certificate: Certificate, algorithm: HashAlgorithm) -> OCSPRequest:
    # An OCSP request holds exactly these hashes (RFC 6960 4.1.1), made of the bytes as they stand in the certificates:
    # the name out of its first argument, the key out of its second.
    return OCSPRequestBuilder().add_certificate(certificate.x509, certificate.x509, _HASHES[algorithm]()).build()
