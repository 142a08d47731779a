"""A lean Central System: accepts every Charge Point on loopback, answers what it is asked, and notes when it booted.

Guaranteed: it listens with and without TLS; it has no compression and sends no pings, so that the idle stay idle.

Not done here: it checks nothing, neither passwords nor payloads. The simulated Central System does that, and would take
a good part of each round trip for it.
"""

import asyncio
import itertools
import json
import ssl
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.process import Broken

ANSWER_TIMEOUT: Final = 30.0  #: seconds; a Charge Point that is silent for so long is broken, not slow
CONNECT_TIMEOUT: Final = 30.0  #: seconds; ten times what a slow board needs, start of the process included
MAX_HEAD_CHARACTERS: Final = 80  #: in which the id of an answer stands
HEARTBEAT_INTERVAL: Final = 300  #: seconds; no heartbeat falls into a measurement that the boot did not announce


class Request(NamedTuple):
    """A request that is ready to be sent."""

    unique_id: str
    frame: str


class Session:
    """One connection of a Charge Point.

    Attributes:
        booted_at: when its BootNotification.req was read, `time.perf_counter`; cancelled where none came.
    """

    def __init__(self, socket: ServerConnection) -> None:
        loop = asyncio.get_running_loop()
        self.booted_at: asyncio.Future[float] = loop.create_future()
        self._socket = socket
        self._ids = itertools.count(1)
        self._asked_id = ""
        self._waiting: Iterator[Request] = iter(())
        self._last_answer: asyncio.Future[str] = loop.create_future()

    async def run(self) -> None:
        """Read until the connection ends."""
        try:
            async for message in self._socket:
                await self._take_in(str(message))
        except ConnectionClosed:
            pass  # without a close frame: the Charge Point was killed, or cut off by `cut`
        finally:
            self.booted_at.cancel()
            if not self._last_answer.done():
                self._last_answer.set_exception(Broken("the Charge Point has gone"))
                self._last_answer.exception()  # nobody may be waiting

    def request(self, action: str, payload: dict[str, Any]) -> Request:
        """Prepare a request; no two have the same id, not even on two connections."""
        unique_id = f"{time.monotonic_ns():x}-{next(self._ids)}"
        return Request(unique_id, json.dumps([2, unique_id, action, payload]))

    async def call(self, action: str, payload: dict[str, Any]) -> str:
        """Send one request; otherwise as `call_all`."""
        return await self.call_all([self.request(action, payload)])

    async def call_all(self, requests: Iterable[Request]) -> str:
        """Send at least one request, each when the one before is answered, and return the last answer as it came.

        The reader sends them, not the caller, who would have to be woken up for each.

        Raises:
            Broken: there was no answer.
        """
        self._waiting = iter(requests)
        self._last_answer = asyncio.get_running_loop().create_future()
        try:
            await self._send_next()
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await self._last_answer
        except (TimeoutError, ConnectionClosed) as error:
            raise Broken(f"a request was not answered: {str(error) or 'it took too long'}") from error

    async def send(self, frame: str | bytes) -> None:
        """Send a frame and expect nothing."""
        await self._socket.send(frame)

    def cut(self) -> None:
        """End the TCP connection at once, without a close frame."""
        self._socket.transport.abort()

    async def close(self) -> None:
        """End the connection in order."""
        await self._socket.close()

    async def _take_in(self, message: str) -> None:
        if message.startswith("[2"):
            await self._answer(message)
        # The id is looked for, not parsed: parsing here would add the same to every round trip.
        elif self._asked_id and f'"{self._asked_id}"' in message[:MAX_HEAD_CHARACTERS] and not await self._send_next():
            self._asked_id = ""
            self._last_answer.set_result(message)

    async def _send_next(self) -> bool:
        following = next(self._waiting, None)
        if following is None:
            return False
        self._asked_id = following.unique_id
        await self._socket.send(following.frame)
        return True

    async def _answer(self, message: str) -> None:
        now = time.perf_counter()
        _, unique_id, action, *_ = json.loads(message)
        if action == "BootNotification" and not self.booted_at.done():
            self.booted_at.set_result(now)
        await self._socket.send(json.dumps([3, unique_id, _answer_to(action)]))


def _answer_to(action: str) -> dict[str, Any]:
    current_time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    match action:
        case "BootNotification":
            return {"status": "Accepted", "currentTime": current_time, "interval": HEARTBEAT_INTERVAL}
        case "Heartbeat":
            return {"currentTime": current_time}
        case _:
            return {}


class CentralSystem:
    """Listens while it is entered as a context.

    Args:
        tls: presents the server's certificate for "localhost".

    Attributes:
        ws_url, wss_url: without and with TLS.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._stack = AsyncExitStack()
        self._sessions: defaultdict[str, asyncio.Queue[Session]] = defaultdict(asyncio.Queue)
        self.ws_url = self.wss_url = ""

    async def __aenter__(self) -> Self:
        self.ws_url = f"ws://localhost:{await self._listen(None)}/ocpp"
        self.wss_url = f"wss://localhost:{await self._listen(self._tls)}/ocpp"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def session(self, identity: str) -> Session:
        """Return the next connection of a Charge Point, in the order of their coming.

        Raises:
            Broken: none came.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await self._sessions[identity].get()
        except TimeoutError as error:
            raise Broken(f"{identity} did not connect") from error

    async def _listen(self, tls: ssl.SSLContext | None) -> int:
        server: Server = await self._stack.enter_async_context(
            serve(
                self._welcome,
                "127.0.0.1",
                0,
                ssl=tls,
                subprotocols=[Subprotocol("ocpp1.6")],
                compression=None,
                ping_interval=None,
                close_timeout=2,
            )
        )
        port: int = next(iter(server.sockets)).getsockname()[1]
        return port

    async def _welcome(self, socket: ServerConnection) -> None:
        session = Session(socket)
        assert socket.request is not None
        self._sessions[socket.request.path.rpartition("/")[2]].put_nowait(session)
        await session.run()
