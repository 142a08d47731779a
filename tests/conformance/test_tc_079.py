"""OCTT TC_079_CS, Get the security log, in any profile."""

from pathlib import Path

import pytest

from tests.upload_site import EVENTS, inbox, inbox_url, numbers, upload_site


@pytest.mark.requirement("N01.FR.01", "N01.FR.03", "N01.FR.08", "N01.FR.09")
async def test_tc_079_get_security_log(tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        tool, server = site.central_system, site.server("ftp")

        # 1-2: the tool sends GetLog.req for the SecurityLog, the Charge Point answers Accepted.
        request = {
            "logType": "SecurityLog",
            "requestId": 79,
            "log": {"remoteLocation": inbox_url(server), **site.past},
        }
        answer = await tool.call("GetLog", request)
        assert answer["status"] == "Accepted"

        # 3-4: the Charge Point reports that it is uploading, with the requestId; the tool confirms.
        assert await tool.expect("LogStatusNotification") == {"status": "Uploading", "requestId": 79}

        # 5-6: and that the log is uploaded; the file has arrived at the location.
        assert await tool.expect("LogStatusNotification") == {"status": "Uploaded", "requestId": 79}
        assert numbers(inbox(server)[answer["filename"]]) == list(range(EVENTS))
