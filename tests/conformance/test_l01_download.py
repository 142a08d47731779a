"""L01, the download: when it begins, over what it goes, and how it fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from chargepoint.simulation import file_fault as fault
from firmware.state import State
from tests.firmware_site import SCHEMES, WHOLE, FirmwareSite, firmware_site

CARD: Final = "04E1C2A3B4"
LATE: Final = timedelta(days=1)


async def charge(site: FirmwareSite, connector: int = 1) -> None:
    """A transaction begins."""
    await site.agent.call("hardware.plug_in", connector=connector)
    await site.agent.call("hardware.present_id_tag", id_tag=CARD, connector=connector)
    await site.central_system.expect("StartTransaction", match={"connectorId": connector})


@asynccontextmanager
async def recorder(target_port: int) -> AsyncIterator[tuple[int, bytearray]]:
    """Stand on the way to a port; gives the port to come to, and all that goes by, both ways."""
    seen = bytearray()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                seen.extend(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target_port)
        await asyncio.gather(forward(reader, far_writer), forward(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_goes_over_every_scheme(scheme: str, tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        release = site.publisher.publish("1.1.0", server=site.servers.of(scheme))
        request_id, answer = await site.order(release)
        assert answer == "Accepted"
        assert await site.end_of(request_id) == WHOLE
        assert (await site.status())["version"] == "1.1.0"
        assert "reader" not in "\n".join(line for line in site.agent.log if "CALL" not in line)


@pytest.mark.requirement("L01.FR.08")
@pytest.mark.parametrize("scheme", ["https", "ftps", "sftp"])
async def test_nobody_on_the_way_reads_an_image_that_comes_over_a_secure_protocol(scheme: str, tmp_path: Path) -> None:
    """Of FTPS the control connection goes through the recorder; its server takes no data channel without TLS."""
    async with firmware_site(tmp_path) as site:
        server = site.servers.of(scheme)
        release = site.publisher.publish("1.1.0", server=server)
        async with recorder(server.port) as (port, seen):
            payload = site.publisher.request(release)
            location = payload["firmware"]["location"].replace(f":{server.port}/", f":{port}/")
            payload["firmware"]["location"] = location
            known = tmp_path / "known_hosts"
            known.write_text(known.read_text().replace(f":{site.servers.sftp.port} ", f":{port} "))
            request_id, _ = await site.send(payload)
            assert await site.end_of(request_id) == WHOLE
        assert seen
        image = release.file.read_bytes()
        assert image[:12] == b"version=1.1."
        assert image[:12] not in seen
        assert image[1000:1016] not in seen


@pytest.mark.requirement("L01.FR.13")
async def test_waits_for_the_retrieve_date_time(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        request_id, answer = await site.order(site.publisher.publish("1.1.0"), retrieve_at=datetime.now(UTC) + LATE)
        assert answer == "Accepted"
        await site.told(request_id, "DownloadScheduled")
        shown = await site.status()
        assert (shown["state"], shown["status"]) == (State.DOWNLOAD_SCHEDULED.value, "DownloadScheduled")
        assert site.servers.https.record.arrivals == []
        await site.restart_later(LATE)
        assert await site.end_of(request_id) == ["DownloadScheduled", *WHOLE]


@pytest.mark.requirement("L01.FR.13", "L01.FR.14")
async def test_stands_back_while_somebody_charges(tmp_path: Path) -> None:
    async with firmware_site(tmp_path, {"firmware": {"pause_while_charging": True}}) as site:
        server = site.servers.https
        server.add_fault(fault.Slow(bytes_per_second=40_000))
        release = site.publisher.publish("1.1.0")
        request_id, _ = await site.order(release)
        await site.told(request_id, "Downloading")
        await charge(site)
        await site.told(request_id, "DownloadPaused")
        paused = await server.arrived("GET")
        assert paused.bytes < release.file.stat().st_size
        # What is ordered while somebody charges is scheduled, and the file server hears nothing of it.
        second, answer = await site.order(site.publisher.publish("1.2.0"))
        assert answer == "AcceptedCanceled"
        await site.told(second, "DownloadScheduled")
        assert len(server.record.of("GET")) == 1
        await site.agent.call("hardware.plug_out", connector=1)
        assert await site.end_of(second) == ["DownloadScheduled", *WHOLE]
        assert site.heard(request_id) == ["Downloading", "DownloadPaused"]


async def test_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        server = site.servers.https
        server.add_fault(fault.CutAfter(bytes=200_000))
        request_id, _ = await site.order(site.publisher.publish("1.1.0"), retries=1, retry_interval=0)
        assert await site.end_of(request_id) == WHOLE
        first, second = server.record.of("GET")
        assert (first.offset, first.bytes) == (0, 200_000)
        assert 0 < second.offset <= 200_000


async def test_fails_once_after_the_last_retry(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        site.servers.https.add_fault(fault.CutAfter(bytes=1000, times=None))
        request_id, _ = await site.order(site.publisher.publish("1.1.0"), retries=2, retry_interval=0)
        assert await site.end_of(request_id) == ["Downloading", "DownloadFailed"]
        assert len(site.servers.https.record.of("GET")) == 3
        shown = await site.status()
        assert (shown["state"], shown["status"]) == ("download failed", "DownloadFailed")
        assert shown["failure"]


async def test_refuses_an_image_that_is_too_large(tmp_path: Path) -> None:
    async with firmware_site(tmp_path, {"firmware": {"max_image_mib": 1}}) as site:
        release = site.publisher.publish("1.1.0", size_bytes=2 * 1_048_576)
        request_id, _ = await site.order(release, retry_interval=0)
        assert await site.end_of(request_id) == ["Downloading", "DownloadFailed"]
        assert not [path for path in (tmp_path / "state" / "firmware").iterdir() if path.is_file()]


@pytest.mark.parametrize("location", ["", "gopher://files.example.com/x", "firmware.bin", "https://user:secret@"])
async def test_fails_at_a_location_that_leads_nowhere(location: str, tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        payload = site.publisher.request(site.publisher.publish("1.1.0"), retry_interval=0)
        payload["firmware"]["location"] = location
        request_id, answer = await site.send(payload)
        assert answer == "Accepted"
        assert await site.end_of(request_id) == ["Downloading", "DownloadFailed"]
        assert "secret" not in "\n".join(line for line in site.agent.log if "CALL" not in line)
