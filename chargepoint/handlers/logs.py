"""Requests for logs: GetLog.req of the white paper (N01) and GetDiagnostics.req of OCPP 1.6."""

from typing import Any

from chargepoint.date_time import read_optional_date_time
from chargepoint.handlers.domain import Domain
from chargepoint.payload import call_result, enums
from chargepoint.rpc import Reply, Then
from logs.status import Answer, LogKind
from logs.uploader import Accepted


async def get_log(domain: Domain, request: Any) -> Reply:
    """Answer with the name of the file (N01.FR.01), and upload it once the answer is out (N01.FR.02)."""
    wanted = request.log
    accepted = await domain.log_uploads.ask(
        LogKind(request.log_type),
        wanted["remote_location"],
        request_id=request.request_id,
        retries=request.retries,
        retry_interval_s=request.retry_interval,
        oldest=read_optional_date_time(wanted.get("oldest_timestamp")),
        latest=read_optional_date_time(wanted.get("latest_timestamp")),
    )
    conf = call_result.GetLog(status=enums.LogStatus(accepted.status), filename=accepted.file_name)
    return Reply(conf, then=_begin(accepted))


async def get_diagnostics(domain: Domain, request: Any) -> Reply:
    """Answer with the name of the file, without one where there is nothing; upload it once the answer is out."""
    accepted = await domain.log_uploads.ask(
        LogKind.DIAGNOSTICS_LOG,
        request.location,
        request_id=None,
        retries=request.retries,
        retry_interval_s=request.retry_interval,
        oldest=read_optional_date_time(request.start_time),
        latest=read_optional_date_time(request.stop_time),
    )
    return Reply(call_result.GetDiagnostics(file_name=accepted.file_name), then=_begin(accepted))


def _begin(accepted: Accepted) -> Then | None:
    if accepted.status is Answer.REJECTED:
        return None

    async def begin() -> None:
        accepted.begin()

    return begin
