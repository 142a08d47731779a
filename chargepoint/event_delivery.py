"""Sends the queued security events to the Central System, in order, each at least once (A04.FR.01, A04.FR.02).

Guaranteed: events go in the order in which they were recorded, and one leaves the queue only when it was confirmed by
SecurityEventNotification.conf (A04.FR.03), or refused too often. Whatever happens in between, it is sent again.

- Confirmations are recorded in groups, while the next message is under way. A crash repeats at most
  MAX_REPEATED_EVENTS of those that were confirmed; an orderly end records them all.
- A CALLERROR NotImplemented or NotSupported means that the Central System does not have the message: the queue rests
  until it accepts a boot again, and then tries one event.
- Any other CALLERROR, or an answer that no schema allows, is a refusal: it is counted durably, the event is sent again
  after a wait, and set aside when it was refused too often, so that no event blocks the rest for ever.
- A time-out or a lost connection says nothing about the event and is never counted.
- An event whose time was not known when it happened is sent with its true time, for the time of the boot was learnt
  first. Where the Central System tells none that is plausible, the provisional time is the best there is.

Not done here: what may be sent when, and whose turn it is (session.py, outbox.py); what is owed (events.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from chargepoint.date_time import write_date_time
from chargepoint.payload import call
from chargepoint.rpc_port import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from chargepoint.state import StateUnusable
from logs.event_queue import EventQueue, QueuedEvent

CONFIRMATION_GROUP: Final = 32  #: events; one fsync for so many keeps the disk out of the way of the messages
CONFIRMATION_DELAY: Final = timedelta(seconds=1)  #: time; on a slow link groups are small: hardly anything is repeated
MAX_REPEATED_EVENTS: Final = 64  #: events; after a crash: a group on its way to the disk and the one behind it
MAX_RETRY_WAIT: Final = timedelta(minutes=5)  #: time; the wait that grows after time-outs and refusals is no longer
DISK_RETRY: Final = timedelta(minutes=1)  #: time; until a failing disk is tried again

_log = logging.getLogger(__name__)

Send = Callable[[Any], Awaitable[Any]]
"""Sends a request when its turn has come and returns the answer, or raises `CallFailed`."""


class EventDelivery:
    """Empties the queue of security events, over as many connections as it takes.

    Args:
        queue: what is to be sent.
        settle_times: gives events their true time where that is known; called before anything is sent.
        attempts: how often an event is refused before it is set aside.
        retry: how long to wait after a refusal or time-out; grows by as much with each, up to MAX_RETRY_WAIT.
    """

    def __init__(
        self, queue: EventQueue, settle_times: Callable[[], Awaitable[None]], *, attempts: int, retry: timedelta
    ) -> None:
        self._queue = queue
        self._settle_times = settle_times
        self._attempts = attempts
        self._retry = retry
        self._confirmations = _Confirmations(queue)
        self._wake = asyncio.Event()
        self._resting = False

    @property
    def resting(self) -> bool:
        """Whether the Central System does not have the message, so that the queue waits for the next accepted boot."""
        return self._resting

    def notice(self) -> None:
        """An event was queued."""
        self._wake.set()

    def booted(self) -> None:
        """The Central System has accepted a BootNotification.req: a queue that rests tries again."""
        self._resting = False
        self._wake.set()

    async def deliver(self, send: Send) -> None:
        """Send what is queued and what comes, over one connection; returns when that is lost.

        Cancelled, it records what was confirmed and ends.

        Args:
            send: raises `ConnectionLost` when the connection is gone.
        """
        await self._settle_times()
        try:
            while True:
                self._wake.clear()
                try:
                    while not self._resting and await self._empty_queue(send):
                        pass
                except StateUnusable as error:
                    _log.error("security events wait, the queue cannot be read or written: %s", error)
                    await asyncio.sleep(DISK_RETRY.total_seconds())
                    continue
                await self._wake.wait()
        except ConnectionLost:
            return
        finally:
            await self._confirmations.close()

    async def _empty_queue(self, send: Send) -> bool:
        """Send what is queued; returns whether anything was, and more may have come behind it."""
        await self._confirmations.flush()  # else what a failing disk did not take would be sent again
        last = 0
        while page := await self._queue.page(last):
            for event in page:
                if not await self._send_event(send, event):
                    await self._confirmations.flush()
                    return False
            last = page[-1].id
        await self._confirmations.flush()
        return last > 0

    async def _send_event(self, send: Send, event: QueuedEvent) -> bool:
        """Send one event until it is confirmed or set aside; returns false where the queue is to rest instead."""
        request = call.SecurityEventNotification(
            type=event.event.type,
            timestamp=write_date_time(event.event.occurred_at),
            tech_info=event.event.tech_info,
        )
        failures = event.refusals
        while True:
            try:
                await send(request)
            except (CallErrorReceived, InvalidAnswer) as refusal:
                if isinstance(refusal, CallErrorReceived) and refusal.lacks_message:
                    self._resting = True
                    _log.warning("security events wait until the Central System accepts a boot again: %s", refusal)
                    return False
                _log.warning("security event %s was not taken: %s", event.event.type, refusal)
                if await self._queue.note_refusal(event, self._attempts):
                    _log.error(
                        "security event %s of %s is set aside after %d refusals, it is in the security log only",
                        event.event.type,
                        request.timestamp,
                        self._attempts,
                    )
                    return True
            except CallTimedOut as silence:
                _log.warning("security event %s is sent again: %s", event.event.type, silence)
            else:
                await self._confirmations.add(event)
                return True
            failures += 1
            await self._confirmations.flush()
            await asyncio.sleep(min(self._retry * failures, MAX_RETRY_WAIT).total_seconds())


class _Confirmations:
    """Confirmed events on their way to the disk, oldest first; what is known to be there is forgotten here."""

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue
        self._events: list[QueuedEvent] = []
        self._first_at = 0.0
        self._recording: asyncio.Task[None] | None = None
        self._recorded = 0

    async def add(self, event: QueuedEvent) -> None:
        """Note a confirmation; begins to record where a group is together, and waits for the one before only then.

        Raises:
            StateUnusable: the disk did not take the group before; it is kept for the next try.
        """
        now = asyncio.get_running_loop().time()
        if len(self._events) == self._recorded:
            self._first_at = now
        self._events.append(event)
        is_full = len(self._events) - self._recorded >= CONFIRMATION_GROUP
        if is_full or now - self._first_at >= CONFIRMATION_DELAY.total_seconds():
            await self._finish()
            self._begin()

    async def flush(self) -> None:
        """Record all; raises StateUnusable as `add`."""
        await self._finish()
        if self._events:
            self._begin()
            await self._finish()

    async def close(self) -> None:
        """Record all where the disk lets us; what it does not take is kept, or sent again by the next process."""
        try:
            await self.flush()
        except StateUnusable as error:
            _log.error("%d delivered security events may be sent again: %s", len(self._events), error)

    def _begin(self) -> None:
        self._recorded = len(self._events)
        self._recording = asyncio.create_task(self._queue.confirm(tuple(self._events)), name="record confirmations")

    async def _finish(self) -> None:
        if self._recording is None:
            return
        try:
            await asyncio.shield(self._recording)  # cancelled while it waits, the group is recorded all the same
            del self._events[: self._recorded]
        finally:
            if self._recording.done():
                self._recording, self._recorded = None, 0
