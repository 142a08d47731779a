"""L01, the statuses: told in order, with their requestId, and again when somebody asks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.frame import Call
from chargepoint.simulation.script import Answer
from tests.firmware_site import STATUS, WHOLE, FirmwareSite, firmware_site


async def triggered(site: FirmwareSite) -> dict[str, Any]:
    """Ask for the status and return what comes."""
    asked = {"requestedMessage": "FirmwareStatusNotification"}
    before = len(site.central_system.recorder.frames("received", STATUS))
    assert await site.central_system.call("ExtendedTriggerMessage", asked) == {"status": "Accepted"}
    await site.central_system.expect(STATUS)
    frames = [
        entry.frame.payload
        for entry in site.central_system.recorder.frames("received", STATUS)
        if isinstance(entry.frame, Call)
    ]
    assert len(frames) == before + 1
    return dict(frames[-1])


@pytest.mark.requirement("L01.FR.21", "L01.FR.28")
async def test_idle_before_the_first_update_and_after_installed(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        assert await triggered(site) == {"status": "Idle"}
        request_id, _ = await site.order(site.publisher.publish("1.1.0"))
        for status in WHOLE:
            await site.told(request_id, status)
        assert await triggered(site) == {"status": "Idle"}
        assert all(
            entry.frame.payload.get("requestId") == request_id or entry.frame.payload["status"] == "Idle"
            for entry in site.central_system.recorder.frames("received", STATUS)
            if isinstance(entry.frame, Call)
        )
        assert not site.central_system.findings


@pytest.mark.requirement("L01.FR.21", "L01.FR.29")
async def test_any_other_status_is_told_again_after_a_restart_too(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        site.servers.https.add_fault(fault.Slow(bytes_per_second=30_000))
        request_id, _ = await site.order(site.publisher.publish("1.1.0"))
        await site.told(request_id, "Downloading")
        assert await triggered(site) == {"status": "Downloading", "requestId": request_id}
        await site.servers.https.arrived("GET", fits=lambda arrival: arrival.bytes > 0)

        failing, _ = await site.order(site.publisher.publish("1.2.0\ninstall=rollback"))
        for status in (*WHOLE[:-1], "InstallationFailed"):
            await site.told(failing, status)
        for _ in range(2):
            assert await triggered(site) == {"status": "InstallationFailed", "requestId": failing}
        await site.restart()
        assert await triggered(site) == {"status": "InstallationFailed", "requestId": failing}


async def test_the_message_of_ocpp_1_6_is_answered_with_its_own(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        site.servers.https.add_fault(fault.Slow(bytes_per_second=30_000))
        request_id, _ = await site.order(site.publisher.publish("1.1.0"))
        await site.told(request_id, "Downloading")
        asked = {"requestedMessage": "FirmwareStatusNotification"}
        assert await site.central_system.call("TriggerMessage", asked) == {"status": "Accepted"}
        assert await site.central_system.expect("FirmwareStatusNotification") == {"status": "Downloading"}


@pytest.mark.requirement("L01.FR.01", "L01.FR.10")
async def test_what_happens_while_nobody_is_there_is_told_in_order_afterwards(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        site.servers.https.add_fault(fault.Slow(bytes_per_second=100_000))
        request_id, _ = await site.order(site.publisher.publish("1.1.0\ninstall=fail"))
        await site.told(request_id, "Downloading")
        await site.central_system.suspend()
        await site.agent.logged(": installation failed")
        assert site.heard(request_id) == ["Downloading"]
        await site.central_system.resume()
        assert await site.end_of(request_id) == [*WHOLE[:4], "InstallationFailed"]


@pytest.mark.requirement("L01.FR.01")
async def test_an_update_that_is_ordered_while_pending_is_carried_out_and_told_when_accepted(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        pending = Answer({"status": "Pending", "currentTime": now, "interval": 3600})
        site.central_system.script("BootNotification", pending, times=1)
        await site.restart_without_boot()
        await site.central_system.expect("BootNotification")
        request_id, answer = await site.order(
            site.publisher.publish("1.1.0\ninstall=fail"), retrieve_at=datetime.now(UTC) - timedelta(minutes=1)
        )
        assert answer == "Accepted"
        await site.agent.logged(": installation failed")
        assert site.heard(request_id) == []
        asked = {"requestedMessage": "BootNotification"}
        assert await site.central_system.call("ExtendedTriggerMessage", asked) == {"status": "Accepted"}
        assert await site.end_of(request_id) == [*WHOLE[:4], "InstallationFailed"]
