"""The certificate store: the roots of four domains and the Charge Point's own certificates with their keys.

Guaranteed: what is inside has passed the rules and needs no second check. Every change is on the disk when it is
reported as Accepted, and a power cut leaves the old store or the new one. After `open` nothing is read from the disk
again. A root vouches in its own domain only: a manufacturer root is never handed out for the Central System's tree, nor
does it sign a successor there (section 2.6.2).

Not done here: the rule of the successor (root_replacement.py), which root a connection rests on (the roof says so), and
whether a Charge Point certificate chains to a Central System root.

- The methods are synchronous and may be called from any thread: readers see one consistent picture, writers wait for
  each other.
- An outcome that a request foresees is an `Installation` or a `Deletion`; only `open` and `confirm_root` raise.
"""

import threading
from collections.abc import Callable, Iterator
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
from security.hash_data import CertificateHashData, HashAlgorithm, issuer_name_hash
from security.outcome import DeleteResult, Deletion, Installation, InstallResult
from security.root_replacement import Refusal, judge_authority
from security.secret import Secret
from security.shelf import Damage, PairShelf
from security.trust_tree import TrustTree

DEFAULT_MAX_ROOTS: Final = 20  #: certificates of all domains; default of CertificateStoreMaxLength
MAX_CHARGE_POINT_CERTIFICATES: Final = 10  #: certificates; one in use, one to come, some kept (A02.FR.10)


class CaDomain(StrEnum):
    """Whom a root vouches for; the value is the name of its directory.

    The Central System's roots vouch for Charge Point certificates too; those of CHARGE_POINT_ISSUER for nothing else.
    """

    CENTRAL_SYSTEM = "central_system"
    MANUFACTURER = "manufacturer"
    V2G = "v2g"
    MO = "mo"
    CHARGE_POINT_ISSUER = "charge_point_roots"


CHARGE_POINT: Final = "charge_point"
"""The name of the directory of the Charge Point's own certificates."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration says about roots; asked for at each installation.

    Attributes:
        max_roots: how many roots are taken, all domains together (CertificateStoreMaxLength).
        one_at_a_time: only one Central System root, and the next one signed by it (AdditionalRootCertificateCheck).
    """

    max_roots: int = DEFAULT_MAX_ROOTS
    one_at_a_time: bool = False


class CertificateStore:
    """All certificates that the Charge Point trusts or presents; made by `open`.

    Attributes:
        directory: where its files are.
        key_passphrase: opens private keys, and encrypts those that are stored; None where there is none.
        damage: the files that `open` could not use, for the log and for a security event.
    """

    def __init__(self, directory: Path, policy: Callable[[], Policy], key_passphrase: Secret | None = None) -> None:
        self.directory: Final = directory
        self.key_passphrase: Final = key_passphrase
        self.damage: tuple[Damage, ...] = ()
        self._policy = policy
        self._trees = {domain: TrustTree(directory / domain) for domain in CaDomain}
        self._pair_shelf = PairShelf(directory / CHARGE_POINT, key_passphrase)
        self._pairs: tuple[ClientCertificate, ...] = ()  # replaced as a whole, like the roots of a tree
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls, directory: Path, *, policy: Callable[[], Policy] = Policy, key_passphrase: Secret | None = None
    ) -> Self:
        """Read the store; a directory that is not there yet is an empty store.

        Args:
            directory: ``<state>/certificates``, owned by this process alone.
            policy: what the configuration says about roots, called from any thread.
            key_passphrase: as the attribute; a pair whose key it does not open is left alone and is in `damage`.

        Raises:
            DurableError: the directory cannot be read, or what a power cut left behind cannot be tidied up.
        """
        store = cls(directory, policy, key_passphrase)
        damage = [damaged for tree in store._trees.values() for damaged in tree.load()]
        store.damage = (*damage, *store._load_pairs())
        return store

    def roots(self, domain: CaDomain) -> tuple[Certificate, ...]:
        """Return the roots of one domain, oldest first, the fallback root too; never one of another domain."""
        return tuple(root.certificate for root in self._trees[domain].roots.roots)

    def root_pems(self, domain: CaDomain) -> tuple[bytes, ...]:
        """Return the roots that are in force as PEM, for a TLS context."""
        return tuple(root.certificate.pem.encode("ascii") for root in self._trees[domain].roots.in_force)

    @property
    def fallback_root(self) -> Certificate | None:
        """The Central System root that was replaced and stays until the new one works (M05.FR.11)."""
        fallback = self._trees[CaDomain.CENTRAL_SYSTEM].roots.fallback
        return fallback.certificate if fallback else None

    def hash_data(self, domain: CaDomain) -> tuple[CertificateHashData, ...]:
        """Name the roots of one domain as OCPP does (M03.FR.04), the fallback root too; in SHA-256."""
        return tuple(root.hash_data[HashAlgorithm.SHA256] for root in self._trees[domain].roots.roots)

    def charge_point_certificate(self, now: datetime | None) -> ClientCertificate | None:
        """Return the certificate to present, None if there is none: the newest that is valid (A02.FR.09).

        Args:
            now: the agent's time, None while its clock is not set.
        """
        return newest(self._pairs, now)

    @property
    def charge_point_certificates(self) -> tuple[ClientCertificate, ...]:
        """All Charge Point certificates with their keys, oldest first."""
        return self._pairs

    def listing(self) -> dict[str, list[dict[str, object]]]:
        """Return all that is installed, by domain, as plain data for people and for the control socket."""
        listed = {domain.value: [*_described_roots(tree)] for domain, tree in self._trees.items()}
        listed[CHARGE_POINT] = [_described(pair.leaf) | {"key_place": pair.key_place} for pair in self._pairs]
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
            certificate = parse_one(pem)
        except CertificateError as error:
            return Installation(InstallResult.INVALID_FORMAT, error.reason)
        remarks = tuple(remarks_of(certificate, Purpose.ROOT))
        if refusal := judge_authority(certificate, now):
            return refusal.of(certificate, remarks)
        with self._lock:
            policy = self._policy()
            outcome = self._trees[domain].install(
                certificate,
                now,
                one_at_a_time=policy.one_at_a_time and domain is CaDomain.CENTRAL_SYSTEM,  # M05.FR.08
                room=policy.max_roots - sum(len(tree.roots.roots) for tree in self._trees.values()),  # M05.FR.03
            )
        return replace(outcome, remarks=remarks)

    def delete_root(self, data: CertificateHashData, *, in_use: bytes | None = None) -> Deletion:
        """Delete the root that these hash data name, in every domain that it vouches for.

        The last one too: M04 allows it, and says what follows (docs/decisions/0063-what-a-deletion-finds.md).

        Args:
            data: in any of the three algorithms.
            in_use: the Central System root that the open connection rests on, DER; None where there is none.

        Returns:
            What became of it; Accepted when all of it is gone from the disk (M04.FR.02).
        """
        with self._lock:
            if any(_may_name(data, pair.leaf) for pair in self._pairs):  # M04.FR.05
                return Deletion(DeleteResult.FAILED, "it is the Charge Point certificate")
            found = [(domain, root) for domain, tree in self._trees.items() for root in tree.roots.named(data)]
            if not found:  # M04.FR.04
                return Deletion(DeleteResult.NOT_FOUND, "no root with these hash data is installed")
            if any(domain is CaDomain.CENTRAL_SYSTEM and root.certificate.der == in_use for domain, root in found):
                return Deletion(DeleteResult.FAILED, "the open connection rests on it")  # M04.FR.06
            for domain, root in found:
                if error := self._trees[domain].remove(root):  # M04.FR.03
                    return Deletion(DeleteResult.FAILED, str(error))
            return Deletion(DeleteResult.ACCEPTED, deleted=tuple(dict.fromkeys(root.certificate for _, root in found)))

    def confirm_root(self, der: bytes) -> Certificate | None:
        """Take note that a Central System root has verified a good connection.

        Args:
            der: the root.

        Returns:
            The fallback root that is gone because of it (M05.FR.12), None where none is.

        Raises:
            DurableError: the fallback root could not be removed; it stays.
        """
        with self._lock:
            return self._trees[CaDomain.CENTRAL_SYSTEM].confirm(der)

    def install_charge_point_certificate(
        self, chain_pem: str, key_pem: Secret, now: datetime | None, *, serial_number: str | None = None
    ) -> Installation:
        """Install a Charge Point certificate with its chain and its key, both or neither.

        It is presented at once if it is valid and the newest, else when it is so. The files of others stay.

        Args:
            chain_pem: the certificate and its intermediates, in any order, with or without the root.
            key_pem: the private key of the certificate, in PEM; encrypted, if at all, with `key_passphrase`.
            now: the agent's time, None while its clock is not set.
            serial_number: what the common name has to be (A00.FR.511); None takes any.

        Returns:
            What became of it; durable if Accepted, the store unchanged if not.
        """
        try:
            chain, key = match(parse_chain(chain_pem), key_pem, self.key_passphrase)
        except CertificateError as error:
            return Installation(InstallResult.INVALID_FORMAT, error.reason)
        remarks = tuple(remarks_of(chain[0], Purpose.CHARGE_POINT))
        outcome = Installation(InstallResult.ACCEPTED, certificate=chain[0], remarks=remarks)
        if refusal := _judge_leaf(chain[0], now, serial_number):
            return refusal.of(chain[0], remarks)
        with self._lock:
            pairs = self._pairs
            if any(pair.chain == chain for pair in pairs):
                return replace(outcome, is_new=False)
            others = tuple(pair for pair in pairs if pair.leaf != chain[0])
            if len(others) >= MAX_CHARGE_POINT_CERTIFICATES:
                reason = f"{len(others)} Charge Point certificates are installed already"
                return Refusal(InstallResult.CERTIFICATE_STORE_MAX_LENGTH_EXCEEDED, reason).of(chain[0], remarks)
            try:
                self._put_pair(others, chain, key)
            except DurableError as error:
                with suppress(DurableError):
                    self._load_pairs()  # show what is on the disk
                return Refusal(InstallResult.WRITE_ERROR, str(error)).of(chain[0], remarks)
            return outcome

    def remove_charge_point_certificate(self, pair: ClientCertificate) -> None:
        """Remove a Charge Point certificate with its chain and its key; one that is not there is no error.

        Raises:
            DurableError: it is still there, or its key is, which the next `open` collects.
        """
        with self._lock:
            try:
                self._pair_shelf.remove(pair)
            finally:
                self._load_pairs()

    def _put_pair(self, others: tuple[ClientCertificate, ...], chain: tuple[Certificate, ...], key: Secret) -> None:
        durable.make_directory(self.directory)
        pair = self._pair_shelf.put(chain, key)
        self._pairs = tuple(sorted((*others, pair), key=lambda each: each.leaf.rank))

    def _load_pairs(self) -> tuple[Damage, ...]:
        self._pairs, damage = self._pair_shelf.load()
        return damage


def _judge_leaf(leaf: Certificate, now: datetime | None, serial_number: str | None) -> Refusal | None:
    if serial_number is not None and leaf.common_names != (serial_number,):  # A00.FR.511
        reason = "its common name is not the serial number of this Charge Point"
        return Refusal(InstallResult.INVALID_COMMON_NAME, reason)
    faults = faults_of(leaf, now, Purpose.CHARGE_POINT)
    if not faults:
        return None
    expired = leaf.has_expired(now)
    return Refusal(InstallResult.EXPIRED if expired else InstallResult.INVALID_FORMAT, "; ".join(faults))


def _may_name(data: CertificateHashData, leaf: Certificate) -> bool:
    """Whether the issuer's name and the serial number fit: its key need not be known to tell that one is meant."""
    by_name = data.issuer_name_hash == issuer_name_hash(leaf, data.hash_algorithm)
    return by_name and data.serial_number == leaf.serial_number


def _described_roots(tree: TrustTree) -> Iterator[dict[str, object]]:
    roots = tree.roots
    for root in roots.roots:
        hash_data = root.hash_data[HashAlgorithm.SHA256].to_mapping()
        yield _described(root.certificate) | {"fallback": root == roots.fallback, "certificate_hash_data": hash_data}


def _described(certificate: Certificate) -> dict[str, object]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial_number": certificate.serial_number,
        "not_before": certificate.not_before.isoformat().replace("+00:00", "Z"),
        "not_after": certificate.not_after.isoformat().replace("+00:00", "Z"),
        "fingerprint": certificate.fingerprint,
    }
