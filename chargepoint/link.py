"""One good connection to the Central System: TLS judged good, HTTP 101, the subprotocol ocpp1.6 agreed.

Guaranteed: nothing of the HTTP upgrade, the password least of all, is sent to a peer before its TLS version, cipher
suite, name and dates have been judged good (A00.FR.310, A00.FR.414), and, where that is asked, its certificate was
found not to be revoked; redirects are not followed, no extension is offered, no proxy is taken from the environment
unless that is set; every wait has an end (docs/decisions/0041-judged-before-the-upgrade.md).

Not done here: trying again (connection.py), what is said over the link (rpc.py).
"""

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.failure import SUBPROTOCOL, ConnectionFailed, Failure, WrongSubprotocol, failure_of
from chargepoint.rpc import LinkLost
from chargepoint.setting_table import ConnectionSettings
from security.event import SecurityEventType
from security.handshake import Witness
from security.tls import Peer, client_context, judge_peer

if TYPE_CHECKING:
    from security.peer_revocation import PeerRevocation

MAX_QUEUED_FRAMES: Final = 4  #: frames; the exchange reads at once, so a peer that floods is slowed down by TCP
MAX_UNREAD_BYTES: Final = 1_048_576  #: bytes; more than max_inbound_calls answers on a slow link ever take
RECEIVE_BUFFER_BYTES: Final = 16_384  #: bytes; bounds how many frames are taken in before other tasks have their turn
MAX_CLOSE_REASON_BYTES: Final = 123  #: bytes; RFC 6455, section 5.5
NEXT_ADDRESS_DELAY: Final = timedelta(
    seconds=0.25
)  #: until the host's next address is tried as well; RFC 8305, section 5
USER_AGENT: Final = "chargepoint"

# Codes with which websockets closes because of what came: no WebSocket frame, no UTF-8, too large.
_PEER_BROKE_THE_PROTOCOL: Final[frozenset[int | None]] = frozenset(
    {CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA, CloseCode.MESSAGE_TOO_BIG}
)

_log = logging.getLogger(__name__)

# websockets logs headers, the Authorization one too. This logger belongs to no hierarchy, so that no configuration of
# logging can switch it on (A01.FR.12).
_silent = logging.Logger("websockets")
_silent.disabled = True


async def _nothing_owed() -> None:
    """Settle nothing: what a link does whose user owes no answer."""


class Link:
    """A good connection; the `Transport` of the exchange (rpc.py).

    Attributes:
        profile: the security profile that it was made in.
        url: where it leads to.
        peer: the Central System as TLS has shown it; None without TLS.
        opened_at: when it was good, by the agent's clock.
        settle: returns when every answer that is owed has been sent; set by whoever serves the link, awaited before an
            orderly close.
        messages: how many messages have come.
    """

    def __init__(self, socket: "_Socket", attempt: Attempt, *, opened_at: datetime, close_timeout: timedelta) -> None:
        self.profile = attempt.profile
        self.url = attempt.address
        self.peer: Peer | None = socket.peer
        self.opened_at = opened_at
        self.settle: Callable[[], Awaitable[None]] = _nothing_owed
        self.messages = 0
        self._socket = socket
        self._close_timeout = close_timeout
        self._end = ""

    async def receive(self) -> str | bytes:
        """Wait for the next message; cancelling loses none.

        Raises:
            LinkLost: the connection is gone.
        """
        try:
            message = await self._socket.recv()
        except ConnectionClosed as error:
            raise self._lost(error) from error
        self.messages += 1
        return message

    async def send(self, text: str) -> None:
        """Send a message; waits while the peer takes nothing.

        Raises:
            LinkLost: the connection is gone, or goes while this waits.
        """
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise self._lost(error) from error

    async def ping(self, timeout: timedelta) -> bool:
        """Ping the peer; False when no pong came in time or the connection is gone."""
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await (await self._socket.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket in order, and at the latest after the close time-out in any way; never raises."""
        self._note_end(f"closed: {reason}")
        cut = reason.encode()[:MAX_CLOSE_REASON_BYTES].decode(errors="ignore")
        try:
            # websockets has a time-out of its own for the peer's answer, but none for a peer that reads nothing.
            async with asyncio.timeout(self._close_timeout.total_seconds()):
                await self._socket.close(code, cut)
        except TimeoutError:
            _log.debug("the Central System did not answer the close of the WebSocket")
        finally:
            self._socket.transport.abort()

    def abort(self, reason: str) -> None:
        """Close the TCP connection at once; whoever waits in the methods above gets `LinkLost`."""
        self._note_end(reason)
        self._socket.transport.abort()

    async def wait_lost(self) -> str:
        """Wait until the connection is gone and return why, in words."""
        await self._socket.wait_closed()
        return self._note_end(str(self._socket.close_exc))

    def _lost(self, error: ConnectionClosed) -> LinkLost:
        own_close = None if error.sent is None or error.rcvd_then_sent else error.sent.code
        invalid_message = own_close in _PEER_BROKE_THE_PROTOCOL
        return LinkLost(self._note_end(str(error)), invalid_message=invalid_message)

    def _note_end(self, reason: str) -> str:
        self._end = self._end or reason  # the first reason is the cause, what follows are consequences
        return self._end


@dataclass(frozen=True, slots=True)
class Opening:
    """How links are opened.

    Attributes:
        settings: time-outs, sizes and proxy.
        static_rsa: offer the cipher suites without forward secrecy too.
        system_trust_store: trust the machine's roots besides the installed ones.
        revocation: finds out whether the peer's certificate is revoked; None where that is not asked.
    """

    settings: ConnectionSettings
    static_rsa: bool
    system_trust_store: bool
    revocation: "PeerRevocation | None" = None

    async def open(self, attempt: Attempt, clock: Clock) -> Link:
        """Open one link; a peer that the roots do not verify is met once more with the fallback root (M05.FR.13).

        Args:
            attempt: what to connect with.
            clock: the time that certificates are judged by, where it is set.

        Raises:
            ConnectionFailed: why there is none; nothing is left open.
        """
        if impediment := attempt.impediment(system_trust_store=self.system_trust_store):
            raise ConnectionFailed(impediment)
        try:
            return await self._open(attempt, clock)
        except ConnectionFailed as failed:
            refusal = failed.failure
            if not attempt.fallback_roots or not _is_invalid_certificate(refusal):
                raise
            if self.revocation is not None and self.revocation.has_refused(failed.__cause__):
                # The roots did verify it; no other makes it good again.
                raise
        # Never both roots at once: a chain that ends at the old one would prove nothing about the new one.
        try:
            link = await self._open(replace(attempt, roots=attempt.fallback_roots), clock)
        except ConnectionFailed as failed:
            if _is_invalid_certificate(failed.failure):
                raise ConnectionFailed(_by_neither(refusal, failed.failure)) from failed
            raise
        _log.warning("connected by the fallback root; by the new root: %s", refusal)
        return link

    async def _open(self, attempt: Attempt, clock: Clock) -> Link:
        witness = Witness()
        now = clock.now() if clock.is_set else None
        try:
            socket = await _NoRedirects(
                attempt.address,
                additional_headers=attempt.headers(),  # with every connection request: A00.FR.203, A00.FR.302
                **self._bounds(),
                **(self._tls(attempt, witness, now) if attempt.uses_tls else {"create_connection": _Socket}),
            )
        except Exception as error:  # every failure of an attempt is mapped by failure_of, an unforeseen one too
            raise ConnectionFailed(failure_of(error, witness=witness)) from error
        return Link(cast("_Socket", socket), attempt, opened_at=clock.now(), close_timeout=self.settings.close_timeout)

    def _bounds(self) -> dict[str, Any]:
        settings = self.settings
        asking = (
            self.revocation.longest if self.revocation else timedelta()
        )  # of its own: a silent responder locks nobody out
        return {
            "subprotocols": [Subprotocol(SUBPROTOCOL)],
            "compression": None,
            "user_agent_header": USER_AGENT,
            "logger": _silent,
            "proxy": {"": None, "environment": True}.get(settings.proxy, settings.proxy),
            "open_timeout": (settings.open_timeout + asking).total_seconds(),
            "close_timeout": settings.close_timeout.total_seconds(),
            "ping_interval": None,  # WebSocketPingInterval changes while connected: connection.py has its own task
            "max_size": settings.max_frame_bytes,
            "max_queue": MAX_QUEUED_FRAMES,
            # A host with a dead IPv6 address would otherwise use up the whole time-out on it.
            "happy_eyeballs_delay": NEXT_ADDRESS_DELAY.total_seconds(),
        }

    def _tls(self, attempt: Attempt, witness: Witness, now: datetime | None) -> dict[str, Any]:
        context = client_context(
            roots=attempt.roots,
            client_certificate=attempt.client_certificate if attempt.profile.presents_certificate else None,
            static_rsa=self.static_rsa,
            system_trust_store=self.system_trust_store,
            now=now,
        )
        witness.watch(context)

        def judge(ssl_object: ssl.SSLObject) -> Peer:
            witness.leave(context)
            return judge_peer(
                ssl_object,
                host=attempt.server_name,
                now=now,
                allow_wildcards=attempt.allow_wildcards,
                roots=attempt.roots,
            )

        async def vouch(peer: Peer) -> None:
            if self.revocation is not None:
                await self.revocation.judge(peer, now)

        return {
            "create_connection": functools.partial(_Socket, judge=judge, vouch=vouch),
            "ssl": context,
            "server_hostname": attempt.server_name,
            "ssl_handshake_timeout": self.settings.open_timeout.total_seconds(),
            "ssl_shutdown_timeout": self.settings.close_timeout.total_seconds(),
        }


def _is_invalid_certificate(failure: Failure) -> bool:
    return failure.event is SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE


def _by_neither(new: Failure, fallback: Failure) -> Failure:
    return replace(new, what=f"{new.what}; by the fallback root: {fallback.what}")


class _NoRedirects(connect):
    """An opening that ends at a redirect: its target might be a stranger, or out of TLS."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class _Socket(ClientConnection):
    """A WebSocket that stays shut towards a peer that was not judged good.

    Attributes:
        peer: the peer as judged, None without TLS.
    """

    def __init__(
        self,
        *args: Any,
        judge: Callable[[ssl.SSLObject], Peer] | None = None,
        vouch: Callable[[Peer], Awaitable[None]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.peer: Peer | None = None
        self._judge = judge
        self._vouch = vouch
        self._refusal: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Judge the peer, before the base class could send anything; the handshake of TLS is over here."""
        if self._judge is not None:
            try:
                self.peer = self._judge(transport.get_extra_info("ssl_object"))
            except Exception as error:  # noqa: BLE001 - whatever goes wrong in the judgement refuses the peer
                self._refusal = error
                cast("asyncio.Transport", transport).abort()
        # asyncio reads up to 256 KiB at once; as 100 000 empty frames they would keep everybody waiting for seconds.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        super().connection_made(transport)  # for a refused peer too: connection_lost needs what this sets up

    def data_received(self, data: bytes) -> None:
        """Take in what came, and cut off a peer that has its pings answered and reads none of the pongs."""
        super().data_received(data)
        # websockets answers pings, and OpenSSL key updates, without waiting for the peer to read.
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            _log.warning("the Central System does not read what it has us answer: the link is cut")
            self.transport.abort()

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Send the HTTP upgrade and read its answer; for a refused peer, send nothing.

        Raises:
            TlsFault: the peer was refused.
            WrongSubprotocol: the peer did not agree to OCPP 1.6.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._vouch is not None and self.peer is not None:  # others have to be asked: too long for connection_made
            await self._vouch(self.peer)
        try:
            await super().handshake(*args, **kwargs)
        except (InvalidMessage, ConnectionClosed) as error:
            # websockets tells only that no answer came. Why, it keeps: a reset, or in TLS 1.3, where the peer judges
            # our certificate after its own handshake is over, the alert that came in place of the answer.
            if isinstance(self.connection_exc, OSError):
                raise self.connection_exc from error
            if isinstance(error, ConnectionClosed):  # the peer was gone before the request, and said nothing
                raise ConnectionResetError from error
            raise
        if self.subprotocol != SUBPROTOCOL:
            raise WrongSubprotocol
