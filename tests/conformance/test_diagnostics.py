"""GetDiagnostics.req and DiagnosticsStatusNotification.req of OCPP 1.6, on the same machinery as GetLog.req."""

import io
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation import file_fault as fault
from tests.upload_site import UploadSite, inbox, inbox_url, upload_site

WITHOUT_PYCURL = "import sys; sys.modules['pycurl'] = None; from chargepoint.cli import main; sys.exit(main())"


async def get_diagnostics(site: UploadSite, location: str, **more: Any) -> dict[str, Any]:
    return dict(await site.central_system.call("GetDiagnostics", {"location": location, **more}))


async def status(site: UploadSite) -> str:
    """Return the next status; it comes alone."""
    payload = await site.central_system.expect("DiagnosticsStatusNotification")
    assert set(payload) == {"status"}
    return str(payload["status"])


async def test_the_file_that_the_answer_names_arrives(tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        server = site.server("ftp")
        answer = await get_diagnostics(site, inbox_url(server))
        assert set(answer) == {"fileName"}
        assert [await status(site), await status(site)] == ["Uploading", "Uploaded"]
        with tarfile.open(fileobj=io.BytesIO(inbox(server)[answer["fileName"]]), mode="r:gz") as archive:
            assert "diagnostics/status.json" in archive.getnames()


async def test_a_failure_is_told_without_its_cause(tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        server = site.server("http")
        server.add_fault(fault.HttpError(status=403, times=None))
        await get_diagnostics(site, inbox_url(server), retries=0)
        assert [await status(site), await status(site)] == ["Uploading", "UploadFailed"]
        assert inbox(server) == {}


async def test_a_window_that_ends_before_it_begins_brings_no_file(tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        server = site.server("http")
        window = {"startTime": "2026-01-02T00:00:00Z", "stopTime": "2026-01-01T00:00:00Z"}
        assert await get_diagnostics(site, inbox_url(server), **window) == {}
        await get_diagnostics(site, inbox_url(server))
        assert [await status(site), await status(site)] == ["Uploading", "Uploaded"]
        assert len(inbox(server)) == 1


async def test_a_trigger_tells_how_it_is(tmp_path: Path) -> None:
    async with upload_site(tmp_path, {"transfers": {"stall_timeout_s": 60}}) as site:
        trigger = {"requestedMessage": "DiagnosticsStatusNotification"}
        assert await site.central_system.call("TriggerMessage", trigger) == {"status": "Accepted"}
        assert await status(site) == "Idle"
        server = site.server("http")
        server.add_fault(fault.StallAfter(bytes=100))
        await get_diagnostics(site, inbox_url(server))
        assert await status(site) == "Uploading"
        assert await site.central_system.call("TriggerMessage", trigger) == {"status": "Accepted"}
        assert await status(site) == "Uploading"


@pytest.mark.requirement("N01.FR.07", "N01.FR.09")
async def test_get_log_at_the_same_time_is_not_disturbed(tmp_path: Path) -> None:
    async with upload_site(tmp_path, {"transfers": {"stall_timeout_s": 3}}) as site:
        server, other = site.server("ftp"), site.server("http")
        server.add_fault(fault.StallAfter(bytes=1_000))
        number, answer = await site.get_log(inbox_url(server), retries=1)
        await server.arrived(fits=lambda arrival: arrival.bytes > 0)
        diagnostics = await get_diagnostics(site, inbox_url(other))
        assert [await status(site), await status(site)] == ["Uploading", "Uploaded"]
        assert await site.statuses(number) == ["Uploading", "Uploaded"]
        assert list(inbox(server)) == [answer["filename"]]
        assert list(inbox(other)) == [diagnostics["fileName"]]


@pytest.mark.requirement("N01.FR.10")
async def test_without_the_library_the_agent_runs_and_says_that_it_cannot(tmp_path: Path) -> None:
    async with upload_site(tmp_path, program=(sys.executable, "-c", WITHOUT_PYCURL)) as site:
        answer = await site.central_system.call("GetConfiguration", {"key": ["SupportedFileTransferProtocols"]})
        assert answer["configurationKey"][0].get("value", "") == ""
        number, accepted = await site.get_log(inbox_url(site.server("http")), retries=5)
        assert accepted["status"] == "Accepted"
        assert await site.statuses(number) == ["Uploading", "NotSupportedOperation"]
        assert "supported is none" in await site.agent.logged("the upload failed")
        await get_diagnostics(site, inbox_url(site.server("http")))
        assert [await status(site), await status(site)] == ["Uploading", "UploadFailed"]


async def test_the_profile_of_diagnostics_is_named(tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        answer = await site.central_system.call("GetConfiguration", {"key": ["SupportedFeatureProfiles"]})
        assert "FirmwareManagement" in answer["configurationKey"][0]["value"].split(",")
