"""L01, the answer: whose firmware is accepted, and what a second SignedUpdateFirmware.req does to the first one."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.authority import Issued
from chargepoint.simulation.file_record import Arrival
from chargepoint.simulation.firmware_publisher import Release
from chargepoint.simulation.firmware_signing import bad_signing_certificates
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.responder import Responder
from firmware.state import State
from tests.agent_process import PKI
from tests.firmware_site import STATUS, WHOLE, FirmwareSite, firmware_site

BAD: Final = bad_signing_certificates(PKI)
"""Each way to be refused."""


def requests_to(site: FirmwareSite) -> list[Arrival]:
    """All requests that have reached a file server."""
    return [arrival for server in site.servers for arrival in server.record.arrivals]


async def refused(site: FirmwareSite, release: Release, answer: str) -> None:
    """A request is answered so, the security event follows, and nothing is fetched or told."""
    request_id, status = await site.order(release, checked=False)
    assert status == answer
    event = await site.event("InvalidFirmwareSigningCertificate")
    assert f"request {request_id}" in event["techInfo"]
    assert (site.heard(request_id), requests_to(site)) == ([], [])


@pytest.mark.requirement("L01.FR.02", "L01.FR.12", "L01.FR.23", "L01.FR.24")
async def test_a_certificate_that_is_not_good_is_refused_by_the_answer(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        for name, shown in BAD.items():
            if name == "revoked":
                continue
            await refused(site, site.publisher.publish("1.1.0", shown=shown), "InvalidCertificate")
        garbage = site.publisher.publish("1.1.0")
        garbage.certificate_pem = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n"
        await refused(site, garbage, "InvalidCertificate")
        assert (await site.status())["state"] == "idle"
        assert not site.central_system.findings


@pytest.mark.requirement("L01.FR.25")
async def test_a_certificate_that_was_revoked_is_refused_by_the_answer(tmp_path: Path) -> None:
    with Responder() as responder:
        maker = Pki.create()
        responder.serve(maker.manufacturer_root)
        good, revoked = maker.firmware_signing_certificate(), maker.firmware_signing_certificate()
        maker.revoke(revoked, issuer=maker.manufacturer_root)
        (tmp_path / "maker.pem").write_bytes(maker.manufacturer_root_pem)
        roots = {"provisioning": {"manufacturer_roots": ["maker.pem"]}}
        async with firmware_site(tmp_path, roots) as site:
            await refused(site, site.publisher.publish("1.1.0", shown=revoked), "RevokedCertificate")
            await whole(site, good)


async def whole(site: FirmwareSite, signing: Issued) -> None:
    """An update signed with this certificate goes well."""
    request_id, status = await site.order(site.publisher.publish("1.1.0", shown=signing), checked=False)
    assert status == "Accepted"
    assert await site.end_of(request_id) == WHOLE


@pytest.mark.requirement("L01.FR.23", "L01.FR.24")
async def test_a_refused_certificate_leaves_a_running_update_alone(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        release = site.publisher.publish("1.1.0")
        site.servers.https.add_fault(fault.Slow(bytes_per_second=150_000))
        request_id, _ = await site.order(release, retry_interval=0)
        await site.told(request_id, "Downloading")
        _, status = await site.order(site.publisher.publish("1.2.0", shown=BAD["expired"]), checked=False)
        assert status == "InvalidCertificate"
        assert await site.end_of(request_id) == WHOLE


class TestSecondRequest:
    @pytest.mark.requirement("L01.FR.26")
    async def test_takes_the_place_of_one_that_is_scheduled(self, tmp_path: Path) -> None:
        async with firmware_site(tmp_path) as site:
            later = datetime.now(UTC) + timedelta(days=1)
            first, _ = await site.order(site.publisher.publish("1.1.0"), install_at=later)
            await site.told(first, "InstallScheduled")
            second, status = await site.order(site.publisher.publish("1.2.0"))
            assert status == "AcceptedCanceled"
            assert await site.end_of(second) == WHOLE
            assert site.heard(first) == [*WHOLE[:3], "InstallScheduled"]
            assert (await site.status())["version"] == "1.2.0"
            assert not site.central_system.findings

    @pytest.mark.requirement("L01.FR.26")
    async def test_is_a_way_to_cancel_with_a_file_that_does_not_exist(self, tmp_path: Path) -> None:
        async with firmware_site(tmp_path) as site:
            release = site.publisher.publish("1.1.0")
            site.servers.https.add_fault(fault.Slow(bytes_per_second=20_000))
            first, _ = await site.order(release)
            await site.told(first, "Downloading")
            nowhere = site.publisher.publish("1.2.0")
            payload = site.publisher.request(nowhere, retries=0)
            nowhere.file.unlink()
            second, status = await site.send(payload)
            assert status == "AcceptedCanceled"
            assert await site.end_of(second) == ["Downloading", "DownloadFailed"]
            assert site.heard(first) == ["Downloading"]
            assert not [path for path in (tmp_path / "state" / "firmware").iterdir() if path.is_file()]

    async def test_of_the_same_id_says_the_same_again(self, tmp_path: Path) -> None:
        async with firmware_site(tmp_path) as site:
            later = datetime.now(UTC) + timedelta(days=1)
            payload = site.publisher.request(site.publisher.publish("1.1.0"), retrieve_at=later)
            request_id, _ = await site.send(payload)
            await site.told(request_id, "DownloadScheduled")
            assert await site.send(payload) == (request_id, "Accepted")
            # Another order under the same id is another order.
            again = site.publisher.request(site.publisher.publish("1.1.0"), request_id=request_id)
            assert await site.send(again) == (request_id, "AcceptedCanceled")
            assert await site.end_of(request_id) == ["DownloadScheduled", *WHOLE]

    async def test_that_races_with_another_one_comes_after_it(self, tmp_path: Path) -> None:
        async with firmware_site(tmp_path) as site:
            releases = [site.publisher.publish(version) for version in ("1.1.0", "1.2.0", "1.3.0")]
            later = datetime.now(UTC) + timedelta(days=1)
            orders = await asyncio.gather(*(site.order(each, install_at=later) for each in releases))
            assert sorted(status for _, status in orders) == ["Accepted", "AcceptedCanceled", "AcceptedCanceled"]
            await site.central_system.expect(STATUS, match={"status": "InstallScheduled"})
            shown = await site.status()
            assert shown["request_id"] in [request_id for request_id, _ in orders]

    @pytest.mark.requirement("L01.FR.27")
    async def test_is_rejected_where_the_first_one_cannot_be_stopped(self, tmp_path: Path) -> None:
        script, gate = tmp_path / "install.sh", tmp_path / "gate"
        os.mkfifo(gate)
        script.write_text(f"#!/bin/sh\nread opened < {gate}\nexit 0\n")
        script.chmod(0o755)
        tables = {"firmware": {"installer": "command", "install_command": [str(script)]}}
        async with firmware_site(tmp_path, tables) as site:
            first, _ = await site.order(site.publisher.publish("1.1.0"))
            await site.told(first, "Installing")
            second, status = await site.order(site.publisher.publish("1.2.0"))
            assert status == "Rejected"
            await asyncio.to_thread(gate.write_text, "go on\n")
            assert (await site.end_of(first))[-1] == "Installed"
            assert site.heard(second) == []

    @pytest.mark.requirement("L01.FR.26")
    async def test_stops_an_installation_that_can_be_stopped(self, tmp_path: Path) -> None:
        async with firmware_site(tmp_path) as site:
            hangs = site.publisher.publish("1.1.0\ninstall=hang")
            first, _ = await site.order(hangs)
            await site.told(first, "Installing")
            await site.reached(State.INSTALLING)
            second, status = await site.order(site.publisher.publish("1.2.0"))
            assert status == "AcceptedCanceled"
            assert await site.end_of(second) == WHOLE
            assert site.heard(first)[-1] == "Installing"
            assert (await site.status())["version"] == "1.2.0"
