"""The bed that Charge Points are measured on: a Central System, a PKI and a directory, all of them gone afterwards.

Guaranteed: the agent is started as an operator starts it, with the shipped config.toml in which only what must differ
is replaced; each Charge Point is a process of its own, with an identity of its own.
"""

import asyncio
import itertools
import json
import re
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.central_system import CONNECT_TIMEOUT, CentralSystem, Session
from benchmarks.process import Broken, Process, running
from chargepoint.simulation.pki import Pki

HERE: Final = Path(__file__).parent
PASSWORD: Final = "00112233445566778899aabbccddeeff"  # noqa: S105 - of a Charge Point that lives for seconds

AGENT: Final = (Path(sys.executable).with_name("chargepoint"),)
AGENT_TRACED: Final = (sys.executable, "-X", "importtime", "-m", "chargepoint")


@dataclass(frozen=True)
class ChargePoint:
    """How a Charge Point is started; starting it again finds its state."""

    identity: str
    command: tuple[str | Path, ...]
    log: Path


@dataclass(frozen=True)
class Running:
    """A Charge Point that has booted.

    Attributes:
        start_seconds: from the start of the process until its BootNotification.req was read.
    """

    process: Process
    session: Session
    start_seconds: float


class Bed:
    """Made by `bed`.

    Attributes:
        quick: whether a rough figure will do.
        central_system: what the Charge Points connect to.
    """

    def __init__(self, central_system: CentralSystem, directory: Path, *, quick: bool) -> None:
        self.central_system = central_system
        self.quick = quick
        self._directory = directory
        self._numbers = itertools.count(1)

    def agent(
        self,
        *,
        tls: bool = False,
        program: Sequence[str | Path] = AGENT,
        settings: Mapping[str, object] | None = None,
    ) -> ChargePoint:
        """Prepare ours, with a fresh state directory.

        Args:
            tls: security profile 2 instead of 0.
            program: how the command line is run.
            settings: further keys of config.toml.
        """
        identity, directory = self._room("agent")
        values = {"identity": identity, "url": self._url(tls=tls), "directory": str(directory / "state")}
        secure = {"SecurityProfile": 2, "AuthorizationKey": PASSWORD, "central_system_roots": [str(self.root)]}
        config = directory / "config.toml"
        config.touch(mode=0o600)
        config.write_text(_config(values | (secure if tls else {}) | dict(settings or {})), "utf-8")
        return ChargePoint(identity, (*program, "run", "--config", config), directory / "log")

    def bare(self, script: str, *, tls: bool = False, keys: Sequence[Mapping[str, Any]] = ()) -> ChargePoint:
        """Prepare a baseline.

        Args:
            script: its file in this directory.
            tls: trust the same root as ours.
            keys: the configuration keys that it answers with.
        """
        identity, directory = self._room(script.removesuffix(".py"))
        arguments = [f"{self._url(tls=tls)}/{identity}", str(self.root) if tls else ""]
        if keys:
            file = directory / "keys.json"
            file.write_text(json.dumps(list(keys)), "utf-8")
            arguments.append(str(file))
        return ChargePoint(identity, (sys.executable, HERE / script, *arguments), directory / "log")

    @asynccontextmanager
    async def start(self, charge_point: ChargePoint) -> AsyncIterator[Running]:
        """Run a Charge Point, from its boot until the context is left.

        Raises:
            Broken: it did not boot; the text holds the end of its log.
        """
        began = time.perf_counter()
        async with running(charge_point.command, charge_point.log) as process:
            booting = asyncio.create_task(self._boot(charge_point.identity))
            ended = asyncio.create_task(process.wait())
            try:
                await asyncio.wait({booting, ended}, timeout=CONNECT_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
                if not booting.done():
                    raise Broken(f"{charge_point.identity} did not boot:\n{process.tail()}")
                session, booted_at = booting.result()
            finally:
                booting.cancel()
                ended.cancel()
            yield Running(process, session, booted_at - began)

    async def _boot(self, identity: str) -> tuple[Session, float]:
        session = await self.central_system.session(identity)
        return session, await session.booted_at

    @property
    def root(self) -> Path:
        """The file with the root that all trust."""
        return self._directory / "root.pem"

    def _room(self, kind: str) -> tuple[str, Path]:
        identity = f"{kind}-{next(self._numbers)}"
        directory = self._directory / identity
        directory.mkdir()
        return identity, directory

    def _url(self, *, tls: bool) -> str:
        return self.central_system.wss_url if tls else self.central_system.ws_url


@asynccontextmanager
async def bed(*, quick: bool) -> AsyncIterator[Bed]:
    """Make a bed and leave nothing of it behind.

    Args:
        quick: whether a rough figure will do.
    """
    pki = Pki.create()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pki.server_certificate("localhost").load_into(tls)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with CentralSystem(tls) as central_system:
            made = Bed(central_system, Path(directory), quick=quick)
            made.root.write_bytes(pki.root_pem)
            yield made


def _config(values: Mapping[str, object]) -> str:
    """Return the shipped config.toml with other values; json and TOML write texts, numbers and lists alike."""
    text = HERE.with_name("config.toml").read_text("utf-8")
    for key, value in values.items():
        line = f"{key} = {json.dumps(value)}"
        text, found = re.subn(rf"^(# )?{key} = .*$", lambda _, line=line: line, text, count=1, flags=re.MULTILINE)  # type: ignore[misc]
        if not found:
            raise Broken(f"config.toml has no key {key} to replace")
    return text
