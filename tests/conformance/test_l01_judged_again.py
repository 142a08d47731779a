"""L01, between order and installation: what was good when it was ordered and is so no more is not installed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from chargepoint.simulation import certificate_hash
from chargepoint.simulation.authority import Issued
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.responder import Responder
from tests.agent_process import PKI
from tests.firmware_site import WHOLE, FirmwareSite, firmware_site

LATE: Final = timedelta(days=2)
"""Longer than a good answer about revocation is used again."""
REFUSED: Final = [*WHOLE[:3], "InstallScheduled", "InstallVerificationFailed"]


async def scheduled(site: FirmwareSite, signing: Issued | None = None) -> int:
    """An update is accepted, fetched and verified, and waits for its install date time."""
    release = site.publisher.publish("1.1.0", shown=signing)
    request_id, answer = await site.order(release, install_at=datetime.now(UTC) + LATE, checked=signing is None)
    assert answer == "Accepted"
    await site.told(request_id, "InstallScheduled")
    return request_id


async def refused(site: FirmwareSite, request_id: int, directory: Path) -> None:
    """When its time has come it is refused for its certificate, and no slot has seen a byte of it."""
    await site.restart_later(LATE)
    assert await site.end_of(request_id) == REFUSED
    event = await site.event("InvalidFirmwareSigningCertificate")
    assert f"request {request_id}" in event["techInfo"]
    assert not list((directory / "state" / "simulated-slots").glob("*.image"))
    assert not [path for path in (directory / "state" / "firmware").iterdir() if path.is_file()]


@pytest.mark.requirement("L01.FR.02", "L01.FR.09", "L01.FR.12")
async def test_a_root_that_was_deleted_meanwhile_vouches_for_nothing(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        request_id = await scheduled(site)
        data = certificate_hash.hash_data(PKI.manufacturer_root_pem)
        answer = await site.central_system.call("DeleteCertificate", {"certificateHashData": data})
        assert answer == {"status": "Accepted"}
        await refused(site, request_id, tmp_path)


@pytest.mark.requirement("L01.FR.02", "L01.FR.12")
async def test_a_certificate_that_has_expired_meanwhile_is_good_no_more(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        short = PKI.firmware_signing_certificate(not_after=datetime.now(UTC) + timedelta(hours=1))
        await refused(site, await scheduled(site, short), tmp_path)


@pytest.mark.requirement("L01.FR.02", "L01.FR.12")
async def test_a_certificate_that_was_revoked_meanwhile_is_good_no_more(tmp_path: Path) -> None:
    with Responder() as responder:
        maker = Pki.create()
        responder.serve(maker.manufacturer_root)
        signing = maker.firmware_signing_certificate()
        (tmp_path / "maker.pem").write_bytes(maker.manufacturer_root_pem)
        roots = {"provisioning": {"manufacturer_roots": ["maker.pem"]}}
        async with firmware_site(tmp_path, roots) as site:
            request_id = await scheduled(site, signing)
            maker.revoke(signing, issuer=maker.manufacturer_root)
            await refused(site, request_id, tmp_path)
