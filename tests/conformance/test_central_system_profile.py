"""A00, A01 and A05 at the Central System's end: who is let in, and who is not any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.exceptions import InvalidHandshake, InvalidStatus

from chargepoint.simulation.central_system import CentralSystem
from tests.bare_charge_point import (
    BOOT,
    IDENTITY,
    PASSWORD,
    SERIAL_NUMBER,
    BareChargePoint,
    charge_point,
    client_context,
)

NEW_PASSWORD = bytes(range(0xE0, 0xF4))


@pytest.fixture
async def central_system() -> AsyncIterator[CentralSystem]:
    async with CentralSystem() as central_system:
        central_system.passwords[IDENTITY] = PASSWORD
        central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
        yield central_system


@asynccontextmanager
async def in_profile(central_system: CentralSystem, profile: int) -> AsyncIterator[BareChargePoint]:
    """Connect as a Charge Point that is in a profile, whatever the Central System serves."""
    certificate = central_system.pki.charge_point_certificate(SERIAL_NUMBER) if profile == 3 else None
    scheme = "wss" if profile >= 2 else "ws"
    async with charge_point(
        central_system,
        url=f"{scheme}://localhost:{central_system.port}/ocpp",
        context=client_context(central_system, certificate) if profile >= 2 else None,
        password=PASSWORD if profile in (1, 2) else None,
    ) as client:
        yield client


@pytest.mark.requirement("A00.FR.002")
@pytest.mark.parametrize("served", range(4))
async def test_a_charge_point_in_another_profile_gets_no_101(central_system: CentralSystem, served: int) -> None:
    await central_system.set_profile(served)
    for profile in range(4):
        central_system.register.highest_profiles.clear()
        if profile == served:
            async with in_profile(central_system, profile) as client:
                assert (await client.call("BootNotification", BOOT))[2]["status"] == "Accepted"
            continue
        with pytest.raises((InvalidHandshake, OSError, EOFError)):
            async with in_profile(central_system, profile):
                pass
        assert (await central_system.refused()).status != 101


@pytest.mark.requirement("A00.FR.006")
async def test_each_profile_may_have_a_port_of_its_own() -> None:
    async with CentralSystem(profile=0) as plain, CentralSystem(profile=1) as basic:
        basic.passwords[IDENTITY] = PASSWORD
        async with in_profile(plain, 0), in_profile(basic, 1):
            assert plain.port != basic.port
            assert (await plain.connected()).profile == 0
            assert (await basic.connected()).profile == 1


async def change_password(central_system: CentralSystem, status: str) -> None:
    """Order a new password; the Charge Point answers with a status."""
    async with charge_point(central_system, password=PASSWORD) as client:
        await client.call("BootNotification", BOOT)
        request = {"key": "AuthorizationKey", "value": NEW_PASSWORD.hex()}
        ordering = asyncio.create_task(central_system.call("ChangeConfiguration", request))
        assert (await client.answer({"status": status}))[2:] == ["ChangeConfiguration", request]
        assert await ordering == {"status": status}


async def status_of(central_system: CentralSystem, password: bytes) -> int:
    try:
        async with charge_point(central_system, password=password):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.requirement("A01.FR.02", "A01.FR.03")
@pytest.mark.parametrize("profile", [1, 2])
async def test_an_accepted_password_is_the_only_one_from_then_on(central_system: CentralSystem, profile: int) -> None:
    await central_system.set_profile(profile)
    await change_password(central_system, "Accepted")
    assert await status_of(central_system, PASSWORD) == 401
    assert await status_of(central_system, NEW_PASSWORD) == 101


@pytest.mark.requirement("A01.FR.04")
@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
async def test_a_refused_password_leaves_the_old_one_in_force(central_system: CentralSystem, status: str) -> None:
    await central_system.set_profile(1)
    await change_password(central_system, status)
    assert await status_of(central_system, PASSWORD) == 101
    assert await status_of(central_system, NEW_PASSWORD) == 401


@pytest.mark.requirement("A05.FR.09")
@pytest.mark.parametrize(("reached", "lower"), [(1, 0), (2, 1), (3, 2), (3, 0)])
async def test_no_lower_profile_once_the_new_one_has_connected(
    central_system: CentralSystem, reached: int, lower: int
) -> None:
    await central_system.set_profile(lower)
    async with in_profile(central_system, lower):
        await central_system.connected()
    await central_system.set_profile(reached)
    async with in_profile(central_system, reached):
        await central_system.connected()
    await central_system.set_profile(lower)
    with pytest.raises(InvalidStatus, match="403"):
        async with in_profile(central_system, lower):
            pass
    assert "was connected in security profile" in (await central_system.refused()).reason
