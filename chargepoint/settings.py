"""config.toml as frozen `Settings`: read once, judged whole, valid from then on.

Guaranteed: `load` either returns settings that need no second check, or raises with every mistake found, each naming
file, table, key, value and reason. All paths are absolute. config.toml is never written.
Not done here: what the Central System or a local command has set since (configuration.py), and whether the state
directory can be used (state.py).
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from chargepoint.configuration_key import Kind
from chargepoint.configuration_table import KEYS
from chargepoint.document import read_document
from chargepoint.firmware_settings import FirmwareSettings, check_firmware, firmware_warnings
from chargepoint.log_settings import LogSettings
from chargepoint.mistake import NOWHERE, Mistake, MistakeList, SettingsError
from chargepoint.pem_check import check_provisioning
from chargepoint.setting import Description, describe, did_you_mean, read_table
from chargepoint.setting_table import (
    CentralSystemSettings,
    ChargePointSettings,
    ConnectionSettings,
    ControlSettings,
    HardwareSettings,
    InteropSettings,
    ProvisioningSettings,
    SecuritySettings,
    SessionSettings,
    StateSettings,
)
from chargepoint.transfer_settings import (
    TransferSettings,
    check_transfers,
    transfer_warnings,
    with_absolute_paths,
)
from security.profile import SecurityProfile, url_fits
from security.server_name import is_ip_address

__all__ = [
    "CentralSystemSettings",
    "ChargePointSettings",
    "ConnectionSettings",
    "ControlSettings",
    "FirmwareSettings",
    "HardwareSettings",
    "InteropSettings",
    "LogSettings",
    "Mistake",
    "ProvisioningSettings",
    "SecuritySettings",
    "SessionSettings",
    "Settings",
    "SettingsError",
    "StateSettings",
    "TransferSettings",
    "describe_all",
    "load",
]

MAX_SOCKET_PATH_BYTES: Final = 107  #: bytes; Linux keeps 108 for the path of a Unix socket, one of them ends it
MAX_NUMBER_BITS: Final = 63  #: bits; an OCPP integer fits, a key of digits that lost its quotes does not

TABLES: Final[Mapping[str, type]] = {
    "charge_point": ChargePointSettings,
    "central_system": CentralSystemSettings,
    "state": StateSettings,
    "control": ControlSettings,
    "hardware": HardwareSettings,
    "provisioning": ProvisioningSettings,
    "connection": ConnectionSettings,
    "session": SessionSettings,
    "security": SecuritySettings,
    "logs": LogSettings,
    "transfers": TransferSettings,
    "firmware": FirmwareSettings,
    "interop": InteropSettings,
}
"""The tables that hold settings; beside them stands [configuration] with the keys of OCPP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of config.toml.

    Attributes:
        configuration: OCPP configuration keys as the file has them: exact names, values in OCPP's text form.
        path: the file, absolute.
        warnings: what is allowed but probably not meant, a line for people each.
    """

    charge_point: ChargePointSettings
    central_system: CentralSystemSettings
    state: StateSettings
    control: ControlSettings
    hardware: HardwareSettings
    provisioning: ProvisioningSettings
    connection: ConnectionSettings
    session: SessionSettings
    security: SecuritySettings
    logs: LogSettings
    transfers: TransferSettings
    firmware: FirmwareSettings
    interop: InteropSettings
    configuration: Mapping[str, str] = field(repr=False)  # may hold the AuthorizationKey
    path: Path
    warnings: tuple[str, ...] = ()


def load(path: Path) -> Settings:
    """Read and judge config.toml.

    Args:
        path: the file; relative paths in it count from its directory.

    Raises:
        SettingsError: with everything that is wrong with the file.
    """
    mistakes = MistakeList(path)
    document = read_document(path, mistakes)
    _raise_if_any(mistakes)
    tables = _tables(document, mistakes)
    # Any: each value is of the class that TABLES names for its key.
    parts: dict[str, Any] = {name: read_table(kind, name, tables[name], mistakes) for name, kind in TABLES.items()}
    configuration = _read_configuration(tables["configuration"], mistakes)
    settings = _with_absolute_paths(Settings(**parts, configuration=configuration, path=path.absolute()))
    _check_together(settings, mistakes)
    _raise_if_any(mistakes)
    return replace(settings, warnings=tuple(_warnings(settings)))


def describe_all() -> Iterator[Description]:
    """Yield the description of each key of each table but [configuration], in the order of the file."""
    for name, kind in TABLES.items():
        yield from describe(kind, name)


def _raise_if_any(mistakes: MistakeList) -> None:
    if mistakes:
        raise SettingsError(tuple(mistakes))


def _tables(document: Mapping[str, object], mistakes: MistakeList) -> Mapping[str, Mapping[str, object]]:
    """Return every known table, empty where the file has none; what else the file holds is a mistake."""
    tables: dict[str, Mapping[str, object]] = {name: {} for name in (*TABLES, "configuration")}
    for name, value in document.items():
        if name not in tables:
            table, key = (name, NOWHERE) if isinstance(value, dict) else (NOWHERE, name)
            reason = "there is no such table" if isinstance(value, dict) else "stands in no table"
            mistakes.add(table, key, value, reason + did_you_mean(name, tables))
        elif isinstance(value, dict):
            tables[name] = value
        else:
            mistakes.add(name, NOWHERE, value, f"must be a table that begins with [{name}]")
    return tables


def _read_configuration(values: Mapping[str, object], mistakes: MistakeList) -> Mapping[str, str]:
    """Return the OCPP configuration keys under their exact names; read-only ones are the integrator's choice here."""
    exact_names = {name.lower(): name for name in KEYS}
    configuration: dict[str, str] = {}
    for given, value in values.items():
        name = exact_names.get(given.lower())
        if name is None:
            reason = "there is no such configuration key" + did_you_mean(given, KEYS)
        elif name in configuration:
            reason = f"stands here twice; names of keys are equal in either case, this one is {name}"
        elif KEYS[name].fixed:
            reason = "follows from the device and cannot be set"
        elif (text := _ocpp_text(value)) is None:
            reason = "must be true, false, a whole number, or text in quotes"
        elif (fault := KEYS[name].check(text)) is not None:
            reason = fault
        else:
            configuration[name] = text
            continue
        is_secret = name is not None and KEYS[name].kind is Kind.SECRET
        mistakes.add("configuration", given, value, reason, secret=is_secret)
    return configuration


def _ocpp_text(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() <= MAX_NUMBER_BITS:
            return str(value)
        case str():
            return value
        case _:
            return None


def _with_absolute_paths(settings: Settings) -> Settings:
    """Return the settings with the paths counted from where the contract counts them."""
    home = settings.path.parent
    state = replace(settings.state, directory=home / settings.state.directory)
    socket = settings.control.socket
    given = settings.provisioning
    return replace(
        settings,
        state=state,
        transfers=with_absolute_paths(settings.transfers, home),
        security=replace(
            settings.security,
            key_passphrase_file=settings.security.key_passphrase_file and home / settings.security.key_passphrase_file,
        ),
        control=replace(settings.control, socket=socket and state.directory / socket),
        provisioning=replace(
            given,
            central_system_roots=tuple(home / root for root in given.central_system_roots),
            manufacturer_roots=tuple(home / root for root in given.manufacturer_roots),
            charge_point_roots=tuple(home / root for root in given.charge_point_roots),
            certificate=given.certificate and home / given.certificate,
            private_key=given.private_key and home / given.private_key,
        ),
    )


def _check_together(settings: Settings, mistakes: MistakeList) -> None:
    """Add what only shows when several keys, or the machine, are looked at together."""
    _check_addresses(settings, mistakes)
    _check_control(settings.control, mistakes)
    _check_retries(settings.connection, mistakes)
    _check_driver(settings.hardware, mistakes)
    _check_keys(settings.security, mistakes)
    check_firmware(settings.firmware, mistakes)
    check_transfers(settings.transfers, mistakes)
    check_provisioning(settings.provisioning, mistakes, passphrase_file=settings.security.key_passphrase_file)


def _check_addresses(settings: Settings, mistakes: MistakeList) -> None:
    """A configured start must fit (A00.FR.004): profile and scheme, and a name for the certificate (A00.FR.308)."""
    system = settings.central_system
    profile = int(settings.configuration.get("SecurityProfile", "0"))
    addresses = [("central_system", "url", system.url, None if profile in system.urls else profile)]
    addresses += [("central_system.urls", str(number), url, number) for number, url in system.urls.items()]
    for table, key, url, needed in addresses:
        if mistakes.names(table, key):
            continue
        if needed is not None and (reason := url_fits(SecurityProfile(needed), url)):
            mistakes.add(table, key, url, reason)
        parts = urlsplit(url)
        if parts.scheme == "wss" and system.tls_server_name is None and is_ip_address(parts.hostname or ""):
            reason = "holds an IP address; tls_server_name must say which name the certificate bears (A00.FR.308)"
            mistakes.add(table, key, url, reason)


def _check_control(control: ControlSettings, mistakes: MistakeList) -> None:
    path_bytes = len(os.fsencode(control.socket or ""))
    if path_bytes > MAX_SOCKET_PATH_BYTES:
        reason = f"the whole path has {path_bytes} bytes, a Unix socket's at most {MAX_SOCKET_PATH_BYTES}"
        mistakes.add("control", "socket", str(control.socket), reason)
    if control.group:
        import grp  # few ask for it

        try:
            grp.getgrnam(control.group)
        except KeyError:
            mistakes.add("control", "group", control.group, "this machine has no such group")


def _check_retries(connection: ConnectionSettings, mistakes: MistakeList) -> None:
    for key, wait in (("retry_first_s", connection.retry_first), ("retry_initial_s", connection.retry_initial)):
        if wait > connection.retry_max:
            mistakes.add("connection", key, wait.total_seconds(), "must not be above retry_max_s")


def _check_driver(hardware: HardwareSettings, mistakes: MistakeList) -> None:
    if hardware.driver == "simulated":
        return  # ours, and the list of entry points takes some milliseconds to read
    from importlib.metadata import entry_points

    installed = {entry.name for entry in entry_points(group="chargepoint.hardware")}
    if hardware.driver not in installed:
        reason = "no installed package brings this driver as an entry point of the group chargepoint.hardware"
        mistakes.add("hardware", "driver", hardware.driver, reason)


def _check_keys(security: SecuritySettings, mistakes: MistakeList) -> None:
    wanted = security.key_provider == "pkcs11"
    if wanted != bool(security.key_uri) and not mistakes.names("security", "key_uri"):
        reason = "must name the token for key_provider pkcs11" if wanted else "needs key_provider pkcs11 beside it"
        mistakes.add("security", "key_uri", security.key_uri, reason)


def _warnings(settings: Settings) -> Iterator[str]:
    """Yield what is allowed but probably not meant."""
    configuration, provisioning = settings.configuration, settings.provisioning
    if settings.interop.system_trust_store:
        yield "[interop] system_trust_store: every authority that this machine trusts may vouch for the Central System"
    if "AuthorizationKey" in configuration and _others_may_read(settings.path):
        yield f"{settings.path} holds AuthorizationKey and others may read it: chmod 600 {settings.path}"
    passphrase_file = settings.security.key_passphrase_file
    if passphrase_file is not None and passphrase_file.exists() and _others_may_read(passphrase_file):
        yield f"{passphrase_file} holds a passphrase and others may read it: chmod 600 {passphrase_file}"
    if provisioning.private_key is not None and _others_may_read(provisioning.private_key):
        yield f"{provisioning.private_key} is a private key that others may read: chmod 600 {provisioning.private_key}"
    yield from transfer_warnings(settings.transfers)
    yield from firmware_warnings(settings.firmware, settings.hardware)


def _others_may_read(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
