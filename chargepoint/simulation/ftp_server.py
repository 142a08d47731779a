"""The file servers for ftp, explicit FTPS (ftpes) and implicit FTPS (ftps).

Passive and active mode, REST and APPE, as pyftpdlib has them. With FTPS nothing goes in clear: neither a password nor
data. Without credentials files may be read, as user `anonymous`.

Each server has a loop of its own in a thread of its own, for loops of pyftpdlib must not be shared between threads.

Not done here: what happens in a session (ftp_session.py).
"""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any, ClassVar, Final

from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.file_fault import Fault, ShowCertificate
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.ftp_session import SESSION_FAULTS, Accounts, FtpesSession, FtpSession, FtpsSession
from chargepoint.simulation.ftp_tls import openssl_context
from chargepoint.simulation.pki import Pki

TURN_SECONDS: Final = 0.05  #: seconds that the loop sleeps at most; a stop waits so long

logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())  # else pyftpdlib sets up a log of its own


class FtpServer(FileServer):
    """A file server for ftp."""

    scheme = "ftp"
    knows: ClassVar[tuple[type[Fault], ...]] = SESSION_FAULTS
    _session_kind: ClassVar[type[FtpSession]] = FtpSession

    async def _start(self) -> None:
        self._loop = IOLoop()
        session = type("Session", (self._session_kind,), self._session_attributes())
        self._server = FTPServer((self.bind, self.port), session, ioloop=self._loop)
        self.port = self._server.address[1]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{self.scheme} server", daemon=True)
        self._thread.start()

    async def _stop(self) -> None:
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._loop.loop(TURN_SECONDS, blocking=False)
        for each in list(self._loop.socket_map.values()):
            if isinstance(each, FtpSession):
                each.abandon()
        self._loop.close()

    def _session_attributes(self) -> dict[str, Any]:
        return {"owner": self, "authorizer": Accounts(self)}


class FtpesServer(FtpServer):
    """A file server for explicit FTPS (RFC 4217): ftp that goes over to TLS before the login.

    Args:
        directory: what it serves.
        pki: issues its certificate.
        options: as for `FileServer`.
    """

    scheme = "ftpes"
    knows = (*SESSION_FAULTS, ShowCertificate)
    _session_kind = FtpesSession

    def __init__(self, directory: Path, pki: Pki, **options: Any) -> None:
        super().__init__(directory, **options)
        self._pki = pki
        self.present()

    def present(self, certificate: Issued | None = None) -> None:
        """Show another certificate from the next session on; None: a good one."""
        self._tls = openssl_context(certificate or self._pki.server_certificate(self.host))

    def _session_attributes(self) -> dict[str, Any]:
        return {**super()._session_attributes(), "get_ssl_context": staticmethod(lambda: self._tls)}


class FtpsServer(FtpesServer):
    """A file server for implicit FTPS: TLS from the first byte."""

    scheme = "ftps"
    _session_kind = FtpsSession
