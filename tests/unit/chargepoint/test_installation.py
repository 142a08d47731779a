"""The door to the certificate store, on a real state directory: what is recorded, refused, and provisioned."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chargepoint.foundation import Foundation, open_foundation
from chargepoint.installation import Use
from chargepoint.settings import load
from chargepoint.simulation.pki import Pki
from security.secret import Secret
from tests.agent_process import PKI, write_config

CHANGED = "ReconfigurationOfSecurityParameters"


@pytest.fixture
async def foundation(tmp_path: Path) -> AsyncIterator[Foundation]:
    async with open_foundation(load(write_config(tmp_path, "ws://127.0.0.1:1/ocpp"))) as foundation:
        yield foundation


async def recorded(foundation: Foundation) -> list[str]:
    events = await foundation.security_log.read(None, None, 100)
    return [str(each.event.tech_info) for each in events if each.event.type == CHANGED]


def own(serial_number: str = "SN-0001") -> tuple[str, Secret]:
    issued = PKI.charge_point_certificate(serial_number)
    return issued.certificate_pem.decode(), Secret(issued.key_pem)


async def test_what_is_installed_is_recorded(foundation: Foundation) -> None:
    assert (await foundation.installer.install(Use.CENTRAL_SYSTEM_ROOT, PKI.root_pem.decode())).accepted
    assert (await foundation.installer.install(Use.MANUFACTURER_ROOT, PKI.manufacturer_root_pem.decode())).accepted
    assert (await foundation.installer.install(Use.CHARGE_POINT_CERTIFICATE, *own())).accepted
    kinds = [text.partition(" ")[0] for text in await recorded(foundation)]
    assert kinds == ["central-system-root", "manufacturer-root", "charge-point-certificate"]


async def test_what_is_refused_is_not_recorded(foundation: Foundation) -> None:
    assert not (await foundation.installer.install(Use.CENTRAL_SYSTEM_ROOT, "no PEM")).accepted
    assert not (await foundation.installer.install(Use.CHARGE_POINT_CERTIFICATE, *own("SN-0002"))).accepted
    assert await recorded(foundation) == []


@pytest.mark.parametrize("use", Use)
async def test_a_key_comes_with_a_charge_point_certificate_only(foundation: Foundation, use: Use) -> None:
    pem, key = own()
    with pytest.raises(ValueError, match="comes with its private key"):
        await foundation.installer.install(use, pem, None if use is Use.CHARGE_POINT_CERTIFICATE else key)


async def test_a_root_vouches_for_its_own_domain_only(foundation: Foundation) -> None:
    await foundation.installer.install(Use.MANUFACTURER_ROOT, PKI.root_pem.decode())
    assert (await foundation.planner.plan()).roots == ()


async def test_an_installation_whose_caller_went_is_finished_and_recorded(foundation: Foundation) -> None:
    installing = asyncio.create_task(foundation.installer.install(Use.CENTRAL_SYSTEM_ROOT, PKI.root_pem.decode()))
    await asyncio.sleep(0)
    installing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await installing
    # The second finds the first done, whichever came first; its event is there too.
    assert (await foundation.installer.install(Use.CENTRAL_SYSTEM_ROOT, PKI.root_pem.decode())).accepted
    async with asyncio.timeout(10):
        while not await recorded(foundation):
            pass
    assert len(await recorded(foundation)) == 1


async def test_a_bad_provisioned_file_is_a_line_in_the_log_and_no_obstacle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "good.pem").write_bytes(PKI.root_pem)
    (tmp_path / "leaf.pem").write_bytes(Pki.create().server_certificate().certificate_pem)
    given: dict[str, Any] = {"central_system_roots": ["leaf.pem", "good.pem"]}
    settings = load(write_config(tmp_path, "ws://127.0.0.1:1/ocpp", {"provisioning": given}))
    async with open_foundation(settings) as foundation:
        assert len(foundation.certificates.listing()["central_system"]) == 1
    assert "leaf.pem is not installed as central-system-root" in caplog.text
