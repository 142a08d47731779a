import asyncio
from datetime import timedelta

import pytest

from chargepoint.event_tally import EventTally
from security.event import SecurityEventType


class Door:
    """Where the events arrive."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[str | None] = asyncio.Queue()

    async def __call__(self, event_type: str, tech_info: str | None) -> None:
        assert event_type == "InvalidMessages"
        self.events.put_nowait(tech_info)


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_first_is_raised_at_once_and_repeats_are_kept_for_later() -> None:
    door = Door()
    tally = EventTally(SecurityEventType.INVALID_MESSAGES, door, quiet_time=timedelta(days=1))
    reporting = asyncio.create_task(tally.report())
    tally.note("first")
    assert await asyncio.wait_for(door.events.get(), 5) == "first"
    for number in range(1000):
        tally.note(f"repeat {number}")
    await end(reporting)
    assert door.events.empty()
    await tally.flush()
    assert door.events.get_nowait() == "1000 times, first: repeat 0"
    await tally.flush()
    assert door.events.empty()


async def test_repeats_are_summed_in_one_event_when_the_quiet_time_is_over() -> None:
    door = Door()
    tally = EventTally(SecurityEventType.INVALID_MESSAGES, door, quiet_time=timedelta(milliseconds=1))
    reporting = asyncio.create_task(tally.report())
    tally.note("a")
    assert await asyncio.wait_for(door.events.get(), 5) == "a"
    tally.note("b")
    tally.note("c")
    assert await asyncio.wait_for(door.events.get(), 5) == "2 times, first: b"
    await end(reporting)


async def test_an_event_that_cannot_be_recorded_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def full(event_type: str, tech_info: str | None) -> None:
        raise OSError("the disk is full")

    tally = EventTally(SecurityEventType.INVALID_MESSAGES, full)
    tally.note("a")
    await tally.flush()
    assert "InvalidMessages could not be recorded" in caplog.text
