"""The spool file: whole or not there, private, written in large pieces, and never at the cost of what must survive."""

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from logs.spool import CHUNK_BYTES, spool
from security import durable
from security.errors import DurableError, StorageFailed, StorageFull


class Watched(durable.Operations):
    """Operations that remember the sizes written, and that fail or wait where a test wants it."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.threads: set[int] = set()
        self.fault: OSError | None = None
        self.fault_at = "write"
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, descriptor: int, data: bytes) -> None:
        self.threads.add(threading.get_ident())
        self.entered.set()
        assert self.go_on.wait(10)
        self._fail("write")
        self.sizes.append(len(data))
        super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self.threads.add(threading.get_ident())
        self._fail("fsync")
        super().fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.entered.set()
        assert self.go_on.wait(10)

    def _fail(self, where: str) -> None:
        if self.fault is not None and self.fault_at == where:
            raise self.fault


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    monkeypatch.setattr(durable, "operations", watched)
    return watched


async def write(target: Path, *pieces: bytes, min_free_bytes: int = 0) -> int:
    async with spool(target, min_free_bytes=min_free_bytes) as file:
        for piece in pieces:
            await file.write(piece)
    return file.size_bytes


async def test_is_there_whole_and_private_when_the_block_is_left(tmp_path: Path) -> None:
    target = tmp_path / "log.jsonl"
    assert await write(target, b"one ", b"two") == 7
    assert target.read_bytes() == b"one two"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


async def test_nothing_written_is_an_empty_file(tmp_path: Path) -> None:
    assert await write(tmp_path / "empty") == 0
    assert (tmp_path / "empty").read_bytes() == b""


async def test_small_pieces_are_written_together_and_never_by_the_event_loop(tmp_path: Path, disk: Watched) -> None:
    await write(tmp_path / "log", *[bytes(10_000)] * 100)
    assert sum(disk.sizes) == 1_000_000
    assert all(size >= CHUNK_BYTES for size in disk.sizes[:-1])
    assert threading.get_ident() not in disk.threads


async def test_has_no_name_before_it_is_whole(tmp_path: Path) -> None:
    async with spool(tmp_path / "log", min_free_bytes=0) as file:
        await file.write(bytes(CHUNK_BYTES))
        (unfinished,) = tmp_path.iterdir()
        assert unfinished.name.startswith(".log.")
    assert [each.name for each in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize("where", ["write", "fsync"])
@pytest.mark.parametrize(("number", "kind"), [(28, StorageFull), (5, StorageFailed)])
async def test_a_disk_that_fails_is_said_in_words_and_leaves_nothing(
    tmp_path: Path, disk: Watched, where: str, number: int, kind: type[DurableError]
) -> None:
    disk.fault, disk.fault_at = OSError(number, os.strerror(number)), where
    with pytest.raises(kind, match=r"log: cannot be written: .*: (free space|check the disk)"):
        await write(tmp_path / "log", bytes(CHUNK_BYTES))
    assert list(tmp_path.iterdir()) == []


async def test_an_old_file_of_that_name_stays_when_the_new_one_fails(tmp_path: Path, disk: Watched) -> None:
    (tmp_path / "log").write_bytes(b"old")
    disk.fault = OSError(28, "No space left on device")
    with pytest.raises(StorageFull):
        await write(tmp_path / "log", b"new")
    assert (tmp_path / "log").read_bytes() == b"old"


async def test_keeps_the_room_free_that_what_must_survive_needs(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    with pytest.raises(StorageFull, match=r"bytes are to stay free there \(\[state\] min_free_mib\)"):
        await write(tmp_path / "log", bytes(CHUNK_BYTES), min_free_bytes=found.f_blocks * found.f_frsize)
    assert list(tmp_path.iterdir()) == []


async def test_an_error_of_who_writes_leaves_nothing(tmp_path: Path) -> None:
    async def fail() -> None:
        async with spool(tmp_path / "log", min_free_bytes=0) as file:
            await file.write(bytes(CHUNK_BYTES))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert list(tmp_path.iterdir()) == []


async def test_cancelled_in_a_write_it_waits_for_the_disk_and_leaves_nothing(tmp_path: Path, disk: Watched) -> None:
    disk.go_on.clear()
    task = asyncio.create_task(write(tmp_path / "log", bytes(CHUNK_BYTES)))
    await asyncio.to_thread(disk.entered.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # who is impatient does not get a descriptor closed under a thread that writes to it
    await asyncio.sleep(0)
    assert not task.done()
    disk.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert disk.sizes == [CHUNK_BYTES]
    assert list(tmp_path.iterdir()) == []


async def test_cancelled_while_it_gets_its_name_it_is_gone_too(tmp_path: Path, disk: Watched) -> None:
    task = asyncio.create_task(write(tmp_path / "log"))
    disk.go_on.clear()
    await asyncio.to_thread(disk.entered.wait, 10)
    assert (tmp_path / "log").exists()
    task.cancel()
    disk.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(DurableError, match="cannot be written: No such file or directory"):
        await write(tmp_path / "nowhere" / "log")
