"""Uploads of logs as the roof sees them: the two jobs (GetLog.req, GetDiagnostics.req) and their adapters to the world.

The jobs do not know each other: each has a journal, a spool file and a transfer of its own, so that a GetLog.req and a
GetDiagnostics.req at the same time do not disturb each other.

Here is also what a fault of a transfer means on the wire (`STATUS_OF`). GetDiagnostics.req has no requestId; the job
numbers its requests itself, so that a report of an upload that was canceled can be told from one of its successor.

Not done here: the life of an upload (logs/machine.py, logs/uploader.py), transfers (transfer.py), messages
(handlers/logs.py), sending statuses (status_delivery.py).
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from chargepoint.allowance import Allowance
from chargepoint.database import Database
from chargepoint.foundation import Foundation
from chargepoint.free_space import MIB
from chargepoint.history import History
from chargepoint.job_journal import DIAGNOSTICS_UPLOAD, LOG_UPLOAD, JobJournal, WingJournal
from chargepoint.payload import call, enums
from chargepoint.state import StateUnusable
from chargepoint.status_delivery import StatusDelivery
from chargepoint.transfer_fault import TransferFailed, TransferFault
from logs.request import Retrying, UploadRequest
from logs.security_log_export import SecurityLogExport
from logs.status import Answer, LogKind, UploadStatus
from logs.upload_port import ContentFailed, JournalFailed, LogContent, Progress, UploadRefused
from logs.uploader import Accepted, Uploader
from security import durable
from security.errors import DurableError

SPOOL_DIRECTORY: Final = "uploads"
MAX_BOOT_WAIT: Final = timedelta(
    minutes=10
)  #: time; the network is there by then, or another try is as good as this one
MAX_ORDERS: Final = 100  #: requests for logs; at once, more than any operator sends
ORDER_INTERVAL: Final = timedelta(minutes=1)  #: time; one more request each: a file a minute wears no flash out
MAX_LOCATION_CHARACTERS: Final = 2_048  #: characters; what transfer_location.py takes, and what is worth keeping

_log = logging.getLogger(__name__)

STATUS_OF: Final[Mapping[TransferFault, UploadStatus]] = {
    TransferFault.BAD_URL: UploadStatus.BAD_MESSAGE,
    TransferFault.BAD_ANSWER: UploadStatus.BAD_MESSAGE,
    TransferFault.UNSUPPORTED_SCHEME: UploadStatus.NOT_SUPPORTED_OPERATION,
    TransferFault.NOT_SUPPORTED: UploadStatus.NOT_SUPPORTED_OPERATION,
    TransferFault.LOGIN_REFUSED: UploadStatus.PERMISSION_DENIED,
    TransferFault.PERMISSION_DENIED: UploadStatus.PERMISSION_DENIED,
    TransferFault.NAME_UNKNOWN: UploadStatus.UPLOAD_FAILURE,
    TransferFault.UNREACHABLE: UploadStatus.UPLOAD_FAILURE,
    TransferFault.NOT_TRUSTED: UploadStatus.UPLOAD_FAILURE,
    TransferFault.HOST_KEY_NOT_TRUSTED: UploadStatus.UPLOAD_FAILURE,
    TransferFault.NOT_FOUND: UploadStatus.UPLOAD_FAILURE,
    TransferFault.INTERRUPTED: UploadStatus.UPLOAD_FAILURE,
    TransferFault.STALLED: UploadStatus.UPLOAD_FAILURE,
    TransferFault.TOO_LARGE: UploadStatus.UPLOAD_FAILURE,
    TransferFault.REMOTE_FULL: UploadStatus.UPLOAD_FAILURE,
    TransferFault.LOCAL_DISK: UploadStatus.UPLOAD_FAILURE,
    TransferFault.FAILED: UploadStatus.UPLOAD_FAILURE,
}
"""What each fault of a transfer is told as (N01.FR.10)."""


class Sender(Protocol):
    """What is needed of transfer.py."""

    async def upload(
        self, source: Path, location: str, *, file_name: str, resume: bool, progress: Callable[[Progress], None]
    ) -> None:
        """Send a file; raises TransferFailed."""


def log_uploads(
    foundation: Foundation,
    *,
    diagnostics: LogContent,
    history: History,
    delivery: StatusDelivery,
    booted: Callable[[], Awaitable[None]],
) -> "LogUploads":
    """Put both jobs together.

    Args:
        foundation: the state directory and what was opened from it.
        diagnostics: content of the diagnostics.
        history: told how each try ended.
        delivery: told whom to deliver for.
        booted: returns once the Central System has accepted this Charge Point.
    """
    settings = foundation.settings
    security_log = SecurityLogExport(
        foundation.database,
        identity=settings.charge_point.identity,
        form=settings.logs.security_log_format,
        compressed=settings.logs.security_log_gzip,
        min_free_bytes=settings.state.min_free_mib * MIB,
    )
    return LogUploads(
        foundation.database,
        transfers=foundation.transfers,
        contents={LogKind.SECURITY_LOG: security_log, LogKind.DIAGNOSTICS_LOG: diagnostics},
        directory=settings.state.directory,
        retrying=Retrying(settings.logs.upload_retries, settings.logs.upload_retry_interval),
        now=foundation.clock.now,
        history=history,
        delivery=delivery,
        booted=booted,
    )


class LogUploads:
    """Both jobs.

    Args:
        database: keeps them.
        transfers: sends files.
        contents: what there is to upload.
        directory: the state directory.
        retrying: what holds where a request leaves it open.
        now: the agent's clock, for the names of files.
        history: told how each try ended.
        delivery: told whom to deliver for.
        booted: returns once the Central System has accepted this Charge Point, which is when the network is there.
    """

    def __init__(
        self,
        database: Database,
        *,
        transfers: Sender,
        contents: Mapping[LogKind, LogContent],
        directory: Path,
        retrying: Retrying,
        now: Callable[[], datetime],
        history: History,
        delivery: StatusDelivery,
        booted: Callable[[], Awaitable[None]],
    ) -> None:
        self._directory = directory / SPOOL_DIRECTORY
        self._retrying = retrying
        self._numbers = itertools.count(1)
        self._booted = booted
        self._was_asked = False
        self._orders = Allowance(MAX_ORDERS, ORDER_INTERVAL)
        guarded = {kind: _Content(content) for kind, content in contents.items()}

        def job(name: str, make_request: Callable[[Any], Any]) -> Uploader:
            journal = JobJournal(database, name)
            delivery.add(journal, make_request)
            return Uploader(
                name,
                journal=WingJournal(journal, JournalFailed),
                port=_Port(name, transfers, history, self._wait_for_network),
                contents=guarded,
                directory=self._directory,
                now=now,
            )

        self.log = job(LOG_UPLOAD, lambda report: _log_status(report.status, report.request_id))
        self.diagnostics = job(DIAGNOSTICS_UPLOAD, lambda report: _diagnostics_status(report.status))

    async def open(self) -> None:
        """Go on with what the last process has left.

        Raises:
            StateUnusable: the directory for spool files cannot be used.
        """
        try:
            await asyncio.to_thread(self._tidy)  # before the first of them writes there
        except DurableError as error:
            raise StateUnusable(Path(error.path), error.what, error.advice) from error
        await self.log.open()
        await self.diagnostics.open()

    async def close(self) -> None:
        """Stop what runs; the next process goes on with it."""
        await asyncio.gather(self.log.close(), self.diagnostics.close())

    async def ask(
        self,
        kind: LogKind,
        location: str,
        *,
        request_id: int | None,
        retries: int | None,
        retry_interval_s: int | None,
        oldest: datetime | None,
        latest: datetime | None,
    ) -> Accepted:
        """Take in a GetLog.req, or a GetDiagnostics.req where there is no requestId.

        Args:
            kind: which log.
            location: where it is to be sent.
            request_id: of GetLog.req.
            retries: as the request says.
            retry_interval_s: as the request says.
            oldest: begin of the window.
            latest: end of the window.
        """
        if (obstacle := self._obstacle(location)) is not None:
            _log.warning("%s is asked for and not uploaded: %s", kind, obstacle)
            return Accepted(Answer.REJECTED)
        self._was_asked = True
        retrying, remarks = self._retrying.asked(retries, retry_interval_s)
        for remark in remarks:
            _log.warning("%s is asked for: %s", kind, remark)
        request = UploadRequest(
            kind=kind,
            request_id=next(self._numbers) if request_id is None else request_id,
            location=location,
            retrying=retrying,
            oldest=oldest,
            latest=latest,
        )
        return await (self.diagnostics if request_id is None else self.log).request(request)

    def _obstacle(self, location: str) -> str | None:
        """Say what speaks against keeping a request (docs/decisions/0086), None where nothing does."""
        if len(location) > MAX_LOCATION_CHARACTERS:  # OCPP 1.6 bounds none in GetDiagnostics.req
            return f"its location has more than {MAX_LOCATION_CHARACTERS} characters"
        if not self._orders.take():
            return f"more than {MAX_ORDERS} came at once; one more is taken each {ORDER_INTERVAL}"
        return None

    async def log_status(self) -> Any:
        """Return the LogStatusNotification.req of this moment, for a trigger (N01.FR.12)."""
        return _log_status(*self.log.present)

    async def diagnostics_status(self) -> Any:
        """Return the DiagnosticsStatusNotification.req of this moment, for a trigger."""
        return _diagnostics_status(self.diagnostics.present[0])

    def status(self) -> dict[str, object]:
        """Tell people and programs how the uploads are getting on; all values are plain JSON."""
        diagnostics = self.diagnostics.status()
        diagnostics.pop("request_id", None)  # a number of ours, which nobody asked with
        return {"log_upload": self.log.status(), "diagnostics_upload": diagnostics}

    async def _wait_for_network(self) -> None:
        """After a reboot the modem takes its time: tries before it is there would be used up for nothing."""
        if self._was_asked:  # over the network; perhaps of a Charge Point that is Pending, and may stay so for long
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MAX_BOOT_WAIT.total_seconds()):
                await self._booted()

    def _tidy(self) -> None:
        durable.make_directory(self._directory)
        durable.sweep(self._directory)


class _Content:
    """A content whose faults are those that the wing knows."""

    def __init__(self, content: LogContent) -> None:
        self._content = content

    async def is_available(self, oldest: datetime | None, latest: datetime | None) -> bool:
        try:
            return await self._content.is_available(oldest, latest)
        except StateUnusable as error:
            raise ContentFailed(str(error)) from error

    def file_name(self, now: datetime) -> str:
        return self._content.file_name(now)

    async def write(self, target: Path, oldest: datetime | None, latest: datetime | None) -> int:
        try:
            return await self._content.write(target, oldest, latest)
        except StateUnusable as error:
            raise ContentFailed(str(error)) from error


class _Port:
    """Transfers as the wing wants them."""

    def __init__(self, name: str, transfers: Sender, history: History, ready: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._transfers = transfers
        self._history = history
        self._ready = ready

    async def upload(
        self, source: Path, location: str, *, file_name: str, resume: bool, progress: Callable[[Progress], None]
    ) -> None:
        await self._ready()
        end = "canceled"
        try:
            await self._transfers.upload(source, location, file_name=file_name, resume=resume, progress=progress)
            end = "uploaded"
        except TransferFailed as failure:
            end = str(failure)
            raise UploadRefused(STATUS_OF[failure.fault], end, worth_retrying=failure.worth_retrying) from failure
        finally:
            self._history.note(self._name, to=location, file_name=file_name, resumed=resume, end=end)


def _log_status(status: str, request_id: int | None) -> Any:
    # N01.FR.12: without a requestId it may go only where a trigger asked for it and no upload is under way.
    return call.LogStatusNotification(status=enums.UploadLogStatus(status), request_id=request_id)  # type: ignore[arg-type]


def _diagnostics_status(status: str) -> Any:
    """DiagnosticsStatus of OCPP 1.6 knows one failure and no reason for it."""
    known = {UploadStatus.IDLE: "Idle", UploadStatus.UPLOADING: "Uploading", UploadStatus.UPLOADED: "Uploaded"}
    text = known.get(UploadStatus(status), "UploadFailed")
    return call.DiagnosticsStatusNotification(status=enums.DiagnosticsStatus(text))
