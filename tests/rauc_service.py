"""A private D-Bus, and on it a service with the interface of RAUC whose installations a test leads step by step.

The interface is what an installer uses of RAUC's as its service describes itself (`METHODS`, `PROPERTIES`, `SIGNALS`);
tests/interop/test_rauc.py compares the two, and runs the same installer against the packaged RAUC, where there is one.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from jeepney import DBusAddress, HeaderFields, MessageType, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.asyncio import DBusConnection, DBusRouter, Proxy, open_dbus_connection

NAME: Final = "de.pengutronix.rauc"
IDLE, INSTALLING = "idle", "installing"

METHODS: Final = {
    "InstallBundle": ("sa{sv}", ""),
    "Mark": ("ss", "ss"),
    "GetSlotStatus": ("", "a(sa{sv})"),
    "GetPrimary": ("", "s"),
}
PROPERTIES: Final = {"Operation": "s", "LastError": "s", "Progress": "(isi)"}
SIGNALS: Final = {"Completed": "i"}

_BUS_CONFIG = """\
<busconfig>
  <type>custom</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow own="*"/><allow send_destination="*"/><allow eavesdrop="true"/></policy>
</busconfig>
"""


@asynccontextmanager
async def private_bus(directory: Path) -> AsyncIterator[str]:
    """Run a D-Bus of its own for the time of the block and yield its address."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip("this machine has no dbus-daemon")
    socket = directory / "bus"
    (directory / "bus.conf").write_text(_BUS_CONFIG.format(socket=socket))
    process = await asyncio.create_subprocess_exec(
        daemon,
        f"--config-file={directory / 'bus.conf'}",
        "--nofork",
        "--nopidfile",
        "--print-address",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline()
        yield f"unix:path={socket}"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Device:
    """What a device with two slots keeps over restarts of RAUC and over boots.

    Attributes:
        booted: the slot that runs.
        primary: the slot that the boot loader tries first.
        written: how often each slot was written, and with which version.
        activated: how often each slot was made the primary one.
        keeps_status: RAUC has a status file.
        marks: what was marked so far.
    """

    def __init__(self) -> None:
        self.booted = self.primary = "rootfs.0"
        self.written: dict[str, tuple[int, str]] = {}
        self.activated: dict[str, int] = {}
        self.keeps_status = True
        self.activates = True
        self.names_primary = True
        self.marks: list[tuple[str, str]] = []

    @property
    def other(self) -> str:
        return "rootfs.1" if self.booted == "rootfs.0" else "rootfs.0"

    def write_other(self, version: str) -> None:
        """Write the slot that does not run, and activate it as the last step."""
        self.written[self.other] = self.written.get(self.other, (0, ""))[0] + 1, version
        if self.activates:
            self.activate(self.other)

    def activate(self, slot: str) -> None:
        self.primary = slot
        self.activated[slot] = self.activated.get(slot, 0) + 1

    def boot(self, slot: str | None = None) -> None:
        """Boot the primary slot, or the one that the boot loader goes back to."""
        self.booted = self.primary = slot or self.primary

    def status(self) -> list[tuple[str, dict[str, tuple[str, Any]]]]:
        return [(slot, self._status_of(slot)) for slot in ("rootfs.1", "rootfs.0")] + [
            ("appfs.0", {"class": ("s", "appfs"), "state": ("s", "active")})
        ]

    def _status_of(self, slot: str) -> dict[str, tuple[str, Any]]:
        status: dict[str, tuple[str, Any]] = {
            "class": ("s", "rootfs"),
            "bootname": ("s", "A" if slot == "rootfs.0" else "B"),
            "state": ("s", "booted" if slot == self.booted else "inactive"),
            "boot-status": ("s", "good"),
        }
        if self.keeps_status and slot in self.written:
            count, version = self.written[slot]
            status |= {"bundle.version": ("s", version), "installed.count": ("u", count)}
            status |= {"installed.timestamp": ("s", f"2026-11-28T19:00:{count:02}Z")}
        if self.keeps_status and slot in self.activated:
            status |= {"activated.count": ("u", self.activated[slot])}
            status |= {"activated.timestamp": ("s", "2026-11-28T19:00:00Z")}
        return status


class RaucService:
    """The daemon; a test says how an installation goes on.

    Attributes:
        bundles: the paths that it was given so far.
        answers: what is answered instead, by method or property: a signature and a body.
        refusal: what it answers to every order, None where it obeys.
        silent: it answers nothing.
        asked: counts what was asked while it was silent.
    """

    def __init__(self, connection: DBusConnection, device: Device) -> None:
        self.device = device
        self.bundles: list[str] = []
        self.answers: dict[str, tuple[str, tuple[Any, ...]]] = {}
        self.refusal: str | None = None
        self.silent = False
        self.asked = asyncio.Semaphore(0)
        self._connection = connection
        self._emitter = DBusAddress("/", bus_name=NAME, interface="de.pengutronix.rauc.Installer")
        self._properties: dict[str, Any] = {
            "Operation": IDLE,
            "LastError": "",
            "Progress": (0, "", 0),
        }
        self._begun = asyncio.Event()

    async def begun(self) -> None:
        """Wait until an installation has begun."""
        await self._begun.wait()
        self._begun.clear()

    async def begin_elsewhere(self) -> None:
        """Install what somebody else has ordered."""
        await self._set("Operation", INSTALLING)

    async def progress(self, percent: int, text: str) -> None:
        await self._set("Progress", (percent, text, 1))

    async def complete(self, version: str = "1.1.0") -> None:
        """End the installation well."""
        self.device.write_other(version)
        await self.end("", 0)

    async def end(self, error: str, result: int) -> None:
        """End the installation with what RAUC says then, in RAUC's order."""
        await self._set("LastError", error)
        await self._connection.send(new_signal(self._emitter, "Completed", "i", (result,)))
        await self._set("Operation", IDLE)

    async def serve(self) -> None:
        """Answer until the connection is gone."""
        with suppress(EOFError, OSError):
            while True:
                message = await self._connection.receive()
                if message.header.message_type is not MessageType.method_call:
                    continue
                if self.silent:
                    self.asked.release()
                else:
                    await self._connection.send(await self._answer(message))

    async def _answer(self, message: Any) -> Any:
        member = message.header.fields[HeaderFields.member]
        if member in self.answers:
            return new_method_return(message, *self.answers[member])
        if member == "Get":
            name = message.body[1]
            if name in self.answers:
                return new_method_return(message, *self.answers[name])
            return new_method_return(message, "v", ((PROPERTIES[name], self._properties[name]),))
        given = message.header.fields.get(HeaderFields.signature, "")
        expected, answered = METHODS[member]
        assert given == expected, f"{member} takes {expected}, not {given}"
        body = await self._obey(member, *message.body)
        if body is None:
            words = self.refusal or "already processing a different method"
            return new_error(
                message, "org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code30", "s", (words,)
            )
        return new_method_return(message, answered or None, body)

    async def _obey(self, member: str, *arguments: Any) -> tuple[Any, ...] | None:
        if self._properties["Operation"] != IDLE or (self.refusal is not None and member != "GetSlotStatus"):
            return None
        match member:
            case "InstallBundle":
                self.bundles.append(arguments[0])
                self._properties["LastError"] = ""
                await self._set("Operation", INSTALLING)
                self._begun.set()
                return ()
            case "Mark":
                self.device.marks.append(arguments)
                if arguments == ("active", "booted"):
                    self.device.activate(self.device.booted)
                return self.device.booted, "marked"
            case "GetPrimary":
                return (self.device.primary,) if self.device.names_primary else None
            case _:
                return (self.device.status(),)

    async def _set(self, name: str, value: Any) -> None:
        self._properties[name] = value
        emitter = DBusAddress("/", bus_name=NAME, interface="org.freedesktop.DBus.Properties")
        changed = {name: (PROPERTIES[name], value)}
        signal = new_signal(emitter, "PropertiesChanged", "sa{sv}as", (self._emitter.interface, changed, []))
        await self._connection.send(signal)


@asynccontextmanager
async def rauc_service(address: str, device: Device) -> AsyncIterator[RaucService]:
    """Run the service for the time of the block; what it was doing at the end is not done."""
    connection = await open_dbus_connection(address)
    async with DBusRouter(connection) as router:
        await Proxy(message_bus, router).RequestName(NAME)
    service = RaucService(connection, device)
    serving = asyncio.create_task(service.serve())
    try:
        yield service
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        with suppress(OSError):
            await connection.close()
