"""The event door: the one place where security events come in (A04.FR.04).

Guaranteed: when `EventDoor.raise_event` returns, the event is in the security log on the disk, and in the agent's
log. If the disk fails it is kept in memory, and recorded before the next one: whoever notices an event is never
stopped by the log.

An event that a peer can cause in floods is counted, so that nobody rolls his traces out of the log, nor wears out the
flash: `count_or_raise` raises the first at once, `raise_or_count` the first few; those within the next minutes are
counted.

What the Central System is to hear of (`Sending`) is queued in the security log as it is recorded, and whoever delivers
is told.

Not done here: sending (event_delivery.py).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from chargepoint.clock import Clock
from chargepoint.state import StateUnusable
from logs.security_log import SecurityLog
from security.event import SecurityEvent, SecurityEventType

_log = logging.getLogger(__name__)

MAX_UNRECORDED_EVENTS: Final = 100  #: count; kept in memory while the disk fails, the oldest go first
MAX_RAISED_IN_WINDOW: Final = 20  #: count; more than a bench provokes in a window, and the log still lasts for days
COUNTING_WINDOW: Final = timedelta(minutes=10)  #: time; a flood makes at most so many entries a day as fit: 144


@dataclass(frozen=True, slots=True)
class Sending:
    """Which events the Central System is to hear of.

    Attributes:
        enabled: off, it hears of none, and none is queued.
        also: types that are sent besides those that section 8 calls critical (A04.FR.01) or another rule orders.
    """

    enabled: bool = True
    also: frozenset[str] = frozenset()

    def owes(self, event: SecurityEvent) -> bool:
        """Tell whether this event is owed to the Central System."""
        return self.enabled and (event.entry.sent or event.type in self.also)


@dataclass(frozen=True, slots=True)
class _Unrecorded:
    event: SecurityEvent
    monotonic: float
    time_known: bool


class _Flood:
    """Events of one type that were raised lately, and how many were only counted since."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.raised = 0
        self.count = 0
        self.tech_info: str | None = None


class EventDoor:
    """Records security events.

    Args:
        log: the security log.
        clock: the agent's clock.
        boot_id: of the boot that runs, as the hardware port names it.
        sending: which events the Central System is to hear of.
        counting_window: how long events of one type are counted after one was recorded.
    """

    def __init__(
        self,
        log: SecurityLog,
        clock: Clock,
        boot_id: str,
        *,
        sending: Sending | None = None,
        counting_window: timedelta = COUNTING_WINDOW,
    ) -> None:
        self._security_log = log
        self._clock = clock
        self._boot_id = boot_id
        self._sending = sending or Sending()
        self._tell_queued: Callable[[], None] | None = None
        self._window_s = counting_window.total_seconds()
        self._unrecorded: deque[_Unrecorded] = deque(maxlen=MAX_UNRECORDED_EVENTS)
        self._floods: dict[str, _Flood] = {}
        self._recording: asyncio.Task[None] | None = None

    def subscribe(self, tell_queued: Callable[[], None]) -> None:
        """Have somebody told whenever an event was queued for the Central System."""
        self._tell_queued = tell_queued

    async def raise_event(self, event_type: str, tech_info: str | None = None) -> None:
        """Record an event durably and write one log line; a failing disk is logged and not raised.

        Args:
            event_type: a name of section 8, or a vendor's own of 1 to 50 characters; another length raises ValueError.
            tech_info: details for an expert, cut at 255 characters, never a secret.
        """
        event = SecurityEvent(_storable(event_type), self._clock.now(), _storable(tech_info or "") or None)
        level = logging.WARNING if event.entry.critical else logging.INFO
        _log.log(level, "security event %s%s", event.type, f": {event.tech_info}" if event.tech_info else "")
        if len(self._unrecorded) == MAX_UNRECORDED_EVENTS:
            _log.error("security event %s is lost: the disk has failed for too long", self._unrecorded[0].event.type)
        self._unrecorded.append(_Unrecorded(event, self._clock.monotonic(), self._clock.is_set))
        await self._record_waiting()

    async def count_or_raise(self, event_type: str, tech_info: str | None = None) -> None:
        """Raise an event that may come in floods: the first at once, those that follow within the window are counted.

        The next one after the window, or `close`, tells how many there were.
        """
        await self._raise_up_to(1, event_type, tech_info)

    async def raise_or_count(self, event_type: str, tech_info: str | None = None) -> None:
        """Raise an event each of which tells something, as long as they are few; otherwise as `count_or_raise`."""
        await self._raise_up_to(MAX_RAISED_IN_WINDOW, event_type, tech_info)

    async def _raise_up_to(self, most: int, event_type: str, tech_info: str | None) -> None:
        now = self._clock.monotonic()
        flood, counted = self._floods.get(event_type), 0
        if flood is None or now >= flood.until:
            counted = flood.count if flood else 0
            flood = self._floods[event_type] = _Flood(now + self._window_s)
        if flood.raised >= most:
            flood.count += 1
            flood.tech_info = tech_info
            return
        flood.raised += 1
        await self.raise_event(event_type, _with_count(tech_info, counted))

    async def clear_log(self, who: str) -> int:
        """Remove all events from the security log but those that are still owed; SecurityLogWasCleared says so.

        All of it is on the disk together when this returns. Cancelled, it goes on alone.

        Args:
            who: has cleared it, for the tech info.

        Returns:
            How many events were removed.

        Raises:
            StateUnusable: nothing was changed.
        """
        clearing = asyncio.create_task(self._clear_log(who), name="clear the security log")
        return await asyncio.shield(clearing)

    async def _clear_log(self, who: str) -> int:
        await self._record_waiting()  # what waits in memory is older than the clearing
        event = SecurityEvent(
            SecurityEventType.SECURITY_LOG_WAS_CLEARED, self._clock.now(), f"cleared by {_storable(who)}"
        )
        owed = self._sending.owes(event)
        removed = await self._security_log.clear(
            event,
            boot_id=self._boot_id,
            monotonic=self._clock.monotonic(),
            time_known=self._clock.is_set,
            owed=owed,
        )
        _log.warning("security event %s: %s, %d events were removed", event.type, event.tech_info, removed)
        if owed and self._tell_queued is not None:
            self._tell_queued()
        return removed

    async def record_waiting(self) -> bool:
        """Try again to record what the disk has refused; returns whether nothing waits any more."""
        await self._record_waiting()
        return not self._unrecorded

    async def settle_times(self) -> None:
        """Give their true time to the events that happened while the clock was not set, if it is now."""
        if not self._clock.is_set:
            return
        try:
            await self._security_log.settle_times(self._boot_id, self._clock.boot_zero())
        except StateUnusable as error:
            _log.error("the times of security events could not be settled: %s", error)

    async def close(self) -> None:
        """Record what was only counted so far, and what is waiting."""
        floods, self._floods = self._floods, {}
        for event_type, flood in floods.items():
            if flood.count:
                await self.raise_event(event_type, _with_count(flood.tech_info, flood.count - 1))
        await self._record_waiting()

    async def _record_waiting(self) -> None:
        """Record what waits, in order; what the disk refuses goes on waiting. Cancelled, it goes on alone."""
        if self._recording is None or self._recording.done():
            self._recording = asyncio.create_task(self._record_all(), name="record security events")
        await asyncio.shield(self._recording)

    async def _record_all(self) -> None:
        while self._unrecorded:
            waiting = self._unrecorded[0]
            try:
                await self._record(waiting)
            except StateUnusable as error:
                _log.error("security event %s waits in memory: %s", waiting.event.type, error)
                return
            if self._unrecorded and self._unrecorded[0] is waiting:  # else it was pushed out meanwhile
                self._unrecorded.popleft()

    async def _record(self, waiting: _Unrecorded) -> None:
        event, time_known = waiting.event, waiting.time_known
        if not time_known and self._clock.is_set:  # the time came while the disk failed
            occurred_at = self._clock.boot_zero() + timedelta(seconds=waiting.monotonic)
            event, time_known = replace(event, occurred_at=occurred_at), True
        owed = self._sending.owes(event)
        await self._security_log.record(
            event, boot_id=self._boot_id, monotonic=waiting.monotonic, time_known=time_known, owed=owed
        )
        if owed and self._tell_queued is not None:
            self._tell_queued()


def _storable(text: str) -> str:
    """Write out what has no UTF-8 form: half a surrogate pair from somebody's JSON must not stop the log."""
    return text.encode("utf-8", "backslashreplace").decode()


def _with_count(tech_info: str | None, count: int) -> str | None:
    if not count:
        return tech_info
    return f"({count} more before) {tech_info or ''}".strip()
