"""X.509 certificates as they come in: parsed at the door, judged by the rules of section 2.6.

Guaranteed: a `Certificate` has been read completely, so that none of its properties raises later; an error says why in
one line and never repeats what came in.

Not done here: files, paths of trust (chain.py), the peer's server name (server_name.py), the hashes by which OCPP names
a certificate (hash_data.py).

- `faults_of` names what makes a certificate unacceptable, `remarks_of` what is worth a log line only.
- The time is an argument; None means that the clock is not set, and then no certificate is judged by its dates.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import BasicConstraints
from cryptography.x509 import Certificate as X509Certificate
from cryptography.x509.oid import NameOID, ObjectIdentifier

from security.errors import CertificateError

MAX_PEM_CHARACTERS: Final = 65_536  #: characters; six times certificateChain of CertificateSigned.req, for local files
MAX_CERTIFICATES: Final = 20  #: certificates in one text; a chain has two or three, a bundle of roots some more
MAX_SERIAL_BYTES: Final = 20  #: bytes; RFC 5280 4.1.2.2, and serialNumber of CertificateHashDataType has 40 digits
MIN_RSA_BITS: Final = 2048  #: bits; A00.FR.502, for DSA too
MIN_EC_BITS: Final = 224  #: bits; A00.FR.503
MIN_HASH_BYTES: Final = 32  #: bytes; SHA-256, A00.FR.506

_PEM_BEGIN: Final = "-----BEGIN "
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://|www\.", re.IGNORECASE)


class Purpose(StrEnum):
    """What a certificate is judged for."""

    ROOT = "root"
    CENTRAL_SYSTEM = "Central System"
    CHARGE_POINT = "Charge Point"
    FIRMWARE_SIGNING = "firmware signing"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate, read completely; two are equal when their bytes are.

    Attributes:
        der: the certificate's bytes.
        x509: the same, as `cryptography` knows it.
        pem: the same, as text with LF and a last newline (A00.FR.507).
        fingerprint: SHA-256 over `der`, 64 lower-case hex digits.
        subject: whom it names, in the form of RFC 4514, on one line.
        issuer: who signed it, in the same form.
        serial_number: upper-case hex without leading zeros (A00.FR.508).
        not_before: begin of its validity, aware UTC.
        not_after: end of its validity, aware UTC.
    """

    der: bytes = field(repr=False)
    x509: X509Certificate = field(repr=False, compare=False)
    pem: str = field(repr=False, compare=False)
    fingerprint: str = field(compare=False)
    subject: str = field(compare=False)
    issuer: str = field(compare=False)
    serial_number: str = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)

    @classmethod
    def of(cls, certificate: X509Certificate) -> Self:
        """Read all that is ever asked of it.

        Raises:
            CertificateError: a part of it cannot be read, its serial number is not one (A00.FR.508), or its signature
                could be written in another way too.
        """
        try:
            # Read now and thrown away, because `cryptography` parses these only when they are asked for.
            _ = certificate.public_key(), certificate.extensions, certificate.signature_hash_algorithm
            read = cls(
                der=certificate.public_bytes(Encoding.DER),
                x509=certificate,
                pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
                fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
                subject=_one_line(certificate.subject),
                issuer=_one_line(certificate.issuer),
                serial_number=f"{certificate.serial_number:X}",
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
            )
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
            raise CertificateError("a part of the certificate is damaged or of an unknown kind") from error
        if not 0 < certificate.serial_number < 1 << (8 * MAX_SERIAL_BYTES):
            raise CertificateError(f"the serial number is not a positive number of at most {MAX_SERIAL_BYTES} bytes")
        if read.der[-len(certificate.signature) - 1]:  # how many bits of its last byte do not count: nothing signs that
            raise CertificateError("its signature is not a whole number of bytes: it is not as its issuer has made it")
        return read

    @property
    def common_names(self) -> tuple[str, ...]:
        """CN of the subject: none, one or more."""
        return self._texts(NameOID.COMMON_NAME)

    @property
    def organisations(self) -> tuple[str, ...]:
        """O of the subject: none, one or more."""
        return self._texts(NameOID.ORGANIZATION_NAME)

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return self.x509.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def is_ca(self) -> bool:
        """Whether BasicConstraints calls it a certificate authority."""
        constraints = self._basic_constraints
        return constraints is not None and constraints.ca

    @property
    def path_length(self) -> int | None:
        """How many intermediate authorities may stand below it; None where that is not limited."""
        constraints = self._basic_constraints
        return constraints.path_length if constraints else None

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same name; says nothing about the signature."""
        return self.x509.subject == self.x509.issuer

    @property
    def is_self_signed(self) -> bool:
        """Whether its own key made its signature; the name alone proves nothing: a new key may bear an old name."""
        return self.is_self_issued and self.is_signed_by(self)

    @property
    def rank(self) -> tuple[datetime, str]:
        """Sort key: the oldest first; the fingerprint decides where two began together, so that every order is one."""
        return self.not_before, self.fingerprint

    def is_signed_by(self, issuer: "Certificate") -> bool:
        """Whether `issuer` bears the issuer's name and its key made this certificate's signature."""
        try:
            self.x509.verify_directly_issued_by(issuer.x509)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
            return False
        return True

    def has_expired(self, now: datetime | None) -> bool:
        """Whether its validity is over; never on the word of a clock that is not set (None)."""
        return now is not None and now > self.not_after

    def has_begun(self, now: datetime | None) -> bool:
        """Whether its validity has begun; a clock that is not set (None) speaks against no certificate."""
        return now is None or now >= self.not_before

    @property
    def _basic_constraints(self) -> BasicConstraints | None:
        try:
            return self.x509.extensions.get_extension_for_class(BasicConstraints).value
        except x509.ExtensionNotFound:
            return None

    def _texts(self, oid: ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(attribute.value) for attribute in self.x509.subject.get_attributes_for_oid(oid))


def parse_one(text: str) -> Certificate:
    """Parse PEM text that holds exactly one certificate (M05.FR.06).

    CRLF, white space around the lines, text before and after the block and a missing last newline are tolerated.

    Raises:
        CertificateError: why it cannot be accepted.
    """
    certificates = parse_chain(text)
    if len(certificates) != 1:
        # Checked by us: `load_pem_x509_certificate` would silently take the first.
        raise CertificateError(f"{len(certificates)} certificates came, exactly one is wanted")
    return certificates[0]


def parse_chain(text: str) -> tuple[Certificate, ...]:
    """Parse PEM text that holds one certificate or more, and nothing else in PEM; their order is kept.

    Raises:
        CertificateError: why it cannot be accepted.
    """
    if len(text) > MAX_PEM_CHARACTERS:
        raise CertificateError(f"the text is longer than {MAX_PEM_CHARACTERS} characters")
    blocks = text.count(_PEM_BEGIN)
    if not blocks:
        raise CertificateError("no certificate in PEM was found")
    if blocks > MAX_CERTIFICATES:
        raise CertificateError(f"more than {MAX_CERTIFICATES} PEM blocks came")
    try:
        parsed = x509.load_pem_x509_certificates(text.encode("utf-8", errors="replace"))
    except (ValueError, x509.InvalidVersion) as error:
        raise CertificateError("the PEM is damaged, or it is not a certificate") from error
    if len(parsed) != blocks:
        raise CertificateError("the text holds something else than certificates, perhaps a private key")
    return tuple(map(Certificate.of, parsed))


def faults_of(certificate: Certificate, now: datetime | None, purpose: Purpose) -> list[str]:
    """Name everything that makes the certificate unacceptable for the purpose; one line each, none if it is good.

    A begin in the future is no fault: such a certificate is installed and waits (A02.FR.08).

    Args:
        certificate: the certificate, whatever it came from.
        now: the agent's time, None while its clock is not set.
        purpose: what it is to be used for.
    """
    return [
        *weaknesses_of(certificate),
        *_validity_faults(certificate, now),
        *_subject_faults(certificate, purpose),
        *_usage_faults(certificate, purpose),
    ]


def remarks_of(certificate: Certificate, purpose: Purpose) -> list[str]:
    """Name what the white paper advises against, but what is not worth locking a Charge Point out; one line each."""
    remarks = []
    if purpose is Purpose.ROOT and not certificate.organisations:
        # A00.FR.509 is a duty, but roots of public authorities are what they are.
        remarks.append("the subject has no organisation (O)")
    if purpose in (Purpose.CENTRAL_SYSTEM, Purpose.CHARGE_POINT) and _has(certificate, x509.SubjectAlternativeName):
        remarks.append("a subjectAltName stands beside the common name (A00.FR.511)")
    if not _has(certificate, x509.KeyUsage):
        remarks.append("no KeyUsage limits what the certificate is good for (A00.FR.512)")
    if isinstance(certificate.x509.public_key(), ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        remarks.append("EdDSA is strong enough, but outside the white paper's algorithms (A00.FR.505)")
    return remarks


def weaknesses_of(certificate: Certificate) -> list[str]:
    """Name what makes its key or its signature too weak (A00.FR.501, A00.FR.506); one line each."""
    return [*_key_faults(certificate), *_signature_faults(certificate)]


def _key_faults(certificate: Certificate) -> Iterator[str]:
    """A00.FR.501: at least 112 bits of strength."""
    match certificate.x509.public_key():
        case rsa.RSAPublicKey(key_size=bits) | dsa.DSAPublicKey(key_size=bits):
            if bits < MIN_RSA_BITS:  # A00.FR.502
                yield f"the key has {bits} bits, at least {MIN_RSA_BITS} are wanted"
        case ec.EllipticCurvePublicKey(key_size=bits):
            if bits < MIN_EC_BITS:  # A00.FR.503
                yield f"the key has {bits} bits, at least {MIN_EC_BITS} are wanted"
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            pass  # 128 and 224 bits of strength
        case _:
            yield "the key is of a kind that cannot sign (A00.FR.504)"


def _signature_faults(certificate: Certificate) -> Iterator[str]:
    # A00.FR.505 and 506 say SHOULD. RSA PKCS #1 v1.5 is taken, because half of the field signs with it; a hash in
    # which collisions are made (MD5, SHA-1) is not. EdDSA has its hash built in and names none.
    used = certificate.x509.signature_hash_algorithm
    if used is not None and used.digest_size < MIN_HASH_BYTES:
        yield f"it is signed over {used.name.upper()}, at least SHA256 is wanted"


def _validity_faults(certificate: Certificate, now: datetime | None) -> Iterator[str]:
    if certificate.not_after < certificate.not_before:
        yield "its validity ends before it begins"
    elif certificate.has_expired(now):
        yield f"it expired at {certificate.not_after.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _subject_faults(certificate: Certificate, purpose: Purpose) -> Iterator[str]:
    if purpose is not Purpose.ROOT and not certificate.organisations:  # A00.FR.509
        yield "the subject has no organisation (O)"
    if purpose is Purpose.CHARGE_POINT:  # A00.FR.511
        names = certificate.common_names
        if len(names) != 1:
            yield f"the subject has {len(names)} common names, one is wanted: the Charge Point's serial number"
        elif looks_like_an_address(names[0]):
            yield "the common name looks like a URL or an IP address"


def _usage_faults(certificate: Certificate, purpose: Purpose) -> Iterator[str]:
    if purpose is Purpose.ROOT and not certificate.is_ca:
        yield "it is not a certificate authority (BasicConstraints)"
    try:
        usage = certificate.x509.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return  # A00.FR.512 is advice: see remarks_of
    match purpose:
        case Purpose.ROOT:
            fits = usage.key_cert_sign
        case Purpose.CENTRAL_SYSTEM:  # key encipherment and agreement: the static suites of A00.FR.318
            fits = usage.digital_signature or usage.key_encipherment or usage.key_agreement
        case _:  # Charge Point and firmware signing
            fits = usage.digital_signature
    if not fits:
        yield f"its KeyUsage does not allow its use as a {purpose} certificate"


def looks_like_an_address(text: str) -> bool:
    """Whether a serial number has the form of a URL or of an IP address, which A00.FR.511 forbids."""
    if _URL.match(text):
        return True
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _has(certificate: Certificate, kind: type[x509.ExtensionType]) -> bool:
    return any(isinstance(extension.value, kind) for extension in certificate.x509.extensions)


def _one_line(name: x509.Name) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name.rfc4514_string())
