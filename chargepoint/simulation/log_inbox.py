"""The place that the simulated Central System has logs sent to: the inboxes of its file servers.

inbox = LogInbox(servers.sftp)
answer = await central_system.call("GetLog", inbox.log_request("SecurityLog"))
log = await inbox.received(answer["filename"])
"""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from chargepoint.simulation.file_account import WRITER, Account
from chargepoint.simulation.file_server import INBOX, FileServer
from chargepoint.simulation.frame import Payload
from chargepoint.simulation.recorder import EXPECT_TIMEOUT
from chargepoint.simulation.request_id import next_request_id

LogKind = Literal["SecurityLog", "DiagnosticsLog"]

_UPLOADS: Final = ("PUT", "POST", "STOR", "APPE", "write")


class LogInbox:
    """One inbox.

    Args:
        server: the file server that it is part of.
        account: whose credentials stand in its address.
        path: its path on the server.
    """

    def __init__(self, server: FileServer, account: Account | None = WRITER, path: str = f"{INBOX}/") -> None:
        self.server = server
        self._account = account
        self._path = path

    @property
    def location(self) -> str:
        """Its address, with credentials."""
        return self.server.url(self._path, account=self._account)

    @property
    def files(self) -> dict[str, bytes]:
        """What lies in it: name -> content."""
        directory = self.server.directory / self._path
        return {file.name: file.read_bytes() for file in sorted(directory.iterdir()) if file.is_file()}

    def log_request(
        self,
        kind: LogKind = "SecurityLog",
        *,
        request_id: int | None = None,
        oldest: datetime | None = None,
        latest: datetime | None = None,
        retries: int | None = None,
        retry_interval: int | None = None,
    ) -> Payload:
        """Return the payload of a GetLog.req.

        Args:
            kind: which log.
            request_id: its requestId; by default one that was not used before.
            oldest: oldestTimestamp; by default none.
            latest: latestTimestamp; by default none.
            retries: how often the upload is to be tried; by default left to the Charge Point.
            retry_interval: seconds between two tries; by default left to the Charge Point.
        """
        log = {"remoteLocation": self.location} | _span("oldestTimestamp", oldest) | _span("latestTimestamp", latest)
        payload: Payload = {"logType": kind, "requestId": next_request_id() if request_id is None else request_id}
        return payload | {"log": log} | _tries(retries, retry_interval)

    def diagnostics_request(
        self,
        *,
        oldest: datetime | None = None,
        latest: datetime | None = None,
        retries: int | None = None,
        retry_interval: int | None = None,
    ) -> Payload:
        """Return the payload of a GetDiagnostics.req, the message of OCPP 1.6 without a requestId."""
        payload: Payload = {"location": self.location} | _span("startTime", oldest) | _span("stopTime", latest)
        return payload | _tries(retries, retry_interval)

    async def received(self, name: str, *, timeout: timedelta = EXPECT_TIMEOUT) -> bytes:
        """Wait until a file has come whole, and return it.

        Raises:
            TimeoutError: it did not come in time.
        """
        await self.server.arrived(
            *_UPLOADS,
            fits=lambda each: each.over and each.path.endswith(f"/{name}") and each.status in (201, 204, 226, 0),
            timeout=timeout,
        )
        return (self.server.directory / self._path / name).read_bytes()


def _span(name: str, moment: datetime | None) -> Payload:
    if moment is None:
        return {}
    return {name: moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def _tries(retries: int | None, retry_interval: int | None) -> Payload:
    named = {"retries": retries, "retryInterval": retry_interval}
    return {name: value for name, value in named.items() if value is not None}
