"""The local commands where no agent runs: they open the state directory themselves, as the agent would.

The lock of the state directory keeps them from an agent that runs; with one, the same commands go through its control
socket (control_methods.py). What is done is recorded in the security log as with an agent.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from chargepoint.attempt import REMEDY
from chargepoint.configuration import KEYS, ChangeStatus, Origin
from chargepoint.foundation import open_foundation
from chargepoint.installation import Use
from chargepoint.mistake import MistakeList, SettingsError
from chargepoint.passphrase import open_passphrase
from chargepoint.settings import Settings
from chargepoint.state import CERTIFICATES_NAME, DATABASE_NAME, LOCK_NAME, StateUnusable
from security import durable
from security.errors import DurableError
from security.event import SecurityEventType
from security.profile import Piece, SecurityProfile, missing_pieces, url_for
from security.secret import Secret
from security.store import CHARGE_POINT, CaDomain

KEPT_TABLES: Final = ("security_event", "schema_mark")
"""What a reset does not empty: the security log, and the database's own mark."""
KEPT_FILES: Final = frozenset({LOCK_NAME, DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"})
"""What a reset does not remove; copies of the database that were set aside hold keys and are not among them."""


async def configure(settings: Settings, values: Mapping[str, str]) -> list[str]:
    """Set OCPP keys with local rights, which may lower SecurityProfile (A00.FR.005), each durably and by itself.

    Args:
        settings: config.toml, found good.
        values: by name, in the order in which they are set.

    Returns:
        For each key that was refused its name and the reason, never a value.

    Raises:
        StateUnusable: the state directory cannot be used, or an agent uses it.
    """
    async with open_foundation(settings) as foundation:
        changes = [await foundation.configuration.change(name, value, Origin.LOCAL) for name, value in values.items()]
    good = (ChangeStatus.ACCEPTED, ChangeStatus.REBOOT_REQUIRED)
    return [f"{change.key}: {change.reason}" for change in changes if change.status not in good]


async def install(settings: Settings, *, pem: str, use: str, key: str | None) -> str | None:
    """Install a certificate durably.

    Args:
        settings: config.toml, found good.
        pem: one root, or a Charge Point certificate with its chain.
        use: a value of `Use`.
        key: the private key in PEM, for a Charge Point certificate only.

    Returns:
        The reason where it was refused, None where it was installed.

    Raises:
        StateUnusable: the state directory cannot be used, or an agent uses it.
    """
    async with open_foundation(settings) as foundation:
        outcome = await foundation.installer.install(Use(use), pem, None if key is None else Secret(key.encode()))
    return None if outcome.accepted else f"{outcome.result}: {outcome.reason}"


async def reset(settings: Settings) -> None:
    """Forget everything in the state directory but the security log; a reset that was cut off may be repeated.

    Raises:
        StateUnusable: the state directory cannot be used, or an agent uses it.
    """
    async with open_foundation(settings) as foundation:
        # Recorded before it is done: a power cut in between leaves an entry too many, never one too few.
        await foundation.events.raise_event(
            SecurityEventType.RECONFIGURATION_OF_SECURITY_PARAMETERS, "reset to factory by a local command"
        )
        # First what was set, then what it needs: a security profile without its certificates would lock us out.
        await foundation.database.write(_forget_tables)
        try:
            await asyncio.to_thread(_forget_files, settings)
        except DurableError as error:
            raise StateUnusable(Path(error.path), error.what, error.advice) from error


def check_passphrase(settings: Settings) -> None:
    """Say what a start would complain of about the passphrase of the private keys; changes nothing.

    Raises:
        SettingsError: with the one mistake.
    """
    file, mistakes = settings.security.key_passphrase_file, MistakeList(settings.path)
    try:
        open_passphrase(file, settings.state.directory / CERTIFICATES_NAME)
    except StateUnusable as error:
        if isinstance(error.__cause__, DurableError):
            return  # who may not read the state directory may check the rest
        # The name of this key would have its value masked, which is no secret: it names the file.
        mistakes.add_at("security", "key_passphrase_file", str(file or '""'), str(error))
        raise SettingsError(tuple(mistakes)) from error


def overridden(settings: Settings) -> Sequence[str]:
    """Return the configuration keys of config.toml over which a value that was set since wins."""
    stored = _stored(settings)
    given = {name: KEYS[name].canonical(value) for name, value in settings.configuration.items()}
    return [name for name, value in given.items() if stored.get(name, value) != value]


def lacking(settings: Settings) -> Iterator[str]:
    """Yield what the configured connection needs and neither config.toml nor the state directory has, and the remedy.

    Only looks whether it is there; whether it is valid now, the agent says when it connects.
    """
    held = {**settings.configuration, **_stored(settings)}
    profile = SecurityProfile(int(held.get("SecurityProfile", "0")))
    address = url_for(profile, settings.central_system.url, settings.central_system.urls)
    given = settings.provisioning
    has_root = bool(given.central_system_roots) or _holds(settings, CaDomain.CENTRAL_SYSTEM)
    has_root = has_root or settings.interop.system_trust_store
    missing = missing_pieces(
        profile,
        has_password="AuthorizationKey" in held,
        has_root=has_root,
        has_certificate=given.certificate is not None or _holds(settings, CHARGE_POINT),
    )
    for piece in missing:
        yield f"security profile {profile} needs {piece}; {REMEDY[piece]}"
    if not profile.needs_tls and address.startswith("wss:") and not has_root:
        yield f"wss needs {Piece.ROOT}; {REMEDY[Piece.ROOT]}"


def _stored(settings: Settings) -> Mapping[str, str]:
    """Return the configuration keys that were set since, by name; nothing where this user may not read them.

    Reads the database beside a running agent and changes nothing, therefore not through `Database`, which would bring
    the file to this release.
    """
    database = settings.state.directory / DATABASE_NAME
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT name, value FROM configuration"))
    return {}


def _holds(settings: Settings, certificates: str) -> bool:
    """Whether the store has a certificate of a kind; not by opening it, which would tidy up beside a running agent."""
    with suppress(OSError):
        return any((settings.state.directory / CERTIFICATES_NAME / certificates).glob("*.pem"))
    return False


def _forget_tables(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete = ON")  # the AuthorizationKey is overwritten, not only unlinked
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for name in names:
        if name not in KEPT_TABLES and not name.startswith("sqlite_"):
            connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - the names are those of our own tables
            # How often something was counted says what happened; the numbers of the security log go on.
            connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))


def _forget_files(settings: Settings) -> None:
    """Remove every file below the state directory but the database; empty directories harm nobody and stay."""
    directory = settings.state.directory
    kept = {path.resolve() for path in _files_of_the_installer(settings)}
    kept |= {directory.resolve() / name for name in KEPT_FILES}
    for path in sorted(directory.rglob("*")):
        if path.resolve() not in kept and (path.is_symlink() or not path.is_dir()):
            durable.remove(path)


def _files_of_the_installer(settings: Settings) -> Iterator[Path]:
    """Yield config.toml, which a bench may keep beside the state, and the files that it names: they are not ours."""
    given, transfers, firmware = settings.provisioning, settings.transfers, settings.firmware
    yield settings.path
    yield from (*given.central_system_roots, *given.manufacturer_roots, *given.charge_point_roots)
    single = (given.certificate, given.private_key, settings.security.key_passphrase_file)
    yield from filter(None, (*single, transfers.ca_file, transfers.known_hosts))
    commands = (firmware.install_command, firmware.inspect_command)
    for command in (*commands, firmware.mark_good_command, firmware.withdraw_command):
        yield from (Path(part) for part in command if Path(part).is_absolute())
