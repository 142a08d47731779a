"""The stage of the demo: a simulated Central System with PKI and file servers, and a real agent in its own process.

Everything lives in one temporary directory and on loopback, and ends with the stage: the agent is told to end, and
killed where it does not.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from chargepoint import control_client
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.pki import Pki

IDENTITY: Final = "CP001"
SERIAL_NUMBER: Final = "SN-0001"
ORGANISATION: Final = "Example CPO"
START_TIMEOUT: Final = timedelta(seconds=30)  #: time; a board starts Python in a few seconds
END_TIMEOUT: Final = timedelta(seconds=5)  #: time; the contract of `chargepoint run`

_CONFIG: Final = """\
[charge_point]
identity = "{identity}"
vendor = "Example Vendor"
model = "Example Model"
serial_number = "{serial_number}"
firmware_version = "1.0.0"

[central_system]
url = "{url}"

[state]
directory = "state"

[hardware]
on_reboot = "restart"

[connection]          # impatient, so that nobody waits for a demo
retry_first_s = 0.2
retry_initial_s = 0.2
retry_max_s = 1

[transfers]
known_hosts = "known_hosts"

[security]
profile_trial_attempts = 2
profile_trial_s = 0.5
"""


class NotShown(Exception):
    """Raised when this installation lacks what a step needs; the text says what."""


class Stage:
    """The demo's actors.

    Attributes:
        directory: where everything lies.
        pki: the Central System's certificate authority.
        central_system: the simulated Central System.
        servers: its file servers.
    """

    def __init__(self, directory: Path, pki: Pki, central_system: CentralSystem, servers: FileServers) -> None:
        self.directory = directory
        self.pki = pki
        self.central_system = central_system
        self.servers = servers
        self._agent: asyncio.subprocess.Process | None = None

    @property
    def agent_pid(self) -> int:
        """The process id of the agent."""
        if self._agent is None:
            raise RuntimeError("no agent runs")
        return self._agent.pid

    @property
    def log_file(self) -> Path:
        """Where the agent's log goes."""
        return self.directory / "agent.log"

    async def start_agent(self) -> None:
        """Start `chargepoint run` in a process of its own."""
        with self.log_file.open("ab") as log:
            self._agent = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chargepoint", "run", "--log-level", "debug",
                "--config", str(self.directory / "config.toml"),
                cwd=self.directory, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    async def kill_agent(self) -> None:
        """End the agent as a crash would."""
        await self._end_agent(signal.SIGKILL)

    async def stop_agent(self) -> None:
        """End the agent in order; kill it where it does not."""
        if self._agent is None:
            return
        try:
            await self._end_agent(signal.SIGTERM)
        except TimeoutError:
            await self._end_agent(signal.SIGKILL)

    async def server_for(self, *schemes: str) -> FileServer:
        """Return the first server whose scheme this installation has at both ends.

        Raises:
            NotShown: it has none.
        """
        conf = await self.central_system.call("GetConfiguration", {"key": ["SupportedFileTransferProtocols"]})
        (key,) = conf.get("configurationKey", [{}])
        protocols = str(key.get("value", "")).lower().split(",")
        for scheme in schemes:
            if scheme.replace("ftpes", "ftps") in protocols and scheme not in self.servers.lacking:
                return self.servers.of(scheme)
        wanted = " or ".join(schemes)
        raise NotShown(f"no library here for {wanted}: pip install 'chargepoint[simulation,transfers]'")

    async def _end_agent(self, number: signal.Signals) -> None:
        agent = self._agent
        if agent is None:
            return
        if agent.returncode is None:
            agent.send_signal(number)
        async with asyncio.timeout(END_TIMEOUT.total_seconds()):
            await agent.wait()
        self._agent = None

    async def control(self, method: str, **params: Any) -> Any:
        """Call a method of the agent's control socket."""
        return await asyncio.to_thread(
            control_client.call, self.directory / "state" / "control.sock", method, params or None
        )

    async def command(self, *arguments: str) -> str:
        """Run a `chargepoint` command as an operator would, and return what it printed.

        Raises:
            RuntimeError: it did not end with status 0.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "chargepoint", *arguments,
            cwd=self.directory, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "CHARGEPOINT_CONFIG": str(self.directory / "config.toml")},
        )  # fmt: skip
        printed, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"chargepoint {' '.join(arguments)} ended with {process.returncode}: {printed.decode()}")
        return printed.decode().strip()


@asynccontextmanager
async def open_stage(directory: Path) -> AsyncIterator[Stage]:
    """Set the stage in an empty directory; at the end everything on it is ended."""
    pki = Pki.create(directory / "pki", organisation=ORGANISATION)
    async with CentralSystem(pki=pki, profile=0) as central_system, FileServers(directory / "files", pki) as servers:
        config = _CONFIG.format(identity=IDENTITY, serial_number=SERIAL_NUMBER, url=central_system.url)
        (directory / "config.toml").write_text(config)
        known_host = "" if "sftp" in servers.lacking else f"{servers.sftp.host_key_line}\n"
        (directory / "known_hosts").write_text(known_host)
        central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
        stage = Stage(directory, pki, central_system, servers)
        try:
            yield stage
        finally:
            await stage.stop_agent()
