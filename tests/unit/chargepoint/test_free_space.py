"""The room on the disk: when it is looked at, and that one shortage is one event."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from chargepoint import free_space
from chargepoint.free_space import MIB, FreeSpace

PATIENCE_S = 5


class Disk:
    """A disk whose free space the test sets, and the events that were raised."""

    def __init__(self) -> None:
        self.free_mib = 100
        self.looks = 0
        self.events: list[tuple[str, str | None]] = []

    def statvfs(self, _path: Path) -> SimpleNamespace:
        self.looks += 1
        return SimpleNamespace(f_bavail=self.free_mib * MIB // 4096, f_frsize=4096)

    async def raise_event(self, event_type: str, tech_info: str | None) -> None:
        self.events.append((event_type, tech_info))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "statvfs", disk.statvfs)
    return disk


@asynccontextmanager
async def watching(disk: Disk, *, least_mib: int = 16) -> AsyncIterator[FreeSpace]:
    space = FreeSpace(Path("/state"), least_mib, disk.raise_event)
    task = asyncio.create_task(space.watch())
    try:
        await looks(disk, 1)
        yield space
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def looks(disk: Disk, count: int) -> None:
    """Wait until it was looked so often."""
    async with asyncio.timeout(PATIENCE_S):
        while disk.looks < count:  # noqa: ASYNC110 - the next turn of the event loop is what is waited for
            await asyncio.sleep(0)


async def test_is_looked_at_when_the_agent_starts(disk: Disk) -> None:
    disk.free_mib = 15
    async with watching(disk):
        pass
    assert disk.events == [
        (
            "MemoryExhaustion",
            "15 MiB are free for the state directory: less than the 16 MiB of [state] min_free_mib",
        )
    ]


async def test_enough_room_is_no_event(disk: Disk) -> None:
    async with watching(disk):
        pass
    assert disk.events == []


async def test_is_looked_at_when_a_write_found_no_room_and_believes_the_write(disk: Disk) -> None:
    async with watching(disk) as space:
        space.notice_full()
        await looks(disk, 2)
        space.notice_full()
        await looks(disk, 3)
    assert disk.events == [("MemoryExhaustion", "100 MiB are free for the state directory: a write found no room")], (
        "one for each shortage"
    )


async def test_is_looked_at_again_after_a_while(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_space, "CHECK_INTERVAL", free_space.CHECK_INTERVAL / 3_600_000)
    async with watching(disk):
        for free_mib in (1, 100, 1):
            disk.free_mib = free_mib
            await looks(disk, disk.looks + 2)
    assert len(disk.events) == 2, "there was room in between"


async def test_a_disk_that_does_not_say_is_logged(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_path: Path) -> None:
        disk.looks += 1
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "statvfs", fail)
    async with watching(disk):
        pass
    assert "the room in /state is not known: Input/output error" in caplog.text
