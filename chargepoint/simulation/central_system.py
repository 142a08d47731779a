"""A Central System for OCPP 1.6J with the security extension, to test Charge Points against.

It is right from birth: every message that a Charge Point can send gets a valid answer, every message that a Central
System can send is available, and all that a Charge Point does wrong is found. A test then makes one thing different.

    async with CentralSystem(pki=pki, profile=2) as central_system:
        central_system.passwords["CP001"] = password
        await central_system.connected("CP001")
        boot = await central_system.expect("BootNotification")
        answer = await central_system.call("GetConfiguration", {})
        assert not central_system.findings

The profile can be changed at any time: the listener stays, and what it asks of the next connection is decided when that
connection comes. It shares nothing with the agent but the schemas (decision 0046).

Tasks: one a connection, started when a socket is accepted, and one for the renewal of a maker's certificate
(handover.py); cancelled when the Central System stops.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Final

from chargepoint.simulation.admission import Register
from chargepoint.simulation.authority import Authority, Issued
from chargepoint.simulation.caller import CALL_TIMEOUT, BadAnswer, CallRefused, ConnectionGone
from chargepoint.simulation.connection import Connection
from chargepoint.simulation.door import Door
from chargepoint.simulation.duty import HEARTBEAT_INTERVAL, Clock, Duty, system_clock
from chargepoint.simulation.finding import Finding
from chargepoint.simulation.frame import Call, Payload
from chargepoint.simulation.handover import Antechamber, renew
from chargepoint.simulation.orders import Orders
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.recorder import EXPECT_TIMEOUT, FrameEntry, Recorder, Refusal
from chargepoint.simulation.registration import Registration
from chargepoint.simulation.script import Script, Step
from chargepoint.simulation.server_tls import ServerTls

__all__ = ["BadAnswer", "CallRefused", "CentralSystem", "Connection", "ConnectionGone"]

LOOPBACK: Final = "127.0.0.1"
_SERVICE_RESTART: Final = 1012  # close code: the Charge Point is to come back

Match = Mapping[str, Any] | Callable[[Payload], bool]


class CentralSystem:
    """The simulated Central System.

    Args:
        pki: its PKI; a new one is made where none is given.
        profile: the security profile that is served, 0 to 3.
        port: TCP port, 0 for any; it stays the same until the end. Several Central Systems side by side serve a profile
            each at a port of its own (A00.FR.006).
        host: the name in the URL and on the certificates.
        bind: the address to listen at.
        path: what stands before the identity in the URL.
        tls: TLS in profile 0 (the other profiles decide it themselves).
        maximum_tls: the newest TLS version to speak.
        accept_unknown: let in Charge Points that are not known and remember their credentials.
        clock: its time, for currentTime.
        own_calendar: judge client certificates by `clock` too, and not by the machine's time: for years that pass in
            seconds. Its server certificates then are for the test to `present`.
        heartbeat_interval: interval of BootNotification.conf.
        max_entries: how much of the record is kept, None for all.

    Attributes:
        register: who may connect.
        recorder: all that happened.
        duty: what it answers where the script says nothing.
        registrations: identity -> boot state.
        orders: identity -> the uploads and updates that were ordered.
        connections: the open connections, by identity.
    """

    def __init__(
        self,
        *,
        pki: Pki | None = None,
        profile: int = 0,
        port: int = 0,
        host: str = "localhost",
        bind: str = LOOPBACK,
        path: str = "/ocpp",
        tls: bool = False,
        maximum_tls: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
        accept_unknown: bool = False,
        clock: Clock = system_clock,
        own_calendar: bool = False,
        heartbeat_interval: timedelta = HEARTBEAT_INTERVAL,
        max_entries: int | None = None,
    ) -> None:
        self.pki = pki or Pki.create()
        self.host = host
        self.port = port
        self.recorder = Recorder(max_entries)
        self.register = Register(path, self.pki.organisation, accept_unknown=accept_unknown)
        self.register.calendar = clock if own_calendar else None
        self.duty = Duty(clock, heartbeat_interval)
        self.connections: dict[str, Connection] = {}
        self.registrations: dict[str, Registration] = {}
        self.orders: dict[str, Orders] = {}
        self._bind = bind
        self._tls = tls
        self._server_tls = ServerTls(self.pki, host, maximum_tls, judges_dates=not own_calendar)
        self._profile = _checked(profile)
        self._script = Script()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._change = asyncio.Event()

    async def __aenter__(self) -> "CentralSystem":
        await self.resume()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.suspend()

    @property
    def url(self) -> str:
        """What a Charge Point is configured with; its identity comes behind it."""
        return f"{'wss' if self.uses_tls else 'ws'}://{self.host}:{self.port}{self.register.path}"

    @property
    def uses_tls(self) -> bool:
        """Whether the served profile has TLS."""
        return self._profile >= 2 or self._tls

    @property
    def profile(self) -> int:
        """The security profile that is served; setting it drops the connections of the old one at once."""
        return self._profile

    @profile.setter
    def profile(self, profile: int) -> None:
        self._profile = _checked(profile)
        for connection in list(self.connections.values()):
            connection.cut()

    async def set_profile(self, profile: int) -> None:
        """Serve another profile on the same port and close the connections of the old one (A00.FR.001)."""
        self._profile = _checked(profile)
        await self.close_all()

    @property
    def passwords(self) -> dict[str, bytes]:
        """Identity -> password: the decoded bytes of AuthorizationKey."""
        return self.register.passwords

    @property
    def serial_numbers(self) -> dict[str, str]:
        """Identity -> serial number: the CN of the Charge Point's certificate."""
        return self.register.serial_numbers

    @property
    def findings(self) -> list[Finding]:
        """All that Charge Points did wrong."""
        return list(self.recorder.findings)

    def present(self, *certificates: Issued) -> None:
        """Show other server certificates from the next handshake on; none: an RSA and an EC one, both good."""
        self._server_tls.present(*certificates)

    def trust(self, *roots: Authority) -> None:
        """Take Charge Point certificates under these roots from the next handshake on; none: under the PKI's own."""
        self._server_tls.trust(*roots)

    async def connected(
        self, identity: str | None = None, *, after: Connection | None = None, timeout: timedelta = EXPECT_TIMEOUT
    ) -> Connection:
        """Return the open connection of a Charge Point (None: of any), waiting for one newer than `after`.

        Raises:
            TimeoutError: there was none in time.
        """
        async with asyncio.timeout(timeout.total_seconds()):
            while (connection := self._find_connection(identity, after)) is None:
                await self._change.wait()
        return connection

    async def expect(
        self,
        action: str,
        *,
        match: Match | None = None,
        identity: str | None = None,
        timeout: timedelta = EXPECT_TIMEOUT,
    ) -> Payload:
        """Return the payload of the next CALL of an action; each is handed out once, those of the past first.

        Args:
            action: the action.
            match: properties that the payload has, or a function that judges it.
            identity: from whom; None for any.
            timeout: how long to wait.

        Raises:
            TimeoutError: there was none in time.
        """

        def fits(entry: FrameEntry) -> bool:
            if entry.direction != "received" or not isinstance(entry.frame, Call) or entry.action != action:
                return False
            return identity in (None, entry.identity) and _matches(match, entry.frame.payload)

        entry = await self.recorder.take(FrameEntry, fits, timeout=timeout)
        if not isinstance(entry.frame, Call):
            raise TypeError("expected a CALL")
        return entry.frame.payload

    async def refused(self, *, timeout: timedelta = EXPECT_TIMEOUT) -> Refusal:
        """Return the next refused connection; each is handed out once, those of the past first."""
        return await self.recorder.take(Refusal, timeout=timeout)

    async def call(
        self,
        action: str,
        payload: Mapping[str, Any] | None = None,
        *,
        identity: str | None = None,
        timeout: timedelta = CALL_TIMEOUT,
        checked: bool = True,
        at_once: bool = False,
    ) -> Payload:
        """Send a CALL and return the payload of its CALLRESULT.

        An accepted ChangeConfiguration.req on AuthorizationKey makes the new password the only one (A01.FR.03); any
        other answer leaves the old one in force, and another one may be tried (A01.FR.04, A01.FR.05).

        Args:
            action: any action; one that a Central System sends, unless `checked` is off.
            payload: its payload, by default empty.
            identity: to whom; None where one Charge Point is connected.
            timeout: how long the answer may take, counted from the sending.
            checked: refuse a payload that breaks its schema.
            at_once: do not wait for the answer to an earlier CALL.

        Raises:
            ValueError: `checked`, and the action or payload is none of a Central System.
            CallRefused: the answer was a CALLERROR.
            BadAnswer: the answer breaks its schema (a finding too).
            TimeoutError: no answer, or no connection, in time.
            ConnectionGone: the connection ended first.
        """
        connection = await self.connected(identity)
        return await connection.caller.call(action, payload or {}, timeout=timeout, checked=checked, at_once=at_once)

    def script(self, action: str, step: Step, times: int | None = None) -> None:
        """Do something else than the usual on an action, `times` times or from now on (see script.py)."""
        self._script.add(action, step, times)

    def unscript(self, action: str | None = None) -> None:
        """Answer an action, or all of them, as usual again."""
        self._script.clear(action)

    async def send_raw(self, data: str | bytes, *, identity: str | None = None) -> None:
        """Send any WebSocket message: text, or binary for bytes."""
        (await self.connected(identity)).send_raw(data)

    async def drop(self, *, identity: str | None = None, reset: bool = False) -> None:
        """Cut the TCP connection of a Charge Point, with a RST if `reset`; returns when it is gone here."""
        connection = await self.connected(identity)
        connection.cut(reset=reset)
        await connection.ended()

    async def close_all(self, code: int = _SERVICE_RESTART) -> None:
        """Close all connections in order."""
        await asyncio.gather(*(connection.close(code) for connection in list(self.connections.values())))

    async def suspend(self) -> None:
        """Stop listening and end all connections: another server may have the port."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.close_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def resume(self) -> None:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._accept, self._bind, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        self._start(self._serve(self._count, reader, writer), f"connection {self._count}")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        profile = self._profile
        context = self._server_tls.context(asks_certificate=profile == 3) if self.uses_tls else None
        try:
            opened = await Door(number, profile, context, self.register, self.recorder).open(reader, writer)
            if opened is None:
                return
            registration = self.registrations.setdefault(opened.identity, Registration())
            connection = Connection(
                number,
                opened.identity,
                profile,
                opened.websocket,
                duty=Antechamber(self.duty) if opened.by_maker else self.duty,
                script=self._script,
                recorder=self.recorder,
                registration=registration,
                orders=self.orders.setdefault(opened.identity, Orders()),
                settled=self._note_answer,
            )
            if profile != self._profile:  # A00.FR.001: the profile changed while this one was at the door
                connection.cut()
            if opened.by_maker:
                renewal = renew(connection, registration, pki=self.pki, register=self.register, recorder=self.recorder)
                self._start(renewal, f"renewal of {opened.identity}")
            await self._run(connection)
        finally:
            writer.transport.abort()

    async def _run(self, connection: Connection) -> None:
        before = self.connections.get(connection.identity)
        if before is not None:
            before.cut()  # the Charge Point came again: what it left behind is dead
        self.connections[connection.identity] = connection
        self._changed()
        try:
            await connection.run()
        finally:
            if self.connections.get(connection.identity) is connection:
                del self.connections[connection.identity]
            self._changed()

    def _note_answer(self, connection: Connection, call: Call, payload: Payload) -> None:
        is_password = call.action == "ChangeConfiguration" and call.payload.get("key") == "AuthorizationKey"
        if is_password and payload.get("status") == "Accepted":  # A01.FR.03
            self.passwords[connection.identity] = _password_of(call.payload["value"])

    def _find_connection(self, identity: str | None, after: Connection | None) -> Connection | None:
        for connection in self.connections.values():
            is_wanted = identity in (None, connection.identity) and (after is None or connection.number > after.number)
            if is_wanted and connection.is_open:
                return connection
        return None

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


def _checked(profile: int) -> int:
    if profile not in range(4):
        raise ValueError(f"there is no security profile {profile}")
    return profile


def _password_of(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:  # no hex, and taken all the same: the text is meant
        return value.encode()


def _matches(match: Match | None, payload: Payload) -> bool:
    if match is None:
        return True
    return match(payload) if callable(match) else payload.items() >= match.items()
