"""A00, section 2.6.3: certificates of the Central System that live for a day, and those that are taken back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.responder import Fault, Responder
from security.event import SecurityEventType
from tests.agent_process import PKI, agent
from tests.site import booted, central_system_in, provisioned, site

INVALID_CERTIFICATE = {"type": SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE}
NEW_CERTIFICATES = 3


async def back(central_system: CentralSystem) -> None:
    """Cut the link, and wait until the Charge Point has come back."""
    connection = await central_system.connected()
    await central_system.drop()
    await central_system.connected(after=connection)


@pytest.mark.requirement("A00.FR.701")
@pytest.mark.parametrize("profile", [2, 3])
async def test_a_certificate_of_a_day_is_replaced_again_and_again(profile: int, tmp_path: Path) -> None:
    async with site(tmp_path, profile) as (central_system, _):
        now = datetime.now(UTC)
        for number in range(NEW_CERTIFICATES):
            ends = now + timedelta(hours=20 + number)
            central_system.present(
                PKI.server_certificate(not_before=ends - timedelta(hours=23), not_after=ends, key="ec")
            )
            await back(central_system)


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(2, marks=pytest.mark.requirement("A00.FR.309", "A00.FR.310"), id="profile 2"),
        pytest.param(3, marks=pytest.mark.requirement("A00.FR.413", "A00.FR.414"), id="profile 3"),
    ],
)
async def test_a_revoked_certificate_of_the_central_system_is_refused_and_told_of(profile: int, tmp_path: Path) -> None:
    authority = PKI.intermediate()
    tables = {"security": {"revocation_central_system": "soft"}}
    with Responder() as responder:
        responder.serve(authority)
        good, revoked = (PKI.server_certificate(issuer=authority) for _ in range(2))
        PKI.revoke(revoked, issuer=authority)
        async with central_system_in(profile) as central_system:
            central_system.present(good)
            async with agent(tmp_path, central_system.url, provisioned(tmp_path, profile, tables)) as running:
                await booted(central_system)
                first = await central_system.connected()

                central_system.present(revoked)
                await central_system.drop()
                await running.logged("is revoked: revoked since")
                assert not central_system.connections

                central_system.present(good)
                await central_system.connected(after=first)
                event = await central_system.expect("SecurityEventNotification", match=INVALID_CERTIFICATE)
                assert "revoked since" in event["techInfo"]


async def test_by_default_nobody_is_asked(tmp_path: Path) -> None:
    authority = PKI.intermediate()
    with Responder() as responder:
        responder.serve(authority)
        revoked = PKI.server_certificate(issuer=authority)
        PKI.revoke(revoked, issuer=authority)
        async with central_system_in(2) as central_system:
            central_system.present(revoked)
            async with agent(tmp_path, central_system.url, provisioned(tmp_path, 2)):
                await booted(central_system)
        assert not responder.questions


async def test_hard_waits_for_the_responder_and_then_connects(tmp_path: Path) -> None:
    authority = PKI.intermediate()
    tables = {"security": {"revocation_central_system": "hard"}}
    with Responder() as responder:
        responder.serve(authority)
        responder.fault = Fault.SERVER_ERROR
        async with central_system_in(2) as central_system:
            central_system.present(PKI.server_certificate(issuer=authority))
            async with agent(tmp_path, central_system.url, provisioned(tmp_path, 2, tables)) as running:
                await running.logged("it is not known whether the peer's certificate is revoked")
                responder.fault = None
                await booted(central_system)
