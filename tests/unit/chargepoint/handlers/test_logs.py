"""GetLog.req and GetDiagnostics.req on a session's stage: the answer first, then the upload and its statuses."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chargepoint.payload import call
from chargepoint.transfer_fault import TransferFailed, TransferFault
from tests.session_stage import Stage, on_stage
from tests.upload_bench import LOCATION, PATIENCE_S

LOG = {"remoteLocation": LOCATION}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(tmp_path) as stage:
        await stage.boot()
        yield stage


async def get_log(stage: Stage, request_id: int = 7, log: Any = LOG, **more: Any) -> Any:
    payload = {"log": log, "logType": "SecurityLog", "requestId": request_id} | more
    return (await stage.link.ask([2, f"log {stage.clock.monotonic()}", "GetLog", payload]))[2]


async def get_diagnostics(stage: Stage, **more: Any) -> Any:
    return (
        await stage.link.ask(
            [2, f"diagnostics {stage.clock.monotonic()}", "GetDiagnostics", {"location": LOCATION} | more]
        )
    )[2]


async def log_status(stage: Stage) -> Any:
    return await stage.answer("LogStatusNotification", {})


async def diagnostics_status(stage: Stage) -> Any:
    return await stage.answer("DiagnosticsStatusNotification", {})


async def test_a_log_is_uploaded_once_the_answer_is_out(stage: Stage) -> None:
    answer = await get_log(stage)
    assert answer["status"] == "Accepted"
    assert answer["filename"].startswith("log-")
    assert await log_status(stage) == {"status": "Uploading", "requestId": 7}
    assert await log_status(stage) == {"status": "Uploaded", "requestId": 7}
    assert stage.files.received == [(answer["filename"], "an event\n", False)]


async def test_diagnostics_are_uploaded_once_the_answer_is_out(stage: Stage) -> None:
    answer = await get_diagnostics(stage)
    assert answer["fileName"].startswith("log-")
    assert await diagnostics_status(stage) == {"status": "Uploading"}
    assert await diagnostics_status(stage) == {"status": "Uploaded"}


@pytest.mark.parametrize(
    ("fault", "status"),
    [(TransferFault.LOGIN_REFUSED, "PermissionDenied"), (TransferFault.BAD_URL, "BadMessage")],
)
async def test_a_failure_is_told_by_its_reason_or_where_there_is_none_as_a_failure(
    stage: Stage, fault: TransferFault, status: str
) -> None:
    stage.files.fail(TransferFailed(fault), TransferFailed(fault))
    await get_log(stage)
    assert await log_status(stage) == {"status": "Uploading", "requestId": 7}
    assert await log_status(stage) == {"status": status, "requestId": 7}
    await get_diagnostics(stage)
    assert await diagnostics_status(stage) == {"status": "Uploading"}
    assert await diagnostics_status(stage) == {"status": "UploadFailed"}


async def test_a_window_that_ends_before_it_begins_brings_no_file_name(stage: Stage) -> None:
    window = {"oldestTimestamp": "2027-03-01T12:00:01Z", "latestTimestamp": "2027-03-01T12:00:00Z"}
    assert await get_log(stage, log=LOG | window) == {"status": "Rejected"}
    assert await get_diagnostics(stage, startTime="2027-03-01T12:00:01Z", stopTime="2027-03-01T12:00:00Z") == {}
    assert await stage.lives()
    assert stage.files.received == []


async def test_a_second_request_cancels_the_first_and_its_statuses(stage: Stage) -> None:
    stage.files.go_on.clear()
    await get_log(stage, 7)
    assert await log_status(stage) == {"status": "Uploading", "requestId": 7}
    await asyncio.wait_for(stage.files.running.wait(), PATIENCE_S)
    assert (await get_log(stage, 8))["status"] == "AcceptedCanceled"
    stage.files.go_on.set()
    assert await log_status(stage) == {"status": "Uploading", "requestId": 8}
    assert await log_status(stage) == {"status": "Uploaded", "requestId": 8}
    assert stage.files.stopped == 1


async def test_both_kinds_do_not_disturb_each_other(stage: Stage) -> None:
    stage.files.go_on.clear()
    assert (await get_log(stage))["status"] == "Accepted"
    assert await log_status(stage) == {"status": "Uploading", "requestId": 7}
    assert "fileName" in await get_diagnostics(stage)
    assert await diagnostics_status(stage) == {"status": "Uploading"}
    stage.files.go_on.set()
    ends = {}
    for _ in range(2):
        unique_id, action, payload = (await stage.link.hear())[1:4]
        stage.link.say([3, unique_id, {}])
        ends[action] = payload
    assert ends == {
        "LogStatusNotification": {"status": "Uploaded", "requestId": 7},
        "DiagnosticsStatusNotification": {"status": "Uploaded"},
    }


async def test_retries_and_their_interval_are_taken_from_the_request(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.files.fail(*[TransferFailed(TransferFault.INTERRUPTED)] * 3)
    await get_log(stage, retries=2, retryInterval=0)
    await log_status(stage)
    assert await log_status(stage) == {"status": "UploadFailure", "requestId": 7}
    assert len(stage.files.received) == 3
    await get_log(stage, 8, retries=-1, retryInterval=-5)
    await log_status(stage)
    await log_status(stage)
    assert "SecurityLog is asked for: retries is not between 0 and 100, 1 is taken" in caplog.text


class TestTriggered:
    async def _ask(self, stage: Stage, message: str) -> Any:
        kind = call.ExtendedTriggerMessage if message == "LogStatusNotification" else call.TriggerMessage
        payload = {"requestedMessage": message}
        frame = await stage.link.ask([2, f"trigger {stage.clock.monotonic()}", kind.__name__, payload])
        assert frame[2] == {"status": "Accepted"}
        return await stage.answer(message, {})

    async def test_nothing_under_way_is_idle_without_a_request_id(self, stage: Stage) -> None:
        assert await self._ask(stage, "LogStatusNotification") == {"status": "Idle"}
        assert await self._ask(stage, "DiagnosticsStatusNotification") == {"status": "Idle"}

    async def test_an_upload_tells_how_it_is(self, stage: Stage) -> None:
        stage.files.go_on.clear()
        await get_log(stage)
        await log_status(stage)
        assert await self._ask(stage, "LogStatusNotification") == {"status": "Uploading", "requestId": 7}
        assert await self._ask(stage, "DiagnosticsStatusNotification") == {"status": "Idle"}
        await get_diagnostics(stage)
        await diagnostics_status(stage)
        assert await self._ask(stage, "DiagnosticsStatusNotification") == {"status": "Uploading"}
        stage.files.go_on.set()
        await stage.link.hear()
