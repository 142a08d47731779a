"""A Charge Point under measurement: a process of its own, and what Linux knows about it.

Guaranteed: it has ended when its context is left, killed if it does not obey SIGTERM; our environment does not change
how it is configured or how fast Python is.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

KIB: Final = 1024
END_TIMEOUT: Final = 10.0  #: seconds; the agent ends within 5 s after SIGTERM
TAIL_CHARACTERS: Final = 2000  #: of a process's log that are shown when it has failed

_UNWANTED: Final = ("CHARGEPOINT_CONFIG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_PYTHON: Final = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONDEVMODE",
    "PYTHONASYNCIODEBUG",
    "PYTHONWARNINGS",
    "PYTHONUNBUFFERED",
)
"""What makes Python slower than where the agent is installed; the first of these would have ours compiled each time."""


class Broken(Exception):
    """Raised when a benchmark cannot be finished; the text says why."""


class Process:
    """A running process.

    Attributes:
        pid: its process id.
        log: the file that its output goes to.
    """

    def __init__(self, child: asyncio.subprocess.Process, log: Path) -> None:
        self.pid = child.pid
        self.log = log
        self._child = child
        self._directory = Path("/proc", str(self.pid))

    async def wait(self) -> int:
        """Wait until it has ended and return its exit status."""
        return await self._child.wait()

    async def end(self) -> None:
        """Ask it to end, then make it."""
        if self._child.returncode is None:
            self._child.terminate()
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await self._child.wait()
        except TimeoutError:
            self._child.kill()
            await self._child.wait()

    def resident_bytes(self) -> int:
        """Return VmRSS: all pages in memory, those shared with other processes in full."""
        return self._kib_of("status", "VmRSS") * KIB

    def proportional_bytes(self) -> int:
        """Return Pss: as VmRSS, but a page that N processes share counts 1/N."""
        return self._kib_of("smaps_rollup", "Pss") * KIB

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads (user and system), to the nanosecond, unlike the ticks in `stat`."""
        nanoseconds = 0
        for task in self._directory.joinpath("task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                nanoseconds += int(task.joinpath("schedstat").read_text("ascii").split()[0])
        return nanoseconds / 1e9

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text("utf-8", errors="replace")[-TAIL_CHARACTERS:]

    def _kib_of(self, file: str, name: str) -> int:
        for line in self._directory.joinpath(file).read_text("ascii", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0])
        raise Broken(f"/proc/{self.pid}/{file} has no {name}")


@asynccontextmanager
async def running(command: Sequence[str | Path], log: Path) -> AsyncIterator[Process]:
    """Run a process for as long as this context is entered.

    Args:
        command: program and arguments.
        log: where its output goes; written anew.
    """
    environment = {name: value for name, value in os.environ.items() if name not in (*_UNWANTED, *_PYTHON)}
    # The baselines go through a proxy where the environment names one, the agent does not.
    environment["NO_PROXY"] = "localhost"
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    process = Process(child, log)
    try:
        yield process
    finally:
        await process.end()
