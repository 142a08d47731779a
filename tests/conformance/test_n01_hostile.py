"""N01 with a Central System that asks for too much, at a bad time, or for nonsense: each request has one clear end."""

import asyncio
import itertools
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chargepoint.job_journal import MAX_OWED_REPORTS
from chargepoint.simulation.script import Answer
from tests.agent_process import agent
from tests.upload_site import EVENTS, UploadSite, inbox, inbox_url, numbers, past, upload_ground, upload_site

FLOOD = 60
FAR = {"oldestTimestamp": "0001-01-01T00:00:00Z", "latestTimestamp": "9999-12-31T23:59:59.999Z"}
ZONELESS = {"oldestTimestamp": "1969-07-20T20:17:40", "latestTimestamp": "2026-12-31T23:59:59"}
WINDOWS: dict[str, tuple[dict[str, str], str]] = {
    "all of time": (FAR, "Accepted"),
    "without a zone": (ZONELESS, "Accepted"),
    "before 1970": ({"latestTimestamp": "1969-12-31T23:59:59Z"}, "Rejected"),
    "the far future": ({"oldestTimestamp": "9999-12-31T23:59:59Z"}, "Rejected"),
}
LOCATIONS = {
    "512 characters": "ftp://127.0.0.1:1/" + "x" * 494,
    "an empty port and a query": "http://127.0.0.1:/?",
    "control characters": "ftp://127.0.0.1/%0d%0aDELE%20x/",
    "a bracket": "http://[::1/",
    "a lone percent": "https://u:50%@127.0.0.1/",
    "a fragment": "https://127.0.0.1/#x",
    "nothing": "",
}
EXTREMES: dict[str, dict[str, Any]] = {
    "the least": {"requestId": -(2**63), "retries": -(2**63), "retryInterval": -(2**63)},
    "the most": {"requestId": 2**63 - 1, "retries": 0, "retryInterval": 2**63 - 1},
    "floats": {"requestId": 5, "retries": 0.0, "retryInterval": 1e18},
}


@pytest.mark.requirement("N01.FR.01", "N01.FR.07", "N01.FR.10")
async def test_whatever_is_asked_for_comes_to_one_end_that_bears_its_request_id(tmp_path: Path) -> None:
    tables = {"logs": {"security_log_max_age_days": 3650, "upload_retries": 0}}
    async with upload_site(tmp_path, tables) as site:
        server = site.server("http")
        numbered = itertools.count(100)

        async def ask(log: dict[str, str], **more: Any) -> tuple[int, dict[str, Any]]:
            request = {"log": log, "logType": "SecurityLog", "requestId": next(numbered), **more}
            return int(request["requestId"]), dict(await site.central_system.call("GetLog", request, checked=False))

        for name, (window, expected) in WINDOWS.items():
            number, answer = await ask({"remoteLocation": inbox_url(server), **window})
            assert answer["status"] == expected, name
            assert expected == "Rejected" or await site.statuses(number) == ["Uploading", "Uploaded"], name
        for name, location in LOCATIONS.items():
            number, answer = await ask({"remoteLocation": location})
            assert answer["status"] == "Accepted", name
            first, last = await site.statuses(number)
            assert (first, last in {"BadMessage", "UploadFailure"}) == ("Uploading", True), name
        for name, extreme in EXTREMES.items():
            number, answer = await ask({"remoteLocation": inbox_url(server), **site.past}, **extreme)
            assert answer["status"] == "Accepted", name
            assert await site.statuses(number) == ["Uploading", "Uploaded"], name
            assert numbers(inbox(server)[answer["filename"]]) == list(range(EVENTS)), name


@pytest.mark.requirement("N01.FR.07", "N01.FR.11")
async def test_of_a_flood_the_last_request_is_served_and_nothing_piles_up(tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        server = site.server("http")

        async def ask(number: int) -> Any:
            diagnostics = number % 2
            action = "GetDiagnostics" if diagnostics else "GetLog"
            request = (
                {"location": inbox_url(server)}
                if diagnostics
                else {"log": {"remoteLocation": inbox_url(server)}, "logType": "SecurityLog", "requestId": number}
            )
            return await site.central_system.call(action, request, at_once=True)

        for begin in range(0, FLOOD, 10):  # fewer at once than are refused as too many
            await asyncio.gather(*(ask(number) for number in range(begin, begin + 10)))
        last, answer = await site.get_log(inbox_url(server))
        assert answer["status"] in {"Accepted", "AcceptedCanceled"}
        assert await site.statuses(last) == ["Uploading", "Uploaded"]
        await site.central_system.expect("DiagnosticsStatusNotification", match={"status": "Uploaded"})
        for number in range(0, FLOOD, 2):
            assert site.heard(number) in ([], ["Uploading"], ["Uploading", "Uploaded"])
        assert await site.agent.stop() == 0
        with closing(sqlite3.connect(site.agent.state / "state.db")) as database:
            assert database.execute("SELECT count(*) FROM job_report").fetchone()[0] <= MAX_OWED_REPORTS
            snapshots = [row[0] for row in database.execute("SELECT snapshot FROM job WHERE snapshot IS NOT NULL")]
        assert len(snapshots) == 2
        assert not [each for each in snapshots if "writer" in each]  # what is over forgets its location
        assert list((site.agent.state / "uploads").iterdir()) == []


@pytest.mark.requirement("N01.FR.02", "N01.FR.08", "N01.FR.09")
async def test_a_charge_point_that_is_pending_uploads_and_tells_it_when_it_is_accepted(tmp_path: Path) -> None:
    async with upload_ground(tmp_path) as (central_system, servers, tables):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        pending = Answer({"status": "Pending", "currentTime": now, "interval": 3600})
        central_system.script("BootNotification", pending, times=1)
        async with agent(tmp_path, central_system.url, tables) as running:
            await central_system.expect("BootNotification")
            site = UploadSite(central_system, running, servers, past())
            server = site.server("ftp")
            number, answer = await site.get_log(inbox_url(server))
            await running.logged(f"log upload {number}: Uploaded")
            assert numbers(inbox(server)[answer["filename"]]) == list(range(EVENTS))
            assert site.heard(number) == []
            asked = {"requestedMessage": "BootNotification"}
            assert await central_system.call("ExtendedTriggerMessage", asked) == {"status": "Accepted"}
            assert await site.statuses(number) == ["Uploading", "Uploaded"]
