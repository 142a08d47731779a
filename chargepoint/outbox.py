"""The one sender: everything that the Charge Point wants to say waits here for its turn.

OCPP-J allows one outstanding CALL, so somebody must choose the next one. The outbox keeps a line for each kind of
message and takes from them in turn, so that none starves another; BootNotification.req goes before all. What may be
sent at all is not decided here: the session opens and closes lanes with the registration status.

Nothing here survives a restart, nor a lost connection: a parcel that was under way, or waiting in a lane that the new
connection has to open first, fails with `ConnectionLost`, and its sender (who knows whether it is owed) tries again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from chargepoint.rpc import CallFailed, ConnectionLost

MAX_WAITING_PER_LANE: Final = 64  #: messages; more than a Charge Point with 20 connectors ever says at once


class Lane(Enum):
    """The kinds of messages, in the order in which they take turns."""

    BOOT = "boot"
    TRIGGERED = "triggered"
    AUTHORIZATION = "authorization"
    STATUS = "status"
    TRANSACTION = "transaction"
    JOB = "job status"
    SECURITY_EVENT = "security event"
    CERTIFICATE = "certificate request"
    HEARTBEAT = "heartbeat"
    LOCAL = "local"


class OutboxFull(Exception):
    """Raised when a lane already holds `MAX_WAITING_PER_LANE` messages; nothing was queued."""


@dataclass(slots=True, eq=False)
class _Parcel:
    request: Any
    answer: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Outbox:
    """Lanes of messages and the loop that sends them, one after the other."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[_Parcel]] = {lane: deque() for lane in Lane}
        self._open: frozenset[Lane] = frozenset()
        self._turn: deque[Lane] = deque(lane for lane in Lane if lane is not Lane.BOOT)
        self._changed = asyncio.Event()

    def open_only(self, lanes: Collection[Lane]) -> None:
        """Let only these lanes send from now on; a CALL under way is not disturbed."""
        self._open = frozenset(lanes)
        self._changed.set()

    async def send(self, request: Any, lane: Lane) -> Any:
        """Queue a request and wait for its answer.

        Args:
            request: a request dataclass of the `ocpp` package.
            lane: the line in which it waits.

        Returns:
            The response dataclass.

        Raises:
            CallFailed: it was sent and not answered well, or the connection was lost before or after that.
            OutboxFull: too many wait in this lane.

        Cancelling takes a waiting message out of its lane; one under way is sent all the same and its answer dropped.
        """
        line = self._lanes[lane]
        if len(line) >= MAX_WAITING_PER_LANE:
            raise OutboxFull(f"{len(line)} messages wait already in the lane {lane.value!r}")
        parcel = _Parcel(request)
        line.append(parcel)
        self._changed.set()
        try:
            return await parcel.answer
        finally:
            if parcel in line:
                line.remove(parcel)

    async def run(self, call: Callable[[Any], Awaitable[Any]]) -> None:
        """Send over one connection until cancelled; then everything that still waits fails with `ConnectionLost`.

        Args:
            call: sends one request and returns its answer, or raises `CallFailed`.
        """
        try:
            while True:
                parcel = await self._next()
                try:
                    answer = await call(parcel.request)
                except CallFailed as failure:
                    _settle(parcel, failure)
                except asyncio.CancelledError:
                    _settle(parcel, ConnectionLost("the connection ended while the message was under way"))
                    raise
                else:
                    if not parcel.answer.done():
                        parcel.answer.set_result(answer)
        finally:
            self._fail_all()

    async def _next(self) -> _Parcel:
        while True:
            parcel = self._take()
            if parcel is not None:
                return parcel
            self._changed.clear()
            await self._changed.wait()

    def _take(self) -> _Parcel | None:
        if Lane.BOOT in self._open and self._lanes[Lane.BOOT]:
            return self._lanes[Lane.BOOT].popleft()
        for _ in range(len(self._turn)):
            lane = self._turn[0]
            self._turn.rotate(-1)
            if self._lanes[lane] and lane in self._open:
                return self._lanes[lane].popleft()
        return None

    def _fail_all(self) -> None:
        for line in self._lanes.values():
            while line:
                _settle(line.popleft(), ConnectionLost("the connection ended before the message was sent"))

    def waiting(self) -> int:
        """How many messages wait for their turn."""
        return sum(len(line) for line in self._lanes.values())


def _settle(parcel: _Parcel, failure: CallFailed) -> None:
    if not parcel.answer.done():
        parcel.answer.set_exception(failure)
