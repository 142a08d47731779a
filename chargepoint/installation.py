"""Certificates that come and go: provisioned at the start, by a local command, or by order of the Central System.

The store judges and keeps them (security/store.py); here is what a certificate is meant for in the words of the
command line, and that each change of what is trusted is recorded as a security event (section 8:
ReconfigurationOfSecurityParameters). The rules are the same at every door.

Tasks: a change that has begun goes on to its end, its event included, when whoever wanted it is cancelled.
"""

import asyncio
import functools
import logging
from collections.abc import Coroutine
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from chargepoint.clock import Clock
from chargepoint.configuration import Origin
from chargepoint.events import EventDoor
from chargepoint.settings import ChargePointSettings, ProvisioningSettings
from security.errors import DurableError
from security.event import SecurityEventType
from security.hash_data import CertificateHashData
from security.outcome import DeleteResult, Deletion, Installation
from security.provisioning import Provisioned, Provisioning
from security.secret import Secret
from security.store import CaDomain, CertificateStore

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Use(StrEnum):
    """What a certificate is installed as."""

    CENTRAL_SYSTEM_ROOT = "central-system-root"
    MANUFACTURER_ROOT = "manufacturer-root"
    CHARGE_POINT_ROOT = "charge-point-root"
    CHARGE_POINT_CERTIFICATE = "charge-point-certificate"


_DOMAINS: Final = {
    Use.CENTRAL_SYSTEM_ROOT: CaDomain.CENTRAL_SYSTEM,
    Use.MANUFACTURER_ROOT: CaDomain.MANUFACTURER,
    Use.CHARGE_POINT_ROOT: CaDomain.CHARGE_POINT_ISSUER,
}

# What M04 says of the last root of each kind.
_WITHOUT_ROOT: Final = {
    Use.CENTRAL_SYSTEM_ROOT: "no CentralSystemRootCertificate is installed: no Central System is let in over TLS",
    Use.MANUFACTURER_ROOT: "no ManufacturerRootCertificate is installed: no signed firmware can be installed",
}


class Installer:
    """The one door to the certificate store for whoever changes it.

    Args:
        certificates: the store.
        events: told of what was installed.
        clock: says what is valid.
        charge_point: its serial number is the common name that a Charge Point certificate must bear (A00.FR.511).
    """

    def __init__(
        self, certificates: CertificateStore, events: EventDoor, clock: Clock, charge_point: ChargePointSettings
    ) -> None:
        self._certificates = certificates
        self._events = events
        self._clock = clock
        self._serial_number = charge_point.serial_number
        self._changes: set[asyncio.Task[Any]] = set()

    def installed(self, use: Use) -> tuple[CertificateHashData, ...]:
        """Name the roots of one kind as OCPP does, without a look at the disk (M03.FR.04)."""
        return self._certificates.hash_data(_DOMAINS[use])

    def notes(self) -> list[str]:
        """Say what is odd about the certificates that are installed, for people; one line each."""
        notes = [text for use, text in _WITHOUT_ROOT.items() if not self.installed(use)]
        if (fallback := self._certificates.fallback_root) is not None:
            notes.append(f"the fallback root stays until the new root has verified a connection: {fallback.subject}")
        return notes

    async def install(
        self, use: Use, pem: str, key: Secret | None = None, *, origin: Origin = Origin.LOCAL
    ) -> Installation:
        """Install one certificate, durably if accepted.

        Args:
            use: what it is installed as.
            pem: one root; or the Charge Point certificate with its chain.
            key: its private key, PEM; for a Charge Point certificate only.
            origin: who wants it.

        Raises:
            ValueError: a key is missing, or given where none belongs.
            StateUnusable: it cannot be kept; the store is as before.
        """
        if (use is Use.CHARGE_POINT_CERTIFICATE) != (key is not None):
            raise ValueError("a Charge Point certificate comes with its private key, a root without one")
        return await self._finish(self._install(use, pem, key, origin))

    async def delete_root(self, data: CertificateHashData, *, in_use: bytes | None, origin: Origin) -> Deletion:
        """Delete a root, durably if accepted (M04).

        Args:
            data: names it.
            in_use: the root that the open connection rests on, DER; None where there is none (M04.FR.06).
            origin: who wants it.
        """
        return await self._finish(self._delete_root(data, in_use, origin))

    async def confirm_root(self, der: bytes | None) -> None:
        """Take note of a good connection; the fallback root goes when the new one has verified it (M05.FR.12).

        Args:
            der: the installed root that it rests on, None where there is none.
        """
        if der is not None:
            await self._finish(self._confirm_root(der))

    async def close(self) -> None:
        """Wait for the changes that have begun."""
        if self._changes:
            await asyncio.wait(self._changes)

    async def provision(self, settings: ProvisioningSettings) -> None:
        """Install what config.toml provides and was not seen before; what is refused is a line in the log.

        Args:
            settings: the table ``[provisioning]``.
        """
        try:
            outcomes = await asyncio.to_thread(self._provision, settings)
        except DurableError as error:
            _log.error("the provisioned certificates cannot be installed: %s", error)
            return
        for use, provisioned in outcomes:
            if provisioned.installation is None:
                continue
            if not provisioned.installation.accepted:
                _log.error("%s is not installed as %s: %s", provisioned.file, use, provisioned.installation.reason)
            await self._note(use, provisioned.installation, Origin.LOCAL)

    def _provision(self, settings: ProvisioningSettings) -> list[tuple[Use, Provisioned]]:
        provisioning = Provisioning.open(self._certificates)
        if provisioning.damage is not None:
            _log.error("%s", provisioning.damage)
        now = self._now()
        outcomes = [
            (use, provisioned)
            for use, files in (
                (Use.CENTRAL_SYSTEM_ROOT, settings.central_system_roots),
                (Use.MANUFACTURER_ROOT, settings.manufacturer_roots),
                (Use.CHARGE_POINT_ROOT, settings.charge_point_roots),
            )
            for provisioned in provisioning.install_roots(_DOMAINS[use], files, now)
        ]
        if settings.certificate is not None and settings.private_key is not None:
            own = provisioning.install_charge_point_certificate(
                settings.certificate, settings.private_key, now, serial_number=self._serial_number
            )
            outcomes.append((Use.CHARGE_POINT_CERTIFICATE, own))
        return outcomes

    async def _install(self, use: Use, pem: str, key: Secret | None, origin: Origin) -> Installation:
        certificates, now = self._certificates, self._now()
        if key is None:
            outcome = await asyncio.to_thread(certificates.install_root, _DOMAINS[use], pem, now)
        else:
            install = functools.partial(
                certificates.install_charge_point_certificate, pem, key, now, serial_number=self._serial_number
            )
            outcome = await asyncio.to_thread(install)
        await self._note(use, outcome, origin)
        return outcome

    async def _delete_root(self, data: CertificateHashData, in_use: bytes | None, origin: Origin) -> Deletion:
        before = self.notes()
        outcome = await asyncio.to_thread(self._certificates.delete_root, data, in_use=in_use)
        if outcome.result is not DeleteResult.ACCEPTED:
            return outcome
        for certificate in outcome.deleted:
            await self._record(f"root deleted {_by(origin)}: {certificate.subject}")
        for note in self.notes():
            if note not in before:  # M04 allows the last one to go; that must not pass in silence
                _log.warning("%s", note)
        return outcome

    async def _confirm_root(self, der: bytes) -> None:
        try:
            gone = await asyncio.to_thread(self._certificates.confirm_root, der)
        except DurableError as error:
            _log.error("the fallback root stays until the next connection: %s", error)
            return
        if gone is not None:
            await self._record(f"fallback root removed because the new root has verified a connection: {gone.subject}")

    async def _note(self, use: Use, outcome: Installation, origin: Origin) -> None:
        """Record what was installed and what went for it, and log what is odd about it."""
        if not outcome.accepted or not outcome.is_new or outcome.certificate is None:
            return
        for remark in outcome.remarks:
            _log.warning("the installed %s: %s", use, remark)
        await self._record(f"{use} installed {_by(origin)}: {outcome.certificate.subject}")
        if outcome.fallback is not None:
            await self._record(f"{use} replaced and kept as the fallback root: {outcome.fallback.subject}")
        for gone in outcome.removed:
            await self._record(f"{use} replaced and removed: {gone.subject}")

    async def _record(self, what: str) -> None:
        _log.info("%s", what)
        await self._events.raise_event(SecurityEventType.RECONFIGURATION_OF_SECURITY_PARAMETERS, what)

    async def _finish(self, change: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(change, name="certificates")
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    def _now(self) -> datetime | None:
        return self._clock.now() if self._clock.is_set else None


def _by(origin: Origin) -> str:
    return "locally" if origin is Origin.LOCAL else f"by {origin}"
