"""A blocking server in a thread that misbehaves in one way, and remembers what it was sent.

Blocking sockets, because there OpenSSL sends its alerts itself and the order of bytes, FIN and RST is ours to choose
(decision 0045). It listens on loopback only, serves each connection in a thread of its own and ends with its `with`
block; entering and leaving take milliseconds, so that it may stand in an asynchronous test too. A port can be given:
one that a Central System has just left, for instance.

Not done here: the ways to misbehave (faults.py).
"""

import asyncio
import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Final, Self

from chargepoint.simulation.authority import Issued

VISIT_TIMEOUT: Final = timedelta(seconds=30)  #: time that one connection is served; no test waits longer
JOIN_TIMEOUT: Final = timedelta(seconds=5)  #: time for a thread to end; its socket is closed, so it needs none
MAX_RECEIVED_BYTES: Final = 1_048_576  #: bytes kept of one connection; above the longest 1.6 message

_LOOPBACK: Final = "127.0.0.1"
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: the close becomes a RST


@dataclass
class Visit:
    """One connection as it looked from the server.

    Attributes:
        number: counted from 1.
        received: the bytes that came: after the TLS handshake where the server speaks TLS, else from the start.
        error: what TLS or the socket complained of, None if nothing did.
        version: the TLS version agreed on, None without a finished handshake.
        suite: the cipher suite agreed on, None without a finished handshake.
        over: set once the connection is closed.
    """

    number: int
    received: bytearray = field(default_factory=bytearray)
    error: str | None = None
    version: str | None = None
    suite: str | None = None
    over: threading.Event = field(default_factory=threading.Event)


Behaviour = Callable[[socket.socket, Visit], None]


class FaultServer:
    """A server with one behaviour.

    Args:
        behave: serves one connection; the socket is closed when it returns, its OSErrors go to `Visit.error`.
        port: TCP port, 0 for any.
        tls: whether a client should come with wss.
        host: the name to reach it by.

    Attributes:
        port: the port it listens at.
        visits: all connections so far.
    """

    def __init__(self, behave: Behaviour, *, port: int = 0, tls: bool = True, host: str = "localhost") -> None:
        self.port = port
        self.visits: list[Visit] = []
        self._behave = behave
        self._tls = tls
        self._host = host
        self._changed = threading.Condition()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False

    @property
    def url(self) -> str:
        """What a Charge Point is configured with; its identity comes behind it."""
        return f"{'wss' if self._tls else 'ws'}://{self._host}:{self.port}/ocpp"

    def __enter__(self) -> Self:
        self._listener = socket.create_server((_LOOPBACK, self.port))
        self.port = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._accepting = self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopping = True
            self._wake.close()
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._accepting.join(JOIN_TIMEOUT.total_seconds())  # first: it starts the others
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT.total_seconds())
        self._listener.close()
        self._woken.close()

    def wait(self, count: int = 1, *, timeout: timedelta = VISIT_TIMEOUT) -> Visit:
        """Wait until the connection of this number is over, and return it; blocks the thread.

        Raises:
            TimeoutError: it did not come, or did not end, in time.
        """
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.visits) >= count, timeout.total_seconds())
        if not came or not self.visits[count - 1].over.wait(timeout.total_seconds()):
            raise TimeoutError(f"{len(self.visits)} of {count} connections came")
        return self.visits[count - 1]

    async def visited(self, count: int = 1, *, timeout: timedelta = VISIT_TIMEOUT) -> Visit:
        """As `wait`, without blocking the event loop."""
        return await asyncio.to_thread(self.wait, count, timeout=timeout)

    def _start(self, run: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=run, name="fault server", daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._woken], [], [])
            if self._woken in ready:
                return
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                self._start(partial(self._serve, connection))

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(VISIT_TIMEOUT.total_seconds())
        handle = connection.dup()  # TLS takes the socket over; this one can still end it
        with self._changed:
            visit = Visit(len(self.visits) + 1)
            self.visits.append(visit)
            self._sockets.add(handle)
            stopping = self._stopping
            self._changed.notify_all()
        try:
            if not stopping:
                self._behave(connection, visit)
        except OSError as error:
            visit.error = visit.error or _words(error)
        finally:
            connection.close()
            with self._changed:
                self._sockets.discard(handle)
                handle.close()
            visit.over.set()


def tls_context(certificate: Issued, *, suites: str = "DEFAULT") -> ssl.SSLContext:
    """Build a server context that shows even a certificate or agrees to a suite that no good server would."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    certificate.load_into(context)
    return context


def shake_hands(connection: socket.socket, visit: Visit, context: ssl.SSLContext) -> ssl.SSLSocket | None:
    """Agree on TLS; where that fails, let the peer read the alert, note the cause and return None."""
    tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    try:
        tls.do_handshake()
    except OSError as error:
        visit.error = _words(error)
        part(tls)
        return None
    cipher = tls.cipher()
    visit.version, visit.suite = tls.version(), cipher[0] if cipher else None
    return tls


def drain(connection: socket.socket, visit: Visit) -> None:
    """Keep what the peer sends until it sends no more."""
    while data := connection.recv(65_536):
        if len(visit.received) < MAX_RECEIVED_BYTES:
            visit.received += data


def part(connection: socket.socket) -> None:
    """Close so that the peer can read what was sent last: a close with unread input would be a RST."""
    with connection, contextlib.suppress(OSError):  # the peer may be gone already
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass


def reset(connection: socket.socket) -> None:
    """Close with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason
    return str(error) or type(error).__name__
