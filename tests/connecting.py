"""What the tests of the connection share: an attempt that is good, settings without patience, and a notebook."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.connection import Connection
from chargepoint.link import Link
from chargepoint.rpc import LinkLost
from chargepoint.setting_table import ConnectionSettings
from chargepoint.simulation.authority import Issued
from chargepoint.simulation.pki import Pki
from security.profile import SecurityProfile
from security.secret import Secret
from tests.tls_pipe import KeyPair

PKI = Pki.create()
PASSWORD = Secret(b"a password of 20 by.")
CREDENTIALS = "Basic Q1AwMDE6YSBwYXNzd29yZCBvZiAyMCBieS4="  # base64 of CP001, a colon and the password

# Waits of milliseconds, so that no test lasts; only what never answers is waited for longer.
SETTINGS = ConnectionSettings(
    open_timeout=timedelta(seconds=5),
    close_timeout=timedelta(seconds=0.3),
    ping_timeout=timedelta(seconds=0.2),
    retry_first=timedelta(milliseconds=1),
    retry_initial=timedelta(milliseconds=1),
    retry_max=timedelta(milliseconds=1),
)


def serving(issued: Issued | None = None) -> ssl.SSLContext:
    """The TLS context of a Central System, by default with a good certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (issued or PKI.server_certificate()).load_into(context)
    return context


def attempt(
    port: int, profile: SecurityProfile = SecurityProfile.TLS_BASIC, *, host: str = "localhost", **changes: Any
) -> Attempt:
    """An attempt to reach a peer of the test, good unless a keyword changes it."""
    scheme = "wss" if profile.needs_tls else "ws"
    values: dict[str, Any] = {"authorization_key": PASSWORD, "roots": (PKI.root_pem,)}
    return Attempt(profile, f"{scheme}://{host}:{port}/ocpp", "CP001", **(values | changes))


def attempt_in(profile: int, port: int, directory: Path, **changes: Any) -> Attempt:
    """A good attempt in a profile, with its Charge Point certificate for serial number SN-0001."""
    pair = KeyPair(*PKI.charge_point_certificate("SN-0001").write(directory))
    return attempt(port, SecurityProfile(profile), **({"client_certificate": pair} | changes))


def serving_in(profile: int, issued: Issued | None = None) -> ssl.SSLContext:
    """The TLS context of a Central System in profile 2 or 3; in 3 it demands the Charge Point certificate."""
    context = serving(issued)
    if profile == SecurityProfile.TLS_CLIENT_CERTIFICATE:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=PKI.root_pem.decode())
    return context


@dataclass
class Notebook:
    """Everything that a connection under test asks, raises and opens; `until` waits for a line of it.

    Attributes:
        attempts: what the next tries are made with; the last one for ever.
        plans: how often the connection asked.
        events: type and tech info of each security event.
        links: every link that was served.
        ended: how each of them ended.
    """

    attempts: list[Attempt]
    plans: int = 0
    events: list[tuple[str, str | None]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    _written: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def plan(self) -> Attempt:
        self.plans += 1
        await self._note()
        return self.attempts.pop(0) if len(self.attempts) > 1 else self.attempts[0]

    async def raise_event(self, kind: str, tech_info: str | None) -> None:
        self.events.append((kind, tech_info))
        await self._note()

    async def serve(self, link: Link) -> None:
        self.links.append(link)
        await self._note()
        with suppress(LinkLost):
            while True:
                await link.receive()
        self.ended.append(await link.wait_lost())
        await self._note()

    async def until(self, condition: Callable[[], bool], timeout_s: float = 10) -> None:
        """Wait for a line that makes the condition true."""
        async with asyncio.timeout(timeout_s), self._written:
            await self._written.wait_for(condition)

    async def _note(self) -> None:
        async with self._written:
            self._written.notify_all()


def connection_of(
    notebook: Notebook, settings: ConnectionSettings = SETTINGS, clock: Clock | None = None
) -> Connection:
    """A connection that writes into a notebook."""
    return Connection(
        notebook.plan,
        settings=settings,
        static_rsa=True,
        system_trust_store=False,
        clock=clock or Clock(),
        raise_event=notebook.raise_event,
    )


@asynccontextmanager
async def running(
    notebook: Notebook, settings: ConnectionSettings = SETTINGS, clock: Clock | None = None
) -> AsyncIterator[Connection]:
    """Run a connection as long as the block lasts."""
    connection = connection_of(notebook, settings, clock)
    task = asyncio.create_task(connection.run(notebook.serve))
    try:
        yield connection
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
