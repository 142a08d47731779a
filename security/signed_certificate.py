"""Judges what CertificateSigned.req brings: whether it is the certificate that was asked for (A02.FR.06, A03.FR.06).

Looked at are the length (CertificateSignedMaxChainSize), the public key, the common name, validity and properties of
section 2.6.1, what it says it is good for, and membership of the CPO tree of section 2.6.2.

Other differences between the subject that was asked for and the one that came are an authority's freedom: they are
remarks for the log.

Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from security.certificate import Certificate, Purpose, faults_of, parse_chain
from security.chain import find_path
from security.errors import CertificateError
from security.keys import fingerprint, read_key
from security.secret import Secret


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a signed certificate is held against.

    Attributes:
        key: the private key of the request that waits for it, or the name of one; None where none waits.
        csr: that request.
        serial_number: of the Charge Point.
        roots: who may vouch for it.
        max_characters: the value of CertificateSignedMaxChainSize.
        key_passphrase: opens the key if it is encrypted.
    """

    key: Secret | None
    csr: str
    serial_number: str
    roots: Sequence[Certificate]
    max_characters: int
    key_passphrase: Secret | None = None


def judge(text: str, wanted: Expectation, now: datetime | None) -> tuple[Certificate, tuple[str, ...]]:
    """Find the certificate that was asked for and judge it.

    Args:
        text: certificateChain: the certificate and its issuers in any order, with or without the root.
        wanted: what was asked for.
        now: the agent's time, None while its clock is not set.

    Returns:
        The certificate, and what is odd about it; one line each.

    Raises:
        CertificateError: why it is not acceptable.
    """
    if len(text) > wanted.max_characters:
        raise CertificateError(f"the chain is longer than {wanted.max_characters} characters")
    certificates = parse_chain(text)
    if wanted.key is None:
        raise CertificateError("no certificate request waits for it")
    public_key, _ = read_key(wanted.key, wanted.key_passphrase)
    leaf = next((one for one in certificates if fingerprint(one.public_key) == public_key), None)
    if leaf is None:
        raise CertificateError("its public key is not that of the certificate request")
    if leaf.common_names != (wanted.serial_number,):  # A00.FR.511
        raise CertificateError("its common name is not the serial number of this Charge Point")
    if faults := faults_of(leaf, now, Purpose.CHARGE_POINT):
        raise CertificateError("; ".join(faults))
    if not _may_authenticate_clients(leaf):
        raise CertificateError("its ExtendedKeyUsage does not allow its use as a TLS client certificate")
    find_path(leaf, [one for one in certificates if one != leaf], wanted.roots, now)
    return leaf, tuple(_differences(leaf, wanted.csr))


def _may_authenticate_clients(leaf: Certificate) -> bool:
    try:
        usages = leaf.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


def _differences(leaf: Certificate, csr: str) -> Iterator[str]:
    asked = x509.load_pem_x509_csr(csr.encode("ascii")).subject
    if {*asked} != {*leaf.x509.subject}:
        yield f"{asked.rfc4514_string()} was asked for as the subject, {leaf.subject} came"
