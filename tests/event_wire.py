"""The queue of security events on a real database, and a Central System in memory that answers as the test says."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from chargepoint.database import Database
from chargepoint.event_delivery import EventDelivery
from chargepoint.payload import call_result
from chargepoint.rpc import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from chargepoint.state_schema import MIGRATIONS
from logs.event_queue import EventQueue, QueuedEvent
from logs.security_log import SecurityLog
from security.event import SecurityEvent, SecurityEventType

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
ATTEMPTS = 3
PATIENCE_S = 20


class Answer(Enum):
    """What becomes of one message."""

    CONFIRMED = "confirmed"
    REFUSED = "CALLERROR InternalError"
    NOT_IMPLEMENTED = "CALLERROR NotImplemented"
    NOT_SUPPORTED = "CALLERROR NotSupported"
    INVALID = "an answer that no schema allows"
    SILENCE = "nothing, but the link lives"
    LOST = "the link went, the message had arrived"
    UNSENT = "the link went before"


class Wire:
    """The Central System.

    Attributes:
        requests: what arrived, in order.
        confirmed: the tech infos of what was confirmed, in order.
    """

    def __init__(self, answers: Sequence[Answer] = ()) -> None:
        self.requests: list[Any] = []
        self.confirmed: list[str] = []
        self._refused: list[str] = []
        self._answers = deque(answers)
        self._changed = asyncio.Condition()

    @property
    def received(self) -> list[str]:
        """The tech infos of what arrived."""
        return [request.tech_info for request in self.requests]

    def answer(self, *answers: Answer) -> None:
        """Answer the next messages so; all others are confirmed."""
        self._answers.extend(answers)

    def forget_answers(self) -> None:
        """Confirm everything from now on."""
        self._answers.clear()

    def refusals(self, tech_info: str) -> int:
        """How often this one was refused."""
        return self._refused.count(tech_info)

    async def send(self, request: Any) -> Any:
        """What the session hands to a source."""
        await asyncio.sleep(0)
        answer = self._answers.popleft() if self._answers else Answer.CONFIRMED
        if answer is Answer.UNSENT:
            raise ConnectionLost("unsent")
        self.requests.append(request)
        if answer is Answer.CONFIRMED:
            self.confirmed.append(request.tech_info)
        if answer in (Answer.REFUSED, Answer.INVALID):
            self._refused.append(request.tech_info)
        async with self._changed:
            self._changed.notify_all()
        match answer:
            case Answer.REFUSED:
                raise CallErrorReceived("SecurityEventNotification", "InternalError", "no room")
            case Answer.NOT_IMPLEMENTED:
                raise CallErrorReceived("SecurityEventNotification", "NotImplemented", "")
            case Answer.NOT_SUPPORTED:
                raise CallErrorReceived("SecurityEventNotification", "NotSupported", "")
            case Answer.INVALID:
                raise InvalidAnswer("not a SecurityEventNotification.conf")
            case Answer.SILENCE:
                raise CallTimedOut("not answered")
            case Answer.LOST:
                raise ConnectionLost("lost")
        return call_result.SecurityEventNotification()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a message that makes the condition true."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)


class MortalQueue(EventQueue):
    """A queue whose process may be killed: what it wanted to write then is not written."""

    dead = False

    async def confirm(self, events: Sequence[QueuedEvent]) -> None:
        if not self.dead:
            await super().confirm(events)

    async def note_refusal(self, event: QueuedEvent, max_refusals: int) -> bool:
        return False if self.dead else await super().note_refusal(event, max_refusals)


class Bench:
    """The log, the queue and the delivery of one process, over a database that outlives it.

    Attributes:
        settled: how often times were asked to be settled.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.log = SecurityLog(database, max_events=10_000, max_age=timedelta(days=365))
        self.settled = 0
        self.restart()

    def restart(self) -> None:
        """Let another process take over."""
        self.queue = MortalQueue(self.database)
        self.delivery = EventDelivery(self.queue, self._settle, attempts=ATTEMPTS, retry=timedelta())

    async def record(self, *tech_infos: str, event_type: str = SecurityEventType.TAMPER_DETECTION_ACTIVATED) -> None:
        for tech_info in tech_infos:
            event = SecurityEvent(event_type, NOON, tech_info)
            await self.log.record(event, boot_id="boot", monotonic=1.0, time_known=True)
        self.delivery.notice()

    @asynccontextmanager
    async def connected(self, wire: Wire) -> AsyncIterator["asyncio.Task[None]"]:
        """Deliver over one connection as long as the block lasts."""
        task = asyncio.create_task(self.delivery.deliver(wire.send))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def queued(self) -> list[str | None]:
        return [each.event.tech_info for each in await self.queue.page(limit=10_000)]

    async def delivered(self) -> list[str | None]:
        return [each.event.tech_info for each in await self.log.read() if each.delivered]

    async def _settle(self) -> None:
        self.settled += 1


@asynccontextmanager
async def on_bench(directory: Path) -> AsyncIterator[Bench]:
    """Open the database; it is closed at the end."""
    database = await Database.open(directory / "state.db", MIGRATIONS)
    try:
        yield Bench(database)
    finally:
        await database.close()
