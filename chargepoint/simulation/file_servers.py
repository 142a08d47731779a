"""All simulated file servers of one site, each with a directory named after its scheme.

    async with FileServers(directory, pki) as servers:
        servers.https.add_fault(CutAfter(bytes=100_000))
        location = servers.https.url("firmware/image.bin")

Those for ftp and sftp need libraries (`pip install chargepoint[simulation]`) that a board has no other use for. Without
them the site has http and https only, and `lacking` says so.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.http_server import HttpServer, HttpsServer
from chargepoint.simulation.pki import Pki

if TYPE_CHECKING:
    from chargepoint.simulation.ftp_server import FtpesServer, FtpServer, FtpsServer
    from chargepoint.simulation.sftp_server import SftpServer

SCHEMES: Final = ("http", "https", "ftp", "ftpes", "ftps", "sftp")
LIBRARIES: Final = frozenset({"OpenSSL", "asyncssh", "pyftpdlib"})
"""What may be missing, by the names of the modules."""

S = TypeVar("S", bound=FileServer)


class LibraryMissing(Exception):
    """Raised when a server is asked for whose library is not installed; the text says which."""


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
        lacking: scheme -> library, for the servers that this installation cannot have.
    """

    def __init__(self, directory: Path, pki: Pki, *, first_port: int = 0, **options: Any) -> None:
        self.http = HttpServer(directory / "http", **options)
        self.https = HttpsServer(directory / "https", pki, **options)
        self.lacking: dict[str, str] = {}
        self._servers: dict[str, FileServer] = {"http": self.http, "https": self.https}
        self._stack = AsyncExitStack()
        try:
            self._add_ftp(directory, pki, options)
        except ModuleNotFoundError as error:
            self._lack(error, "ftp", "ftpes", "ftps")
        try:
            self._add_sftp(directory, options)
        except ModuleNotFoundError as error:
            self._lack(error, "sftp")
        if first_port:
            for scheme, server in self._servers.items():
                server.port = first_port + SCHEMES.index(scheme)

    @property
    def ftp(self) -> "FtpServer":
        """The server for ftp; raises LibraryMissing."""
        self.of("ftp")
        from chargepoint.simulation.ftp_server import FtpServer

        return self._get("ftp", FtpServer)

    @property
    def ftpes(self) -> "FtpesServer":
        """The server for explicit FTPS; raises LibraryMissing."""
        self.of("ftpes")
        from chargepoint.simulation.ftp_server import FtpesServer

        return self._get("ftpes", FtpesServer)

    @property
    def ftps(self) -> "FtpsServer":
        """The server for implicit FTPS; raises LibraryMissing."""
        self.of("ftps")
        from chargepoint.simulation.ftp_server import FtpsServer

        return self._get("ftps", FtpsServer)

    @property
    def sftp(self) -> "SftpServer":
        """The server for sftp, whose host key lies in `directory`; raises LibraryMissing."""
        self.of("sftp")
        from chargepoint.simulation.sftp_server import SftpServer

        return self._get("sftp", SftpServer)

    def __iter__(self) -> Iterator[FileServer]:
        return iter(self._servers.values())

    def of(self, scheme: str) -> FileServer:
        """Return the server of a scheme.

        Raises:
            LibraryMissing: its library is not installed.
            KeyError: there is no such scheme.
        """
        if scheme in self.lacking:
            raise LibraryMissing(f"{scheme} needs {self.lacking[scheme]}: pip install 'chargepoint[simulation]'")
        return self._servers[scheme]

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

    def _add_ftp(self, directory: Path, pki: Pki, options: dict[str, Any]) -> None:
        from chargepoint.simulation.ftp_server import FtpesServer, FtpServer, FtpsServer

        self._servers["ftp"] = FtpServer(directory / "ftp", **options)
        self._servers["ftpes"] = FtpesServer(directory / "ftpes", pki, **options)
        self._servers["ftps"] = FtpsServer(directory / "ftps", pki, **options)

    def _add_sftp(self, directory: Path, options: dict[str, Any]) -> None:
        from chargepoint.simulation.sftp_server import SftpServer

        self._servers["sftp"] = SftpServer(directory / "sftp", host_key=directory / "sftp_host_key", **options)

    def _lack(self, error: ModuleNotFoundError, *schemes: str) -> None:
        library = (error.name or "").partition(".")[0]
        if library not in LIBRARIES:
            raise error
        self.lacking.update(dict.fromkeys(schemes, library))

    def _get(self, scheme: str, kind: type[S]) -> S:
        server = self.of(scheme)
        if not isinstance(server, kind):
            raise TypeError(f"the server for {scheme} is a {type(server).__name__}")
        return server
