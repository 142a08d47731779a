"""What the tests of transfers share: the simulated file servers, and `Transfers` that trusts them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chargepoint.configuration_table import TRANSFER_PROTOCOLS
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.pki import Pki
from chargepoint.transfer import Transfers
from chargepoint.transfer_protocols import PROTOCOLS_NAME, Protocols
from chargepoint.transfer_settings import TransferSettings
from tests.transfers.stage import CONTENT

Make = Callable[..., Transfers]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki.create()


@pytest.fixture
async def servers(tmp_path: Path, pki: Pki) -> AsyncIterator[FileServers]:
    async with FileServers(tmp_path / "servers", pki) as servers:
        for server in servers:
            (server.directory / "image.bin").write_bytes(CONTENT)
        yield servers


@pytest.fixture(scope="session")
def known_protocols(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What pycurl can do here, so that not every test asks it."""
    directory = tmp_path_factory.mktemp("protocols")
    asyncio.run(Protocols(directory).learn())
    return (directory / PROTOCOLS_NAME).read_bytes()


@pytest.fixture
def make(tmp_path: Path, pki: Pki, known_protocols: bytes) -> Make:
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
            TransferSettings(**settings),
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
