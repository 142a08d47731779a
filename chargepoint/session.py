"""The conversation with the Central System, over as many connections as it takes.

The session knows what may be said when: it boots (`registration`), reports connectors that the Central System does not
know about, keeps the heartbeat, learns the time from the answers, and shuts both directions by the registration status.
It lives as long as the agent; each good connection is handed to `keep`.

Tasks, all within `keep` and ended with it: the exchange's reader, the outbox's sender, the keeper, which does what is
due and sleeps until something else is, and one for each source of owed messages (`attach`), which begins to deliver
once the boot is accepted and its time was taken over. A CALL that fails never ends the session; the end of the
connection does.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, Protocol

from chargepoint.clock import Clock
from chargepoint.configuration import Configuration, Origin
from chargepoint.connectors import Connectors
from chargepoint.date_time import read_date_time, write_date_time
from chargepoint.heartbeat import next_heartbeat_in
from chargepoint.link import Link
from chargepoint.outbox import Lane, Outbox, OutboxFull
from chargepoint.payload import call, enums
from chargepoint.registration import Registration, RegistrationStatus
from chargepoint.rpc import CallErrorReceived, CallFailed, Exchange, Reply, Serve, Silence
from chargepoint.settings import SessionSettings
from chargepoint.timekeeper import Timekeeper

_log = logging.getLogger(__name__)

_OPEN_LANES: Final = {
    None: frozenset({Lane.BOOT}),
    RegistrationStatus.REJECTED: frozenset({Lane.BOOT}),
    RegistrationStatus.PENDING: frozenset({Lane.BOOT, Lane.TRIGGERED}),
    RegistrationStatus.ACCEPTED: frozenset(Lane),
}


class NotAccepted(Exception):
    """Raised when something is to be said that needs an accepted BootNotification.req and a connection."""


class Source(Protocol):
    """Keeps messages that are owed to the Central System, whatever happens to the connection."""

    def booted(self) -> None:
        """The Central System has accepted a BootNotification.req."""

    async def deliver(self, send: Callable[[Any], Awaitable[Any]]) -> None:
        """Send what is owed, each when its turn has come; `send` raises `ConnectionLost` at the end of the connection.

        It raises nothing, and returns soon when it is cancelled.
        """


class Session:
    """Boot, status, heartbeat and time, and the gate for requests.

    Args:
        settings: the table ``[session]``.
        boot_content: makes the BootNotification.req of this moment.
        connectors: whose status is reported.
        configuration: HeartbeatInterval is read from it, and written when the Central System sets another.
        clock: measures the waits.
        timekeeper: told of every currentTime.
        open_exchange: makes the OCPP-J exchange over one connection.
    """

    def __init__(
        self,
        *,
        settings: SessionSettings,
        boot_content: Callable[[], Any],
        connectors: Connectors,
        configuration: Configuration,
        clock: Clock,
        timekeeper: Timekeeper,
        open_exchange: Callable[[Link, Serve], Exchange],
    ) -> None:
        self._settings = settings
        self._boot_content = boot_content
        self._connectors = connectors
        self._configuration = configuration
        self._clock = clock
        self._timekeeper = timekeeper
        self._open_exchange = open_exchange
        self._registration = Registration(settings.boot_retry)
        self._outbox = Outbox()
        self._sources: dict[Lane, Source] = {}
        self._wake = asyncio.Event()
        self._accepted = asyncio.Event()
        self._connected = False
        self._sent_at = 0.0
        self._time_learned_at = 0.0
        self._status_retry_at = 0.0
        configuration.subscribe("HeartbeatInterval", self._wake.set)

    @property
    def registration(self) -> RegistrationStatus | None:
        """What the last BootNotification.conf said, None before the first."""
        return self._registration.status

    @property
    def waiting(self) -> int:
        """How many messages wait for their turn."""
        return self._outbox.waiting()

    def attach(self, lane: Lane, source: Source) -> None:
        """Have a source deliver in a lane of its own, over each connection from the next on."""
        self._sources[lane] = source

    async def keep(self, link: Link, serve: Serve) -> None:
        """Converse over one good connection; returns when it is gone.

        Args:
            link: the connection; closed by whoever opened it.
            serve: answers the requests of the Central System.
        """
        exchange = self._open_exchange(link, self._gate(serve))
        now = self._clock.monotonic()
        self._registration.connected(self._boot_content())
        exchange.silent = self._registration.is_silent(now)
        link.settle = exchange.settle
        self._outbox.open_only(_OPEN_LANES[self._registration.status])
        self._status_retry_at = now
        self._connected = True
        self._accepted.clear()
        if self._registration.due_in(now) is None:  # accepted over an earlier connection, and nothing new to tell
            self._accepted.set()

        async def call_and_note(request: Any) -> Any:
            asked_at = self._sent_at = self._clock.monotonic()
            answer = await exchange.call(request)
            # Here, and not where the answer is waited for: what comes right behind a Rejected finds us silent, and the
            # time that a message waited for its turn does not count as its round trip.
            if isinstance(request, call.BootNotification):
                self._note_registration(request, answer)
                exchange.silent = self._registration.is_silent(self._clock.monotonic())
            if isinstance(request, call.BootNotification | call.Heartbeat):
                await self._learn_time(answer.current_time, asked_at)
            return answer

        try:
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(self._outbox.run(call_and_note), name="sender")
                keeper = tasks.create_task(self._keep_up(exchange), name="keeper")
                sources = [
                    tasks.create_task(self._deliver(lane, source), name=lane.value)
                    for lane, source in self._sources.items()
                ]
                await exchange.run()
                for task in (sender, keeper, *sources):
                    task.cancel()
        finally:
            self._connected = False

    def notice_change(self) -> None:
        """Something that the Central System may have to hear of has changed: look what is due."""
        self._wake.set()

    async def send(self, request: Any, lane: Lane = Lane.LOCAL) -> Any:
        """Say something now or not at all, for a local caller or a card, and return the answer.

        Raises:
            NotAccepted: there is no connection, or the Central System has not accepted this Charge Point.
            CallFailed, OutboxFull: as the outbox says.
        """
        if not self._connected or self._registration.status is not RegistrationStatus.ACCEPTED:
            raise NotAccepted("the Central System is not connected or has not accepted this Charge Point")
        return await self._outbox.send(request, lane)

    def can_trigger(self, message: str) -> bool:
        """Whether the registration lets a triggered message go: before Pending or Accepted only the boot."""
        return message == "BootNotification" or Lane.TRIGGERED in _OPEN_LANES[self._registration.status]

    async def trigger(self, message: str, connector: int | None) -> None:
        """Send what the Central System asked for, once; a failure is logged and not repeated."""
        try:
            if message == "BootNotification":
                self._registration.trigger()
                self._wake.set()
            elif message == "Heartbeat":
                await self._outbox.send(call.Heartbeat(), Lane.TRIGGERED)
            else:
                for number in self._connectors.numbers if connector is None else (connector,):
                    await self._report(number, Lane.TRIGGERED)
        except (CallFailed, OutboxFull) as failure:
            _log.warning("the triggered %s.req was not delivered: %s", message, failure)

    async def trigger_with(self, make_request: Callable[[], Awaitable[Any]]) -> None:
        """Send what the Central System asked for, once, as it is now; a failure is logged and not repeated."""
        request = await make_request()
        try:
            await self._outbox.send(request, Lane.TRIGGERED)
        except (CallFailed, OutboxFull) as failure:
            _log.warning("the triggered %s.req was not delivered: %s", type(request).__name__, failure)

    async def wait_accepted(self) -> None:
        """Return once the Central System has accepted this Charge Point, over this connection or an earlier one."""
        await self._accepted.wait()

    def _gate(self, serve: Serve) -> Serve:
        async def serve_and_note(request: Any, action: str) -> Reply:
            now = self._clock.monotonic()
            if self._registration.is_silent(now):
                raise Silence  # it was read together with the Rejected
            self._sent_at = now
            return await serve(request, action)

        return serve_and_note

    async def _deliver(self, lane: Lane, source: Source) -> None:
        if lane is not Lane.TRIGGERED:  # what was triggered may go while Pending (A00.FR.806): its lane is open then
            await self._accepted.wait()
        await source.deliver(lambda request: self._outbox.send(request, lane))

    async def _keep_up(self, exchange: Exchange) -> None:
        while True:
            self._wake.clear()
            # OCPP 1.6, 4.2: while Rejected nothing is sent and nothing answered until the interval is over.
            exchange.silent = self._registration.is_silent(self._clock.monotonic())
            wait = await self._do_what_is_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.0)):
                    await self._wake.wait()

    async def _do_what_is_due(self) -> float:
        """Act, and return the seconds until something is due again."""
        boot_in = self._registration.due_in(self._clock.monotonic())
        if boot_in is not None and boot_in <= 0:
            await self._boot()
            return 0.0
        waits = [] if boot_in is None else [boot_in]
        if self._registration.status is RegistrationStatus.ACCEPTED:
            waits.append(await self._report_what_changed())
            waits.append(await self._heartbeat_when_due())
        return min(waits)

    async def _boot(self) -> None:
        try:
            conf = await self._outbox.send(self._boot_content(), Lane.BOOT)
        except CallFailed as failure:
            _log.warning("BootNotification.req was not answered well, next try in %s: %s", self._retry_text, failure)
            self._registration.failed(self._clock.monotonic())
            return
        if self._registration.status is RegistrationStatus.ACCEPTED:
            await self._set_heartbeat_interval(conf.interval)
            for source in self._sources.values():
                source.booted()
            self._accepted.set()

    def _note_registration(self, content: Any, conf: Any) -> None:
        status, was = RegistrationStatus(conf.status), self._registration.status
        _log.info("the Central System answered the BootNotification.req: %s, interval %d s", status, conf.interval)
        self._registration.answered(status, conf.interval, content, self._clock.monotonic())
        self._outbox.open_only(_OPEN_LANES[status])
        if status is RegistrationStatus.ACCEPTED and was is not status:
            self._connectors.forget_reports()

    @property
    def _retry_text(self) -> str:
        return f"{self._settings.boot_retry.total_seconds():.0f} s"

    async def _set_heartbeat_interval(self, interval_s: int) -> None:
        # An interval of 0 leaves it to us: what was set before holds, else [session] default_heartbeat_s. Stored only
        # when it differs, so that a boot costs no write to the flash.
        if interval_s > 0 and interval_s != self._configuration.integer("HeartbeatInterval"):
            await self._configuration.change("HeartbeatInterval", str(interval_s), Origin.CENTRAL_SYSTEM)

    async def _report_what_changed(self) -> float:
        now = self._clock.monotonic()
        owed = self._connectors.unreported()
        if owed and self._status_retry_at > now:
            return self._status_retry_at - now
        for number in owed:
            try:
                await self._report(number, Lane.STATUS)
            except CallFailed as failure:
                _log.warning("StatusNotification.req for connector %d was not delivered: %s", number, failure)
                self._status_retry_at = self._clock.monotonic() + self._settings.boot_retry.total_seconds()
                return self._settings.boot_retry.total_seconds()
        return 0.0 if self._connectors.unreported() else float("inf")

    async def _report(self, number: int, lane: Lane) -> None:
        state = self._connectors[number]
        request = call.StatusNotification(
            connector_id=number,
            error_code=enums.ChargePointErrorCode(state.error_code),
            status=enums.ChargePointStatus(state.status),
            timestamp=write_date_time(state.changed_at),
            info=state.info,
        )
        try:
            await self._outbox.send(request, lane)
        except CallErrorReceived as refusal:
            # Saying the same again would be refused again: the Central System has seen it, that is all we owe.
            _log.warning("the Central System refused the status of connector %d: %s", number, refusal)
        self._connectors.mark_reported(number, state)

    async def _heartbeat_when_due(self) -> float:
        wait = self._next_heartbeat_in()
        if wait > 0:
            return wait
        try:
            await self._outbox.send(call.Heartbeat(), Lane.HEARTBEAT)
        except CallFailed as failure:
            _log.warning("Heartbeat.req was not answered well: %s", failure)
            self._time_learned_at = self._clock.monotonic()
        return self._next_heartbeat_in()

    def _next_heartbeat_in(self) -> float:
        now = self._clock.monotonic()
        return next_heartbeat_in(
            timedelta(seconds=self._configuration.integer("HeartbeatInterval")),
            timedelta(seconds=now - self._sent_at),
            timedelta(seconds=now - self._time_learned_at),
        ).total_seconds()

    async def _learn_time(self, current_time: str, asked_at: float) -> None:
        now = self._clock.monotonic()
        self._time_learned_at = now
        await self._timekeeper.learn(read_date_time(current_time), timedelta(seconds=now - asked_at))
