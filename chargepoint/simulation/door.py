"""The way of one Charge Point from an accepted socket to an open WebSocket, or to a recorded refusal.

TLS first where the profile has it, then the upgrade request, then admission.py decides, then the certificate authority
is asked about a client certificate (online_check.py), and only then the upgrade is answered. What ends here for the
sake of security is recorded with its cause (A00.FR.323, A00.FR.408).
"""

import asyncio
import ssl
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from websockets.http11 import Request

from chargepoint.simulation.admission import Register, Visitor
from chargepoint.simulation.finding import Rule
from chargepoint.simulation.online_check import is_revoked
from chargepoint.simulation.recorder import Recorder, Refusal, Upgrade
from chargepoint.simulation.websocket import WebSocket, WebSocketClosed
from chargepoint.simulation.wire import TlsWire, Wire, WireLost

OPEN_TIMEOUT: Final = timedelta(seconds=10)  #: time from accept to upgrade; default of `websockets`
LINGER_TIMEOUT: Final = timedelta(
    seconds=2
)  #: time for a refused peer to read why; loopback needs milliseconds, a modem a second
_PROTOCOL_ERROR: Final = 1002

_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="ocpp", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class Opened:
    """A Charge Point that is let in.

    Attributes:
        by_maker: with its maker's certificate.
    """

    identity: str
    websocket: WebSocket
    by_maker: bool = False


class Door:
    """Opens or refuses one connection.

    Args:
        number: number of the connection.
        profile: the security profile that is served.
        context: TLS, None for plain TCP.
        register: decides who is let in.
        recorder: hears what happened.
    """

    def __init__(
        self, number: int, profile: int, context: ssl.SSLContext | None, register: Register, recorder: Recorder
    ) -> None:
        self._number = number
        self._profile = profile
        self._context = context
        self._register = register
        self._recorder = recorder
        self._identity = ""

    async def open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Opened | None:
        """Return the open WebSocket, or None once the connection is refused and closed."""
        wire = TlsWire(reader, writer, self._context) if self._context else Wire(reader, writer)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT.total_seconds()):
                if (
                    isinstance(wire, TlsWire)
                    and (await wire.handshake()).client_certificate in self._register.hangs_up_on
                ):
                    self._refuse("tls", "hung up on the client certificate")
                    wire.cut()
                    return None
                websocket = WebSocket(wire)
                opened = await self._upgrade(websocket, await websocket.request())
        except (WireLost, TimeoutError) as error:
            before_http = isinstance(wire, TlsWire) and wire.tls is None
            self._refuse("tls" if before_http else "http", str(error) or "nothing more came in time")
            opened = None
        if opened is None:
            await _part(wire)
        return opened

    async def _upgrade(self, websocket: WebSocket, request: Request) -> Opened | None:
        tls = websocket.wire.tls
        if tls is not None and tls.hello is not None:
            for fault in tls.hello.faults():
                self._find(Rule.TLS_OFFER, fault)
        visitor = Visitor(
            target=request.path,
            authorization=request.headers.get_all("Authorization"),
            inside_tls=tls is not None,
            client_certificate=tls.client_certificate if tls else None,
        )
        admission = self._register.judge(self._profile, visitor)
        if admission.status == 101 and await self._is_revoked(visitor.client_certificate):
            admission = replace(admission, status=403, reason="the client certificate is revoked")  # A00.FR.704
        self._identity = admission.identity
        for rule, detail in admission.observations:
            self._find(rule, detail)
        if admission.status != 101:
            self._refuse("http", admission.reason, admission.status)
            headers = _CHALLENGE if admission.status == 401 else {}
            await websocket.reject(admission.status, admission.reason, headers)
            return None
        response = await websocket.accept(request)
        if response.status_code != 101:
            self._find(Rule.WEBSOCKET, f"the upgrade request deserved {response.status_code}")
            self._refuse("http", "no valid upgrade request", response.status_code)
            return None
        if websocket.subprotocol is None:
            self._find(Rule.SUBPROTOCOL, f"offered {request.headers.get('Sec-WebSocket-Protocol', 'none')!r:.80}")
            self._refuse("http", "no common subprotocol", 101)
            websocket.start_close(_PROTOCOL_ERROR, "no common subprotocol")
            return None
        self._register.confirm(self._identity, self._profile)
        self._recorder.add(
            Upgrade(
                connection=self._number,
                identity=self._identity,
                profile=self._profile,
                target=request.path,
                headers=tuple(request.headers.raw_items()),
                subprotocol=websocket.subprotocol,
                tls=tls,
            )
        )
        return Opened(self._identity, websocket, admission.by_maker)

    async def _is_revoked(self, client_certificate: bytes | None) -> bool:
        if client_certificate is None or self._context is None:
            return False
        return await is_revoked(client_certificate, self._context.get_ca_certs(binary_form=True))  # A00.FR.702

    def _refuse(self, stage: str, reason: str, status: int | None = None) -> None:
        self._recorder.add(
            Refusal(
                connection=self._number,
                identity=self._identity,
                stage="tls" if stage == "tls" else "http",
                reason=reason,
                status=status,
            )
        )

    def _find(self, rule: Rule, detail: str) -> None:
        self._recorder.find(rule, detail, identity=self._identity, connection=self._number)


async def _part(wire: Wire) -> None:
    """Close so that the peer can read the alert or the answer: a close with unread input would be a RST."""
    wire.end()
    try:
        async with asyncio.timeout(LINGER_TIMEOUT.total_seconds()):
            while await wire.read():
                pass
    except (WireLost, WebSocketClosed, TimeoutError):
        pass
    await wire.close()
