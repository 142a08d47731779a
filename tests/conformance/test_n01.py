"""N01, retrieve log information: requests, answers and statuses."""

import asyncio
import io
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.file_record import Arrival
from chargepoint.simulation.file_server import FileServer
from tests.upload_site import BEGIN, EVENTS, UploadSite, inbox, inbox_url, numbers, upload_site

STALLED_AT = 1_000
LONG = 15_000  # events; more bytes than all buffers of a connection hold, so that a transfer can be stopped
RATE = 1_000_000
PATIENT = {"transfers": {"stall_timeout_s": 60}}
NOTHING = {"oldestTimestamp": "2001-01-01T00:00:00Z", "latestTimestamp": "2001-01-02T00:00:00Z"}


def _sending(arrival: Arrival) -> bool:
    return arrival.bytes > 0


async def _begin_and_stall(site: UploadSite, server: FileServer, **more: object) -> int:
    """Begin an upload that stands still in its middle, and return its requestId."""
    server.add_fault(fault.StallAfter(bytes=STALLED_AT))
    number, answer = await site.get_log(inbox_url(server), **more)  # type: ignore[arg-type]
    assert answer["status"] == "Accepted"
    await server.arrived(fits=_sending)
    await site.central_system.expect("LogStatusNotification", match={"requestId": number, "status": "Uploading"})
    return number


class TestRequested:
    @pytest.mark.requirement("N01.FR.01", "N01.FR.02")
    async def test_the_answer_names_the_one_file_that_arrives(self, tmp_path: Path) -> None:
        async with upload_site(tmp_path) as site:
            server = site.server("ftp")
            number, answer = await site.get_log(inbox_url(server))
            assert set(answer) == {"status", "filename"}
            assert answer["status"] == "Accepted"
            assert await site.statuses(number) == ["Uploading", "Uploaded"]
            assert list(inbox(server)) == [answer["filename"]]

    @pytest.mark.requirement("N01.FR.01", "N01.FR.07")
    @pytest.mark.parametrize(
        "window",
        [NOTHING, {"oldestTimestamp": "2026-01-02T00:00:00Z", "latestTimestamp": "2026-01-01T00:00:00Z"}],
        ids=["empty", "turned"],
    )
    async def test_a_window_with_nothing_in_it_is_rejected_without_a_name(
        self, window: dict[str, str], tmp_path: Path
    ) -> None:
        async with upload_site(tmp_path) as site:
            server = site.server("ftp")
            number, answer = await site.get_log(inbox_url(server), window=window)
            assert answer == {"status": "Rejected"}
            after, _ = await site.get_log(inbox_url(server))
            assert await site.statuses(after) == ["Uploading", "Uploaded"]
            assert site.heard(number) == []
            assert len(inbox(server)) == 1

    @pytest.mark.requirement("N01.FR.03")
    async def test_the_window_is_what_arrives(self, tmp_path: Path) -> None:
        async with upload_site(tmp_path) as site:
            server = site.server("http")
            first, last = BEGIN + timedelta(minutes=100), BEGIN + timedelta(minutes=199)
            window = {"oldestTimestamp": first.isoformat(), "latestTimestamp": last.isoformat()}
            number, answer = await site.get_log(inbox_url(server), window=window)
            assert await site.statuses(number) == ["Uploading", "Uploaded"]
            assert numbers(inbox(server)[answer["filename"]]) == list(range(100, 200))

    @pytest.mark.requirement("N01.FR.04")
    async def test_diagnostics_are_an_archive(self, tmp_path: Path) -> None:
        async with upload_site(tmp_path) as site:
            server = site.server("http")
            number, answer = await site.get_log(inbox_url(server), kind="DiagnosticsLog", window={})
            assert await site.statuses(number) == ["Uploading", "Uploaded"]
            content = inbox(server)[answer["filename"]]
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
                names = archive.getnames()
            assert "diagnostics/status.json" in names

    @pytest.mark.requirement("N01.FR.09")
    async def test_what_the_request_leaves_open_is_a_setting(self, tmp_path: Path) -> None:
        tables = {"logs": {"security_log_max_age_days": 3650, "upload_retries": 1, "upload_retry_interval_s": 0}}
        async with upload_site(tmp_path, tables) as site:
            server = site.server("http")
            server.add_fault(fault.CutAfter(bytes=STALLED_AT, times=1))
            number, _ = await site.get_log(inbox_url(server), retries=None, retry_interval=None)
            assert await site.statuses(number) == ["Uploading", "Uploaded"]
            server.add_fault(fault.CutAfter(bytes=STALLED_AT, times=2))
            number, _ = await site.get_log(inbox_url(server), retries=None, retry_interval=None)
            assert await site.statuses(number) == ["Uploading", "UploadFailure"]


class TestCanceled:
    @pytest.mark.requirement("N01.FR.11", "N01.FR.07")
    @pytest.mark.parametrize("scheme", ["http", "ftp", "sftp"])
    async def test_the_next_request_stops_the_transfer_and_its_statuses(self, scheme: str, tmp_path: Path) -> None:
        async with upload_site(tmp_path, events=LONG) as site:
            server, other = site.server(scheme), site.server("https")
            server.add_fault(fault.Slow(bytes_per_second=RATE))
            first, _ = await site.get_log(inbox_url(server))
            await server.arrived(fits=_sending)
            second, answer = await site.get_log(inbox_url(other))
            assert answer["status"] == "AcceptedCanceled"
            assert await site.statuses(second) == ["Uploading", "Uploaded"]
            stopped = await server.arrived(fits=lambda arrival: arrival.over and arrival.bytes > 0)
            whole = inbox(other)[answer["filename"]]
            assert numbers(whole) == list(range(LONG))
            assert stopped.bytes < len(whole)
            assert site.heard(first) in ([], ["Uploading"])

    @pytest.mark.requirement("N01.FR.11")
    async def test_the_same_request_id_may_come_again(self, tmp_path: Path) -> None:
        async with upload_site(tmp_path, PATIENT) as site:
            server = site.server("ftp")
            number = await _begin_and_stall(site, server)
            _, answer = await site.get_log(inbox_url(server), request_id=number)
            assert answer["status"] == "AcceptedCanceled"
            assert await site.statuses(number) == ["Uploading", "Uploading", "Uploaded"]
            assert numbers(inbox(server)[answer["filename"]]) == list(range(EVENTS))

    @pytest.mark.requirement("N01.FR.11", "N01.FR.07")
    async def test_of_requests_that_race_the_last_one_is_served(self, tmp_path: Path) -> None:
        async with upload_site(tmp_path) as site:
            server = site.server("http")
            asked = await asyncio.gather(*(site.get_log(inbox_url(server)) for _ in range(3)))
            assert [answer["status"] for _, answer in asked].count("Rejected") == 0
            last = max(number for number, _ in asked)
            assert await site.statuses(last) == ["Uploading", "Uploaded"]
            told = [site.heard(number) for number, _ in asked if number != last]
            assert all(statuses in ([], ["Uploading"], ["Uploading", "Uploaded"]) for statuses in told)

    @pytest.mark.requirement("N01.FR.11")
    async def test_a_rejected_request_cancels_nothing(self, tmp_path: Path) -> None:
        tables = {"transfers": {"stall_timeout_s": 3}}
        async with upload_site(tmp_path, tables) as site:
            server = site.server("ftp")
            number = await _begin_and_stall(site, server, retries=1)
            _, answer = await site.get_log(inbox_url(server), window=NOTHING)
            assert answer == {"status": "Rejected"}
            assert await site.statuses(number) == ["Uploading", "Uploaded"]


class TestTriggered:
    @pytest.mark.requirement("N01.FR.12", "N01.FR.07")
    async def test_idle_goes_without_a_request_id_and_only_to_a_trigger(self, tmp_path: Path) -> None:
        async with upload_site(tmp_path, PATIENT) as site:
            trigger = {"requestedMessage": "LogStatusNotification"}

            async def triggered() -> dict[str, object]:
                answer = await site.central_system.call("ExtendedTriggerMessage", trigger)
                assert answer == {"status": "Accepted"}
                return dict(await site.central_system.expect("LogStatusNotification"))

            assert await triggered() == {"status": "Idle"}
            server = site.server("ftp")
            number = await _begin_and_stall(site, server)
            assert await triggered() == {"status": "Uploading", "requestId": number}
            last, _ = await site.get_log(inbox_url(server))
            for status in ("Uploading", "Uploaded"):
                await site.central_system.expect("LogStatusNotification", match={"requestId": last, "status": status})
            assert await triggered() == {"status": "Idle"}
            assert site.heard(None) == ["Idle", "Idle"]


class TestConnection:
    @pytest.mark.requirement("N01.FR.09", "N01.FR.07")
    async def test_a_lost_link_stops_no_upload_and_loses_no_status(self, tmp_path: Path) -> None:
        tables = {"transfers": {"stall_timeout_s": 3}}
        async with upload_site(tmp_path, tables) as site:
            server = site.server("ftp")
            number = await _begin_and_stall(site, server, retries=1)
            await site.agent.call("connection.down")
            await server.arrived(fits=lambda arrival: arrival.over and arrival.offset > 0 and arrival.fault is None)
            assert site.heard(number) == ["Uploading"]
            await site.agent.call("connection.up")
            assert await site.statuses(number) == ["Uploading", "Uploaded"]

    async def test_people_see_how_far_it_is(self, tmp_path: Path) -> None:
        async with upload_site(tmp_path, PATIENT) as site:
            assert (await site.agent.call("status"))["log_upload"] == {"state": "idle"}
            server = site.server("http")
            server.add_fault(fault.Slow(bytes_per_second=50_000))
            number, answer = await site.get_log(inbox_url(server))
            async with asyncio.timeout(20):
                while not (shown := (await site.agent.call("status"))["log_upload"]).get("sent_bytes"):
                    await server.arrived(fits=_sending)
            assert shown["state"] == "uploading"
            assert (shown["request_id"], shown["file_name"]) == (number, answer["filename"])
            assert 0 < shown["sent_bytes"] <= shown["total_bytes"]
            assert {"bytes_per_s", "seconds_left"} <= set(shown)
            await site.get_log(inbox_url(server))
