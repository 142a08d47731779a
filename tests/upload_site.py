"""A Charge Point with a long security log, a Central System that wants it, and file servers for all six schemes."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from chargepoint.database import Database
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.file_account import WRITER
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.frame import Call
from chargepoint.state import StateDirectory
from chargepoint.state_schema import MIGRATIONS
from logs.event_table import to_us
from security.event import SecurityEventType
from tests.agent_process import PKI, PROGRAM, Agent, Tables, agent, booted_on

SCHEMES: Final = ("http", "https", "ftp", "ftpes", "ftps", "sftp")
EVENTS: Final = 1_500
BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When the first of the events of the past happened; one a minute."""
ENDS: Final = frozenset({"Uploaded", "UploadFailure", "BadMessage", "PermissionDenied", "NotSupportedOperation"})

MINUTE: Final = timedelta(minutes=1)

_INSERT: Final = (
    "INSERT INTO security_event (type, tech_info, occurred_us, time_known, boot_id, monotonic_us, critical, owed) "
    "VALUES (?, ?, ?, 1, 'past', 0, 0, 0)"
)
_ZULU: Final = "%Y-%m-%dT%H:%M:%SZ"


def past(count: int = EVENTS) -> dict[str, str]:
    """Return the window that holds exactly the events of `fill_log`."""
    end = BEGIN + (count - 1) * MINUTE
    return {"oldestTimestamp": BEGIN.strftime(_ZULU), "latestTimestamp": end.strftime(_ZULU)}


async def fill_log(directory: Path, count: int = EVENTS) -> None:
    """Lay a security log of the past into the state directory of an agent that does not run."""
    state = StateDirectory.open(directory / "state")
    try:
        database = await Database.open(state.database_path, MIGRATIONS)
        rows = [
            (SecurityEventType.INVALID_MESSAGES, f"event {number} {'x' * 200}", to_us(BEGIN + number * MINUTE))
            for number in range(count)
        ]
        await database.write(lambda connection: connection.executemany(_INSERT, rows).rowcount)  # one commit for all
        await database.close()
    finally:
        state.close()


def numbers(content: bytes) -> list[int]:
    """Return the numbers of the events in an uploaded log, in its order."""
    return [int(json.loads(line)["techInfo"].split()[1]) for line in content.splitlines()]


@dataclass
class UploadSite:
    """Both ends, and the file servers.

    Attributes:
        past: the window that holds exactly the events of `fill_log`.
    """

    central_system: CentralSystem
    agent: Agent
    servers: FileServers
    past: dict[str, str]
    _request_ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1000))

    async def get_log(
        self,
        location: str,
        *,
        kind: str = "SecurityLog",
        window: dict[str, str] | None = None,
        request_id: int | None = None,
        retries: int | None = 0,
        retry_interval: int | None = 0,
    ) -> tuple[int, dict[str, Any]]:
        """Send GetLog.req and return its requestId and the answer."""
        number = next(self._request_ids) if request_id is None else request_id
        request: dict[str, Any] = {
            "log": {"remoteLocation": location, **(self.past if window is None else window)},
            "logType": kind,
            "requestId": number,
        }
        if retries is not None:
            request["retries"] = retries
        if retry_interval is not None:
            request["retryInterval"] = retry_interval
        return number, dict(await self.central_system.call("GetLog", request))

    async def statuses(self, request_id: int) -> list[str]:
        """Wait for the end of an upload and return what was told of it, in order."""
        await self.central_system.expect(
            "LogStatusNotification",
            match=lambda payload: payload.get("requestId") == request_id and payload["status"] in ENDS,
        )
        return self.heard(request_id)

    def heard(self, request_id: int | None) -> list[str]:
        """Return what has been told of a request so far, in order; None: what came without a requestId."""
        return [
            entry.frame.payload["status"]
            for entry in self.central_system.recorder.frames("received", "LogStatusNotification")
            if isinstance(entry.frame, Call) and entry.frame.payload.get("requestId") == request_id
        ]

    def server(self, scheme: str) -> FileServer:
        """Return the server of a scheme, with nothing in its inbox and nothing wrong."""
        server = self.servers.of(scheme)
        server.faults.clear()
        for path in (server.directory / "inbox").iterdir():
            path.unlink()
        return server


def inbox(server: FileServer) -> dict[str, bytes]:
    """Return what has arrived at a server."""
    return {path.name: path.read_bytes() for path in sorted((server.directory / "inbox").iterdir())}


def inbox_url(server: FileServer) -> str:
    """Return the location of the inbox, with the password of who may write there."""
    return server.url("inbox/", account=WRITER)


def upload_tables(directory: Path, servers: FileServers, tables: Tables | None = None) -> dict[str, dict[str, Any]]:
    """Lay what the agent needs to trust the servers beside config.toml, and return its tables."""
    (directory / "root.pem").write_bytes(PKI.root_pem)
    (directory / "known_hosts").write_text(f"{servers.sftp.host_key_line}\n")
    content: dict[str, dict[str, Any]] = {
        "provisioning": {"central_system_roots": ["root.pem"]},
        "transfers": {"known_hosts": "known_hosts", "stall_timeout_s": 2, "connect_timeout_s": 5},
        "logs": {"security_log_max_age_days": 3650},
    }
    for table, values in (tables or {}).items():
        content[table] = {**content.get(table, {}), **values}
    return content


@asynccontextmanager
async def upload_ground(
    directory: Path, tables: Tables | None = None, *, events: int = EVENTS
) -> AsyncIterator[tuple[CentralSystem, FileServers, dict[str, dict[str, Any]]]]:
    """A log of so many events of the past, a Central System, all servers, and the tables of an agent for them."""
    await fill_log(directory, events)
    async with FileServers(directory / "servers", PKI) as servers, CentralSystem(pki=PKI) as central_system:
        yield central_system, servers, upload_tables(directory, servers, tables)


@asynccontextmanager
async def upload_site(
    directory: Path, tables: Tables | None = None, *, events: int = EVENTS, program: tuple[str, ...] = PROGRAM
) -> AsyncIterator[UploadSite]:
    """An agent that has booted, on the ground of an upload; the Central System has nothing to complain of."""
    async with (
        upload_ground(directory, tables, events=events) as (central_system, servers, content),
        agent(directory, central_system.url, content, program=program) as running,
    ):
        await booted_on(central_system)
        yield UploadSite(central_system, running, servers, past(events))
        assert not central_system.findings, central_system.findings
