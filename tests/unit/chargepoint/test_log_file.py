"""The log as files: seldom written, bounded, private, and harmless to the agent whatever the disk does."""

import logging
import os
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.log_file import (
    LEAST_PAUSE,
    MAX_LINE_BYTES,
    MAX_WAITING_BYTES,
    SOON,
    WRITE_BYTES,
    LogFile,
)

HOUR_S = 3600


class Bench:
    """A log file whose time stands still, and which writes when `flush` is called or its thread is told to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "log"
        self.now = 1000.0

    def file(self, *, max_bytes: int = 1000, files: int = 3, min_free_bytes: int = 0) -> LogFile:
        return LogFile(
            self.directory,
            max_bytes=max_bytes,
            files=files,
            write_after=timedelta(seconds=HOUR_S),
            min_free_bytes=min_free_bytes,
            monotonic=lambda: self.now,
        )

    def text(self, number: int = 0) -> str:
        return (self.directory / (f"agent.log.{number}" if number else "agent.log")).read_text()

    def names(self) -> list[str]:
        return sorted(each.name for each in self.directory.iterdir()) if self.directory.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that takes half of what it is given and then nothing more."""
    write = os.write
    with monkeypatch.context() as patch:

        def refuse(descriptor: int, data: memoryview) -> int:
            if len(data) < 2:
                raise OSError(28, "No space left on device")
            return write(descriptor, data[: len(data) // 2])

        patch.setattr(os, "write", refuse)
        yield


def test_nothing_is_written_before_it_is_time(bench: Bench) -> None:
    file = bench.file()
    file.add("one")
    assert bench.names() == []
    file.flush()
    assert bench.text() == "one\n"


def test_nothing_waiting_is_no_write(bench: Bench) -> None:
    file = bench.file()
    file.flush()
    assert bench.names() == []


def test_is_private_even_where_somebody_opened_it(bench: Bench) -> None:
    bench.directory.mkdir(0o700)
    (bench.directory / "agent.log").touch(0o644)
    file = bench.file()
    file.add("one")
    file.flush()
    assert stat.S_IMODE((bench.directory / "agent.log").stat().st_mode) == 0o600
    assert stat.S_IMODE(bench.directory.stat().st_mode) == 0o700


def test_rotates_at_its_size_and_keeps_so_many(bench: Bench) -> None:
    file = bench.file(max_bytes=30, files=3)
    for number in range(10):
        file.add(f"line {number:04}")  # 10 bytes each
        file.flush()
    assert bench.names() == ["agent.log", "agent.log.1", "agent.log.2"]
    assert bench.text() == "line 0009\n"
    assert bench.text(1) == "line 0006\nline 0007\nline 0008\n"
    assert bench.text(2) == "line 0003\nline 0004\nline 0005\n"


def test_rotates_in_the_middle_of_a_write_between_lines(bench: Bench) -> None:
    file = bench.file(max_bytes=30, files=2)
    for number in range(8):
        file.add(f"line {number:04}")
    file.flush()
    assert bench.text(1) == "line 0003\nline 0004\nline 0005\n"
    assert bench.text() == "line 0006\nline 0007\n"


def test_one_file_begins_anew(bench: Bench) -> None:
    file = bench.file(max_bytes=20, files=1)
    for number in range(3):
        file.add(f"line {number:04}")
        file.flush()
    assert bench.names() == ["agent.log"]
    assert bench.text() == "line 0002\n"


def test_goes_on_where_the_process_before_has_ended(bench: Bench) -> None:
    for text in ("before", "after"):
        file = bench.file()
        file.add(text)
        file.flush()
    assert bench.text() == "before\nafter\n"


def test_files_that_are_too_many_since_a_setting_was_lowered_go(bench: Bench) -> None:
    bench.directory.mkdir()
    for number in (1, 2, 3, 9):
        (bench.directory / f"agent.log.{number}").touch()
    (bench.directory / "other").touch()
    file = bench.file(files=2)
    file.start()
    file.close()
    assert bench.names() == ["agent.log.1", "other"]


def test_a_long_line_is_cut(bench: Bench) -> None:
    file = bench.file(max_bytes=10**6)
    file.add("x" * 2 * MAX_LINE_BYTES)
    file.flush()
    assert len(bench.text()) == MAX_LINE_BYTES
    assert bench.text().endswith("x ... (cut)\n")


def test_half_a_surrogate_pair_is_written_out(bench: Bench) -> None:
    file = bench.file()
    file.add("\ud800")
    file.flush()
    assert bench.text() == "\\ud800\n"


@pytest.mark.usefixtures("no_room")
def test_a_full_disk_costs_lines_and_nothing_else(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    file = bench.file()
    for _ in range(2):
        file.add("lost")
        file.flush()
    assert bench.text() == ""
    assert [record.getMessage() for record in caplog.records] == [
        "the log file cannot be written, lines are lost: No space left on device"
    ]


def test_what_was_lost_is_counted_once_there_is_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = bench.file()
    file.add("first")
    file.flush()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: (_ for _ in ()).throw(OSError(28, "full")))
        for _ in range(3):
            file.add("lost")
            file.flush()
    file.add("there again")
    file.flush()
    assert bench.text() == "first\nthere again\n"
    assert caplog.records[-1].getMessage() == "3 lines are not in the log file"


def test_keeps_the_room_free_that_what_must_survive_needs(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    file = bench.file(min_free_bytes=2**62)
    file.add("lost")
    file.flush()
    assert bench.text() == ""
    assert "the room that is left is kept for what must survive" in caplog.text


def test_a_directory_that_cannot_be_made_costs_lines_and_nothing_else(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.directory.touch()
    file = bench.file()
    file.add("lost")
    file.flush()
    assert "the log file cannot be written" in caplog.text


def test_a_link_in_its_place_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    bench.directory.mkdir()
    (tmp_path / "elsewhere").write_text("mine")
    (bench.directory / "agent.log").symlink_to(tmp_path / "elsewhere")
    file = bench.file()
    file.add("lost")
    file.flush()
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_what_waits_is_bounded_and_counted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    file = bench.file(max_bytes=10**6)
    line = "x" * 9_999
    fitting = MAX_WAITING_BYTES // 10_000
    for _ in range(fitting + 5):
        file.add(line)
    file.flush()
    assert len(bench.text()) == fitting * 10_000
    assert caplog.records[-1].getMessage() == "5 lines are not in the log file"


class TestWhenItWrites:
    """The thread sleeps until it is time; the time is looked at, not waited for."""

    @staticmethod
    def due_in(file: LogFile, bench: Bench) -> float | None:
        return None if file._due_at is None else file._due_at - bench.now

    def test_an_idle_log_is_never_due(self, bench: Bench) -> None:
        file = bench.file()
        assert self.due_in(file, bench) is None
        file.add("x")
        file.flush()
        assert self.due_in(file, bench) is None

    def test_the_first_line_sets_the_time_and_the_next_do_not_move_it(self, bench: Bench) -> None:
        file = bench.file()
        file.add("one")
        bench.now += 100
        file.add("two")
        assert self.due_in(file, bench) == HOUR_S - 100

    def test_many_lines_are_due_at_once(self, bench: Bench) -> None:
        file = bench.file(max_bytes=10**6)
        for _ in range(WRITE_BYTES // 10_000 + 1):
            file.add("x" * 9_999)
        assert self.due_in(file, bench) == 0

    def test_an_error_is_due_soon(self, bench: Bench) -> None:
        file = bench.file()
        file.add("one")
        file.add("error", urgent=True)
        assert self.due_in(file, bench) == SOON.total_seconds()

    def test_errors_without_end_are_written_once_a_minute(self, bench: Bench) -> None:
        file = bench.file()
        file.add("error", urgent=True)
        file.flush()
        bench.now += 10
        file.add("error", urgent=True)
        assert self.due_in(file, bench) == LEAST_PAUSE.total_seconds() - 10
        bench.now += 1000
        file.flush()
        bench.now += 1000
        file.add("error", urgent=True)
        assert self.due_in(file, bench) == SOON.total_seconds()


def test_the_thread_writes_what_is_due_and_at_the_end_the_rest(bench: Bench) -> None:
    file = bench.file(max_bytes=10**6)
    file.start()
    count = WRITE_BYTES // 10_000 + 1
    for _ in range(count):
        file.add("x" * 9_999)
    path = bench.directory / "agent.log"
    while not path.exists() or path.stat().st_size < count * 10_000:  # bounded by the time-out of the tests
        os.sched_yield()
    file.add("last")
    file.close()
    assert bench.text().endswith("x\nlast\n")
    assert not [each for each in threading.enumerate() if each.name == "log file"]


def test_what_is_logged_from_many_threads_is_there_once(bench: Bench) -> None:
    file = bench.file(max_bytes=10**6)
    file.start()

    def log(name: int) -> None:
        for number in range(200):
            file.add(f"{name}-{number}", urgent=number % 50 == 0)

    threads = [threading.Thread(target=log, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    lines = bench.text().splitlines()
    assert len(lines) == len(set(lines)) == 800
    for name in range(4):
        assert [line for line in lines if line.startswith(f"{name}-")] == [f"{name}-{n}" for n in range(200)]


class TestReading:
    def test_gives_out_all_files_oldest_first_with_what_waits(self, bench: Bench) -> None:
        file = bench.file(max_bytes=20)
        for number in range(5):
            file.add(f"line {number:04}")
        with file.opened() as files:
            assert b"".join(each.read() for each, _ in files) == b"".join(b"line %04d\n" % n for n in range(5))
            assert [size for _, size in files] == [20, 20, 10]

    def test_stays_as_it_was_while_the_log_rotates(self, bench: Bench) -> None:
        file = bench.file(max_bytes=20, files=2)
        for number in range(3):
            file.add(f"line {number:04}")
        with file.opened() as files:
            for _ in range(10):
                file.add("later, and more")
                file.flush()
            contents = [each.read(size) for each, size in files]
        assert contents == [b"line 0000\nline 0001\n", b"line 0002\n"]

    def test_no_log_is_no_files(self, bench: Bench) -> None:
        with bench.file().opened() as files:
            assert files == []


def test_logging_from_within_a_write_does_not_lock_up(bench: Bench, no_room: None) -> None:
    """The failure of the log file is itself logged, and so comes back to it."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            file.add(record.getMessage(), urgent=True)

    file = bench.file()
    handler = Handler()
    logger = logging.getLogger("chargepoint.log_file")
    logger.addHandler(handler)
    try:
        file.add("lost")
        file.flush()
    finally:
        logger.removeHandler(handler)
    assert len(file._waiting) == 1
