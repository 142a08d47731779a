"""What the board tells the agent, handed to whoever has to act on it.

Connectors, plugs and cards are for the charging side, the tamper sensor for the security log.

The board calls on the event loop and cannot wait: an event is recorded by a task, in bounded number, and `close` waits
for those that have begun.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from chargepoint.hardware.port import ConnectorNotice, IdTagPresented, Notice, TamperDetected
from security.event import RaiseEvent, SecurityEventType

MAX_EVENTS_WAITING: Final = 32  #: notices of the board whose security event is being recorded; a sensor may chatter

_log = logging.getLogger(__name__)


class BoardNotices:
    """Takes in what the board says.

    Args:
        tell_charging: takes in what concerns connectors, plugs and cards.
        raise_event: records a security event.
    """

    def __init__(
        self, tell_charging: Callable[[ConnectorNotice | IdTagPresented], None], raise_event: RaiseEvent
    ) -> None:
        self._tell_charging = tell_charging
        self._raise_event = raise_event
        self._recording: set[asyncio.Task[Any]] = set()

    def take(self, notice: Notice) -> None:
        """Take in a notice; returns at once."""
        match notice:
            case TamperDetected(info):
                self._record(SecurityEventType.TAMPER_DETECTION_ACTIVATED, info)
            case _:
                self._tell_charging(notice)

    async def close(self) -> None:
        """Wait for the events that are being recorded."""
        if self._recording:
            await asyncio.wait(self._recording)

    def _record(self, event_type: SecurityEventType, tech_info: str | None) -> None:
        if len(self._recording) >= MAX_EVENTS_WAITING:
            _log.warning("security event %s is not recorded: %d wait already", event_type, len(self._recording))
            return
        task = asyncio.ensure_future(self._raise_event(event_type, tech_info))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)
