"""What the factory or the installer puts in: certificates from files, each installed once.

Guaranteed: a certificate that was provisioned is remembered by its fingerprint, on the disk, so that a root which the
Central System has deleted since does not come back at the next start. Nothing is ever removed. What was refused is not
remembered: it is tried, and reported, again at each start, because a clock that was wrong may be right then.

Not done here: which files (settings), the rules (store.py).

The order is install, then remember: a power cut between the two installs the same certificate again, which changes
nothing; the other order would lose it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Self

from security import durable
from security.certificate import MAX_PEM_CHARACTERS, Certificate, parse_chain
from security.errors import CertificateError, DurableError
from security.outcome import Installation, InstallResult
from security.secret import Secret
from security.shelf import Damage
from security.store import CaDomain, CertificateStore

MAX_MEMORY_BYTES: Final = 1_048_576  #: bytes; ten thousand certificates

_MEMORY_NAME: Final = "provisioned.json"
_CHARGE_POINT: Final = "charge_point"


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What became of one certificate of one file.

    Attributes:
        file: the file that it came from.
        installation: the outcome; None if it had been provisioned before and was left alone.
    """

    file: Path
    installation: Installation | None


class Provisioning:
    """The certificates that were provisioned so far; made by `open`, used at the start before anything else.

    Attributes:
        damage: the memory itself, if it had to be set aside; what it held is then provisioned once more.
    """

    def __init__(self, store: CertificateStore) -> None:
        self._store = store
        self._path = store.directory / _MEMORY_NAME
        self._seen: frozenset[str] = frozenset()
        self.damage: Damage | None = None

    @classmethod
    def open(cls, store: CertificateStore) -> Self:
        """Read the memory that lies beside the store's certificates.

        Raises:
            DurableError: it cannot be read, or not be set aside if it is damaged.
        """
        provisioning = cls(store)
        provisioning._load()
        return provisioning

    def install_roots(self, domain: CaDomain, files: Sequence[Path], now: datetime | None) -> tuple[Provisioned, ...]:
        """Install the roots of these files that were not provisioned before; a file may hold several.

        Args:
            domain: whom they are to vouch for.
            files: PEM files, absolute.
            now: the agent's time, None while its clock is not set.

        Returns:
            One outcome for each certificate, or for a file that cannot be used; what is Accepted is on the disk.
        """
        outcomes: list[Provisioned] = []
        for file in files:
            try:
                roots = parse_chain(_text(file))
            except (CertificateError, DurableError) as error:
                outcomes.append(Provisioned(file, Installation(InstallResult.INVALID_FORMAT, str(error))))
                continue
            for root in roots:
                outcome = self._once(domain, root, partial(self._store.install_root, domain, root.pem, now))
                outcomes.append(Provisioned(file, outcome))
        return tuple(outcomes)

    def install_charge_point_certificate(
        self, certificate_file: Path, key_file: Path, now: datetime | None, *, serial_number: str | None = None
    ) -> Provisioned:
        """Install the Charge Point certificate of these files if it was not provisioned before.

        Args:
            certificate_file: the certificate and its intermediates in PEM.
            key_file: its private key in PEM; encrypted, if at all, with the store's passphrase.
            now: the agent's time, None while its clock is not set.
            serial_number: what its common name has to be (A00.FR.511); None takes any.
        """
        try:
            text = _text(certificate_file)
            first = parse_chain(text)[0]
        except (CertificateError, DurableError) as error:
            return Provisioned(certificate_file, Installation(InstallResult.INVALID_FORMAT, str(error)))

        def install() -> Installation:
            try:
                key = Secret(durable.read(key_file, limit_bytes=MAX_PEM_CHARACTERS))
            except DurableError as error:
                return Installation(InstallResult.INVALID_FORMAT, str(error))
            return self._store.install_charge_point_certificate(text, key, now, serial_number=serial_number)

        return Provisioned(certificate_file, self._once(_CHARGE_POINT, first, install))

    def _once(self, use: str, certificate: Certificate, install: Callable[[], Installation]) -> Installation | None:
        name = f"{use}/{certificate.fingerprint}"
        if name in self._seen:
            return None
        outcome = install()
        if not outcome.accepted:
            return outcome
        seen = self._seen | {name}
        try:
            durable.write(self._path, json.dumps(sorted(seen), indent=1).encode("ascii"))
        except DurableError as error:
            return replace(outcome, result=InstallResult.WRITE_ERROR, reason=str(error))
        self._seen = seen
        return outcome

    def _load(self) -> None:
        if not self._path.exists():
            return
        content = durable.read(self._path, limit_bytes=MAX_MEMORY_BYTES + 1)
        try:
            names = json.loads(content[:MAX_MEMORY_BYTES])
            self._seen = frozenset(name for name in _strings(names))
        except (ValueError, RecursionError):
            self.damage = Damage(
                durable.set_aside(self._path), "damaged and set aside: what was provisioned is not known"
            )


def _strings(names: object) -> Iterator[str]:
    if not isinstance(names, list):
        raise ValueError("not a list")
    for name in names:
        if not isinstance(name, str):
            raise ValueError("not a text")
        yield name


def _text(file: Path) -> str:
    return durable.read(file, limit_bytes=MAX_PEM_CHARACTERS + 1).decode("utf-8", errors="replace")
