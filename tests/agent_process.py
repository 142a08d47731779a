"""The agent as a process: `chargepoint run` on a configuration of the test, with its log, its socket and its signals.

It tells that it is ready as it tells a service manager, so that nothing is waited for by the clock. When the block is
left the process is gone in any case, and it must not have logged a traceback.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.pki import Pki

PROGRAM: Final = (sys.executable, "-m", "chargepoint")
PATIENCE_S: Final = 20
MAX_LINE_BYTES: Final = 1_048_576
PKI: Final = Pki.create()

Tables = Mapping[str, Mapping[str, Any]]


class Refused(Exception):
    """Raised when a method of the control socket answers an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.data = error.get("data")


def write_config(directory: Path, url: str, tables: Tables | None = None) -> Path:
    """Write a config.toml for an agent whose state lies in the same directory, impatient where patience is no matter.

    Args:
        directory: where config.toml and the state directory lie.
        url: of the Central System.
        tables: values that are added, or that stand instead; None takes a key away.
    """
    content: dict[str, dict[str, Any]] = {
        "charge_point": {
            "identity": "CP001",
            "vendor": "Vendor",
            "model": "Model",
            "serial_number": "SN-0001",
            "connectors": 1,
        },
        "central_system": {"url": url},
        "state": {"directory": "state"},
        "connection": {"retry_first_s": 0, "retry_initial_s": 0.1, "retry_max_s": 1, "close_timeout_s": 0.5},
        "session": {"boot_retry_s": 1},
    }
    for table, values in (tables or {}).items():
        content[table] = {**content.get(table, {}), **values}
    lines = []
    for table, values in content.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None]
    path = directory / "config.toml"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


class Agent:
    """A process of `chargepoint run`.

    Attributes:
        state: its state directory.
        socket: its control socket.
        log: the lines of its standard error so far.
        output: the lines of its standard output so far.
        pid: of the process.
    """

    def __init__(self, process: asyncio.subprocess.Process, state: Path) -> None:
        self.state = state
        self.socket = state / "control.sock"
        self.log: list[str] = []
        self.output: list[str] = []
        self.pid = process.pid
        self._process = process
        self._ready = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def ready(self, times: int = 1) -> None:
        """Wait until it has said so often that it is ready; each re-execution says so once more."""
        await self._until(lambda: self._ready >= times, "it never was ready")

    async def logged(self, text: str, times: int = 1) -> str:
        """Wait until so many lines of the log hold a text, and return the last of them."""

        def found() -> list[str]:
            return [line for line in self.log if text in line]

        await self._until(lambda: len(found()) >= times, f"it did not log {text!r}")
        return found()[times - 1]

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method of the control socket and return its result."""
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(str(self.socket), limit=16 * MAX_LINE_BYTES)
            try:
                request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                writer.write(json.dumps(request).encode() + b"\n")
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    async def events(self, event_type: str | None = None) -> list[dict[str, Any]]:
        """Return the security events, of one type or all."""
        events: list[dict[str, Any]] = await self.call("security.events")
        return [event for event in events if event_type in (None, event["type"])]

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end and return the exit status, negative for a signal."""
        async with asyncio.timeout(PATIENCE_S):
            status = await self._process.wait()
            await self._until(lambda: self._closed, "its standard error stays open")
            return status

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.send_signal(number)
        return await self.ended()

    def said(self) -> str:
        """Everything that came out of it, for a search."""
        return "\n".join((*self.log, *self.output))

    async def note_ready(self) -> None:
        self._ready += 1
        await self._tell()

    async def read(self) -> None:
        """Take in what it writes until it has closed both outputs."""
        process = self._process
        assert process.stdout is not None
        assert process.stderr is not None
        await asyncio.gather(self._read(process.stderr, self.log), self._read(process.stdout, self.output))
        self._closed = True
        await self._tell()

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        while line := await stream.readline():
            lines.append(line.decode().rstrip("\n"))
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, condition: Callable[[], bool], complaint: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S), self._changed:
                await self._changed.wait_for(lambda: condition() or self._closed)
        except TimeoutError:
            complaint += f" within {PATIENCE_S} s"
        if not condition():
            raise AssertionError(f"{complaint}; its log:\n{self.said()}")


class _NotifySocket(asyncio.DatagramProtocol):
    """The service manager's end of sd_notify."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if b"READY=1" in data and self.agent is not None:
            self.tasks.add(asyncio.create_task(self.agent.note_ready()))


def _environment(**more: str) -> dict[str, str]:
    """That of the tests, but the processes use their bytecode, as an installed agent does, and so start sooner."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more


@asynccontextmanager
async def agent(
    directory: Path,
    url: str,
    tables: Tables | None = None,
    *,
    program: tuple[str, ...] = PROGRAM,
    level: str = "debug",
    waits: bool = True,
) -> AsyncIterator[Agent]:
    """Start an agent; at the end of the block it is killed, should it still run.

    Args:
        directory: holds config.toml and the state directory.
        url: of the Central System.
        tables: as for `write_config`.
        program: what `run --config` is given to.
        level: of the log.
        waits: the block begins when the agent is ready.
    """
    config = write_config(directory, url, tables)
    async with process(directory, program, "run", "--config", str(config), "--log-level", level) as running:
        if socket_path := (tables or {}).get("control", {}).get("socket"):
            running.socket = directory / "state" / socket_path
        if waits:
            await running.ready()
        yield running


@asynccontextmanager
async def process(directory: Path, program: tuple[str, ...], *arguments: str) -> AsyncIterator[Agent]:
    """Start any command of the program with an eye on it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify_socket:
        address = f"\0chargepoint-test-{os.getpid()}-{id(notify_socket)}"
        notify_socket.bind(address)
        notify_socket.setblocking(False)
        transport, manager = await asyncio.get_running_loop().create_datagram_endpoint(
            _NotifySocket, sock=notify_socket
        )
        started = await asyncio.create_subprocess_exec(
            *program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            env=_environment(NOTIFY_SOCKET="@" + address[1:]),
        )
        manager.agent = running = Agent(started, directory / "state")
        reading = asyncio.create_task(running.read())
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                started.kill()
            await started.wait()
            await reading
            transport.close()
            await asyncio.gather(*manager.tasks)
    assert "Traceback" not in running.said(), running.said()


@asynccontextmanager
async def booted(directory: Path, tables: Tables | None = None) -> AsyncIterator[tuple[CentralSystem, Agent]]:
    """Start a Central System and an agent that it has accepted, with the status of both connectors told."""
    async with CentralSystem(pki=PKI) as central_system, agent(directory, central_system.url, tables) as running:
        await booted_on(central_system)
        yield central_system, running


async def booted_on(central_system: CentralSystem) -> None:
    """An agent boots, and tells the status of both connectors."""
    await central_system.expect("BootNotification")
    for _ in range(2):
        await central_system.expect("StatusNotification")
