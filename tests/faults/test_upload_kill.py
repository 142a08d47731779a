"""SIGKILL in the middle of an upload: the next agent goes on with it, or tells that it has failed."""

import signal
from pathlib import Path

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.file_record import Arrival
from tests.agent_process import agent
from tests.upload_site import UploadSite, inbox, inbox_url, numbers, past, upload_ground

LONG = 15_000  # events; more bytes than all buffers of a connection hold, so that the kill finds it in its middle
RATE = 1_000_000
MUCH = 1_000_000  # bytes; a second's worth, and a fifth of the file
PATIENT = {"transfers": {"stall_timeout_s": 60}}


def _sending(arrival: Arrival) -> bool:
    return arrival.bytes > 0 and not arrival.over


@pytest.mark.requirement("N01.FR.07", "N01.FR.09")
@pytest.mark.parametrize("scheme", ["http", "ftp", "sftp"])
async def test_a_transfer_goes_on_after_a_kill(scheme: str, tmp_path: Path) -> None:
    async with upload_ground(tmp_path, events=LONG) as (central_system, servers, tables):
        server = servers.of(scheme)
        async with agent(tmp_path, central_system.url, tables) as running:
            site = UploadSite(central_system, running, servers, past(LONG))
            await central_system.expect("BootNotification")
            server.add_fault(fault.Slow(bytes_per_second=RATE))
            number, answer = await site.get_log(inbox_url(server), retries=3)
            # So much that the agent has long noted that the server took something.
            await server.arrived(fits=lambda arrival: arrival.bytes > MUCH and not arrival.over)
            await central_system.expect("LogStatusNotification", match={"requestId": number, "status": "Uploading"})
            await running.stop(signal.SIGKILL)
        assert "Uploaded" not in site.heard(number)
        async with agent(tmp_path, central_system.url, tables) as running:
            told = await site.statuses(number)
            assert told[-1] == "Uploaded"
            assert set(told[:-1]) == {"Uploading"}  # the one whose confirmation did not get to the disk comes again
            assert numbers(inbox(server)[answer["filename"]]) == list(range(LONG))
            last = [each for each in server.record.arrivals if each.bytes][-1]
            assert (last.offset > 0) is (scheme != "http")
            assert list((running.state / "uploads").iterdir()) == []


@pytest.mark.requirement("N01.FR.10")
async def test_an_upload_that_is_killed_again_and_again_is_told_to_have_failed(tmp_path: Path) -> None:
    async with upload_ground(tmp_path, PATIENT) as (central_system, servers, tables):
        server = servers.ftp
        server.add_fault(fault.StallAfter(bytes=1_000, times=None))
        async with agent(tmp_path, central_system.url, tables) as running:
            site = UploadSite(central_system, running, servers, past())
            await central_system.expect("BootNotification")
            number, _ = await site.get_log(inbox_url(server))
            await server.arrived(fits=_sending)
            await running.stop(signal.SIGKILL)
        for _ in range(2):
            before = len(server.record.arrivals)
            async with agent(tmp_path, central_system.url, tables) as running:
                await server.arrived(fits=lambda arrival, before=before: arrival.number > before and arrival.bytes > 0)  # type: ignore[misc]
                await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, tables) as running:
            assert (await site.statuses(number))[-1] == "UploadFailure"
            assert list((running.state / "uploads").iterdir()) == []


@pytest.mark.requirement("N01.FR.09")
async def test_an_orderly_end_is_no_kill(tmp_path: Path) -> None:
    async with upload_ground(tmp_path, PATIENT) as (central_system, servers, tables):
        server = servers.http
        server.add_fault(fault.StallAfter(bytes=1_000, times=4))
        async with agent(tmp_path, central_system.url, tables) as running:
            site = UploadSite(central_system, running, servers, past())
            await central_system.expect("BootNotification")
            number, answer = await site.get_log(inbox_url(server))
            await server.arrived(fits=_sending)
            assert await running.stop() == 0
        for _ in range(3):
            before = len(server.record.arrivals)
            async with agent(tmp_path, central_system.url, tables) as running:
                await server.arrived(fits=lambda arrival, before=before: arrival.number > before and arrival.bytes > 0)  # type: ignore[misc]
                assert await running.stop() == 0
        async with agent(tmp_path, central_system.url, tables) as running:
            assert (await site.statuses(number))[-1] == "Uploaded"
            assert len(inbox(server)[answer["filename"]]) > 60_000
