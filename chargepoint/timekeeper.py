"""What follows when the Central System tells the time: the clock, the board, the log and the floor on the disk.

Order matters: the events that happened while the clock was not set get their true time before the change itself is
recorded, so that the security log reads in the order of what happened. Once begun, all of it is done, even where the
connection that told the time is lost meanwhile: the clock is right from then on, and nothing would bring it again.
"""

import asyncio
import logging
from datetime import datetime, timedelta

from chargepoint.clock import Clock, Correction, Floor
from chargepoint.events import EventDoor
from chargepoint.hardware.port import Hardware
from chargepoint.state import StateUnusable
from security.event import SecurityEventType

_log = logging.getLogger(__name__)


class Timekeeper:
    """Takes over the Central System's time.

    Args:
        clock: the agent's clock.
        floor: the newest time seen, on the disk.
        hardware: whose clock is set where the board lets us.
        events: gets SettingSystemTime, and settles the times of earlier events.
        step: a larger change than this is SettingSystemTime.
    """

    def __init__(self, clock: Clock, floor: Floor, hardware: Hardware, events: EventDoor, step: timedelta) -> None:
        self._clock = clock
        self._floor = floor
        self._hardware = hardware
        self._events = events
        self._step = step
        self._following: set[asyncio.Task[None]] = set()

    async def learn(self, current_time: datetime, round_trip: timedelta) -> None:
        """Take over a currentTime; a failing disk is logged and not raised. Cancelled, it goes on alone.

        Args:
            current_time: what the Central System said.
            round_trip: between the request and its answer.
        """
        correction = self._clock.correct(current_time, round_trip)
        if correction.refused:
            return
        task = asyncio.create_task(self._follow(correction), name="time learned")
        self._following.add(task)
        task.add_done_callback(self._following.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what has begun."""
        if self._following:
            await asyncio.wait(self._following)

    async def _follow(self, correction: Correction) -> None:
        if not correction.was_set:
            await self._events.settle_times()
        if correction.step:
            _log.info("the clock was moved by %+.1f s", correction.step.total_seconds())
            await self._hardware.set_system_time(self._clock.now())
        if abs(correction.step) > self._step:
            await self._events.raise_or_count(
                SecurityEventType.SETTING_SYSTEM_TIME,
                f"moved by {correction.step.total_seconds():+.1f} s to the time of the Central System",
            )
        try:
            await self._floor.note(self._clock)
        except StateUnusable as error:
            _log.warning("the newest time could not be kept: %s", error)
