"""What the event loop hears of a transfer, and how it stops one."""

import asyncio
import logging
import time

import pytest

from chargepoint.transfer_watch import REPORT_SECONDS, Progress, Watch


class Clock:
    """A monotonic clock that goes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def turn() -> None:
    """Let the event loop do what it was handed."""
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("progress", "left"),
    [
        (Progress(0, None, 10), None),
        (Progress(0, 100, 0), None),
        (Progress(50, 100, 10), 5),
        (Progress(120, 100, 10), 0),
    ],
)
def test_the_time_that_is_left_follows_from_the_rate(progress: Progress, left: float | None) -> None:
    assert progress.seconds_left == left


async def test_reports_are_rare_and_the_first_bytes_and_the_last_ones_are_certain(clock: Clock) -> None:
    seen: list[Progress] = []
    watch = Watch(seen.append)
    for done in range(10):
        watch.note(done, 100)
    clock.now += REPORT_SECONDS
    watch.note(10, 100)
    watch.note(100, 100, last=True)
    await turn()
    assert [each.done_bytes for each in seen] == [0, 1, 10, 100]


async def test_what_was_not_told_yet_is_told_at_the_end_and_once(clock: Clock) -> None:
    seen: list[Progress] = []
    watch = Watch(seen.append)
    for done in (0, 3, 5, 7):
        watch.note(done, 100)
    watch.flush()
    watch.flush()
    await turn()
    assert [each.done_bytes for each in seen] == [0, 3, 7]


async def test_the_rate_is_smoothed_and_what_was_there_before_does_not_count(clock: Clock) -> None:
    seen: list[Progress] = []
    watch = Watch(seen.append)
    for done in (1000, 1100, 1300):
        watch.note(done, None)
        clock.now += 1
    await turn()
    assert [each.bytes_per_s for each in seen] == [0, 100, pytest.approx(130)]


async def test_after_an_order_to_stop_nothing_is_told() -> None:
    seen: list[Progress] = []
    watch = Watch(seen.append)
    watch.note(1, 2)
    watch.stop()
    await turn()
    assert (watch.stopped, seen) == (True, [])


async def test_after_the_end_nothing_is_told() -> None:
    seen: list[Progress] = []
    watch = Watch(seen.append)
    watch.note(1, 2)
    watch.close()
    await turn()
    assert (watch.stopped, seen) == (False, [])


async def test_whoever_shows_the_progress_cannot_harm_the_transfer(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Progress) -> None:
        raise RuntimeError("no screen")

    caplog.set_level(logging.ERROR)
    Watch(fail).note(1, 2)
    await turn()
    assert "could not be told" in caplog.text


def test_a_loop_that_has_ended_is_told_nothing() -> None:
    async def make() -> Watch:
        return Watch(lambda _: None)

    watch = asyncio.run(make())
    watch.note(1, 2)
    assert not watch.stopped
