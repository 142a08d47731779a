"""The inbox for logs of the simulated Central System."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.simulation import schema
from chargepoint.simulation.file_fault import CutAfter
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.log_inbox import LogInbox
from chargepoint.simulation.pki import Pki
from tests.curl import curl, needs_curl

MOMENT = datetime(2030, 1, 2, tzinfo=UTC)
TEXT = "2030-01-02T00:00:00.000Z"


def inbox_in(directory: Path) -> LogInbox:
    return LogInbox(FileServers(directory, Pki.create()).ftp)


def test_the_request_is_what_the_schema_wants(tmp_path: Path) -> None:
    inbox = inbox_in(tmp_path)
    request = inbox.log_request(
        "DiagnosticsLog", request_id=7, oldest=MOMENT, latest=MOMENT, retries=3, retry_interval=5
    )
    schema.check_request("GetLog", request)
    assert request == {
        "logType": "DiagnosticsLog",
        "requestId": 7,
        "retries": 3,
        "retryInterval": 5,
        "log": {"remoteLocation": inbox.location, "oldestTimestamp": TEXT, "latestTimestamp": TEXT},
    }
    bare = inbox.log_request()
    assert bare.keys() == {"logType", "requestId", "log"}
    assert bare["log"].keys() == {"remoteLocation"}
    assert inbox.log_request()["requestId"] == bare["requestId"] + 1


def test_the_older_request_has_no_id(tmp_path: Path) -> None:
    inbox = inbox_in(tmp_path)
    request = inbox.diagnostics_request(oldest=MOMENT, latest=MOMENT, retries=3, retry_interval=5)
    schema.check_request("GetDiagnostics", request)
    assert request == {
        "location": inbox.location,
        "startTime": TEXT,
        "stopTime": TEXT,
        "retries": 3,
        "retryInterval": 5,
    }
    assert inbox.diagnostics_request() == {"location": inbox.location}


@needs_curl
async def test_a_log_is_received_once_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(bytes(300_000))
    async with FileServers(tmp_path / "site", Pki.create()) as servers:
        for server in servers:
            inbox = LogInbox(server)
            server.add_fault(CutAfter(bytes=100_000))
            location = f"{inbox.location}a.log".replace("ftpes://", "ftp://")
            ssl = ("--ssl-reqd",) if server.scheme == "ftpes" else ()
            assert (await curl("--insecure", *ssl, "--upload-file", log, location)).code != 0
            with pytest.raises(TimeoutError):
                await inbox.received("a.log", timeout=timedelta(milliseconds=1))
            assert (await curl("--insecure", *ssl, "--upload-file", log, location)).code == 0
            assert await inbox.received("a.log") == log.read_bytes()
            assert inbox.files == {"a.log": log.read_bytes()}
