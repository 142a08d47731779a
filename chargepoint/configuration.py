"""The configuration: which value of each OCPP key holds, and how it is changed.

A value comes from the first of these that has one:

    set     by the Central System or a local command, in the database
    given   in [configuration] of config.toml
    device  what follows from the device, for instance NumberOfConnectors
    default of the key

- A change is on the disk before `Configuration.change` returns, and in force: subscribers have been called.
- A change of a security parameter is recorded as ReconfigurationOfSecurityParameters *before* it is stored, without
  the value (A01.FR.11, A01.FR.12): after a power cut in between the log has a change too many, never one too few.
- The AuthorizationKey leaves by `authorization_key` and `trial` only; it is in no listing, log line, error or repr.
- A new password, and a profile that the Central System has raised, are put on trial: the value that worked last is
  kept in the same transaction, until `settle_trial` says which one stays (A01, A05.FR.08).

Not done here: closing the connection for a change that needs a new one (the handler does, after the answer), deciding
a trial (fallback.py), the rows on the disk (configuration_store.py).
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self, TypeVar

from chargepoint.allowance import Allowance
from chargepoint.configuration_change import Change, ChangeStatus, KeyTrial, Origin, Value, trial_of
from chargepoint.configuration_key import Access, Effect, Key, Kind, split_list
from chargepoint.configuration_store import ConfigurationStore, kept
from chargepoint.configuration_table import KEYS
from chargepoint.database import Database
from chargepoint.state import StateUnusable
from security.event import RaiseEvent, SecurityEventType
from security.profile import SecurityProfile
from security.secret import Secret

__all__ = ["KEYS", "Change", "ChangeStatus", "Configuration", "Effect", "Known", "Listing", "Origin"]

MAX_CHANGES: Final = 500  #: changes; a Central System sets each key some ten times over, and goes on
CHANGE_INTERVAL: Final = timedelta(minutes=1)  #: time; 1,440 changes a day wear no flash out

_log = logging.getLogger(__name__)

MissingPrerequisite = Callable[[int], str | None]
"""Port: what the Charge Point lacks to connect in a security profile, None where nothing (A05.FR.02 to A05.FR.04)."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Known:
    """A key of GetConfiguration.conf; without a value where it has none, or may not be read."""

    key: str
    readonly: bool
    value: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What GetConfiguration.conf says."""

    known: tuple[Known, ...]
    unknown: tuple[str, ...]


def device_values(connectors: int) -> Mapping[str, str]:
    """Return what follows from the device: the keys that a person does not set, or need not.

    Args:
        connectors: how many there are.
    """
    rotations = (f"{connector}.Unknown" for connector in range(connectors + 1))
    return {"NumberOfConnectors": str(connectors), "ConnectorPhaseRotation": ",".join(rotations)}


class Configuration:
    """The values of the OCPP configuration keys, changed at one door."""

    def __init__(
        self,
        store: ConfigurationStore,
        base: Mapping[str, Value],
        stored: Mapping[str, Value],
        trials: Mapping[str, KeyTrial],
        *,
        given: Iterable[str],
        raise_event: RaiseEvent,
        missing_prerequisite: MissingPrerequisite,
        keys: Mapping[str, Key],
    ) -> None:
        self._store = store
        self._base = dict(base)
        self._set = dict(stored)
        self._trials = dict(trials)
        self._able: dict[str, Callable[[], Collection[str]]] = {}
        self._given = tuple(given)
        self._raise_event = raise_event
        self._missing_prerequisite = missing_prerequisite
        self._keys = keys
        self._exact_names = {name.lower(): name for name in keys}
        self._shown: dict[str, Known] = {}  # what was listed last: a Central System asks for all keys again and again
        self._subscribers: dict[str, list[Callable[[], None]]] = {}
        self._changing = asyncio.Lock()
        self._allowance = Allowance(MAX_CHANGES, CHANGE_INTERVAL)
        self._changes: set[asyncio.Task[Any]] = set()

    @classmethod
    async def load(
        cls,
        database: Database,
        *,
        given: Mapping[str, str],
        device: Mapping[str, str],
        raise_event: RaiseEvent,
        missing_prerequisite: MissingPrerequisite,
        keys: Mapping[str, Key] = KEYS,
    ) -> Self:
        """Read what was set from the database and lay it over the rest.

        Args:
            database: it has the tables of configuration_store.py.
            given: [configuration] of config.toml: exact names, values that passed `Key.check`.
            device: as `device_values` returns them.
            raise_event: records that a security parameter is changed.
            missing_prerequisite: asked before SecurityProfile is changed.
            keys: the keys that there are, in the order in which they are listed.

        Raises:
            DatabaseError: the database cannot be read.
        """
        store = ConfigurationStore(database, keys)
        stored, trials = await store.load()
        defaults = {name: key.default for name, key in keys.items() if key.default is not None}
        given = {name: value for name, value in given.items() if not keys[name].fixed}
        return cls(
            store,
            {name: kept(keys[name], value) for name, value in {**defaults, **device, **given}.items()},
            stored,
            trials,
            given=given,
            raise_event=raise_event,
            missing_prerequisite=missing_prerequisite,
            keys=keys,
        )

    def value(self, name: str) -> str | None:
        """Return the text of a key, None where it has no value.

        Args:
            name: the exact name; another one raises KeyError, and a key that may not be read RuntimeError.
        """
        value = self._held(self._keys[name])
        if isinstance(value, Secret) or self._keys[name].access is Access.WRITE:
            raise RuntimeError(f"{name} cannot be read")
        return value

    def text(self, name: str) -> str:
        """Return the text of a key, empty where it has no value."""
        return self.value(name) or ""

    def integer(self, name: str) -> int:
        """Return the number of a key of type integer."""
        return int(self.text(name))

    def boolean(self, name: str) -> bool:
        """Return the truth of a key of type boolean."""
        return self.text(name) == "true"

    def items(self, name: str) -> list[str]:
        """Return the items of a key that holds a list."""
        return split_list(self.text(name))

    def authorization_key(self) -> Secret | None:
        """Return the AuthorizationKey as its hex digits, None where there is none (A01.FR.01, A00.FR.205)."""
        value = self._held(self._keys["AuthorizationKey"])
        return value if isinstance(value, Secret) else None

    def trial(self, name: str) -> KeyTrial | None:
        """Return the trial that a key is on, None where its value has proved itself."""
        return self._trials.get(name)

    def listing(self, wanted: Collection[str] | None = None) -> Listing:
        """Return keys with their values as GetConfiguration.conf shows them; a write-only one has no value (A01.FR.12).

        Args:
            wanted: names in either case, each listed once in this order; none or None: all keys in the order of the
            table.
        """
        if not wanted:
            return Listing(tuple(map(self._known, self._keys.values())), ())
        names = tuple(wanted)
        found = dict.fromkeys(self._exact_names[name.lower()] for name in names if name.lower() in self._exact_names)
        unknown = {name.lower(): name for name in names if name.lower() not in self._exact_names}
        return Listing(tuple(self._known(self._keys[name]) for name in found), tuple(unknown.values()))

    def overridden(self) -> tuple[str, ...]:
        """Return the names of the keys that config.toml gives and that another value, set since, overrides."""
        return tuple(name for name in self._given if name in self._set and self._set[name] != self._base[name])

    def restrict(self, name: str, able: Callable[[], Collection[str]]) -> None:
        """Have a list name only what the device is able to do, whoever has set it to more.

        Args:
            name: the exact name.
            able: asked each time; returns soon.
        """
        self._able[self._keys[name].name] = able

    def subscribe(self, name: str, callback: Callable[[], None]) -> None:
        """Call back after each change of a key that is on the disk and in force; it asks for the value itself.

        Args:
            name: the exact name.
            callback: returns soon; what it raises is logged.
        """
        self._subscribers.setdefault(self._keys[name].name, []).append(callback)

    async def change(self, name: str, value: str, origin: Origin = Origin.CENTRAL_SYSTEM) -> Change:
        """Set a key: unchanged unless the outcome is ACCEPTED or REBOOT_REQUIRED, and then on the disk and in force.

        The Central System changes no read-only key and only raises SecurityProfile (A05.FR.01, A00.FR.005); a local
        command may do both. Cancelling leaves the change running to its end.

        Args:
            name: the name of the key, in either case.
            value: the text as it came.
            origin: who wants it.
        """
        exact_name = self._exact_names.get(name.lower())
        if exact_name is None:
            return Change(ChangeStatus.NOT_SUPPORTED, name, reason="there is no such key")
        return await self._finish(self._change(self._keys[exact_name], value, origin), f"change {exact_name}")

    async def settle_trial(
        self, name: str, seen: KeyTrial, after: KeyTrial | None, *, value: Value | None = None, why: str = ""
    ) -> None:
        """Go on with a trial or end it, durably; nothing happens where another change has come first.

        A disk that fails does not stop a fall-back: it is logged, and what is decided holds until the next start.
        Cancelling leaves it running to its end.

        Args:
            name: the exact name of the key.
            seen: the trial that was judged.
            after: what comes of it; None ends it.
            value: what is held from now on; None: the held value stays.
            why: another value is held, for the security log.
        """
        await self._finish(self._settle_trial(self._keys[name], seen, after, value, why), f"settle {name}")

    def ends_connection(self, change: Change) -> bool:
        """Tell whether the present connection must give way to a new one for this change.

        It does for SecurityProfile (A05.FR.06), and for AuthorizationKey in profiles 1 and 2 (A01); in profiles 0 and 3
        nothing of the connection rests on the password. All else that takes a new connection waits for the next one.
        """
        if change.status is not ChangeStatus.ACCEPTED:
            return False
        uses_password = SecurityProfile(self.integer("SecurityProfile")).sends_basic
        return change.key == "SecurityProfile" or (change.key == "AuthorizationKey" and uses_password)

    async def _change(self, key: Key, value: str, origin: Origin) -> Change:
        async with self._changing:
            if (fault := self._fault(key, value, origin)) is not None:
                _log.warning("%s refused from %s: %s", key.name, origin, fault)
                return Change(ChangeStatus.REJECTED, key.name, key.effect, fault)
            new, before = kept(key, value), self._trials.get(key.name)
            # A password that is set again counts as changed (A01.FR.11); for all others that would only wear the flash.
            if key.kind is Kind.SECRET or before is not None or self._set.get(key.name) != new:
                if origin is Origin.CENTRAL_SYSTEM and not self._allowance.take():
                    _log.warning("%s is not changed: %s changes too much", key.name, origin)
                    return Change(ChangeStatus.REJECTED, key.name, key.effect, "too many changes wear the flash out")
                trial = trial_of(key.name, new, held=self._held(key), before=before, origin=origin)
                try:
                    if key.security:
                        await self._record(f"{key.name} set by {origin}")
                    await self._store.write(key.name, new, trial)
                except StateUnusable as error:
                    _log.error("%s could not be stored: %s", key.name, error)
                    return Change(ChangeStatus.REJECTED, key.name, key.effect, f"it could not be stored: {error.why}")
                self._hold(key.name, new, trial)
                _log.info("%s was set by %s", key.name, origin)
            self._tell(key.name)
        reboots = key.effect is Effect.REBOOT
        return Change(ChangeStatus.REBOOT_REQUIRED if reboots else ChangeStatus.ACCEPTED, key.name, key.effect)

    async def _settle_trial(
        self, key: Key, seen: KeyTrial, after: KeyTrial | None, value: Value | None, why: str
    ) -> None:
        async with self._changing:
            held = self._held(key)
            if self._trials.get(key.name) is not seen or held is None:
                return
            settled = held if value is None else value
            if value is not None:
                await self._record(why)
            try:
                await self._store.write(key.name, settled, after)
            except StateUnusable as error:
                _log.error("what became of %s could not be stored: %s", key.name, error)
            self._hold(key.name, settled, after)
            if value is not None:
                self._tell(key.name)

    def _hold(self, name: str, value: Value, trial: KeyTrial | None) -> None:
        self._set[name] = value
        self._trials.pop(name, None)
        if trial is not None:
            self._trials[name] = trial

    async def _record(self, what: str) -> None:
        await self._raise_event(SecurityEventType.RECONFIGURATION_OF_SECURITY_PARAMETERS, what)

    async def _finish(self, work: Coroutine[Any, Any, _T], name: str) -> _T:
        task = asyncio.create_task(work, name=name)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    def _fault(self, key: Key, value: str, origin: Origin) -> str | None:
        """Say why a value is refused, None where it is not."""
        if key.fixed:
            return "it follows from the device"
        if key.access is Access.READ and origin is Origin.CENTRAL_SYSTEM:
            return "it is read-only"
        if (fault := key.check(value)) is not None:
            return fault
        if key.max_members_key and len(split_list(value)) > self.integer(key.max_members_key):
            return f"must have at most {self.text(key.max_members_key)} items ({key.max_members_key})"
        if key.name == "ConnectorPhaseRotation":
            return self._rotation_fault(value)
        if key.name == "SecurityProfile":
            return self._profile_fault(int(value), origin)
        return None

    def _rotation_fault(self, value: str) -> str | None:
        connectors = self.integer("NumberOfConnectors")
        named = (int(item.partition(".")[0]) for item in split_list(value) if "." in item)
        return None if all(connector <= connectors for connector in named) else f"connectors are 0 to {connectors}"

    def _profile_fault(self, target: int, origin: Origin) -> str | None:
        current = self.integer("SecurityProfile")
        if origin is Origin.CENTRAL_SYSTEM and target <= current:  # A05.FR.01, A00.FR.005
            return f"must be higher than the current {current}"
        if target == current:
            return None
        return self._missing_prerequisite(target)  # A05.FR.02, A05.FR.03, A05.FR.04

    def _tell(self, name: str) -> None:
        for callback in self._subscribers.get(name, ()):
            try:
                callback()
            except Exception:  # noqa: BLE001 - the change is done; a broken subscriber is logged and harms no other
                _log.exception("a subscriber of %s failed", name)

    def _held(self, key: Key) -> Value | None:
        value = self._set.get(key.name, self._base.get(key.name))
        if isinstance(value, str) and key.name in self._able:
            able = self._able[key.name]()
            return ",".join(item for item in split_list(value) if item in able)
        return value

    def _known(self, key: Key) -> Known:
        value = None if key.access is Access.WRITE else self._held(key)
        shown = None if isinstance(value, Secret) else value
        known = self._shown.get(key.name)
        if known is None or known.value != shown:
            known = self._shown[key.name] = Known(key.name, key.access is Access.READ, shown)
        return known
