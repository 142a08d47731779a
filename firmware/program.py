"""One run of a program of the board's, from which nothing is taken for granted.

Guaranteed: no shell; nothing on its standard input; an environment of what is handed in and nothing of ours; output of
any length and form is read to its end in bounded memory; a run is over when the program has ended, or was ended with
all processes of its group.

Not `asyncio.create_subprocess_exec`: its transport kills a program that outlives it, and a program that must not be
interrupted outlives the agent.
"""

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

MAX_LINE_BYTES: Final = 500  #: bytes; of a line of output, the rest of it is dropped
MAX_LINES: Final = 10_000  #: lines; of either output, further ones are dropped; a progress bar has a hundred
MAX_LOGGED_LINES: Final = 200  #: lines; of the standard error in the log; the end of a program that fails is in them
GRACE: Final = timedelta(seconds=2)  #: time; between SIGTERM and SIGKILL; the agent itself must end within 5 s
DRAIN: Final = timedelta(seconds=1)  #: time; for the last output, where a process left behind keeps it open

_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}

_log = logging.getLogger(__name__)


class ProgramFailed(Exception):
    """Raised when a program could not be started, or did not end in time and was ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended.

    Attributes:
        status: its exit status, negative for a signal.
        complaint: the last line of its standard error, empty where it wrote none.
    """

    status: int
    complaint: str

    def __str__(self) -> str:
        """Return it in words."""
        how = f"ended with status {self.status}" if self.status >= 0 else f"was ended by signal {-self.status}"
        return f"{how}: {self.complaint}" if self.complaint else how


async def run_program(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    on_line: Callable[[str], None],
    timeout: timedelta | None,
    end_when_cancelled: bool = True,
    keep_open: Sequence[int] = (),
) -> Ended:
    """Run a program to its end.

    Args:
        arguments: the program, an absolute path, and its arguments.
        environment: what it is told beside PATH and LANG.
        on_line: is told each line of its standard output, without the line feed, cut and in bounded number.
        timeout: after so long it is ended and counts as failed; None: never.
        end_when_cancelled: whether it is ended when the awaiting task is cancelled; else it is left to itself, and its
            output has no reader any more.
        keep_open: descriptors that it inherits.

    Raises:
        ProgramFailed: it could not be started, or was ended because of the time.
    """
    try:
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - as quick as asyncio's; a vector of the integrator's
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_ENVIRONMENT, **environment},
            cwd="/",
            start_new_session=True,
            pass_fds=keep_open,
        )
    except (OSError, ValueError) as error:
        raise ProgramFailed(f"{arguments[0]} cannot be started: {error}") from error
    # Not cancelled with us: a program that is left to itself is still to be waited for, lest it stays as a zombie.
    end = asyncio.get_running_loop().run_in_executor(None, process.wait)
    complaints = _Complaints(Path(arguments[0]).name)
    reading = _Reading(process, on_line, complaints.note)
    try:
        try:
            await reading.begin()
            async with asyncio.timeout(timeout.total_seconds() if timeout else None):
                status = await asyncio.shield(end)
        except TimeoutError as error:
            await _end(process)
            raise ProgramFailed(f"{arguments[0]} did not end within {timeout} and was ended") from error
        except asyncio.CancelledError:
            if end_when_cancelled:
                await _end(process)
            raise
        await reading.drained()
    finally:
        reading.close()
    return Ended(status=status, complaint=complaints.last)


async def _end(process: "subprocess.Popen[bytes]") -> None:
    # In a thread of its own and shielded: whoever cancels twice must not leave half of a group alive.
    await asyncio.shield(asyncio.to_thread(_end_group, process))


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a program and all processes of its group; those that ignore it are killed."""
    _signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE.total_seconds())
    # Also where the first of them has ended: another one of the group may not have.
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class _Complaints:
    """The standard error: into the log, bounded, and the last line for the reason of a failure."""

    def __init__(self, program: str) -> None:
        self.last = ""
        self._program = program
        self._lines = 0

    def note(self, line: str) -> None:
        if not line.strip():
            return
        self.last = line.strip()
        self._lines += 1
        if self._lines <= MAX_LOGGED_LINES:
            _log.warning("%s: %s", self._program, self.last)
        elif self._lines == MAX_LOGGED_LINES + 1:
            _log.warning("%s writes more than %d lines: the rest is dropped", self._program, MAX_LOGGED_LINES)


class _Reading:
    """Both outputs, read until they end or the block is left."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        on_line: Callable[[str], None],
        on_complaint: Callable[[str], None],
    ) -> None:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - asked for above
        self._outputs = ((process.stdout, _Lines(on_line)), (process.stderr, _Lines(on_complaint)))
        self._transports: list[asyncio.ReadTransport] = []

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        for pipe, lines in self._outputs:
            # The pipe is closed by its transport from here on, whatever happens.
            transport, _ = await loop.connect_read_pipe(lambda lines=lines: lines, pipe)  # type: ignore[misc]
            self._transports.append(transport)

    def close(self) -> None:
        for transport in self._transports:
            transport.close()
        for pipe, _ in self._outputs[len(self._transports) :]:
            pipe.close()

    async def drained(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN.total_seconds()):
                for _, lines in self._outputs:
                    await lines.ended.wait()


class _Lines(asyncio.Protocol):
    """Cuts a stream into lines; holds at most `MAX_LINE_BYTES` of it."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.ended = asyncio.Event()
        self._on_line = on_line
        self._line = b""
        self._count = 0

    def data_received(self, data: bytes) -> None:
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._grow(piece)
            self._tell()
        self._grow(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._line:
            self._tell()
        self.ended.set()

    def _grow(self, piece: bytes) -> None:
        self._line += piece[: MAX_LINE_BYTES - len(self._line)]

    def _tell(self) -> None:
        line, self._line = self._line, b""
        self._count += 1
        if self._count <= MAX_LINES:
            self._on_line(line.decode(errors="replace"))
