"""The file server for http and https: GET with ranges, PUT, POST of forms, Basic authentication.

- GET and HEAD name an ETag and the time of the last change, and honour Range and If-Range (RFC 9110 sections 13, 14).
- PUT stores under its path, POST (multipart/form-data) under the file's name in the directory of its path. A file shows
  up when it is whole; what was cut leaves nothing behind, as with most web servers.
- Without credentials files may be read, not left. With wrong ones nothing may be done.

Each connection has a thread of its own; leaving the block cuts all of them.

Not done here: reading and writing of HTTP messages (http.server of the standard library), of their bodies
(http_exchange.py).
"""

import asyncio
import contextlib
import socket
import sys
import threading
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, ClassVar, Final

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.fault_server import tls_context
from chargepoint.simulation.file_fault import Fault, ShowCertificate
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.http_exchange import REQUEST_FAULTS, HttpExchange
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.server_tls import server_context

QUIET_SECONDS: Final = 60.0  #: seconds that a connection may be quiet; longer than any stall that a client puts up with


class HttpServer(FileServer):
    """A file server for http."""

    scheme = "http"
    knows: ClassVar[tuple[type[Fault], ...]] = REQUEST_FAULTS

    async def _start(self) -> None:
        self._listener = _Listener((self.bind, self.port), self)
        self.port = self._listener.server_address[1]
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.05,), name=f"{self.scheme} server", daemon=True
        )
        self._thread.start()

    async def _stop(self) -> None:
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._listener.cut_all()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def shake_hands(self, connection: socket.socket) -> socket.socket | None:
        """Return the stream for a connection, None where none comes to be."""
        return connection


class HttpsServer(HttpServer):
    """A file server for https.

    Args:
        directory: what it serves.
        pki: issues its certificate.
        options: as for `FileServer`.
    """

    scheme = "https"
    knows = (*REQUEST_FAULTS, ShowCertificate)

    def __init__(self, directory: Path, pki: Pki, **options: Any) -> None:
        super().__init__(directory, **options)
        self._pki = pki
        self.present()

    def present(self, *certificates: Issued) -> None:
        """Show other certificates from the next handshake on; none: a good one."""
        self._context = server_context(certificates or (self._pki.server_certificate(self.host),))

    def shake_hands(self, connection: socket.socket) -> socket.socket | None:
        """Agree on TLS; None where the client does not."""
        fault = self.faults.take(ShowCertificate)
        context = tls_context(fault.certificate) if fault else self._context
        stream = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        try:
            stream.do_handshake()
        except OSError:
            stream.close()
            return None
        return stream


class _Listener(ThreadingTCPServer):
    """Hands each connection to an `HttpExchange` in a thread of its own, and can cut all of them."""

    daemon_threads = False  # so that closing waits for them; they end because their connections are cut
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: HttpServer) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._handles: set[socket.socket] = set()
        self._stopping = threading.Event()
        super().__init__(address, BaseRequestHandler)

    def cut_all(self) -> None:
        """Cut all connections, and those that come from now on."""
        with self._lock:
            self._stopping.set()
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        request.settimeout(QUIET_SECONDS)
        handle = request.dup()  # TLS takes the socket over; this one can still end it
        with self._lock:
            if self._stopping.is_set():
                handle.close()
                return
            self._handles.add(handle)
        try:
            if (stream := self._owner.shake_hands(request)) is not None:
                with stream:
                    HttpExchange(self._owner, handle, self._stopping, stream, client_address, self)
        finally:
            with self._lock:
                self._handles.discard(handle)
                handle.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Take the end of a connection as it comes; anything else is a mistake in this program."""
        if not isinstance(sys.exception(), OSError):
            raise  # socketserver calls this while it handles the exception
