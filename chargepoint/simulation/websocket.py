"""One WebSocket at the Central System's end, on the sans-IO core of `websockets`.

The core gives the simulated Central System what a finished server hides: it answers an upgrade as it likes, sends bytes
that are no WebSocket, and cuts at any point. Pings are answered; nothing is compressed.

Raises: `WebSocketClosed` once the connection is over, however it ended; `WireLost` when no request ever came.
"""

import logging
from collections.abc import Mapping
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from chargepoint.simulation.wire import Wire, WireLost

SUBPROTOCOL: Final = Subprotocol("ocpp1.6")
MAX_MESSAGE_BYTES: Final = 1_048_576  #: bytes; the default of `websockets`, far above the longest 1.6 message

_QUIET: Final = logging.getLogger("chargepoint.simulation.websocket")


class WebSocketClosed(Exception):
    """Raised when the connection is over.

    Attributes:
        code: the close code, 1006 where the peer sent none.
        reason: the peer's reason, or what was seen on the wire.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class WebSocket:
    """The server's side of one WebSocket.

    Attributes:
        wire: the bytes below, TLS already agreed.
        pings: how many pings have come.
        reads: how often bytes were read; messages with the same count came in one go.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.pings = 0
        self.reads = 0
        self._protocol = ServerProtocol(
            subprotocols=[SUBPROTOCOL], select_subprotocol=_select, max_size=MAX_MESSAGE_BYTES, logger=_QUIET
        )
        self._frames: list[Frame] = []
        self._fragments: list[bytes] = []
        self._is_text = True

    async def request(self) -> Request:
        """Wait for the upgrade request."""
        while True:
            data = await self.wire.read()
            if not data:
                raise WireLost("closed before a request")
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    return event
            if isinstance(self._protocol.handshake_exc, Exception):
                self._flush()
                raise WireLost(str(self._protocol.handshake_exc))

    async def accept(self, request: Request) -> Response:
        """Upgrade, or answer the HTTP error that the request deserves; the subprotocol is named only if offered."""
        response = self._protocol.accept(request)
        await self._respond(response)
        return response

    async def reject(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        """Answer an HTTP error instead of upgrading."""
        response = self._protocol.reject(status, f"{text}\n")
        response.headers.update(headers)
        await self._respond(response)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol agreed on."""
        return self._protocol.subprotocol

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self._protocol.state is State.OPEN

    @property
    def fault(self) -> str | None:
        """How the peer broke RFC 6455, None if it did not; a connection that just ends is no breach."""
        error = self._protocol.parser_exc
        return None if error is None or isinstance(error, EOFError) else str(error) or type(error).__name__

    async def receive(self) -> str | bytes:
        """Wait for a message; a binary one comes as bytes. Raises `WebSocketClosed`."""
        while True:
            while self._frames:
                if (message := self._take(self._frames.pop(0))) is not None:
                    return message
            if self._protocol.state is State.CLOSED:
                raise WebSocketClosed(self._protocol.close_code or 1006, self._protocol.close_reason or "")
            await self._pump()

    def send(self, message: str | bytes) -> None:
        """Queue a message: text for a str, binary for bytes. Raises `WebSocketClosed`."""
        if not self.is_open:
            raise WebSocketClosed(self._protocol.close_code or 1006, "the connection is not open")
        if isinstance(message, str):
            self._protocol.send_text(message.encode("utf-8", "surrogatepass"))
        else:
            self._protocol.send_binary(message)
        self._flush()

    def ping(self, data: bytes = b"") -> None:
        """Queue a ping."""
        if self.is_open:
            self._protocol.send_ping(data)
            self._flush()

    def start_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; `receive` sees its end."""
        if self.is_open:
            self._protocol.send_close(code, reason)
            self._flush()

    async def _respond(self, response: Response) -> None:
        self._protocol.send_response(response)
        self._flush()
        await self.wire.drain()

    async def _pump(self) -> None:
        self.reads += 1
        try:
            if data := await self.wire.read():
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
        except WireLost as error:
            raise WebSocketClosed(1006, str(error)) from error
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frames.append(event)
        self._flush()

    def _take(self, frame: Frame) -> str | bytes | None:
        if frame.opcode is Opcode.PING:
            self.pings += 1
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return None
        data, self._fragments = b"".join(self._fragments), []
        return data.decode("utf-8", "replace") if self._is_text else data

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.wire.write(data)
            else:
                self.wire.end()


def _select(_protocol: ServerProtocol, offered: object) -> Subprotocol | None:
    # OCPP-J 1.6 section 3.2: without a common subprotocol the handshake is completed and the connection then closed.
    return SUBPROTOCOL if isinstance(offered, list | tuple) and SUBPROTOCOL in offered else None
