"""`chargepoint central-system`: the simulated Central System alone, for an agent or a device under test.

Every message is shown as a line (transcript.py), commands are read from standard input (desk.py). It ends with `quit`,
SIGINT or SIGTERM, and with the end of a terminal's input; the end of a pipe is not the end.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from chargepoint.simulation import transcript
from chargepoint.simulation.admission import MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES
from chargepoint.simulation.central_system import LOOPBACK, CentralSystem
from chargepoint.simulation.desk import Desk
from chargepoint.simulation.file_desk import FileDesk
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.finding import Finding
from chargepoint.simulation.pki import CPO_NAME, Pki
from chargepoint.simulation.recorder import Entry

DEFAULT_PORT: Final = 9000  #: TCP port; free on most machines, and not one of root's
MAX_PORT: Final = 65_535  #: TCP port; TCP has 16 bits for it
FILE_PORTS: Final = 6  #: TCP ports; one for each scheme of file_servers.py
MAX_ENTRIES: Final = 1_000  #: entries of the record kept; the lines shown are the record that a person reads
MAX_COMMAND_BYTES: Final = 65_536  #: bytes of a command; a certificate chain of 10,000 characters fits

_PASSWORD_PROFILES: Final = (1, 2)
_CERTIFICATE_PROFILE: Final = 3
_REFUSED: Final = 2
_FAILED: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="TCP port, 0 for any (default %(default)s)")
    parser.add_argument("--profile", type=int, choices=range(4), default=0, help="security profile (default 0)")
    parser.add_argument(
        "--directory", type=Path, default=Path("central-system"),
        help="where the PKI lies, made on first use (default ./%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="localhost", help="name in the URL and on the certificate (default %(default)s)"
    )
    parser.add_argument(
        "--bind", default=LOOPBACK,
        help="address to listen at (default %(default)s); another one lets the network in, so use it in a laboratory",
    )  # fmt: skip
    parser.add_argument(
        "--file-port", type=_file_port, default=0, metavar="PORT",
        help="TCP port of the first file server, http; https, ftp, ftpes, ftps and sftp have the next (default any)",
    )  # fmt: skip
    parser.add_argument("--path", type=_path, default="/ocpp", help="path before the identity (default %(default)s)")
    parser.add_argument(
        "--organisation", default=CPO_NAME, help="name of the CPO on certificates (default %(default)s)"
    )
    parser.add_argument("--identity", help="the one Charge Point that may connect; without it any may")
    parser.add_argument(
        "--password", metavar="HEX", type=_password, help="its AuthorizationKey; without it the first one seen counts"
    )
    parser.add_argument("--serial-number", help="CN of its certificate; without it the first one seen counts")


def main(namespace: argparse.Namespace) -> int:
    """Run the Central System until it is told to end; return the exit status."""
    if namespace.identity is None and (namespace.password or namespace.serial_number):
        _say("chargepoint central-system: --password and --serial-number belong to an --identity")
        return _REFUSED
    try:
        asyncio.run(_run(namespace))
    except _NoFileServers as error:
        _say(f"chargepoint central-system: the file servers cannot start: {error} (--file-port names other ports)")
        return _FAILED
    except OSError as error:
        _say(f"chargepoint central-system: {_where(error, namespace)}: {os.strerror(error.errno or 0)}")
        return _FAILED
    except ValueError as error:
        _say(f"chargepoint central-system: the PKI in {namespace.directory} is damaged: {error}")
        _say("remove that directory to have a new one made; its roots are then new too")
        return _FAILED
    return 0


def _where(error: OSError, namespace: argparse.Namespace) -> str:
    if error.filename is not None:
        return str(error.filename)
    return f"port {namespace.port} of {namespace.bind} cannot be had (--port and --bind name another)"


class _NoFileServers(Exception):
    """Raised when the file servers cannot listen; the text says why."""


async def _run(namespace: argparse.Namespace) -> None:
    pki = Pki.create(namespace.directory, organisation=namespace.organisation)
    central_system = CentralSystem(
        pki=pki,
        profile=namespace.profile,
        port=namespace.port,
        host=namespace.host,
        bind=namespace.bind,
        path=namespace.path,
        max_entries=MAX_ENTRIES,
    )
    _know(central_system, namespace)
    central_system.recorder.listeners.append(partial(_show, central_system))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(central_system)
        servers = await _serve_files(stack, pki, namespace)
        files = FileDesk(central_system, servers)
        _greet(central_system, namespace)
        for line in files.greeting():
            _say(line)
        _say("help lists the commands")
        commands = asyncio.create_task(_obey(Desk(central_system, namespace.directory, _say, files), stop))
        await stop.wait()
        commands.cancel()
        await asyncio.gather(commands, return_exceptions=True)


async def _serve_files(stack: AsyncExitStack, pki: Pki, namespace: argparse.Namespace) -> FileServers:
    servers = FileServers(
        namespace.directory / "files", pki,
        first_port=namespace.file_port, host=namespace.host, bind=namespace.bind,
    )  # fmt: skip
    for server in servers:
        server.record.listeners.append(lambda arrival: _say(transcript.transfer(arrival)))
    try:
        return await stack.enter_async_context(servers)
    except OSError as error:
        if error.filename is not None:
            raise
        raise _NoFileServers(os.strerror(error.errno or 0)) from error


def _know(central_system: CentralSystem, namespace: argparse.Namespace) -> None:
    register = central_system.register
    register.only = None if namespace.identity is None else frozenset({namespace.identity})
    register.accept_unknown = True
    if namespace.password is not None:
        register.passwords[namespace.identity] = namespace.password
    if namespace.serial_number is not None:
        register.serial_numbers[namespace.identity] = namespace.serial_number


def _greet(central_system: CentralSystem, namespace: argparse.Namespace) -> None:
    root = (namespace.directory / "central_system_root.pem").absolute()
    _say(f"security profile {central_system.profile} at {central_system.url}/{namespace.identity or '<identity>'}")
    _say("an agent's config.toml:")
    _say(f'    [central_system]  url = "{central_system.url}"')
    _say(f'    [provisioning]    central_system_roots = ["{root}"]')
    _say(f'                      manufacturer_roots = ["{root.with_name("manufacturer_root.pem")}"]')
    _say(f"    [configuration]   SecurityProfile = {central_system.profile}")
    if central_system.profile in _PASSWORD_PROFILES and namespace.password is None:
        _say("the first AuthorizationKey that a Charge Point shows counts as its own (--password sets it)")
    if central_system.profile == _CERTIFICATE_PROFILE:
        _say("issue SERIAL_NUMBER makes a certificate for a Charge Point")
    if namespace.bind != LOOPBACK:
        _say(f"note: listening at {namespace.bind}, not on loopback only: whoever reaches this port may connect")


async def _obey(desk: Desk, stop: asyncio.Event) -> None:
    """Carry out the commands of standard input, each as a task, so that a slow Charge Point stops nobody."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    # A thread, because a pipe, a file and a terminal can all be read so; a daemon, because nothing can wake it.
    threading.Thread(target=_read, args=(loop, lines), name="standard input", daemon=True).start()
    async with asyncio.TaskGroup() as group:
        while (line := await lines.get()) is not None and line.strip() != "quit":
            group.create_task(desk.obey(line))
    if line is not None or sys.stdin.isatty():
        stop.set()


def _read(loop: asyncio.AbstractEventLoop, lines: "asyncio.Queue[str | None]") -> None:
    """Read descriptor 0, not `sys.stdin`: a daemon must not hold its lock when the interpreter ends."""
    pending = b""
    with contextlib.suppress(OSError, RuntimeError):  # no standard input, or the loop is closed
        while data := os.read(0, MAX_COMMAND_BYTES):
            *complete, pending = (pending + data)[-MAX_COMMAND_BYTES:].split(b"\n")
            for line in complete:
                loop.call_soon_threadsafe(lines.put_nowait, line.decode("utf-8", "replace"))
        loop.call_soon_threadsafe(lines.put_nowait, None)


def _show(central_system: CentralSystem, entry: Entry | Finding) -> None:
    _say(transcript.line(entry, central_system.passwords.values()))


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody reads any more; the Central System goes on
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {MAX_PORT}")
    return int(text)


def _file_port(text: str) -> int:
    port = _port(text)
    if port > MAX_PORT - FILE_PORTS + 1:
        raise argparse.ArgumentTypeError(f"{FILE_PORTS} ports are needed from there on")
    return port


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError("a path begins with /")
    return text.rstrip("/")


def _password(text: str) -> bytes:
    try:
        password = bytes.fromhex(text)
    except ValueError:
        password = b""
    if not MIN_PASSWORD_BYTES <= len(password) <= MAX_PASSWORD_BYTES:
        raise argparse.ArgumentTypeError("an AuthorizationKey is 32 to 40 hex digits")  # A00.FR.205; not shown
    return password
