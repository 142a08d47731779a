"""All simulated file servers of one site, each with a directory named after its scheme.

async with FileServers(directory, pki) as servers:
    servers.https.add_fault(CutAfter(bytes=100_000))
    location = servers.https.url("firmware/image.bin")
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.ftp_server import FtpesServer, FtpServer, FtpsServer
from chargepoint.simulation.http_server import HttpServer, HttpsServer
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.sftp_server import SftpServer


class FileServers:
    """The servers; they start and end with the block.

    Args:
        directory: where their directories are made.
        pki: issues their certificates.
        first_port: TCP port of the first server, each of the others has the next; 0 for any.
        options: as for `FileServer`.

    Attributes:
        http: the server for http.
        https: the server for https.
        ftp: the server for ftp.
        ftpes: the server for explicit FTPS.
        ftps: the server for implicit FTPS.
        sftp: the server for sftp; its host key lies in `directory`.
    """

    def __init__(self, directory: Path, pki: Pki, *, first_port: int = 0, **options: Any) -> None:
        self.http = HttpServer(directory / "http", **options)
        self.https = HttpsServer(directory / "https", pki, **options)
        self.ftp = FtpServer(directory / "ftp", **options)
        self.ftpes = FtpesServer(directory / "ftpes", pki, **options)
        self.ftps = FtpsServer(directory / "ftps", pki, **options)
        self.sftp = SftpServer(directory / "sftp", host_key=directory / "sftp_host_key", **options)
        self._stack = AsyncExitStack()
        if first_port:
            for port, server in enumerate(self, first_port):
                server.port = port

    def __iter__(self) -> Iterator[FileServer]:
        yield from (self.http, self.https, self.ftp, self.ftpes, self.ftps, self.sftp)

    def of(self, scheme: str) -> FileServer:
        """Return the server of a scheme.

        Raises:
            KeyError: there is none.
        """
        return {server.scheme: server for server in self}[scheme]

    async def __aenter__(self) -> "FileServers":
        async with AsyncExitStack() as stack:
            for server in self:
                await stack.enter_async_context(server)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
