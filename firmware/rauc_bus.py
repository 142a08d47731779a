"""RAUC's D-Bus interface as far as an installer needs it: questions, orders, and a wait for something to change.

Guaranteed: every fault of the bus and of the daemon is one `InstallerUnavailable`, and an answer that is an error is
one `RaucRefused`. A signal is believed only if it comes from the daemon itself.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Final

from firmware.dbus import BUS, MAX_TEXT_CHARACTERS, Bus, BusLost, BusRefused, open_bus
from firmware.installer import InstallerUnavailable, Progress
from firmware.rauc_record import Slot

SYSTEM_BUS: Final = "SYSTEM"

_NAME: Final = "de.pengutronix.rauc"
_INTERFACE: Final = "de.pengutronix.rauc.Installer"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_RULES: Final = (
    f"type='signal',sender='{_NAME}',interface='{_INTERFACE}',member='Completed'",
    f"type='signal',sender='{_NAME}',interface='{_PROPERTIES}',member='PropertiesChanged'",
    f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{_NAME}'",
)


class RaucRefused(Exception):
    """Raised when RAUC answers an order with an error; the text is RAUC's, cut."""


class Rauc:
    """The daemon behind a connection; made by `open_rauc`.

    Args:
        bus: the connection.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._owner = ""
        self._result: int | None = None

    async def follow(self) -> None:
        """From now on `changed` hears what happens."""
        with _reached():
            for rule in _RULES:
                await self._bus.follow(rule)
        # A question first, which starts the daemon where D-Bus may, so that there is an owner.
        await self.operation()
        with _reached():
            self._owner = await self._bus.owner(_NAME)

    async def changed(self, timeout: timedelta) -> None:
        """Wait until something has changed since the last call, or for so long."""
        await self._bus.wait(timeout)
        self._take()

    def result(self) -> int | None:
        """Return the result of the last installation of which it was heard that it has completed, 0 for success."""
        self._take()
        return self._result

    def forget_result(self) -> None:
        """Forget the installation that has completed."""
        self._take()
        self._result = None

    async def install_bundle(self, path: str) -> None:
        """Have RAUC begin to install a bundle.

        Raises:
            RaucRefused: it does not begin.
        """
        # No arguments: releases refuse those that they do not know.
        await self._ask("InstallBundle", "sa{sv}", path, {})

    async def mark(self, state: str, slot: str) -> None:
        """Have RAUC mark a slot: state is ``good``, ``bad`` or ``active``, slot ``booted``, ``other`` or a name."""
        await self._ask("Mark", "ss", state, slot)

    async def operation(self) -> str:
        """Return what RAUC does: ``idle`` or ``installing``."""
        return str(await self._get("Operation"))

    async def last_error(self) -> str:
        """Return why the last installation failed, empty where it did not."""
        return str(await self._get("LastError"))[:MAX_TEXT_CHARACTERS]

    async def progress(self) -> Progress | None:
        """Return how far the installation is, None where RAUC does not say."""
        match await self._get("Progress"):
            case (int(percent), str(text), int()):
                return Progress(percent=min(max(percent, 0), 100), text=text[:MAX_TEXT_CHARACTERS])
        return None

    async def slots(self) -> tuple[Slot, ...]:
        """Return all slots; refused while RAUC installs."""
        answer = await self._ask("GetSlotStatus")
        with _understood():
            (listed,) = answer
            return tuple(_slot(name, status) for name, status in listed)

    async def primary(self) -> str | None:
        """Return the slot that the next boot tries first, None where the boot loader does not say."""
        try:
            answer = await self._ask("GetPrimary")
        except RaucRefused:
            return None
        with _understood():
            (name,) = answer
            return str(name)

    async def _get(self, name: str) -> Any:
        answer = await self._call(_PROPERTIES, "Get", "ss", _INTERFACE, name)
        with _understood():
            ((_, value),) = answer
            return value

    async def _ask(self, method: str, signature: str | None = None, *body: object) -> Any:
        return await self._call(_INTERFACE, method, signature, *body)

    async def _call(self, interface: str, method: str, signature: str | None, *body: object) -> Any:
        with _reached():
            try:
                return await self._bus.call(_NAME, "/", interface, method, signature, *body)
            except BusRefused as error:
                raise RaucRefused(str(error)) from error

    def _take(self) -> None:
        from jeepney import HeaderFields

        for message in self._bus.signals():
            fields = message.header.fields
            from_rauc = fields.get(HeaderFields.sender) == self._owner
            if from_rauc and fields.get(HeaderFields.member) == "Completed":
                match message.body:
                    case (int(result),):
                        self._result = result


@asynccontextmanager
async def open_rauc(address: str) -> AsyncIterator[Rauc]:
    """Connect to the bus for the time of the block.

    Args:
        address: `SYSTEM_BUS`, or a D-Bus address of a Unix socket.

    Raises:
        InstallerUnavailable: there is no bus.
    """
    with _reached():
        async with open_bus(address) as bus:
            yield Rauc(bus)


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except BusLost as error:
        raise InstallerUnavailable(str(error)) from error


@contextmanager
def _understood() -> Iterator[None]:
    """Take what an answer holds; one of another form is no answer."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InstallerUnavailable(f"RAUC answers what its interface does not know: {error}") from error


def _slot(name: object, status: Any) -> Slot:
    # The values are pairs of a signature and what it describes.
    known = {str(key): value for key, (_, value) in status.items()}
    boot_status = known.get("boot-status")
    version = known.get("bundle.version")
    return Slot(
        name=str(name),
        bootable="bootname" in known,
        booted=known.get("state") == "booted",
        version=None if version is None else str(version)[:MAX_TEXT_CHARACTERS],
        installed=_when(known, "installed"),
        activated=_when(known, "activated"),
        good=None if boot_status is None else boot_status == "good",
    )


def _when(known: dict[str, Any], what: str) -> str | None:
    if f"{what}.timestamp" not in known:
        return None
    return f"{known[f'{what}.timestamp']} {known.get(f'{what}.count', '')}"
