"""Watches the room that is left for what must survive, and raises MemoryExhaustion before it is gone (section 8).

Looked at when the agent starts, whenever the database had no room for a change, and else hourly. There is one event for
each time that the room runs out: the next one comes only after there was enough again.

Not done here: making room. The security log and its queue are bounded by settings, and keep to them by themselves.
"""

import asyncio
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Final, NoReturn

from security.event import RaiseEvent, SecurityEventType

CHECK_INTERVAL: Final = timedelta(hours=1)  #: time; what else lies on the disk grows slowly, and a look costs nothing
MIB: Final = 1_048_576  #: code; bytes in a MiB

_log = logging.getLogger(__name__)


class FreeSpace:
    """The room on the disk of the state directory.

    Args:
        directory: the state directory.
        least_mib: with less room, MemoryExhaustion is raised.
        raise_event: records a security event.
    """

    def __init__(self, directory: Path, least_mib: int, raise_event: RaiseEvent) -> None:
        self._directory = directory
        self._least_mib = least_mib
        self._raise_event = raise_event
        self._short = False
        self._full = asyncio.Event()

    def notice_full(self) -> None:
        """A write found no room."""
        self._full.set()

    async def watch(self) -> NoReturn:
        """Look now and for ever."""
        while True:
            await self._look(was_full=self._full.is_set())
            self._full.clear()
            try:
                async with asyncio.timeout(CHECK_INTERVAL.total_seconds()):
                    await self._full.wait()
            except TimeoutError:
                pass

    async def _look(self, *, was_full: bool) -> None:
        try:
            found = os.statvfs(self._directory)
        except OSError as error:
            _log.warning("the room in %s is not known: %s", self._directory, error.strerror)
            return
        free_mib = found.f_bavail * found.f_frsize // MIB
        # A quota is not seen from here: then only the write that failed tells.
        short = was_full or free_mib < self._least_mib
        if short and not self._short:
            what = (
                "a write found no room" if was_full else f"less than the {self._least_mib} MiB of [state] min_free_mib"
            )
            await self._raise_event(
                SecurityEventType.MEMORY_EXHAUSTION, f"{free_mib} MiB are free for the state directory: {what}"
            )
        self._short = short
