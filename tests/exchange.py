"""An exchange whose connection is a pair of queues: what a test says and hears as the Central System."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from chargepoint.payload import call_result
from chargepoint.rpc import AnswerMemory, Exchange, Limits, LinkLost, Reply, Serve
from chargepoint.schema import Tolerance

PATIENCE_S = 5
LIMITS = Limits(call_timeout=timedelta(seconds=30), ping_timeout=timedelta(seconds=10), max_inbound_calls=4)


class Pipe:
    """The Transport of an exchange in memory, and the Central System at its other end."""

    def __init__(self) -> None:
        self.closed: tuple[int, str] | None = None
        self.pings = 0
        self.pongs = True
        self._inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._sent: asyncio.Queue[str] = asyncio.Queue()
        self._lost = LinkLost("cut")
        self._gone = False

    async def receive(self) -> str | bytes:
        message = await self._inbox.get()
        if message is None:
            raise self._lost
        return message

    async def send(self, text: str) -> None:
        if self._gone:
            raise self._lost
        self._sent.put_nowait(text)

    async def ping(self, timeout: timedelta) -> bool:
        self.pings += 1
        return self.pongs

    async def close(self, code: int, reason: str) -> None:
        self.closed = code, reason
        self.cut()

    def say(self, message: Any) -> None:
        """Send as the Central System; anything but text and bytes is made JSON."""
        self._inbox.put_nowait(message if isinstance(message, str | bytes) else json.dumps(message))

    async def hear(self) -> list[Any]:
        """Return the next frame of the Charge Point."""
        frame: list[Any] = json.loads(await asyncio.wait_for(self._sent.get(), PATIENCE_S))
        return frame

    async def ask(self, message: Any) -> list[Any]:
        self.say(message)
        return await self.hear()

    def cut(self, lost: LinkLost | None = None) -> None:
        """Let the connection go."""
        self._gone = True
        self._lost = lost or self._lost
        self._inbox.put_nowait(None)


class Talk:
    """A running exchange, its pipe, and the security events that it raised."""

    def __init__(self, serve: Serve, memory: AnswerMemory, limits: Limits, tolerance: Tolerance | None) -> None:
        self.pipe = Pipe()
        self.events: list[tuple[str, str | None]] = []
        self._raised = asyncio.Event()
        self.exchange = Exchange(
            self.pipe, serve, memory=memory, limits=limits, raise_event=self._note, tolerance=tolerance
        )
        self.running = asyncio.create_task(self.exchange.run())

    async def _note(self, event_type: str, tech_info: str | None) -> None:
        self.events.append((event_type, tech_info))
        self._raised.set()

    async def event(self) -> tuple[str, str | None]:
        """Wait until an event has been raised and return the newest."""
        await asyncio.wait_for(self._raised.wait(), PATIENCE_S)
        self._raised.clear()
        return self.events[-1]

    async def lives(self) -> bool:
        """Tell whether a good request is answered next: nothing before it was."""
        return await self.pipe.ask([2, "alive?", "ClearCache", {}]) == [3, "alive?", {"status": "Accepted"}]


async def accept(request: Any, action: str) -> Reply:
    """Serve ClearCache and Reset."""
    return Reply(getattr(call_result, action)(status="Accepted"))


@asynccontextmanager
async def talking(
    serve: Callable[[Any, str], Awaitable[Reply]] = accept,
    *,
    memory: AnswerMemory | None = None,
    limits: Limits = LIMITS,
    tolerance: Tolerance | None = None,
) -> AsyncIterator[Talk]:
    """Run an exchange; at the end its connection is cut, and it must then end by itself."""
    talk = Talk(serve, memory or AnswerMemory(), limits, tolerance)
    try:
        yield talk
    finally:
        talk.pipe.cut()
        await asyncio.wait_for(talk.running, PATIENCE_S)
