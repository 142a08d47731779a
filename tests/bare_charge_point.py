"""A Charge Point of a few lines on the bare `websockets` client, to test the simulated Central System with.

It knows nothing of the agent, so that what the Central System is worth is not measured with what it is to measure.
"""

import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.central_system import CentralSystem

IDENTITY = "CP001"
PASSWORD = bytes(range(0xF0, 0x100))
SERIAL_NUMBER = "SN-0001"
BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}


class BareChargePoint:
    """One connection."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket

    async def send(self, frame: object) -> None:
        await self.websocket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def receive(self) -> Any:
        return json.loads(await self.websocket.recv())

    async def call(self, action: str, payload: dict[str, Any], unique_id: str | None = None) -> Any:
        """Send a CALL and return the next frame."""
        await self.send([2, unique_id or str(uuid.uuid4()), action, payload])
        return await self.receive()

    async def answer(self, payload: dict[str, Any]) -> list[Any]:
        """Answer the next CALL and return it."""
        call: list[Any] = await self.receive()
        await self.send([3, call[1], payload])
        return call


def basic(password: bytes, user: str = IDENTITY) -> dict[str, str]:
    """Return a Basic header made of bytes."""
    return {"Authorization": f"Basic {base64.b64encode(user.encode() + b':' + password).decode()}"}


def client_context(
    central_system: CentralSystem,
    certificate: Issued | None = None,
    *,
    suites: str | None = None,
    version: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """Return TLS that trusts the Central System's root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(suites or "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    context.load_verify_locations(cadata=central_system.pki.root_pem.decode())
    if certificate is not None:
        certificate.load_into(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


@asynccontextmanager
async def charge_point(
    central_system: CentralSystem,
    *,
    password: bytes | None = None,
    context: ssl.SSLContext | None = None,
    headers: dict[str, str] | None = None,
    identity: str = IDENTITY,
    subprotocol: str | None = "ocpp1.6",
    url: str | None = None,
) -> AsyncIterator[BareChargePoint]:
    """Connect as a Charge Point; by default with what the Central System's profile needs of TLS, and no password."""
    url = url or central_system.url
    if context is None and url.startswith("wss:"):
        context = client_context(central_system)
    websocket = await connect(
        f"{url}/{identity}",
        subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
        additional_headers=headers or (basic(password, identity) if password else None),
        ssl=context,
        proxy=None,
        compression=None,
        open_timeout=10,
    )
    async with websocket:
        yield BareChargePoint(websocket)
