"""A peer for the Charge Point to connect to: a blocking server in a thread, which records all that it is sent.

It blocks because asyncio sends no TLS alerts; it records because a refused peer must have received nothing. What it
does with a connection is a `Talk`; the next connection may be talked to differently.
"""

import logging
import os
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

_silent = logging.Logger("peer")  # what the peer's end logs must not be taken for the Charge Point's
_silent.disabled = True

PATIENCE_S: Final = 10.0
"""How long a thread waits for anything before the test has failed."""


@dataclass
class Visit:
    """One connection that the peer accepted.

    Attributes:
        received: the bytes that came: over TCP, or over TLS once its handshake was done.
        handshake_error: why TLS failed at the peer's end.
        pings: how many WebSocket pings came.
        connection: the socket, while it is open.
        over: set when the peer is done with the connection.
    """

    received: bytes = b""
    handshake_error: Exception | None = None
    pings: int = 0
    connection: socket.socket | None = None
    over: threading.Event = field(default_factory=threading.Event)


Talk = Callable[[Visit, socket.socket], None]
"""What is done with one connection; it may raise OSError, the socket is closed afterwards."""


class Peer:
    """The server; `talk` may be changed at any time.

    Attributes:
        talk: what the next connection meets.
        visits: every connection so far.
        port: on 127.0.0.1.
    """

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.visits: list[Visit] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def drop(self) -> None:
        """Cut every connection without a word of WebSocket or TLS."""
        for visit in list(self.visits):
            if visit.connection is not None:
                with suppress(OSError):  # it has gone by itself
                    visit.connection.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Forget the connections that are over."""
        self.visits = [visit for visit in self.visits if not visit.over.is_set()]
        self._threads = [thread for thread in self._threads if thread.is_alive()]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE_S)
            visit = Visit(connection=connection)
            self.visits.append(visit)
            thread = threading.Thread(target=self._serve, args=(self.talk, visit, connection), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, talk: Talk, visit: Visit, connection: socket.socket) -> None:
        try:
            talk(visit, connection)
        except OSError as error:
            visit.handshake_error = visit.handshake_error or error
        finally:
            visit.connection = None
            connection.close()
            visit.over.set()


def listen(visit: Visit, connection: socket.socket) -> None:
    """Say nothing and record what comes, until the other end closes."""
    while data := connection.recv(4096):
        visit.received += data


def reset(_: Visit, connection: socket.socket) -> None:
    """Cut the connection with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def saying(answer: bytes) -> Talk:
    """Answer whatever comes with these bytes."""

    def talk(visit: Visit, connection: socket.socket) -> None:
        visit.received += connection.recv(65_536)
        connection.sendall(answer)

    return talk


def greeting(banner: bytes) -> Talk:
    """Speak first, as SSH does, and record what comes."""

    def talk(visit: Visit, connection: socket.socket) -> None:
        connection.sendall(banner)
        listen(visit, connection)

    return talk


def answering(status: str, headers: str = "") -> Talk:
    """Answer the HTTP request with a status."""
    return saying(f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n".encode())


def over_tls(context: ssl.SSLContext, then: Talk = listen) -> Talk:
    """Shake hands by TLS first."""

    def talk(visit: Visit, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
            visit.connection = secured
            try:
                secured.do_handshake()
            except (ssl.SSLError, OSError) as error:
                visit.handshake_error = error
                _drain(secured)
                return
            with suppress(ssl.SSLError):  # the Charge Point leaves without a TLS good-bye, as asyncio does
                then(visit, secured)

    return talk


def upgrading_then(then: Talk) -> Talk:
    """Upgrade and agree to ocpp1.6, then do something else than a Central System."""

    def talk(visit: Visit, connection: socket.socket) -> None:
        protocol = ServerProtocol(subprotocols=[Subprotocol("ocpp1.6")], logger=_silent)
        while not (requests := protocol.events_received()):
            protocol.receive_data(connection.recv(65_536))
        assert isinstance(requests[0], Request)
        protocol.send_response(protocol.accept(requests[0]))
        connection.sendall(b"".join(protocol.data_to_send()))
        then(visit, connection)

    return talk


def _drain(secured: ssl.SSLSocket) -> None:
    """Read what still comes: closing with unread bytes would send a reset, which overtakes the alert."""
    with suppress(OSError):
        while select.select([secured], [], [], PATIENCE_S)[0] and os.read(secured.fileno(), 4096):
            pass


def upgrading(visit: Visit, connection: socket.socket) -> None:
    """Be a good Central System: upgrade, agree to ocpp1.6, echo each message, answer pings and the close."""
    protocol = ServerProtocol(subprotocols=[Subprotocol("ocpp1.6")], logger=_silent)
    while data := connection.recv(65_536):
        visit.received += data
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                protocol.send_text(event.data)
            elif isinstance(event, Frame) and event.opcode is Opcode.PING:
                visit.pings += 1
        for answer in protocol.data_to_send():
            if not answer:
                return
            connection.sendall(answer)
