"""`chargepoint central-system` as a process: it serves, listens to its standard input, and ends when told to."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from chargepoint.simulation.file_account import WRITER
from chargepoint.simulation.http_server import HttpServer
from tests.bare_charge_point import BOOT, PASSWORD, BareChargePoint, basic
from tests.curl import curl, needs_curl

ROOT = Path(__file__).parents[3]


class Command:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, text: str) -> str:
        """Read lines until one holds the text."""
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while data := await self.process.stdout.readline():
                self.lines.append(data.decode().rstrip())
                if text in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"ended before {text!r}: {self.lines}")

    async def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        await self.process.stdin.drain()


@asynccontextmanager
async def running(directory: Path, *arguments: str) -> AsyncIterator[Command]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chargepoint", "central-system", "--port", "0", "--directory", str(directory), *arguments,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def address(line: str, identity: str = "CP001") -> str:
    return line.rpartition(" ")[2].rpartition("/")[0] + f"/{identity}"


async def test_a_charge_point_is_served_and_called_by_hand(tmp_path: Path) -> None:
    arguments = ("--profile", "1", "--identity", "CP001", "--password", PASSWORD.hex())
    async with running(tmp_path, *arguments) as command:
        url = address(await command.until("security profile 1"))
        with pytest.raises(InvalidStatus, match="404"):
            await connect(address(url, "CP002"), proxy=None)
        subprotocols = [Subprotocol("ocpp1.6")]
        async with connect(url, subprotocols=subprotocols, additional_headers=basic(PASSWORD), proxy=None) as websocket:
            client = BareChargePoint(websocket)
            await client.call("BootNotification", BOOT)
            await command.until("--> BootNotification.req")
            await command.tell('call ChangeConfiguration {"key": "AuthorizationKey", "value": "00"}')
            await client.answer({"status": "Rejected"})
            await command.until("--> ChangeConfiguration.conf")
            await command.tell("quit")
            assert await command.process.wait() == 0
        assert not [line for line in command.lines if PASSWORD.hex() in line or '"00"' in line]
        assert (tmp_path / "central_system_root.pem").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_end_of_a_pipe_is_not_the_end_but_a_signal_is(number: signal.Signals, tmp_path: Path) -> None:
    async with running(tmp_path) as command:
        url = address(await command.until("security profile 0"))
        assert command.process.stdin is not None
        command.process.stdin.close()
        async with connect(url, subprotocols=[Subprotocol("ocpp1.6")], proxy=None) as websocket:
            await BareChargePoint(websocket).call("BootNotification", BOOT)
            command.process.send_signal(number)
            assert await command.process.wait() == 0


async def test_a_bad_password_is_refused_without_being_shown(tmp_path: Path) -> None:
    async with running(tmp_path, "--identity", "CP001", "--password", "secret-but-no-hex") as command:
        await command.until("32 to 40 hex digits")
        assert await command.process.wait() == 2
        assert "secret" not in "".join(command.lines)
    async with running(tmp_path, "--password", PASSWORD.hex()) as command:
        await command.until("belong to an --identity")
        assert await command.process.wait() == 2


async def test_listening_to_the_network_is_said(tmp_path: Path) -> None:
    async with running(tmp_path, "--bind", "127.0.0.2") as command:
        await command.until("note: listening at 127.0.0.2")
    async with running(tmp_path, "--bind", "192.0.2.1") as command:
        await command.until("chargepoint central-system: port 0 of 192.0.2.1 cannot be had")
        assert await command.process.wait() == 1


async def test_a_directory_that_cannot_be_used_is_one_kind_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with running(tmp_path / "file" / "pki") as command:
        await command.until("file/pki: Not a directory")
        assert await command.process.wait() == 1
    (tmp_path / "central_system_root.pem").write_text("damaged")
    (tmp_path / "central_system_root.key").write_text("damaged")
    async with running(tmp_path) as command:
        await command.until(f"the PKI in {tmp_path} is damaged")
        assert await command.process.wait() == 1


@needs_curl
async def test_files_are_taken_and_shown(tmp_path: Path) -> None:
    log = tmp_path / "security.log"
    log.write_bytes(b"what happened")
    async with running(tmp_path / "site") as command:
        url = (await command.until("logs are taken at     http:")).rpartition(" ")[2]
        assert "ssh-ed25519" in await command.until("host key of sftp")
        await command.until("help lists the commands")
        assert (await curl("--upload-file", log, f"{url}a.log")).code == 0
        assert (await command.until("http PUT")).endswith("writer  >>  http PUT /inbox/a.log, 13 bytes: 201")
        assert (tmp_path / "site" / "files" / "http" / "inbox" / "a.log").read_bytes() == b"what happened"
        assert not [line for line in command.lines if ">>" in line and WRITER.password in line]


async def test_file_servers_have_the_ports_that_are_named(tmp_path: Path) -> None:
    async with running(tmp_path, "--file-port", "65531") as command:
        await command.until("6 ports are needed from there on")
        assert await command.process.wait() == 2
    async with (
        HttpServer(tmp_path / "other") as other,
        running(tmp_path, "--file-port", str(other.port)) as command,
    ):
        await command.until("chargepoint central-system: the file servers cannot start: Address already in use")
        assert await command.process.wait() == 1


@pytest.mark.parametrize(
    ("option", "value", "words"), [("--port", "65536", "from 0 to 65535"), ("--path", "ocpp", "begins with /")]
)
async def test_an_impossible_address_is_refused(tmp_path: Path, option: str, value: str, words: str) -> None:
    async with running(tmp_path, option, value) as command:
        await command.until(words)
        assert await command.process.wait() == 2


async def test_what_an_agent_needs_in_its_configuration_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, "--profile", "3") as command:
        url = address(await command.until("security profile 3"), "")
        assert await command.until("[central_system]") == f'    [central_system]  url = "{url.rstrip("/")}"'
        assert str(tmp_path / "central_system_root.pem") in await command.until("[provisioning]")
        await command.until("SecurityProfile = 3")
        await command.until("issue SERIAL_NUMBER")
