"""Certificates that come in by the local door: provisioning at the start, `chargepoint install`, the control socket.

The store judges and keeps them (security/store.py); here is what a certificate is meant for in the words of the
command line, and that each change of what is trusted is recorded as a security event.
"""

import asyncio
import logging
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from chargepoint.clock import Clock
from chargepoint.events import EventDoor
from chargepoint.settings import ChargePointSettings, ProvisioningSettings
from chargepoint.state import StateUnusable
from security.errors import DurableError
from security.event import SecurityEventType
from security.outcome import Installation
from security.provisioning import Provisioned, Provisioning
from security.secret import Secret
from security.store import CaDomain, CertificateStore

_log = logging.getLogger(__name__)


class Use(StrEnum):
    """What a certificate is installed as."""

    CENTRAL_SYSTEM_ROOT = "central-system-root"
    MANUFACTURER_ROOT = "manufacturer-root"
    CHARGE_POINT_CERTIFICATE = "charge-point-certificate"


_DOMAINS = {
    Use.CENTRAL_SYSTEM_ROOT: CaDomain.CENTRAL_SYSTEM,
    Use.MANUFACTURER_ROOT: CaDomain.MANUFACTURER,
}


class Installer:
    """The local door to the certificate store.

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

    async def install(self, use: Use, pem: str, key: Secret | None) -> Installation:
        """Install one certificate, durably if accepted.

        Args:
            use: what it is installed as.
            pem: one root; or the Charge Point certificate with its chain.
            key: its private key, PEM; for a Charge Point certificate only.

        Raises:
            ValueError: a key is missing, or given where none belongs.
            StateUnusable: it cannot be kept; the store is as before.
        """
        if (use is Use.CHARGE_POINT_CERTIFICATE) != (key is not None):
            raise ValueError("a Charge Point certificate comes with its private key, a root without one")
        try:
            outcome = await asyncio.to_thread(self._install, use, pem, key)
        except DurableError as error:
            raise StateUnusable(Path(error.path), error.what, error.advice) from error
        await self._note(use, outcome)
        return outcome

    def _install(self, use: Use, pem: str, key: Secret | None) -> Installation:
        now = self._now()
        if key is None:
            return self._certificates.install_root(_DOMAINS[use], pem, now)
        return self._certificates.install_charge_point_certificate(pem, key, now, serial_number=self._serial_number)

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
            await self._note(use, provisioned.installation)

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
            )
            for provisioned in provisioning.install_roots(_DOMAINS[use], files, now)
        ]
        if settings.certificate is not None and settings.private_key is not None:
            own = provisioning.install_charge_point_certificate(
                settings.certificate, settings.private_key, now, serial_number=self._serial_number
            )
            outcomes.append((Use.CHARGE_POINT_CERTIFICATE, own))
        return outcomes

    async def _note(self, use: Use, outcome: Installation) -> None:
        """Record what was installed (section 8: ReconfigurationOfSecurityParameters), and log what is odd about it."""
        if not outcome.accepted or outcome.certificate is None:
            return
        for remark in outcome.remarks:
            _log.warning("the installed %s: %s", use, remark)
        await self._events.raise_event(
            SecurityEventType.RECONFIGURATION_OF_SECURITY_PARAMETERS,
            f"{use} installed locally: {outcome.certificate.subject}",
        )

    def _now(self) -> datetime | None:
        return self._clock.now() if self._clock.is_set else None
