"""The CALLs of ours on one connection: one is outstanding at a time, the others wait in the order of asking.

Guaranteed: a CALL ends by its answer, its deadline (monotonic) or the end of the connection, whichever is first. After
a deadline the peer is probed by a ping before the next CALL goes out; no pong closes the connection.

Not done here: no task is started, nothing is read from the connection, no payload is looked at; rpc.py does these.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from chargepoint.frame import Call, CallError, CallResult
from chargepoint.rpc_port import CallTimedOut, ConnectionLost, InvalidAnswer, LinkLost, Transport

MAX_LATE_IDS: Final = 16  #: ids; CALLs given up on, whose late answers are no abuse
CLOSE_NO_PONG: Final = 1011  #: code; the WebSocket close code that websockets itself uses for it

_log = logging.getLogger(__name__)

_Answer = CallResult | CallError


@dataclass(frozen=True, slots=True)
class _Outstanding:
    unique_id: str
    action: str
    answer: asyncio.Future[_Answer]


class OwnCalls:
    """Sends CALLs one after the other and brings each its answer.

    Args:
        transport: the connection, to be probed and closed.
        send: sends a CALL.
        ping_timeout: how long the pong of a probe may take.
    """

    def __init__(self, transport: Transport, send: Callable[[Call], Awaitable[None]], ping_timeout: timedelta) -> None:
        self._transport = transport
        self._send = send
        self._ping_timeout = ping_timeout
        self._turn = asyncio.Lock()
        self._outstanding: _Outstanding | None = None
        self._late: deque[str] = deque(maxlen=MAX_LATE_IDS)
        self._ended = False

    async def ask(self, action: str, payload: dict[str, Any], timeout: timedelta) -> _Answer:
        """Send a CALL when its turn has come and return its answer.

        Cancelling it gives the CALL up: its answer, should it still come, is dropped.

        Raises:
            CallTimedOut: no answer within the timeout, but a pong.
            ConnectionLost: the connection went, or neither answer nor pong came and it was closed.
            InvalidAnswer: what came for it was no CALLRESULT and no CALLERROR.
        """
        async with self._turn:
            if self._ended:
                raise ConnectionLost(f"{action} was not sent: the connection has gone")
            call = Call(str(uuid.uuid4()), action, payload)
            answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
            self._outstanding = _Outstanding(call.unique_id, action, answer)
            try:
                async with asyncio.timeout(timeout.total_seconds()):
                    await self._send(call)
                    return await answer
            except LinkLost:
                raise ConnectionLost(f"the connection went while {action} was sent") from None
            except TimeoutError:
                self._give_up()
                if await self._is_alive():
                    raise CallTimedOut(f"{action} was not answered within {timeout.total_seconds():g} s") from None
                raise ConnectionLost(f"{action} was not answered, nor was a ping") from None
            finally:
                self._give_up()
                if answer.done() and not answer.cancelled():
                    answer.exception()  # looked at, also where sending failed and nobody waits for it any more

    def action_of(self, unique_id: str) -> str:
        """Return the action of the outstanding CALL if this is its id, else nothing."""
        outstanding = self._outstanding
        return outstanding.action if outstanding is not None and outstanding.unique_id == unique_id else ""

    def accept(self, answer: _Answer) -> bool:
        """Bring an answer to its CALL; false if there is and was none that it could belong to."""
        outstanding = self._take(answer.unique_id)
        if outstanding is not None:
            outstanding.answer.set_result(answer)
            return True
        if answer.unique_id in self._late:
            _log.info("an answer came too late and is dropped")
            return True
        return False

    def reject(self, unique_id: str, reason: str) -> None:
        """Fail the CALL of this id, if it is outstanding, because its answer is malformed."""
        outstanding = self._take(unique_id)
        if outstanding is not None:
            fault = InvalidAnswer(f"the answer to {outstanding.action} is malformed: {reason}")
            outstanding.answer.set_exception(fault)

    def end(self) -> None:
        """Fail the outstanding CALL at once, and with it all that wait or are still to be asked."""
        self._ended = True
        outstanding = self._outstanding
        if outstanding is not None and self._take(outstanding.unique_id) is not None:
            fault = ConnectionLost(f"the connection went before {outstanding.action} was answered")
            outstanding.answer.set_exception(fault)

    def _take(self, unique_id: str) -> _Outstanding | None:
        """Return the outstanding CALL of this id, which then is outstanding no more."""
        outstanding = self._outstanding
        if outstanding is None or outstanding.unique_id != unique_id or outstanding.answer.done():
            return None
        self._outstanding = None
        return outstanding

    def _give_up(self) -> None:
        """Let the answer to the CALL, if it is outstanding still, be late instead of unasked for."""
        if self._outstanding is not None:
            self._late.append(self._outstanding.unique_id)
            self._outstanding = None

    async def _is_alive(self) -> bool:
        try:
            alive = await self._transport.ping(self._ping_timeout)
            if not alive:
                await self._transport.close(CLOSE_NO_PONG, "no pong")
        except LinkLost:
            return False
        return alive
