"""The log as rotating files in the state directory, for the diagnostics: what standard error gets, in the same form.

Guaranteed: logging never waits for the disk and never fails. Lines are kept in memory and written together by a thread,
seldom: after a while, when there are many, at the end, and soon after an error, but not at each one of a row; so an
agent that idles writes nothing, and one that is in trouble does not wear the flash out. The files are private (0600),
their number and size bounded, and they leave free what must survive. What the disk does not take is counted, and the
count is logged once there is room again.

- A power cut or a kill takes the lines that were not written yet; what must survive is in the security log.
- Nothing is written before `start`: the directory may be another agent's until the state is opened.

Not done here: the form of a line, and that it holds no secret (log.py).
"""

import errno
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final

from chargepoint import log
from chargepoint.free_space import MIB
from chargepoint.settings import Settings

FOLDER: Final = "log"
LOG_NAME: Final = "agent.log"
KIB: Final = 1024  #: code; bytes in a KiB
MAX_FILES: Final = 20  #: count; the most that agent_log_files allows
MAX_WAITING_BYTES: Final = (
    262_144  #: bytes; of lines in memory while the disk is slow, those that come then are counted
)
WRITE_BYTES: Final = 65_536  #: bytes; so many are not kept any longer: half a thousand lines
MAX_LINE_BYTES: Final = 16_384  #: bytes; a longer line is cut: a message at level debug may have a quarter of a MiB
SOON: Final = timedelta(seconds=2)  #: time; after an error, so that what follows it is written with it
LEAST_PAUSE: Final = timedelta(minutes=1)  #: time; between two writes because of errors: 1,440 a day wear nothing out
CLOSE_TIMEOUT: Final = timedelta(seconds=1)  #: time; a disk that hangs does not keep the agent from its end
FILE_MODE: Final = 0o600  #: permission bits; the log names who charges when
DIRECTORY_MODE: Final = 0o700  #: permission bits; as above

_CUT: Final = b" ... (cut)\n"

_log = logging.getLogger(__name__)


@contextmanager
def kept_log(settings: Settings) -> Iterator["LogFile | None"]:
    """Keep the log as config.toml has it, from the first line on; who opens the state says `start`.

    Yields:
        The files, None where there are to be none.
    """
    logs = settings.logs
    if not logs.agent_log_max_kib:
        yield None
        return
    file = LogFile(
        settings.state.directory / FOLDER,
        max_bytes=logs.agent_log_max_kib * KIB,
        files=logs.agent_log_files,
        write_after=logs.agent_log_write_after,
        min_free_bytes=settings.state.min_free_mib * MIB,
    )
    with closing(file), log.kept_in(file, logs.agent_log_level):
        yield file


class LogFile:
    """The files, the newest without a number.

    Args:
        directory: where they lie; made when the first line is written.
        max_bytes: of one file.
        files: how many there are.
        write_after: how long a line waits in memory at most, as long as nothing is wrong.
        min_free_bytes: the room that is left on the disk in any case.
        monotonic: seconds of a clock that never steps.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        files: int,
        write_after: timedelta,
        min_free_bytes: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._files = files
        self._write_after_s = write_after.total_seconds()
        self._min_free_bytes = min_free_bytes
        self._monotonic = monotonic
        self._condition = threading.Condition()  # guards what follows; held for microseconds only
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._left_out = 0
        self._due_at: float | None = None
        self._written_at: float | None = None
        self._closing = False
        self._writing = threading.Lock()  # held while the files change
        self._failing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write; files that are too many since a setting was lowered are removed."""
        with self._writing, suppress(OSError):  # a disk that takes nothing: the first write says so
            for number in range(self._files, MAX_FILES):
                self._path(number).unlink(missing_ok=True)
        # A daemon: a disk that hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._serve, name="log file", daemon=True)
        self._thread.start()

    def add(self, line: str, *, urgent: bool = False) -> None:
        """Take in a line, from any thread; returns at once and raises nothing.

        Args:
            line: without its end; a traceback has several.
            urgent: it tells of an error, and is written soon.
        """
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        if len(data) > MAX_LINE_BYTES:
            data = data[: MAX_LINE_BYTES - len(_CUT)] + _CUT
        with self._condition:
            if self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
                self._left_out += 1
                return
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if self._hasten(urgent=urgent):
                self._condition.notify()

    def flush(self) -> None:
        """Write what waits; what the disk does not take is counted and logged, not raised."""
        with self._writing:
            with self._condition:
                lines, self._waiting, self._waiting_bytes, self._due_at = self._waiting, [], 0, None
            if not lines:
                return
            try:
                self._append(lines)
            except OSError as error:
                self._note_failure(len(lines), error)
            else:
                self._note_success()

    def close(self) -> None:
        """Write what waits and end; in bounded time. What is added afterwards is lost."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT.total_seconds())

    @contextmanager
    def opened(self) -> Iterator[list[tuple[BinaryIO, int]]]:
        """Give out the files as they are now, oldest first, each with the size that it has now; blocks.

        They stay readable as they are while the log goes on and rotates.
        """
        self.flush()
        with ExitStack() as stack:
            with self._writing:
                paths = [self._path(number) for number in reversed(range(self._files))]
                opened = [stack.enter_context(path.open("rb")) for path in paths if path.exists()]
                sizes = [os.fstat(file.fileno()).st_size for file in opened]
            yield list(zip(opened, sizes, strict=True))

    def _hasten(self, *, urgent: bool) -> bool:
        """Bring forward when to write next; returns whether the thread has to know."""
        now = self._monotonic()
        due_at = now + self._write_after_s
        if self._waiting_bytes >= WRITE_BYTES:
            due_at = now
        elif urgent:
            rested_at = now if self._written_at is None else self._written_at + LEAST_PAUSE.total_seconds()
            due_at = min(due_at, max(now + SOON.total_seconds(), rested_at))
        if self._due_at is not None and self._due_at <= due_at:
            return False
        self._due_at = due_at
        return True

    def _serve(self) -> None:
        """Thread: started by `start`, ended by `close`; it sleeps as long as there is nothing to write."""
        while self._wait_until_due():
            self.flush()
        self.flush()

    def _wait_until_due(self) -> bool:
        """Wait until it is time to write; returns False when it is time to end."""
        with self._condition:
            while not self._closing:
                wait_s = None if self._due_at is None else self._due_at - self._monotonic()
                if wait_s is not None and wait_s <= 0:
                    return True
                self._condition.wait(wait_s)
        return False

    def _note_failure(self, lines: int, error: OSError) -> None:
        with self._condition:
            self._left_out += lines
            self._written_at = self._monotonic()
        if not self._failing:
            _log.warning("the log file cannot be written, lines are lost: %s", error.strerror or type(error).__name__)
        self._failing = True

    def _note_success(self) -> None:
        self._failing = False
        with self._condition:
            self._written_at = self._monotonic()
            left_out, self._left_out = self._left_out, 0
        if left_out:
            _log.warning("%d lines are not in the log file", left_out)

    def _append(self, lines: list[bytes]) -> None:
        """Append the lines, in as many files as they need; raises OSError, and has then written whole lines only."""
        self._directory.mkdir(DIRECTORY_MODE, exist_ok=True)
        while lines:
            descriptor = self._open()
            try:
                room = self._max_bytes - os.fstat(descriptor).st_size
                count = _fitting(lines, room)
                self._put(descriptor, b"".join(lines[:count]))
            finally:
                os.close(descriptor)
            lines = lines[count:]
            if lines:
                self._rotate()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path(0), flags, FILE_MODE)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            os.fchmod(descriptor, FILE_MODE)
        return descriptor

    def _put(self, descriptor: int, data: bytes) -> None:
        before = os.fstat(descriptor).st_size
        room = os.fstatvfs(descriptor)
        if room.f_bavail * room.f_frsize - len(data) < self._min_free_bytes:
            raise OSError(errno.ENOSPC, "the room that is left is kept for what must survive")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            os.ftruncate(descriptor, before)
            raise

    def _rotate(self) -> None:
        if self._files == 1:
            self._path(0).unlink()
        for number in reversed(range(self._files - 1)):
            path = self._path(number)
            if path.exists():
                path.replace(self._path(number + 1))

    def _path(self, number: int) -> Path:
        return self._directory / (f"{LOG_NAME}.{number}" if number else LOG_NAME)


def _fitting(lines: list[bytes], room: int) -> int:
    """Return how many of the lines fit."""
    for count, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            return count
    return len(lines)
