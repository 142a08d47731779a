"""The record of a simulated file server: what arrived, from whom, how much of it, and waiting for it.

An arrival grows while its transfer runs, so that a test can wait for the middle of one. The servers write from threads
of their own; `wait` belongs to an event loop. The record is a ring.

Not done here: masking. The record holds the headers of HTTP as they came, secrets included; whoever prints it masks it.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from chargepoint.simulation.file_fault import Fault
from chargepoint.simulation.recorder import EXPECT_TIMEOUT

MAX_ARRIVALS: Final = 10_000  #: arrivals kept; some MB at most, and more than a soak run of a day has


@dataclass(slots=True)
class Arrival:
    """One request, login or transfer.

    Attributes:
        number: counted from 1.
        scheme: scheme of the server.
        command: HTTP method, FTP command (PASS for a login, else STOR, APPE, RETR), or for SFTP login, read, write.
        path: path on the server, decoded, with a leading slash; "" for a login.
        user: who was let in, None before that and for nobody.
        offset: where in the file the transfer began.
        bytes: how many bytes of the file were taken or handed to the kernel so far.
        status: what was answered, None for nothing yet and for a cut: HTTP status, FTP reply, SSH_FX code.
        fault: what struck it.
        over: whether it has ended, well or not.
        headers: headers of HTTP, in order.
        at: when it began, aware UTC.
    """

    number: int
    scheme: str
    command: str
    path: str
    user: str | None = None
    offset: int = 0
    bytes: int = 0
    status: int | None = None
    fault: Fault | None = None
    over: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def header(self, name: str) -> str | None:
        """Return the first header of a name, in any case."""
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)


class FileRecord:
    """Keeps arrivals and wakes those who wait for them.

    Args:
        scheme: scheme of the server.

    Attributes:
        listeners: called with each arrival that is over, from the thread of the server.
    """

    def __init__(self, scheme: str) -> None:
        self.listeners: list[Callable[[Arrival], None]] = []
        self._scheme = scheme
        self._lock = threading.Lock()
        self._count = 0
        self._arrivals: deque[Arrival] = deque(maxlen=MAX_ARRIVALS)
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def arrivals(self) -> list[Arrival]:
        """All arrivals that are kept, oldest first."""
        with self._lock:
            return list(self._arrivals)

    def of(self, *commands: str) -> list[Arrival]:
        """All arrivals of these commands, oldest first."""
        return [each for each in self.arrivals if each.command in commands]

    def begin(
        self, command: str, path: str, *, user: str | None = None, headers: tuple[tuple[str, str], ...] = ()
    ) -> Arrival:
        """Record an arrival that begins."""
        with self._lock:
            self._count += 1
            arrival = Arrival(self._count, self._scheme, command, path, user, headers=headers)
            self._arrivals.append(arrival)
        self.wake()
        return arrival

    def count(self, arrival: Arrival, size_bytes: int) -> None:
        """Note that so many more bytes have moved."""
        arrival.bytes += size_bytes
        self.wake()

    def end(self, arrival: Arrival) -> None:
        """Note that it is over."""
        arrival.over = True
        self.wake()
        for listener in self.listeners:
            listener(arrival)

    def wake(self) -> None:
        """Have everyone who waits look again."""
        with self._lock:
            for loop, changed in self._waiting:
                loop.call_soon_threadsafe(changed.set)

    async def wait(self, fits: Callable[[Arrival], bool], *, timeout: timedelta = EXPECT_TIMEOUT) -> Arrival:
        """Return the first arrival that fits, past or future; it may still be running.

        Raises:
            TimeoutError: there was none in time.
        """
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                while True:
                    waiter[1].clear()
                    if found := next(filter(fits, self.arrivals), None):
                        return found
                    await waiter[1].wait()
        finally:
            with self._lock:
                self._waiting.remove(waiter)
