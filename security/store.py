"""The certificate store: the roots of four domains and the Charge Point's own certificates with their keys.

Guaranteed: what is inside has passed the rules and needs no second check. Every change is on the disk when it is
reported as Accepted, and a power cut leaves the old store or the new one. After `open` nothing is read from the disk
again. A root vouches in its own domain only: a manufacturer root is never handed out for the Central System's tree
(section 2.6.2).

Not done here: certificates that are not self-signed (the successor of a root), deletion, the fallback root, and whether
a Charge Point certificate chains to a Central System root.

- The methods are synchronous and may be called from any thread: readers see one consistent picture, writers wait for
  each other.
- An outcome that a request foresees is an `Installation`; only `open` raises.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from security import durable
from security.certificate import Certificate, Purpose, faults_of, parse_chain, parse_one, remarks_of
from security.client_certificate import ClientCertificate, match, newest
from security.errors import CertificateError, DurableError
from security.hash_data import CertificateHashData
from security.secret import Secret
from security.shelf import Damage, PairShelf, RootShelf

DEFAULT_MAX_ROOTS: Final = 20  #: certificates of all domains; default of CertificateStoreMaxLength
MAX_CHARGE_POINT_CERTIFICATES: Final = 10  #: certificates; one in use, one to come, some kept (A02.FR.10)


class CaDomain(StrEnum):
    """Whom a root vouches for; the value is the name of its directory."""

    CENTRAL_SYSTEM = "central_system"
    MANUFACTURER = "manufacturer"
    V2G = "v2g"
    MO = "mo"


_CHARGE_POINT: Final = "charge_point"


class InstallResult(StrEnum):
    """The outcome of an installation, under the names of the `evse_security` interface."""

    ACCEPTED = "Accepted"
    INVALID_SIGNATURE = "InvalidSignature"
    INVALID_CERTIFICATE_CHAIN = "InvalidCertificateChain"
    INVALID_FORMAT = "InvalidFormat"
    INVALID_COMMON_NAME = "InvalidCommonName"
    NO_ROOT_CERTIFICATE_INSTALLED = "NoRootCertificateInstalled"
    EXPIRED = "Expired"
    CERTIFICATE_STORE_MAX_LENGTH_EXCEEDED = "CertificateStoreMaxLengthExceeded"
    WRITE_ERROR = "WriteError"


@dataclass(frozen=True, slots=True)
class Installation:
    """What became of a certificate that was to be installed.

    Attributes:
        result: the outcome; the store is unchanged unless it is Accepted.
        reason: why it was refused, in one line; empty if it was not.
        certificate: what it was about, the leaf of a chain; None if it could not be read.
        remarks: what the white paper advises against in it, for the log; one line each.
    """

    result: InstallResult
    reason: str = ""
    certificate: Certificate | None = None
    remarks: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether it is installed, and on the disk."""
        return self.result is InstallResult.ACCEPTED


@dataclass(frozen=True, slots=True)
class _Contents:
    """One consistent picture of the store; replaced as a whole, so that readers need no lock."""

    roots: Mapping[CaDomain, tuple[Certificate, ...]]
    pairs: tuple[ClientCertificate, ...]


class CertificateStore:
    """All certificates that the Charge Point trusts or presents; made by `open`.

    Attributes:
        directory: where its files are.
        damage: the files that `open` could not use, for the log and for a security event.
    """

    def __init__(self, directory: Path, max_roots: int) -> None:
        self.directory: Final = directory
        self.damage: tuple[Damage, ...] = ()
        self._max_roots = max_roots
        self._root_shelves = {domain: RootShelf(directory / domain) for domain in CaDomain}
        self._pair_shelf = PairShelf(directory / _CHARGE_POINT)
        self._lock = threading.Lock()
        self._contents = _Contents(dict.fromkeys(CaDomain, ()), ())

    @classmethod
    def open(cls, directory: Path, *, max_roots: int = DEFAULT_MAX_ROOTS) -> Self:
        """Read the store; a directory that is not there yet is an empty store.

        Args:
            directory: ``<state>/certificates``, owned by this process alone.
            max_roots: how many roots are taken, all domains together (CertificateStoreMaxLength).

        Raises:
            DurableError: the directory cannot be read, or what a power cut left behind cannot be tidied up.
        """
        store = cls(directory, max_roots)
        store.damage = store._load()
        return store

    def roots(self, domain: CaDomain) -> tuple[Certificate, ...]:
        """Return the roots of one domain, oldest first; never one of another domain."""
        return self._contents.roots[domain]

    def root_pems(self, domain: CaDomain) -> tuple[bytes, ...]:
        """Return the same as PEM, for a TLS context."""
        return tuple(root.pem.encode("ascii") for root in self.roots(domain))

    def charge_point_certificate(self, now: datetime | None) -> ClientCertificate | None:
        """Return the certificate to present, None if there is none: the newest that is valid (A02.FR.09).

        Args:
            now: the agent's time, None while its clock is not set.
        """
        return newest(self._contents.pairs, now)

    def listing(self) -> dict[str, list[dict[str, object]]]:
        """Return all that is installed, by domain, as plain data for people and for the control socket."""
        contents = self._contents
        listed = {
            domain.value: [
                _described(root) | {"certificate_hash_data": CertificateHashData.compute(root, root).to_mapping()}
                for root in roots
            ]
            for domain, roots in contents.roots.items()
        }
        listed[_CHARGE_POINT] = [_described(pair.leaf) for pair in contents.pairs]
        return listed

    def install_root(self, domain: CaDomain, pem: str, now: datetime | None) -> Installation:
        """Install one root; the same one again is Accepted and stored once.

        Args:
            domain: whom it is to vouch for.
            pem: text with exactly one certificate (M05.FR.06).
            now: the agent's time, None while its clock is not set.

        Returns:
            What became of it; durable if Accepted (M05.FR.02), the store unchanged if not.
        """
        try:
            root = parse_one(pem)
        except CertificateError as error:
            return Installation(InstallResult.INVALID_FORMAT, error.reason)
        result, reason = _judge_root(root, now)
        outcome = Installation(result, reason, root, tuple(remarks_of(root, Purpose.ROOT)))
        if not outcome.accepted:
            return outcome
        with self._lock:
            roots = self._contents.roots
            if root in roots[domain]:
                return outcome
            if sum(map(len, roots.values())) >= self._max_roots:  # M05.FR.03
                return _full(outcome, f"{self._max_roots} root certificates are installed already")

            def put() -> _Contents:
                self._root_shelves[domain].put(root)
                shelf = tuple(sorted((*roots[domain], root), key=lambda one: one.rank))
                return replace(self._contents, roots={**roots, domain: shelf})

            return self._change(put, outcome)

    def install_charge_point_certificate(
        self, chain_pem: str, key_pem: Secret, now: datetime | None, *, serial_number: str | None = None
    ) -> Installation:
        """Install a Charge Point certificate with its chain and its key, both or neither.

        It is presented at once if it is valid and the newest, else when it is so. The files of others stay.

        Args:
            chain_pem: the certificate and its intermediates, in any order, with or without the root.
            key_pem: the private key of the certificate, in PEM, not encrypted.
            now: the agent's time, None while its clock is not set.
            serial_number: what the common name has to be (A00.FR.511); None takes any.

        Returns:
            What became of it; durable if Accepted, the store unchanged if not.
        """
        try:
            chain, key = match(parse_chain(chain_pem), key_pem)
        except CertificateError as error:
            return Installation(InstallResult.INVALID_FORMAT, error.reason)
        result, reason = _judge_leaf(chain[0], now, serial_number)
        outcome = Installation(result, reason, chain[0], tuple(remarks_of(chain[0], Purpose.CHARGE_POINT)))
        if not outcome.accepted:
            return outcome
        with self._lock:
            pairs = self._contents.pairs
            if any(pair.chain == chain for pair in pairs):
                return outcome
            others = tuple(pair for pair in pairs if pair.leaf != chain[0])
            if len(others) >= MAX_CHARGE_POINT_CERTIFICATES:
                return _full(outcome, f"{len(others)} Charge Point certificates are installed already")

            def put() -> _Contents:
                shelf = sorted((*others, self._pair_shelf.put(chain, key)), key=lambda pair: pair.leaf.rank)
                return replace(self._contents, pairs=tuple(shelf))

            return self._change(put, outcome)

    def _change(self, put: Callable[[], _Contents], outcome: Installation) -> Installation:
        """Write to the disk, then show it; if the disk fails, show what is on it."""
        try:
            durable.make_directory(self.directory)
            self._contents = put()
        except DurableError as error:
            with suppress(DurableError):
                self._load()
            return replace(outcome, result=InstallResult.WRITE_ERROR, reason=str(error))
        return outcome

    def _load(self) -> tuple[Damage, ...]:
        roots: dict[CaDomain, tuple[Certificate, ...]] = {}
        damage: list[Damage] = []
        for domain, shelf in self._root_shelves.items():
            roots[domain], set_aside = shelf.load()
            damage.extend(set_aside)
        pairs, set_aside = self._pair_shelf.load()
        self._contents = _Contents(roots, pairs)
        return (*damage, *set_aside)


def _judge_root(root: Certificate, now: datetime | None) -> tuple[InstallResult, str]:
    if not root.is_ca or not root.is_self_issued:
        return InstallResult.INVALID_CERTIFICATE_CHAIN, "it is not a root: a certificate authority signed by itself"
    result, reason = _judge(root, now, Purpose.ROOT)
    if result is InstallResult.ACCEPTED and not root.is_signed_by(root):
        return InstallResult.INVALID_SIGNATURE, "its signature was not made by its own key"
    return result, reason


def _judge_leaf(leaf: Certificate, now: datetime | None, serial_number: str | None) -> tuple[InstallResult, str]:
    if serial_number is not None and leaf.common_names != (serial_number,):  # A00.FR.511
        return InstallResult.INVALID_COMMON_NAME, "its common name is not the serial number of this Charge Point"
    return _judge(leaf, now, Purpose.CHARGE_POINT)


def _judge(certificate: Certificate, now: datetime | None, purpose: Purpose) -> tuple[InstallResult, str]:
    faults = faults_of(certificate, now, purpose)
    if not faults:
        return InstallResult.ACCEPTED, ""
    result = InstallResult.EXPIRED if certificate.has_expired(now) else InstallResult.INVALID_FORMAT
    return result, "; ".join(faults)


def _full(outcome: Installation, reason: str) -> Installation:
    return replace(outcome, result=InstallResult.CERTIFICATE_STORE_MAX_LENGTH_EXCEEDED, reason=reason)


def _described(certificate: Certificate) -> dict[str, object]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial_number": certificate.serial_number,
        "not_before": certificate.not_before.isoformat().replace("+00:00", "Z"),
        "not_after": certificate.not_after.isoformat().replace("+00:00", "Z"),
        "fingerprint": certificate.fingerprint,
    }
