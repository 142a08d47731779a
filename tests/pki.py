"""Certificates with every property at will, for the tests of the rules; a real PKI is in chargepoint/simulation/pki.py.

A `Made` certificate is good for what it is made for; a keyword breaks one thing.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from security.certificate import Certificate
from security.secret import Secret

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

SigningKey = (
    rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
Hash = hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    x509: x509.Certificate
    key: SigningKey

    @property
    def certificate(self) -> Certificate:
        return Certificate.of(self.x509)

    @property
    def pem(self) -> str:
        return self.x509.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> Secret:
        return Secret(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key; the same each time, because they are slow to make."""
    return rsa.generate_private_key(65537, bits)


@functools.cache
def dsa_key(bits: int) -> dsa.DSAPrivateKey:
    """A DSA key; the same each time."""
    return dsa.generate_private_key(bits)


def make(
    common_names: str | Sequence[str] = "CP001",
    *,
    organisation: str | None = "Example CPO",
    issuer: Made | None = None,
    key: SigningKey | None = None,
    public_key: x25519.X25519PublicKey | ec.EllipticCurvePublicKey | None = None,
    algorithm: Hash | None = None,
    serial_number: int | None = None,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + 365 * DAY,
    is_ca: bool | None = None,
    usages: Sequence[str] | None = ("digital_signature",),
    extensions: Sequence[x509.ExtensionType] = (),
) -> Made:
    """Make a certificate; self-signed where no issuer is given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = [common_names] if isinstance(common_names, str) else common_names
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]
    if organisation is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    subject = x509.Name(attributes)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.x509.subject if issuer else subject)
        .public_key(public_key or key.public_key())
        .serial_number(x509.random_serial_number() if serial_number is None else serial_number)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if is_ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    if usages is not None:
        builder = builder.add_extension(key_usage(*usages), critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    without_hash = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return Made(builder.sign(signer, None if without_hash else algorithm or hashes.SHA256()), key)


def make_root(
    name: str = "Example CPO Root",
    *,
    organisation: str | None = "Example CPO",
    issuer: Made | None = None,
    key: SigningKey | None = None,
    algorithm: Hash | None = None,
    serial_number: int | None = None,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + 3650 * DAY,
    is_ca: bool | None = True,
    usages: Sequence[str] | None = ("key_cert_sign", "crl_sign"),
) -> Made:
    """Make a certificate authority; a root where no issuer is given, else an intermediate."""
    return make(
        name,
        organisation=organisation,
        issuer=issuer,
        key=key,
        algorithm=algorithm,
        serial_number=serial_number,
        not_before=not_before,
        not_after=not_after,
        is_ca=is_ca,
        usages=usages,
    )


def key_usage(*names: str) -> x509.KeyUsage:
    """A KeyUsage extension that allows exactly what is named."""
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in names for name in every})


def signed_over(broken: hashes.MD5 | hashes.SHA1, made: Made, issuer: Made) -> Made:
    """The same certificate, signed over a broken hash, which no builder does any more; the issuer's key is RSA 2048."""
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    pkcs1 = bytes.fromhex("2a864886f70d0101")  # 1.2.840.113549.1.1; the last number says which hash
    names = {hashes.MD5: b"\x04", hashes.SHA1: b"\x05", hashes.SHA256: b"\x0b"}
    sound, unsound = pkcs1 + names[hashes.SHA256], pkcs1 + names[type(broken)]
    content = made.x509.tbs_certificate_bytes.replace(sound, unsound)
    signature = issuer.key.sign(content, padding.PKCS1v15(), broken)
    der = made.x509.public_bytes(Encoding.DER).replace(sound, unsound)[: -len(signature)] + signature
    return Made(x509.load_der_x509_certificate(der), made.key)
