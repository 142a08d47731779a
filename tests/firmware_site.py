"""A Charge Point, a Central System that updates its firmware, and file servers for all six schemes.

The agent is a process of its own with simulated slots, which reboots by executing itself anew. It trusts the
manufacturer root of the simulation.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.firmware_publisher import FirmwarePublisher, Release
from chargepoint.simulation.frame import Call
from chargepoint.simulation.script import Answer
from firmware.state import State
from tests.agent_process import PKI, PROGRAM, Agent, Tables, agent, booted_on

SCHEMES: Final = ("http", "https", "ftp", "ftpes", "ftps", "sftp")
STATUS: Final = "SignedFirmwareStatusNotification"
ENDS: Final = frozenset(
    {"Installed", "DownloadFailed", "InvalidSignature", "InstallationFailed", "InstallVerificationFailed"}
)
ACCEPTED: Final = "answered the BootNotification.req: Accepted"
WHOLE: Final = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed"]
"""What is told of an update that goes well."""


@dataclass
class FirmwareSite:
    """Both ends, the manufacturer, and the file servers."""

    central_system: CentralSystem
    agent: Agent
    servers: FileServers
    publisher: FirmwarePublisher
    _stack: contextlib.AsyncExitStack
    _start: Callable[[], contextlib.AbstractAsyncContextManager[Agent]]

    async def order(self, release: Release, **request: Any) -> tuple[int, str]:
        """Send a SignedUpdateFirmware.req and return its requestId and the status of the answer."""
        payload = self.publisher.request(release, **request)
        return await self.send(payload)

    async def send(self, payload: dict[str, Any]) -> tuple[int, str]:
        """Send a SignedUpdateFirmware.req as it is."""
        answer = await self.central_system.call("SignedUpdateFirmware", payload)
        return payload["requestId"], str(answer["status"])

    async def told(self, request_id: int, status: str) -> None:
        """Wait until a status of a request was told."""
        await self.central_system.expect(STATUS, match={"requestId": request_id, "status": status})

    async def end_of(self, request_id: int) -> list[str]:
        """Wait for the end of an update and return all that was told of it, in order."""
        await self.central_system.expect(
            STATUS, match=lambda payload: payload.get("requestId") == request_id and payload["status"] in ENDS
        )
        return self.heard(request_id)

    def heard(self, request_id: int | None) -> list[str]:
        """Return what has been told of a request so far, in order; None: what came without a requestId."""
        return [
            entry.frame.payload["status"]
            for entry in self.central_system.recorder.frames("received", STATUS)
            if isinstance(entry.frame, Call) and entry.frame.payload.get("requestId") == request_id
        ]

    async def event(self, event_type: str) -> dict[str, Any]:
        """Wait for a security event and return it."""
        return dict(await self.central_system.expect("SecurityEventNotification", match={"type": event_type}))

    async def status(self) -> dict[str, Any]:
        """Return the section of the agent's status."""
        shown: dict[str, Any] = (await self.agent.call("status"))["firmware"]
        return shown

    async def restart(self) -> None:
        """Have the agent end in order and start again on the same state, and boot."""
        await self.restart_without_boot()
        await self.agent.logged(ACCEPTED)

    async def restart_later(self, by: timedelta) -> None:
        """As `restart`, so much later."""
        self.pretend(by)
        await self.restart()

    async def restart_without_boot(self) -> None:
        """As `restart`, to a Central System that may not accept it."""
        await self.agent.stop()
        await self.start_again(boots=False)

    async def start_again(self, *, boots: bool = True) -> None:
        """Start an agent, in the place of one that has ended, on its state; it boots where it is let in."""
        self.agent = await self._stack.enter_async_context(self._start())
        if boots:
            await self.agent.logged(ACCEPTED)

    def pretend(self, by: timedelta) -> None:
        """Have the Central System say that it is so much later."""
        now = (datetime.now(UTC) + by).strftime("%Y-%m-%dT%H:%M:%SZ")
        boot = {"status": "Accepted", "currentTime": now, "interval": 300}
        self.central_system.script("BootNotification", Answer(boot))
        self.central_system.script("Heartbeat", Answer({"currentTime": now}))

    async def reached(self, state: State, times: int = 1) -> dict[str, Any]:
        """Wait until the agent has logged so often that an update is in a state, and return its status."""
        await self.agent.logged(f": {state.value}", times)
        return await self.status()


def firmware_tables(directory: Path, servers: FileServers, tables: Tables | None = None) -> dict[str, dict[str, Any]]:
    """Lay what the agent needs to trust servers and manufacturer beside config.toml, and return its tables."""
    (directory / "root.pem").write_bytes(PKI.root_pem)
    (directory / "manufacturer.pem").write_bytes(PKI.manufacturer_root_pem)
    (directory / "known_hosts").write_text(f"{servers.sftp.host_key_line}\n")
    content: dict[str, dict[str, Any]] = {
        "provisioning": {"central_system_roots": ["root.pem"], "manufacturer_roots": ["manufacturer.pem"]},
        "transfers": {"known_hosts": "known_hosts", "stall_timeout_s": 2, "connect_timeout_s": 5},
        "charge_point": {"firmware_version": "1.0.0"},
        "firmware": {"reboot_report_wait_s": 10},
    }
    for table, values in (tables or {}).items():
        content[table] = {**content.get(table, {}), **values}
    return content


@asynccontextmanager
async def firmware_site(
    directory: Path, tables: Tables | None = None, *, program: tuple[str, ...] = PROGRAM
) -> AsyncIterator[FirmwareSite]:
    """An agent that has booted, a manufacturer, and all servers."""
    async with contextlib.AsyncExitStack() as stack:
        servers = await stack.enter_async_context(FileServers(directory / "servers", PKI))
        central_system = await stack.enter_async_context(CentralSystem(pki=PKI))
        content = firmware_tables(directory, servers, tables)

        def start() -> contextlib.AbstractAsyncContextManager[Agent]:
            return agent(directory, central_system.url, content, program=program)

        running = await stack.enter_async_context(start())
        await booted_on(central_system)
        yield FirmwareSite(central_system, running, servers, FirmwarePublisher(servers, PKI), stack, start)
