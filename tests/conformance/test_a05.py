"""A05: the Central System orders a higher security profile, which is refused, or taken with a new connection."""

from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.central_system import CentralSystem, Connection
from chargepoint.simulation.recorder import Gone, Upgrade
from tests.agent_process import PKI, agent, booted

PASSWORD = bytes(range(20))
CREDENTIALS = {"AuthorizationKey": PASSWORD.hex()}


def provisioned(directory: Path, *, certificate: bool = True) -> dict[str, Any]:
    """Lay the roots, and the Charge Point certificate if wanted, beside config.toml."""
    (directory / "root.pem").write_bytes(PKI.root_pem)
    if not certificate:
        return {"central_system_roots": ["root.pem"]}
    own = PKI.charge_point_certificate("SN-0001")
    (directory / "cp.pem").write_bytes(own.certificate_pem)
    (directory / "cp.key").write_bytes(own.key_pem)
    (directory / "cp.key").chmod(0o600)
    return {"central_system_roots": ["root.pem"], "certificate": "cp.pem", "private_key": "cp.key"}


async def order(central_system: CentralSystem, profile: int | str) -> str:
    answer = await central_system.call("ChangeConfiguration", {"key": "SecurityProfile", "value": str(profile)})
    return str(answer["status"])


async def refuses(central_system: CentralSystem, *targets: int | str) -> None:
    """The order is refused, the key and the connection stay."""
    before = await central_system.connected()
    wanted = {"key": ["SecurityProfile"]}
    value = (await central_system.call("GetConfiguration", wanted))["configurationKey"]
    for target in targets:
        assert await order(central_system, target) == "Rejected"
    assert (await central_system.call("GetConfiguration", wanted))["configurationKey"] == value
    assert await central_system.connected() is before


@pytest.mark.requirement("A05.FR.02")
async def test_without_a_password_profiles_1_and_2_are_refused(tmp_path: Path) -> None:
    async with booted(tmp_path, {"provisioning": provisioned(tmp_path)}) as (central_system, _):
        await refuses(central_system, 1, 2)


@pytest.mark.requirement("A05.FR.03")
async def test_without_a_root_profiles_2_and_3_are_refused(tmp_path: Path) -> None:
    async with booted(tmp_path, {"configuration": CREDENTIALS}) as (central_system, _):
        await refuses(central_system, 2, 3)


@pytest.mark.requirement("A05.FR.04")
async def test_without_a_certificate_profile_3_is_refused(tmp_path: Path) -> None:
    tables = {"configuration": CREDENTIALS, "provisioning": provisioned(tmp_path, certificate=False)}
    async with booted(tmp_path, tables) as (central_system, _):
        await refuses(central_system, 3)


@pytest.mark.requirement("A05.FR.01")
async def test_what_is_no_higher_profile_is_refused(tmp_path: Path) -> None:
    tables = {"configuration": CREDENTIALS, "provisioning": provisioned(tmp_path)}
    async with booted(tmp_path, tables) as (central_system, _):
        await refuses(central_system, 0, 4, -1, "", "one", "1.0")


@pytest.mark.requirement("A00.FR.001", "A05.FR.05", "A05.FR.06", "A05.FR.07")
async def test_a_higher_profile_is_taken_with_a_new_connection(tmp_path: Path) -> None:
    tables = {"configuration": CREDENTIALS, "provisioning": provisioned(tmp_path)}
    async with CentralSystem(pki=PKI) as central_system:
        central_system.passwords["CP001"] = PASSWORD
        central_system.serial_numbers["CP001"] = "SN-0001"
        async with agent(tmp_path, central_system.url, tables) as running:
            await central_system.expect("BootNotification")
            for profile in (1, 2, 3):
                connection = await central_system.connected()
                assert await order(central_system, profile) == "Accepted"
                upgrade = await left_for(central_system, connection, profile)
                basic = [value for name, value in upgrade.headers if name.lower() == "authorization"]
                assert len(basic) == (1 if profile in (1, 2) else 0)
                assert (upgrade.tls is not None) == (profile in (2, 3))
                status = (await running.call("status"))["connection"]
                assert status["security_profile"] == profile
            assert len(central_system.recorder.frames("received", "BootNotification")) == 1
            changes = [event["tech_info"] for event in await running.events("ReconfigurationOfSecurityParameters")]
            assert changes.count("SecurityProfile set by the Central System") == 3


async def left_for(central_system: CentralSystem, connection: Connection, profile: int) -> Upgrade:
    """The Charge Point closes the connection by itself, and comes back in the new profile."""
    end = await central_system.recorder.wait(Gone, lambda entry: entry.connection == connection.number)
    assert (end.code, end.reason) == (1000, "SecurityProfile was changed by the Central System")
    central_system.profile = profile
    await central_system.connected(after=connection)
    return await central_system.recorder.wait(Upgrade, lambda entry: entry.profile == profile)
