"""The Charge Point's own certificate: its chain and the private key that fits, as the TLS client presents them.

Guaranteed: in a chain that `match` has accepted, the leaf is first, each certificate is signed by the next one, and the
key is the leaf's.

Not done here: files, dates and properties (certificate.py), whether a Central System will trust the chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from security.certificate import Certificate
from security.errors import CertificateError
from security.keys import fingerprint, read_key
from security.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """An installed Charge Point certificate; both files lie in the certificate store.

    Attributes:
        certificate_file: the chain in PEM, leaf first.
        key_file: the private key in PEM, encrypted or not, or the name of one that lives in hardware.
        chain: the chain, leaf first.
        key_place: where the private key lives, in a word, for people.
        key_passphrase: opens the key file if it is encrypted; None where there is none.
    """

    certificate_file: Path
    key_file: Path
    chain: tuple[Certificate, ...]
    key_place: str = "file"
    key_passphrase: Secret | None = field(default=None, repr=False)

    @property
    def leaf(self) -> Certificate:
        """The Charge Point's own certificate."""
        return self.chain[0]


def match(
    certificates: Sequence[Certificate], key_pem: Secret, passphrase: Secret | None = None
) -> tuple[tuple[Certificate, ...], Secret]:
    """Find the certificate that the key belongs to and put its issuers behind it.

    Args:
        certificates: in any order, with or without the root.
        key_pem: the private key in PEM, or the name of one that lives in hardware.
        passphrase: opens the key if it is encrypted, and encrypts what is stored; None where there is none.

    Returns:
        The chain, leaf first and without the root, which the peer has or does not trust, and the key as it is stored.

    Raises:
        KeyLocked: the key is encrypted, and the passphrase does not open it.
        CertificateError: the key cannot be read or fits none of them, or one of them does not belong to the chain.
    """
    public_key, normal = read_key(key_pem, passphrase)
    leaf = next((one for one in certificates if fingerprint(one.public_key) == public_key), None)
    if leaf is None:
        raise CertificateError("the private key belongs to none of the certificates")
    return _chained(leaf, [one for one in dict.fromkeys(certificates) if one != leaf]), normal


def newest(pairs: Sequence[ClientCertificate], now: datetime | None, *, latest: str = "") -> ClientCertificate | None:
    """Choose the certificate to present: the newest by notBefore of those that are valid (A02.FR.09, A02.FR.08).

    Where none is valid, the one that was so last is presented all the same, else the one that will be so first: the
    Central System judges it, and a Charge Point that presents nothing has locked itself out.

    Args:
        pairs: all that is installed.
        now: the agent's time; None while its clock is not set: then no date counts but notBefore.
        latest: fingerprint of the one that came last: it wins where an authority begins all of a day at its midnight.
    """

    def rank(pair: ClientCertificate) -> tuple[bool, bool, float, bool]:
        leaf, began_at = pair.leaf, pair.leaf.not_before.timestamp()
        begun = leaf.has_begun(now)
        valid = begun and not leaf.has_expired(now)
        return valid, begun, began_at if begun else -began_at, leaf.fingerprint == latest

    return max(pairs, key=rank, default=None)


def _chained(leaf: Certificate, others: list[Certificate]) -> tuple[Certificate, ...]:
    chain = [leaf]
    while (issuer := next((one for one in others if chain[-1].is_signed_by(one)), None)) is not None:
        others.remove(issuer)
        chain.append(issuer)
    if others:
        raise CertificateError(f"{len(others)} of the certificates did not sign the Charge Point certificate's chain")
    if len(chain) > 1 and chain[-1].is_self_issued:
        chain.pop()
    return tuple(chain)
