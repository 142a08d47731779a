"""What stands below the agent and below the local commands alike: the state directory and all that is opened from it.

`open_foundation` opens it in order and closes it in the opposite one. One process has it at a time, which the lock of
the state directory sees to: either the agent, or a command while no agent runs.
"""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chargepoint.clock import Clock, Floor
from chargepoint.configuration import Configuration, device_values
from chargepoint.configuration_table import PROFILES, keys_of
from chargepoint.database import Database
from chargepoint.events import EventDoor, Sending
from chargepoint.fallback import Fallback
from chargepoint.firmware_installer import open_firmware_installer
from chargepoint.firmware_trust import FirmwareTrust
from chargepoint.free_space import MIB
from chargepoint.hardware.discovery import open_hardware
from chargepoint.hardware.port import Hardware
from chargepoint.installation import Installer
from chargepoint.passphrase import open_passphrase
from chargepoint.planner import Planner
from chargepoint.settings import SecuritySettings, Settings
from chargepoint.state import StateDirectory, StateUnusable
from chargepoint.state_schema import MIGRATIONS
from chargepoint.transfer import Transfers
from firmware.installer import Installer as FirmwareInstaller
from logs.event_queue import EventQueue
from logs.security_log import SecurityLog
from security.enrolment import Enrolment
from security.errors import DurableError
from security.event import SecurityEventType
from security.fallback import Bounds
from security.keys import FileKeys, KeyStore, KeyType
from security.provider_keys import ProviderKeys
from security.secret import Secret
from security.store import CaDomain, CertificateStore, Policy

if TYPE_CHECKING:
    from security.peer_revocation import PeerRevocation
    from security.revocation import RevocationCheck

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Foundation:
    """Everything that is opened from the state directory, and the board."""

    settings: Settings
    database: Database
    hardware: Hardware
    clock: Clock
    floor: Floor
    security_log: SecurityLog
    event_queue: EventQueue
    events: EventDoor
    configuration: Configuration
    certificates: CertificateStore
    enrolment: Enrolment
    installer: Installer
    revocation: "PeerRevocation | None"
    firmware_trust: FirmwareTrust
    planner: Planner
    fallback: Fallback
    firmware_installer: FirmwareInstaller | None
    transfers: Transfers


@asynccontextmanager
async def open_foundation(settings: Settings) -> AsyncIterator[Foundation]:
    """Open everything, and close it at the end.

    Raises:
        StateUnusable: the state directory cannot be used, or an agent uses it; nothing was changed.
        DriverUnusable: there is no such hardware driver.
    """
    async with AsyncExitStack() as stack:
        state = StateDirectory.open(settings.state.directory)
        stack.callback(state.close)
        passphrase = await asyncio.to_thread(open_passphrase, settings.security.key_passphrase_file, state.certificates)
        hardware = open_hardware(settings.hardware, settings.charge_point.connectors, state.path)
        database = await Database.open(state.database_path, MIGRATIONS)
        stack.push_async_callback(database.close)
        floor = Floor(database)
        clock = Clock(await floor.load(), system=hardware.system_time)
        stack.push_async_callback(_keep_floor, floor, clock)
        security_log = SecurityLog(
            database,
            max_events=settings.logs.security_log_max_events,
            max_age=settings.logs.security_log_max_age,
            max_queued_events=settings.logs.event_queue_max_events,
        )
        event_queue = EventQueue(database)
        sending = Sending(settings.security.send_events, frozenset(settings.security.also_send))
        if not sending.enabled:
            await event_queue.clear()
        events = EventDoor(security_log, clock, hardware.boot_id, sending=sending)
        stack.push_async_callback(events.close)
        configuration = await Configuration.load(
            database,
            given=settings.configuration,
            device={
                **device_values(settings.charge_point.connectors),
                "HeartbeatInterval": f"{settings.session.default_heartbeat.total_seconds():.0f}",
            },
            raise_event=events.raise_event,
            missing_prerequisite=lambda target: planner.missing_prerequisite(target),
            keys=keys_of(text_passwords=settings.interop.authorization_key_text),
        )
        certificates = await _open_certificates(state, passphrase, configuration, events)
        fallback = Fallback(
            configuration,
            clock,
            Bounds(settings.security.profile_trial_attempts, settings.security.profile_trial),
            key_as_text=settings.interop.authorization_key_as_hex_text,
        )
        enrolment = await _open_enrolment(certificates, settings.security, events)
        planner = Planner(settings, configuration, fallback, certificates, enrolment, clock)
        installer = Installer(certificates, events, clock, settings.charge_point)
        stack.push_async_callback(installer.close)
        await installer.provision(settings.provisioning)
        # One for all purposes: two would sweep away each other's temporary files.
        revocation_check = functools.cache(functools.partial(_revocation_check, state))
        yield Foundation(
            settings=settings,
            database=database,
            hardware=hardware,
            clock=clock,
            floor=floor,
            security_log=security_log,
            event_queue=event_queue,
            events=events,
            configuration=configuration,
            certificates=certificates,
            enrolment=enrolment,
            installer=installer,
            revocation=_peer_revocation(revocation_check, settings.security.revocation_central_system),
            firmware_trust=FirmwareTrust(
                certificates,
                clock,
                revocation_check,
                policy=settings.security.revocation_firmware,
                accept_pkcs1=settings.interop.firmware_pkcs1,
            ),
            planner=planner,
            fallback=fallback,
            firmware_installer=await _open_firmware_installer(settings, hardware, state),
            transfers=_transfers(settings, state, configuration, certificates),
        )


async def _open_certificates(
    state: StateDirectory, passphrase: Secret | None, configuration: Configuration, events: EventDoor
) -> CertificateStore:
    def policy() -> Policy:  # asked for at each installation, because a local command may change both keys
        return Policy(
            max_roots=configuration.integer("CertificateStoreMaxLength"),
            one_at_a_time=configuration.boolean("AdditionalRootCertificateCheck"),
        )

    try:
        store = await asyncio.to_thread(
            CertificateStore.open, state.certificates, policy=policy, key_passphrase=passphrase
        )
    except DurableError as error:
        raise StateUnusable(Path(error.path), error.what, error.advice) from error
    for damage in store.damage:
        _log.error("a certificate or key is damaged, the rest goes on: %s", damage)
        await events.raise_event(
            SecurityEventType.RECONFIGURATION_OF_SECURITY_PARAMETERS, f"damaged and not used: {damage}"
        )
    return store


def _transfers(
    settings: Settings, state: StateDirectory, configuration: Configuration, certificates: CertificateStore
) -> Transfers:
    name = "SupportedFileTransferProtocols"
    transfers = Transfers(
        settings.transfers,
        state.transfers,
        roots=lambda: certificates.root_pems(CaDomain.CENTRAL_SYSTEM),
        allowed=lambda: configuration.items(name),
        reserve_bytes=settings.state.min_free_mib * MIB,
    )
    configuration.restrict(name, lambda: transfers.able)
    # Diagnostics and firmware are files: a board that cannot transfer any has nothing of this profile (0122).
    without_files = tuple(profile for profile in PROFILES if profile != "FirmwareManagement")
    configuration.restrict("SupportedFeatureProfiles", lambda: PROFILES if transfers.able else without_files)
    return transfers


async def _open_firmware_installer(
    settings: Settings, hardware: Hardware, state: StateDirectory
) -> FirmwareInstaller | None:
    try:
        return await asyncio.to_thread(open_firmware_installer, settings, hardware, state.path)
    except DurableError as error:
        raise StateUnusable(Path(error.path), error.what, error.advice) from error


def _open_keys(settings: SecuritySettings, passphrase: Secret | None) -> KeyStore:
    key_type = KeyType(settings.key_type)
    if not settings.key_provider:
        return FileKeys(key_type, passphrase)
    return ProviderKeys(key_type, settings.key_provider, settings.key_uri)


async def _open_enrolment(certificates: CertificateStore, settings: SecuritySettings, events: EventDoor) -> Enrolment:
    try:
        enrolment = await asyncio.to_thread(
            Enrolment.open, certificates, _open_keys(settings, certificates.key_passphrase)
        )
    except DurableError as error:
        raise StateUnusable(Path(error.path), error.what, error.advice) from error
    if enrolment.damage is not None:
        _log.error("%s", enrolment.damage)
        await events.raise_event(
            SecurityEventType.RECONFIGURATION_OF_SECURITY_PARAMETERS, f"damaged and not used: {enrolment.damage}"
        )
    return enrolment


def _revocation_check(state: StateDirectory) -> "RevocationCheck":
    # Not imported before somebody asks: most never do.
    from chargepoint.fetch import fetch
    from security.revocation import RevocationCheck
    from security.revocation_cache import RevocationCache

    return RevocationCheck(fetch, RevocationCache(state.revocation))


def _peer_revocation(check: Callable[[], "RevocationCheck"], policy: str) -> "PeerRevocation | None":
    if policy == "off":
        return None
    from security.peer_revocation import PeerRevocation, RevocationPolicy  # as above

    return PeerRevocation(check(), RevocationPolicy(policy))


async def _keep_floor(floor: Floor, clock: Clock) -> None:
    try:
        await floor.keep(clock)
    except StateUnusable as error:
        _log.warning("the newest time could not be kept: %s", error)
