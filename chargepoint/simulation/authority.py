"""A certificate authority of the simulation and what it issues.

Every certificate is right by default (A00.FR.501 to 512): a strong key, ECDSA or RSA-PSS with SHA-256, a serial number,
an organisation, a KeyUsage that limits it. A test makes exactly one property wrong by naming it.

Not done here: which authorities exist (pki.py), who tells what was revoked (responder.py).

No code is shared with the agent's own certificate code, so that a common mistake cannot pass.
"""

import ssl
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID, ObjectIdentifier

KeyKind = Literal["ec", "rsa"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
CODE_SIGNING: Final = ExtendedKeyUsageOID.CODE_SIGNING
OCSP_SIGNING: Final = ExtendedKeyUsageOID.OCSP_SIGNING

ROOT_LIFE: Final = timedelta(days=7300)  #: validity of a root; roots in the field live 10 to 30 years
LEAF_LIFE: Final = timedelta(days=365)  #: validity of a leaf; A03 renews in the last month, so a year shows both states
BACKDATED: Final = timedelta(days=1)  #: how long ago a validity begins; a device's clock may lag behind ours
RSA_BITS: Final = 2048  #: bits; the least that A00.FR.502 allows
WEAK_RSA_BITS: Final = 1024  #: bits; against A00.FR.502, and the least that `cryptography` generates


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its chain and, where the authority made the key pair, its private key.

    Attributes:
        certificate_pem: the leaf alone.
        key_pem: PKCS #8 without a passphrase; empty where the key stays with whoever sent the request.
        chain_pem: the leaf and the intermediates above it, without the root.
    """

    certificate_pem: bytes
    key_pem: bytes
    chain_pem: bytes

    @property
    def x509(self) -> x509.Certificate:
        """The leaf, parsed."""
        return x509.load_pem_x509_certificate(self.certificate_pem)

    def write(self, directory: Path, name: str = "certificate") -> tuple[Path, Path]:
        """Write ``name.pem`` (the chain) and ``name.key`` (mode 0600) and return both paths."""
        certificate_file, key_file = directory / f"{name}.pem", directory / f"{name}.key"
        certificate_file.write_bytes(self.chain_pem)
        key_file.touch(mode=0o600)
        key_file.write_bytes(self.key_pem)
        return certificate_file, key_file

    def load_into(self, context: ssl.SSLContext) -> None:
        """Make the context present this certificate; the files that `ssl` insists on are gone afterwards."""
        with tempfile.TemporaryDirectory() as directory:
            context.load_cert_chain(*self.write(Path(directory)))


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Whom a certificate names as those who know about its revocation: addresses of OCSP responders and of CRLs."""

    ocsp: tuple[str, ...] = ()
    crl: tuple[str, ...] = ()

    def extensions(self) -> Iterable[x509.ExtensionType]:
        """Yield the extensions that say so."""
        if self.ocsp:
            method = AuthorityInformationAccessOID.OCSP
            yield x509.AuthorityInformationAccess([x509.AccessDescription(method, _url(each)) for each in self.ocsp])
        if self.crl:
            points = [x509.DistributionPoint([_url(each)], None, None, None) for each in self.crl]
            yield x509.CRLDistributionPoints(points)


@dataclass(frozen=True, slots=True)
class Revoked:
    """That a certificate was revoked.

    Attributes:
        at: since when.
        reason: the reason code of RFC 5280, None for none.
    """

    at: datetime
    reason: x509.ReasonFlags | None = None


@dataclass(frozen=True, slots=True)
class Validity:
    """A span of time, aware UTC; a missing end is filled from the life given."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, not_before: datetime | None, not_after: datetime | None, life: timedelta) -> "Validity":
        """Fill what is missing: from yesterday on, for `life` counted from now; never an inverted span."""
        now = datetime.now(UTC).replace(microsecond=0)
        if not_before is None:
            not_before = now - BACKDATED if not_after is None else min(now, not_after) - BACKDATED
        return cls(not_before, not_after or max(now, not_before) + life)


def generate_key(kind: KeyKind = "ec", *, weak: bool = False) -> PrivateKey:
    """Make a key pair: P-256 or RSA 2048; `weak` gives P-192 or RSA 1024, against A00.FR.502 and 503."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP192R1() if weak else ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=WEAK_RSA_BITS if weak else RSA_BITS)


def subject_name(common_name: str | None, organisation: str | None) -> x509.Name:
    """Build a subject of O (A00.FR.509) and CN (A00.FR.510, A00.FR.511); None leaves that part out."""
    parts = ((NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, common_name))
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text is not None])


class Authority:
    """A root or intermediate CA: issues leaves and intermediates below itself.

    Args:
        key: its private key.
        certificate: its certificate.
        intermediates: PEM of the CA certificates that a leaf's chain needs, nearest first, without the root.

    Attributes:
        whereabouts: whom its certificates name from now on as those who know what was revoked; nobody at first.
        revoked: what was revoked, by serial number.
    """

    def __init__(self, key: PrivateKey, certificate: x509.Certificate, intermediates: bytes = b"") -> None:
        self.key = key
        self.certificate = certificate
        self.intermediates = intermediates
        self.whereabouts = Whereabouts()
        self.revoked: dict[int, Revoked] = {}

    @classmethod
    def root(
        cls,
        common_name: str,
        organisation: str,
        *,
        key: KeyKind = "ec",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> "Authority":
        """Create a self-signed root."""
        private_key = generate_key(key)
        name = subject_name(common_name, organisation)
        builder = _builder(name, name, private_key.public_key(), Validity.of(not_before, not_after, ROOT_LIFE))
        return cls(private_key, _sign(_as_authority(builder, private_key, path_length=None), private_key))

    @property
    def pem(self) -> bytes:
        """The authority's own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The authority's private key, PKCS #8 without a passphrase."""
        return private_key_pem(self.key)

    def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags | None = None) -> None:
        """Take back what it has issued, from now on."""
        self.revoked[certificate.serial_number] = Revoked(datetime.now(UTC).replace(microsecond=0), reason)

    def intermediate(self, common_name: str, organisation: str, *, key: KeyKind = "ec") -> "Authority":
        """Create a CA below this one; it may issue leaves only."""
        private_key = generate_key(key)
        validity = Validity(self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc)
        name = subject_name(common_name, organisation)
        builder = _builder(name, self.certificate.subject, private_key.public_key(), validity)
        builder = _naming(builder, self.whereabouts)
        certificate = _sign(_as_authority(builder, self.key, path_length=0), self.key)
        own_pem = certificate.public_bytes(serialization.Encoding.PEM)
        return Authority(private_key, certificate, own_pem + self.intermediates)

    def issue(
        self,
        subject: x509.Name,
        *,
        usages: Sequence[ObjectIdentifier],
        key: PrivateKey | PublicKey,
        san: Iterable[str] = (),
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        self_signed: bool = False,
    ) -> Issued:
        """Issue a leaf.

        Args:
            subject: its subject.
            usages: extended key usages; none: the extension is left out.
            key: the leaf's key pair, or only its public key (then `Issued.key_pem` is empty).
            san: dNSNames; none by default, as A00.FR.511 advises.
            not_before: begin of its validity; by default yesterday.
            not_after: end of its validity; by default in a year.
            self_signed: the leaf signs itself and this authority has no part in it.
        """
        private_key = None if isinstance(key, PublicKey) else key
        public_key = key if isinstance(key, PublicKey) else key.public_key()
        signer, issuer, above = self.key, self.certificate.subject, self.intermediates
        if self_signed:
            if private_key is None:
                raise ValueError("a self-signed certificate needs its private key")
            signer, issuer, above = private_key, subject, b""
        builder = _builder(subject, issuer, public_key, Validity.of(not_before, not_after, LEAF_LIFE))
        if not self_signed:
            builder = _naming(builder, self.whereabouts)
        builder = _as_leaf(builder, signer, usages, tuple(san), encipher=isinstance(public_key, rsa.RSAPublicKey))
        pem = _sign(builder, signer).public_bytes(serialization.Encoding.PEM)
        return Issued(pem, private_key_pem(private_key) if private_key else b"", pem + above)


def private_key_pem(key: PrivateKey) -> bytes:
    """Serialise a private key as PKCS #8 without a passphrase."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())  # A00.FR.508
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _naming(builder: x509.CertificateBuilder, whereabouts: Whereabouts) -> x509.CertificateBuilder:
    for extension in whereabouts.extensions():
        builder = builder.add_extension(extension, critical=False)
    return builder


def _url(address: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(address)


def _as_authority(
    builder: x509.CertificateBuilder, signer: PrivateKey, path_length: int | None
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True, digital_signature=True), critical=True)
        .add_extension(_authority_key_identifier(signer), critical=False)
    )


def _as_leaf(
    builder: x509.CertificateBuilder,
    signer: PrivateKey,
    usages: Sequence[ObjectIdentifier],
    san: Sequence[str],
    *,
    encipher: bool,
) -> x509.CertificateBuilder:
    # The static RSA suites of A00.FR.317 let the client encrypt the premaster secret with the server's key.
    usage = _key_usage(digital_signature=True, key_encipherment=encipher)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)  # A00.FR.512
        .add_extension(_authority_key_identifier(signer), critical=False)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in san]), critical=False)
    return builder


def _authority_key_identifier(signer: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_encipherment=key_encipherment,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    if isinstance(key, rsa.RSAPrivateKey):  # A00.FR.505: RSA-PSS or ECDSA; A00.FR.506: SHA-256
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        return builder.sign(key, hashes.SHA256(), rsa_padding=pss)
    return builder.sign(key, hashes.SHA256())
