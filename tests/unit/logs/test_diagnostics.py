"""The archive of the diagnostics, read back by tarfile: whole or not there, and not ruined by a part that is broken."""

import asyncio
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logs.diagnostics import Content, Diagnostics
from logs.spool import CHUNK_BYTES
from security.errors import StorageFull

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

Window = tuple[datetime | None, datetime | None]


@dataclass
class Part:
    """A member that has what a test gives it."""

    name: str
    content: Callable[[], Content]
    asked: Window | None = None

    async def read(self, oldest: datetime | None, latest: datetime | None) -> Content:
        self.asked = oldest, latest
        return self.content()


def text(name: str, content: bytes) -> Part:
    return Part(name, lambda: Content(len(content), iter((content,))))


def diagnostics(*members: Part, min_free_bytes: int = 0) -> Diagnostics:
    return Diagnostics(
        members,
        identity="CP001",
        now=lambda: NOON,
        redact=lambda line: line.replace("secret", "***"),
        min_free_bytes=min_free_bytes,
    )


async def unpacked(tmp_path: Path, *members: Part) -> dict[str, bytes]:
    target = tmp_path / "archive"
    size = await diagnostics(*members).write(target, None, None)
    assert target.stat().st_size == size
    return contents(target)


def contents(path: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path, "r:gz") as archive:
        for info in archive:
            file = archive.extractfile(info)
            assert file is not None
            assert (info.mode, info.uid, info.uname, info.mtime) == (0o600, 0, "", NOON.timestamp())
            found[info.name] = file.read()
    return found


async def test_holds_every_member_in_one_folder(tmp_path: Path) -> None:
    found = await unpacked(tmp_path, text("a.json", b"{}"), text("empty", b""), text("b.log", b"x" * 512))
    assert found == {"diagnostics/a.json": b"{}", "diagnostics/empty": b"", "diagnostics/b.log": b"x" * 512}


async def test_is_what_the_tar_program_unpacks(tmp_path: Path) -> None:
    await diagnostics(text("a.json", b"{}"), text("b.log", os.urandom(10_000))).write(tmp_path / "archive", None, None)
    tar = await asyncio.create_subprocess_exec(
        "tar", "-tzf", str(tmp_path / "archive"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await tar.communicate()
    assert said == b"diagnostics/a.json\ndiagnostics/b.log\n"


async def test_no_members_are_an_empty_archive(tmp_path: Path) -> None:
    assert await unpacked(tmp_path) == {}


async def test_each_member_is_told_the_window(tmp_path: Path) -> None:
    part = text("a", b"")
    await diagnostics(part).write(tmp_path / "archive", NOON - DAY, NOON)
    assert part.asked == (NOON - DAY, NOON)


async def test_a_member_that_cannot_be_had_is_named_and_the_others_are_there(tmp_path: Path) -> None:
    def fail() -> Content:
        raise RuntimeError("the secret database is damaged")

    found = await unpacked(tmp_path, text("a", b"1"), Part("b", fail), text("c", b"3"))
    assert found == {
        "diagnostics/a": b"1",
        "diagnostics/c": b"3",
        "diagnostics/problems.txt": b"b is missing: the *** database is damaged\n",
    }


async def test_a_member_that_breaks_off_is_padded_and_named(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"begin"
        raise OSError(5, "Input/output error")

    found = await unpacked(tmp_path, Part("a", lambda: Content(8, pieces())), text("b", b"2"))
    assert found == {
        "diagnostics/a": b"begin\n\n\n",
        "diagnostics/b": b"2",
        "diagnostics/problems.txt": b"a ends too early: Input/output error\n",
    }


@pytest.mark.parametrize(("pieces", "expected"), [([b"12345", b"6"], b"1234"), ([b"12"], b"12\n\n"), ([], b"\n\n\n\n")])
async def test_a_member_of_another_size_than_it_said_does_not_ruin_the_archive(
    tmp_path: Path, pieces: list[bytes], expected: bytes
) -> None:
    found = await unpacked(tmp_path, Part("a", lambda: Content(4, iter(pieces))), text("b", b"2"))
    assert found == {"diagnostics/a": expected, "diagnostics/b": b"2"}


async def test_members_are_read_and_packed_in_threads_a_piece_at_a_time(tmp_path: Path) -> None:
    threads = set()
    held = most = 0

    def pieces() -> Iterator[bytes]:
        nonlocal held, most
        for _ in range(100):
            threads.add(threading.get_ident())
            held += 1
            most = max(most, held)
            yield os.urandom(CHUNK_BYTES // 4)
            held -= 1

    size = 100 * CHUNK_BYTES // 4
    found = await unpacked(tmp_path, Part("a", lambda: Content(size, pieces())))
    assert len(found["diagnostics/a"]) == size
    assert threading.get_ident() not in threads
    assert most == 1
    assert len(threads) >= 1


async def test_cancelled_it_waits_for_the_thread_closes_what_is_open_and_leaves_nothing(tmp_path: Path) -> None:
    entered, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        entered.set()
        assert go_on.wait(10)
        assert not closed.is_set()
        for _ in range(1000):
            yield b"x"

    part = Part("a", lambda: Content(1000, pieces(), closed.set))
    task = asyncio.create_task(diagnostics(part).write(tmp_path / "archive", None, None))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_without_room_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(StorageFull):
        await diagnostics(text("a", b"1"), min_free_bytes=2**62).write(tmp_path / "archive", None, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("oldest", "latest", "expected"),
    [(None, None, True), (NOON, None, True), (None, NOON, True), (NOON, NOON, True), (NOON, NOON - DAY, False)],
)
async def test_is_there_unless_the_window_ends_before_it_begins(
    oldest: datetime | None, latest: datetime | None, expected: Any
) -> None:
    assert await diagnostics().is_available(oldest, latest) is expected


def test_the_name_tells_what_it_is() -> None:
    assert diagnostics().file_name(NOON) == "CP001-diagnostics-20270301T120000Z.tar.gz"
