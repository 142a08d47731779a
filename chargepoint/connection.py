"""The connection to the Central System, kept for ever: one link at a time, opened again whenever it is lost.

Guaranteed:

- One security profile at a time (A00.FR.001): each try asks for its `Attempt` anew and makes that one or none; a weaker
  profile is never tried instead (A00.FR.005).
- Each failed try is one line in the log and `last_failure` in the status; its security event is raised once per cause
  and outage, the repeats are counted (A00.FR.309, A00.FR.315, A00.FR.318, A00.FR.322 and their twins of profile 3).
- How each try ended is told to whoever plans them, before the link is used or the next try is planned.
- After a good connection the first tries are soon and steady, then the waits grow (backoff.py).

Not done here: choosing profile and address, falling back (A05.FR.08: fallback.py), what is said over the link
(session.py).

Tasks: whoever awaits `run` is the loop and may cancel it; the socket is closed at once then. While a link is open,
`run` has a task that serves it and one that pings; both have ended when the next try begins. An error that `serve`
raises ends `run`; one that `plan` raises is a failed try.
"""

import asyncio
import gc
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from chargepoint.attempt import Attempt
from chargepoint.backoff import Backoff
from chargepoint.clock import Clock
from chargepoint.date_time import write_date_time
from chargepoint.failure import Failure, failure_of
from chargepoint.history import History
from chargepoint.link import Link, Opening
from chargepoint.outage import Outage
from chargepoint.setting_table import ConnectionSettings
from security.event import RaiseEvent
from security.fallback import Outcome

if TYPE_CHECKING:
    from security.peer_revocation import PeerRevocation

__all__ = ["Attempt", "Connection", "ConnectionState", "Failure", "Link"]

MIN_LINK_LIFE: Final = timedelta(seconds=5)  #: time; a link that ends sooner and brought no message counts as a failure

NoteOutcome = Callable[[Attempt, Outcome], Awaitable[bool]]
"""Port: takes in how a try ended; True where the waits between tries are to begin anew."""

_log = logging.getLogger(__name__)


async def _decide_nothing(attempt: Attempt, outcome: Outcome) -> bool:
    """Have nothing on trial."""
    return False


class ConnectionState(StrEnum):
    """What the connection is at."""

    DOWN = "down"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"


class Connection:
    """The connection to the Central System.

    Args:
        plan: says what the next try is made with; asked before each one.
        settings: the table ``[connection]``.
        static_rsa: the setting of that name in ``[security]``.
        system_trust_store: the setting of that name in ``[interop]``.
        clock: the agent's.
        raise_event: records a security event.
        revocation: finds out whether the Central System's certificate is revoked; None where that is not asked.
        note_outcome: told how each try ended that was planned.
        history: told of each link and each failed try.
        rng: chance for the jitter of the waits.
    """

    def __init__(
        self,
        plan: Callable[[], Awaitable[Attempt]],
        *,
        settings: ConnectionSettings,
        static_rsa: bool,
        system_trust_store: bool,
        clock: Clock,
        raise_event: RaiseEvent,
        revocation: "PeerRevocation | None" = None,
        note_outcome: NoteOutcome = _decide_nothing,
        history: History | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._opening = Opening(
            settings, static_rsa=static_rsa, system_trust_store=system_trust_store, revocation=revocation
        )
        self._clock = clock
        self._raise_event = raise_event
        self._note_outcome = note_outcome
        self._history = history or History(clock.now)
        self._backoff = Backoff(
            first=settings.retry_first,
            initial=settings.retry_initial,
            maximum=settings.retry_max,
            factor=settings.retry_factor,
            jitter=settings.retry_jitter,
            random=(rng or random.Random()).random,  # noqa: S311 - spreads load, guards nothing
        )
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._asked = asyncio.Event()  # by reconnect, down or up: what is going on is to be cut short
        self._asked_why = ""
        self._opening_scope: asyncio.Timeout | None = None
        self._ping_interval: timedelta | None = None
        self._ping_interval_changed = asyncio.Event()
        self._outage = Outage()
        self._failures = 0  # in a row, links that were good for nothing included
        self._attempt: Attempt | None = None
        self._link: Link | None = None
        self._last_failure: dict[str, Any] | None = None
        self._next_try_at: datetime | None = None
        self._changed = asyncio.Event()  # of the state; a new one for each change
        self._enter(ConnectionState.DOWN)

    async def run(self, serve: Callable[[Link], Awaitable[None]]) -> None:
        """Keep the connection until this is cancelled, which closes the socket at once.

        Args:
            serve: uses one link, and returns when it is lost; it may set `Link.settle`.
        """
        try:
            while True:
                await self._wanted.wait()
                self._asked.clear()
                link = await self._open()
                if link is not None:
                    await self._hold(link, serve)
                if self._wanted.is_set():
                    await self._wait_for_next_try()
                else:
                    self._enter(ConnectionState.DOWN)
        finally:
            self._enter(ConnectionState.DOWN)

    def reconnect(self, why: str) -> None:
        """Close the link once its owed answers are sent, and come back at once with a new plan.

        A try or a wait that is going on is cut short. While the connection is down, nothing happens.

        Args:
            why: goes into the log and the WebSocket's close frame.
        """
        self._ask(why)

    def down(self, why: str = "ordered by a local command") -> None:
        """Close the link as `reconnect` does, and stay away until `up`."""
        self._wanted.clear()
        self._ask(why)

    def up(self) -> None:
        """Come back, or come back sooner."""
        if not self._wanted.is_set():
            self._wanted.set()
            self._ask("up")

    async def wait_for(self, state: ConnectionState) -> None:
        """Wait until the connection is in a state."""
        while self._state is not state:
            await self._changed.wait()

    async def wait_unlinked(self) -> None:
        """Wait until no link is open; after `down` at most twice the close time-out."""
        while self._state is ConnectionState.CONNECTED:
            await self._changed.wait()

    def set_ping_interval(self, interval: timedelta | None) -> None:
        """Set WebSocketPingInterval, from now on, for the open link too; None or zero switches the pings off."""
        self._ping_interval = interval or None
        self._ping_interval_changed.set()

    @property
    def root_in_use(self) -> bytes | None:
        """The installed root that the open link rests on, DER (M04.FR.06); None without a link, or without TLS."""
        peer = self._link.peer if self._link else None
        return peer.root if peer else None

    @property
    def attempt_in_use(self) -> Attempt | None:
        """What the open link was made with; None without a link."""
        return self._attempt if self._link else None

    def status(self) -> dict[str, Any]:
        """Tell people and programs what the connection is at; all values are plain JSON."""
        attempt = self._attempt
        return {
            "state": str(self._state),
            "security_profile": int(attempt.profile) if attempt else None,
            "url": attempt.address if attempt else None,
            "since": write_date_time(self._since),
            "last_failure": self._last_failure,
            "attempts": self._outage.tries,
            "next_try_at": write_date_time(self._next_try_at) if self._next_try_at else None,
        }

    def _ask(self, why: str) -> None:
        self._asked_why = why
        self._asked.set()
        if self._opening_scope is not None:
            self._opening_scope.reschedule(asyncio.get_running_loop().time())

    def _enter(self, state: ConnectionState) -> None:
        self._state = state
        self._since = self._clock.now()
        self._next_try_at = None
        self._changed.set()
        self._changed = asyncio.Event()

    async def _open(self) -> Link | None:
        """Make one try; None when it failed or was cut short."""
        self._enter(ConnectionState.CONNECTING)
        scope = self._opening_scope = asyncio.timeout(None)  # without a deadline: `_ask` ends it by giving it one
        attempt = None
        try:
            try:
                async with scope:
                    attempt = self._attempt = await self._plan()
                    link = await self._opening.open(attempt, self._clock)
            finally:
                self._opening_scope = None  # before its end is told, which takes a while: it takes no deadline any more
        except Exception as error:  # noqa: BLE001 - no failure of one try may end the agent
            if isinstance(error, TimeoutError) and scope.expired():
                _log.info("the try to connect was cut short: %s", self._asked_why)
            else:
                await self._note_failure(attempt, failure_of(error))
            return None
        await self._note_outcome(attempt, Outcome.GOOD)  # before a word is said: what it proves must be on the disk
        self._note_success(link)
        return link

    async def _hold(self, link: Link, serve: Callable[[Link], Awaitable[None]]) -> None:
        """Serve a link until it is lost or somebody asks for another; its tasks and its socket are gone afterwards."""
        began = self._clock.monotonic()
        self._link = link
        serving = asyncio.ensure_future(serve(link))
        pinging = asyncio.create_task(self._ping(link), name="ping")
        asked = asyncio.create_task(self._asked.wait(), name="asked")
        try:
            await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await self._close(link)
                await serving
            serving.result()
        finally:
            link.abort("the link is not needed any more")
            self._link = None
            for task in (serving, pinging, asked):
                task.cancel()
            await asyncio.gather(serving, pinging, asked, return_exceptions=True)
        end = await link.wait_lost()
        _log.info("the connection to %s ended: %s", link.url, end)
        self._history.note("ended", url=link.url, security_profile=int(link.profile), reason=end)
        # A closed socket, its TLS and its exchange refer to each other in circles. Left to themselves they pile up for
        # thousands of reconnects; together with gc.freeze() at the start this takes about a millisecond.
        gc.collect()
        lasted = timedelta(seconds=self._clock.monotonic() - began)
        # A peer that upgrades and then hangs up is as bad as one that refuses: the waits have to grow
        # (docs/decisions/0040-reconnect-steady-then-slow.md).
        self._failures = 0 if link.messages or lasted >= MIN_LINK_LIFE else self._failures + 1

    async def _close(self, link: Link) -> None:
        try:
            async with asyncio.timeout(self._settings.close_timeout.total_seconds()):
                await link.settle()
        except TimeoutError:
            _log.warning("the link is closed although an answer is still owed")
        await link.close(reason=self._asked_why)

    async def _ping(self, link: Link) -> None:
        """Ping at WebSocketPingInterval, which may change meanwhile; a peer that does not answer loses the link."""
        while True:
            self._ping_interval_changed.clear()
            interval = self._ping_interval
            try:
                async with asyncio.timeout(interval.total_seconds() if interval else None):
                    await self._ping_interval_changed.wait()
            except TimeoutError:
                if not await link.ping(self._settings.ping_timeout):
                    link.abort(f"no pong within {self._settings.ping_timeout.total_seconds():g} s")
                    return

    async def _wait_for_next_try(self) -> None:
        delay = timedelta() if self._asked.is_set() else self._backoff.delay(self._failures)
        self._enter(ConnectionState.WAITING)
        self._next_try_at = self._clock.now() + delay
        try:
            async with asyncio.timeout(delay.total_seconds()):
                await self._asked.wait()
        except TimeoutError:
            return

    def _note_success(self, link: Link) -> None:
        tls = f", {link.peer.version} {link.peer.suite}" if link.peer else ""
        _log.info("connected to %s in security profile %d%s", link.url, link.profile, tls)
        self._history.note("connected", url=link.url, security_profile=int(link.profile), tls=tls.strip(", ") or None)
        if self._outage.tries:
            _log.info("the outage is over after %d failed tries: %s", self._outage.tries, self._outage.summary())
        self._outage = Outage()
        self._enter(ConnectionState.CONNECTED)

    async def _note_failure(self, attempt: Attempt | None, failure: Failure) -> None:
        self._failures += 1
        is_new = self._outage.note(failure)
        self._last_failure = asdict(failure) | {"at": write_date_time(self._clock.now())}
        url = self._attempt.address if self._attempt else "the Central System"
        _log.warning("try %d to connect to %s failed: %s", self._outage.tries, url, failure)
        profile = int(attempt.profile) if attempt else None
        self._history.note("failed", url=url, security_profile=profile, reason=failure.what)
        if failure.event is not None and is_new:
            await self._raise_event(failure.event, f"{failure.what}; peer: {failure.peer or 'not seen'}")
        if attempt is not None and await self._note_outcome(attempt, failure.outcome):
            self._failures = 0
