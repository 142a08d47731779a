"""The record of a simulated Central System: every frame, upgrade, refusal and end, in order, and waiting for them.

An entry carries its connection number, wall time and monotonic time. A test waits with `wait` (the first entry that
fits, past or future, as often as it likes) or `take` (each entry is handed out once). With `max_entries` the record is
a ring, for soak runs.

Not done here: masking. The record holds what was on the wire, secrets included; whoever prints it masks it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeVar

from chargepoint.simulation.finding import Finding, Rule
from chargepoint.simulation.frame import Frame
from chargepoint.simulation.wire import TlsFacts

EXPECT_TIMEOUT: Final = timedelta(seconds=10)  #: time that an expectation waits; loopback needs milliseconds
MAX_FINDINGS: Final = 1_000  #: findings kept; a broken Charge Point must not fill the memory of a soak run

Direction = Literal["received", "sent"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened.

    Attributes:
        connection: number of the connection, counted from 1.
        identity: the Charge Point, "" while unknown.
        at: when, aware UTC.
        monotonic: the same in seconds of the monotonic clock.
    """

    connection: int
    identity: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    monotonic: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, kw_only=True)
class FrameEntry(Entry):
    """A WebSocket message.

    Attributes:
        direction: as seen from the Central System.
        data: the message as it stood on the wire.
        frame: what it meant, None where it is no OCPP-J frame.
        action: the action of a CALL, or of the CALL that an answer belongs to; "" where unknown.
    """

    direction: Direction
    data: str | bytes
    frame: Frame | None = None
    action: str = ""


@dataclass(frozen=True, kw_only=True)
class Upgrade(Entry):
    """A Charge Point that was let in: profile, request target, headers (in order) and TLS."""

    profile: int
    target: str
    headers: tuple[tuple[str, str], ...]
    subprotocol: str | None
    tls: TlsFacts | None


@dataclass(frozen=True, kw_only=True)
class Refusal(Entry):
    """A connection that did not come to be (A00.FR.323, A00.FR.408).

    Attributes:
        stage: where it ended: in the TLS handshake or at the HTTP request.
        reason: why.
        status: the HTTP status that was answered, None before HTTP.
    """

    stage: Literal["tls", "http"]
    reason: str
    status: int | None = None


@dataclass(frozen=True, kw_only=True)
class Gone(Entry):
    """The end of a connection that was let in, with its close code (1006: no close frame)."""

    code: int
    reason: str


E = TypeVar("E", bound=Entry)


class Recorder:
    """Keeps entries and findings and wakes those who wait for them.

    Args:
        max_entries: how many entries are kept, None for all.
    """

    def __init__(self, max_entries: int | None = None) -> None:
        self.entries: deque[Entry] = deque(maxlen=max_entries)
        self.findings: deque[Finding] = deque(maxlen=MAX_FINDINGS)
        self.listeners: list[Callable[[Entry | Finding], None]] = []
        self._untaken: deque[Entry] = deque(maxlen=max_entries)
        self._waiting: list[tuple[Callable[[Entry], bool], asyncio.Future[Entry], bool]] = []

    def add(self, entry: Entry) -> None:
        """Record an entry and hand it to whoever waits for it."""
        self.entries.append(entry)
        taken = False
        for waiter in list(self._waiting):
            fits, future, takes = waiter
            if future.done() or (takes and taken) or not fits(entry):
                continue
            future.set_result(entry)
            self._waiting.remove(waiter)
            taken = taken or takes
        if not taken:
            self._untaken.append(entry)
        for listener in self.listeners:
            listener(entry)

    def find(self, rule: Rule, detail: str, *, identity: str, connection: int) -> None:
        """Record a finding."""
        finding = Finding(rule, detail, identity, connection, datetime.now(UTC))
        self.findings.append(finding)
        for listener in self.listeners:
            listener(finding)

    async def wait(
        self, kind: type[E], fits: Callable[[E], bool] = lambda _: True, *, timeout: timedelta = EXPECT_TIMEOUT
    ) -> E:
        """Return the first entry of a kind that fits, past or future; the record stays as it is.

        Raises:
            TimeoutError: there was none in time.
        """
        return await self._await(kind, fits, timeout, takes=False)

    async def take(
        self, kind: type[E], fits: Callable[[E], bool] = lambda _: True, *, timeout: timedelta = EXPECT_TIMEOUT
    ) -> E:
        """As `wait`, but an entry that was taken before is passed over.

        Raises:
            TimeoutError: there was none in time.
        """
        return await self._await(kind, fits, timeout, takes=True)

    def frames(self, direction: Direction | None = None, action: str | None = None) -> list[FrameEntry]:
        """List the recorded frames, oldest first, of one direction and action if asked for."""
        return [
            entry
            for entry in self.entries
            if isinstance(entry, FrameEntry) and direction in (None, entry.direction) and action in (None, entry.action)
        ]

    async def _await(self, kind: type[E], fits: Callable[[E], bool], timeout: timedelta, *, takes: bool) -> E:
        def matches(entry: Entry) -> bool:
            return isinstance(entry, kind) and fits(entry)

        for entry in self._untaken if takes else self.entries:
            if isinstance(entry, kind) and fits(entry):
                if takes:
                    self._untaken.remove(entry)
                return entry
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        waiter = (matches, future, takes)
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                found = await future
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        if not isinstance(found, kind):
            raise TypeError(f"waited for {kind.__name__}, was handed {type(found).__name__}")
        return found
