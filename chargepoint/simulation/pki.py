"""The PKI of the simulated Central System: the CPO tree and the manufacturer tree of section 2.6.2.

The two trees share no key. A directory makes the roots lasting: they are made on first use and read later, so that a
device that was once given the root still trusts the Central System after its restart. Another `Pki` is the stranger CA.

Not done here: building certificates (authority.py), telling what was revoked (responder.py).
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, cast

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from chargepoint.simulation.authority import (
    CLIENT,
    CODE_SIGNING,
    SERVER,
    Authority,
    Issued,
    KeyKind,
    PrivateKey,
    generate_key,
    subject_name,
)

CPO_NAME: Final = "Example CPO"
MANUFACTURER_NAME: Final = "Example Manufacturer"

RootName = Literal["central_system_root", "central_system_rsa_root", "manufacturer_root"]


class CsrError(Exception):
    """Raised when a certificate request cannot be signed; the text says why."""


class Pki:
    """All authorities that one Central System knows.

    Attributes:
        central_system_root: root of the CPO tree (EC P-256): Central System and Charge Point certificates.
        manufacturer_root: root of the manufacturer tree: firmware signing certificates.
        organisation: the CPO's name, O of what the CPO tree issues.
    """

    def __init__(self, directory: Path | None, organisation: str) -> None:
        self._directory = directory
        self._rsa_root: Authority | None = None
        self.organisation = organisation
        self.central_system_root = self._root("central_system_root", "Example CPO Root", organisation)
        self.manufacturer_root = self._root("manufacturer_root", "Example Manufacturer Root", MANUFACTURER_NAME)

    @classmethod
    def create(cls, directory: Path | None = None, *, organisation: str = CPO_NAME) -> "Pki":
        """Make a PKI; with a directory its roots are read from there, or made and written there on first use."""
        return cls(directory, organisation)

    @property
    def central_system_rsa_root(self) -> Authority:
        """A second root of the CPO tree with an RSA key, made when it is first asked for."""
        if self._rsa_root is None:
            self._rsa_root = self._root("central_system_rsa_root", "Example CPO RSA Root", self.organisation, "rsa")
        return self._rsa_root

    @property
    def root_pem(self) -> bytes:
        """The CPO root: what a Charge Point installs as CentralSystemRootCertificate."""
        return self.central_system_root.pem

    @property
    def manufacturer_root_pem(self) -> bytes:
        """The manufacturer root: what a Charge Point installs as ManufacturerRootCertificate."""
        return self.manufacturer_root.pem

    def intermediate(self, common_name: str = "Example CPO Intermediate", *, key: KeyKind = "ec") -> Authority:
        """Create a CA below the CPO root, to be given as `issuer` below."""
        return self.central_system_root.intermediate(common_name, self.organisation, key=key)

    def server_certificate(
        self,
        host: str = "localhost",
        *,
        key: KeyKind = "ec",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        common_name: str | None = None,
        organisation: str | None = None,
        san: tuple[str, ...] = (),
        issuer: Authority | None = None,
        self_signed: bool = False,
        wildcard: bool = False,
        weak_key: bool = False,
    ) -> Issued:
        """Issue a Central System certificate, right for `host` unless a keyword says otherwise.

        Args:
            host: FQDN of the server, its CN (A00.FR.510).
            key: kind of key.
            not_before: begin of its validity; by default yesterday.
            not_after: end of its validity; by default in a year, though A00.FR.701 advises a day.
            common_name: another CN; "" leaves the CN out (with `san`: a SAN-only certificate).
            organisation: another O than the CPO's name; "" leaves it out.
            san: dNSNames; none by default, as A00.FR.511 advises.
            issuer: another authority: an intermediate, a stranger's root.
            self_signed: no authority at all.
            wildcard: the CN is ``*.`` and the parent domain of `host`.
            weak_key: a key too short for A00.FR.502 and 503.
        """
        if wildcard:
            parent = host.partition(".")[2]
            if not parent:
                raise ValueError(f"no wildcard can stand for {host!r}: it has no parent domain")
            common_name = f"*.{parent}"
        name = subject_name(
            host if common_name is None else common_name or None,
            self.organisation if organisation is None else organisation or None,
        )
        return (issuer or self.central_system_root).issue(
            name,
            usages=(SERVER,),
            key=generate_key(key, weak=weak_key),
            san=san,
            not_before=not_before,
            not_after=not_after,
            self_signed=self_signed,
        )

    def charge_point_certificate(
        self,
        serial_number: str,
        organisation: str | None = None,
        *,
        key: KeyKind = "ec",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        issuer: Authority | None = None,
        self_signed: bool = False,
        weak_key: bool = False,
    ) -> Issued:
        """Issue a Charge Point certificate: CN is the serial number (A00.FR.511), O the CPO's name by default."""
        return (issuer or self.central_system_root).issue(
            subject_name(serial_number, organisation or self.organisation),
            usages=(CLIENT,),
            key=generate_key(key, weak=weak_key),
            not_before=not_before,
            not_after=not_after,
            self_signed=self_signed,
        )

    def firmware_signing_certificate(
        self,
        *,
        key: KeyKind = "ec",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        usages: Sequence[ObjectIdentifier] = (CODE_SIGNING,),
        issuer: Authority | None = None,
        self_signed: bool = False,
        weak_key: bool = False,
    ) -> Issued:
        """Issue a firmware signing certificate, directly below the manufacturer root unless a keyword says otherwise.

        Args:
            key: kind of key.
            not_before: begin of its validity; by default yesterday.
            not_after: end of its validity; by default in a year.
            usages: extended key usages; none: the extension is left out.
            issuer: another authority: an intermediate, a stranger's root.
            self_signed: no authority at all.
            weak_key: a key too short for A00.FR.502 and 503.
        """
        return (issuer or self.manufacturer_root).issue(
            subject_name("Example Firmware Signing", MANUFACTURER_NAME),
            usages=usages,
            key=generate_key(key, weak=weak_key),
            not_before=not_before,
            not_after=not_after,
            self_signed=self_signed,
        )

    def revoke(
        self, issued: Issued, *, reason: x509.ReasonFlags | None = None, issuer: Authority | None = None
    ) -> None:
        """Take a certificate back; whoever asks the responder of its issuer learns of it.

        Args:
            issued: what `issuer` has issued.
            reason: the reason code.
            issuer: another authority than the CPO root.
        """
        (issuer or self.central_system_root).revoke(issued.x509, reason)

    def sign_csr(
        self,
        csr_pem: str | bytes,
        *,
        serial_number: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        issuer: Authority | None = None,
    ) -> Issued:
        """Sign a Charge Point's certificate request (A02, A03) after looking at it as a CA has to.

        Args:
            csr_pem: PKCS #10 in PEM.
            serial_number: the CN that is expected, None to take any.
            not_before: begin of its validity; by default yesterday.
            not_after: end of its validity; by default in a year.
            issuer: another authority than the CPO root.

        Raises:
            CsrError: not PEM, a bad signature, a weak key, or a subject of somebody else.
        """
        try:
            request = x509.load_pem_x509_csr(csr_pem.encode() if isinstance(csr_pem, str) else csr_pem)
        except ValueError as error:
            raise CsrError(f"no PKCS #10 request in PEM: {error}") from error
        if not request.is_signature_valid:
            raise CsrError("the request is not signed by its own key")
        public_key = request.public_key()
        match public_key:
            case ec.EllipticCurvePublicKey() if public_key.key_size >= 224:  # A00.FR.503
                pass
            case rsa.RSAPublicKey() if public_key.key_size >= 2048:  # A00.FR.502
                pass
            case _:
                raise CsrError("the key is too weak or of an unknown kind")
        if self.organisation not in _texts(request.subject, NameOID.ORGANIZATION_NAME):  # A02.FR.13
            raise CsrError(f"O of the subject is not {self.organisation!r}")
        common_names = _texts(request.subject, NameOID.COMMON_NAME)
        if len(common_names) != 1 or serial_number not in (None, common_names[0]):
            raise CsrError("CN of the subject is not the serial number of this Charge Point")
        return (issuer or self.central_system_root).issue(
            request.subject, usages=(CLIENT,), key=public_key, not_before=not_before, not_after=not_after
        )

    def _root(self, name: RootName, common_name: str, organisation: str, key: KeyKind = "ec") -> Authority:
        if self._directory is None:
            return Authority.root(common_name, organisation, key=key)
        certificate_file, key_file = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        if certificate_file.exists():
            private_key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            return Authority(cast("PrivateKey", private_key), certificate)
        authority = Authority.root(common_name, organisation, key=key)
        self._directory.mkdir(parents=True, exist_ok=True)
        key_file.touch(mode=0o600)
        key_file.write_bytes(authority.key_pem)
        certificate_file.write_bytes(authority.pem)  # last: where it stands, its key stands too
        return authority


def _texts(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]
