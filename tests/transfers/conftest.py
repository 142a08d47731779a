"""What the tests of transfers share: the simulated file servers, and `Transfers` that trusts them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chargepoint.configuration_table import TRANSFER_PROTOCOLS
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.http_server import HttpServer, HttpsServer
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.sftp_server import SftpServer
from chargepoint.transfer import Transfers
from chargepoint.transfer_protocols import PROTOCOLS_NAME, Protocols
from chargepoint.transfer_settings import TransferSettings
from tests.transfers.stage import CONTENT

Make = Callable[..., Transfers]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki.create()


@pytest.fixture
def known_hosts(tmp_path: Path) -> Path:
    """The host keys that are known: that of the server of the test."""
    known_hosts = tmp_path / "known_hosts"
    known_hosts.touch()
    return known_hosts


@pytest.fixture
def servers(tmp_path: Path, pki: Pki) -> FileServers:
    """The servers, each of which a test enters that needs it."""
    return FileServers(tmp_path / "servers", pki)


@pytest.fixture
async def server(request: pytest.FixtureRequest, servers: FileServers, known_hosts: Path) -> AsyncIterator[FileServer]:
    """The server of the scheme that the test names, with a file to be fetched."""
    async with servers.of(request.param) as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        if isinstance(server, SftpServer):
            known_hosts.write_text(f"{server.host_key_line}\n")
        yield server


@pytest.fixture
async def http(servers: FileServers) -> AsyncIterator[HttpServer]:
    async with servers.http as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        yield server


@pytest.fixture
async def https(servers: FileServers) -> AsyncIterator[HttpsServer]:
    async with servers.https as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        yield server


@pytest.fixture(scope="session")
def known_protocols(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What pycurl can do here, so that not every test asks it."""
    directory = tmp_path_factory.mktemp("protocols")
    asyncio.run(Protocols(directory).learn())
    return (directory / PROTOCOLS_NAME).read_bytes()


@pytest.fixture
def make(tmp_path: Path, pki: Pki, known_protocols: bytes, known_hosts: Path) -> Make:
    """`Transfers` with other settings, trust or protocols than those that suit the servers."""

    def make(
        *,
        roots: tuple[bytes, ...] | None = None,
        allowed: tuple[str, ...] = TRANSFER_PROTOCOLS,
        reserve_bytes: int = 0,
        **settings: Any,
    ) -> Transfers:
        directory = tmp_path / "transfers"
        directory.mkdir(mode=0o700, exist_ok=True)
        (directory / PROTOCOLS_NAME).write_bytes(known_protocols)
        return Transfers(
            TransferSettings(**{"known_hosts": known_hosts, **settings}),
            directory,
            roots=lambda: (pki.root_pem,) if roots is None else roots,
            allowed=lambda: allowed,
            reserve_bytes=reserve_bytes,
        )

    return make


@pytest.fixture
def transfers(make: Make) -> Transfers:
    return make()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to be sent."""
    source = tmp_path / "security.log"
    source.write_bytes(CONTENT)
    return source


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a file is fetched to."""
    return tmp_path / "image"
