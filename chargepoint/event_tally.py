"""A security event that a peer can provoke without end: the first is raised at once, repeats are counted and summed.

Guaranteed: noting costs nothing and waits for nothing; at most one event is raised per QUIET_TIME, and one more when
the connection ends; it says how many it stands for, so that no repeat is lost.

Not done here: no task is started. The exchange runs `report` as one of its own and ends it.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final, NoReturn

from security.event import RaiseEvent, SecurityEventType

QUIET_TIME: Final = timedelta(minutes=1)  #: time; a peer that sends only garbage fills the log by 1,440 lines a day

_log = logging.getLogger(__name__)


class EventTally:
    """Counts one type of security event and raises it, seldom.

    Args:
        event_type: which event.
        raise_event: records a security event.
        quiet_time: how long repeats are summed after an event was raised.
    """

    def __init__(
        self, event_type: SecurityEventType, raise_event: RaiseEvent, quiet_time: timedelta = QUIET_TIME
    ) -> None:
        self.event_type = event_type
        self._raise_event = raise_event
        self._quiet_time = quiet_time
        self._first = ""
        self._times = 0
        self._noted = asyncio.Event()

    def note(self, what: str) -> None:
        """Count one event; its text is shown if it is the first of those that are summed."""
        if self._times == 0:
            self._first = what
        self._times += 1
        self._noted.set()

    async def report(self) -> NoReturn:
        """Raise what is noted, then be quiet for a while, for ever."""
        while True:
            await self._noted.wait()
            await self.flush()
            await asyncio.sleep(self._quiet_time.total_seconds())

    async def flush(self) -> None:
        """Raise one event for all that was noted since the last one, if anything was."""
        if self._times == 0:
            return
        text = self._first if self._times == 1 else f"{self._times} times, first: {self._first}"
        self._times = 0
        self._noted.clear()
        _log.warning("%s: %s", self.event_type, text)
        try:
            await self._raise_event(self.event_type, text)
        except Exception:  # noqa: BLE001 - a full disk must not end the connection
            _log.exception("the security event %s could not be recorded", self.event_type)
