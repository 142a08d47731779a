"""A05: the Central System orders a higher security profile, which is refused, or taken with a new connection."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.central_system import CentralSystem, Connection
from chargepoint.simulation.recorder import Gone, Refusal, Upgrade
from tests import site
from tests.agent_process import PKI, agent, booted

# As short as it can be set, so that nobody waits for a fallback.
SHORTEST_TRIAL = {"security": {"profile_trial_attempts": 2, "profile_trial_s": 0}}
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


@pytest.mark.requirement("A05.FR.08")
@pytest.mark.parametrize(("previous", "new"), [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)])
async def test_a_profile_without_a_connection_gives_way_to_the_previous_one(
    previous: int, new: int, tmp_path: Path
) -> None:
    async with site.site(tmp_path, previous, SHORTEST_TRIAL) as (central_system, running):
        before = await central_system.connected()
        assert await order(central_system, new) == "Accepted"
        after = await central_system.connected(after=before)  # it serves the previous one all the time
        assert after.profile == previous
        assert await site.value_of(central_system, "SecurityProfile") == str(previous)
        assert len([entry for entry in central_system.recorder.entries if isinstance(entry, Refusal)]) == 2
        changes = [event["tech_info"] for event in await running.events("ReconfigurationOfSecurityParameters")]
        assert changes[-2:] == [
            "SecurityProfile set by the Central System",
            f"SecurityProfile set back to {previous}: there was no connection in {new}",
        ]

        # It is over: the profile that did not work is not tried again, and may be ordered again.
        await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, site.provisioned(tmp_path, previous, SHORTEST_TRIAL)):
            last = await central_system.connected(after=after)
            assert last.number == after.number + 1
            assert await order(central_system, new) == "Accepted"
            central_system.profile = new
            assert (await central_system.connected(after=last)).profile == new


@pytest.mark.requirement("A05.FR.08")
async def test_an_outage_in_the_trial_does_not_decide(tmp_path: Path) -> None:
    async with site.site(tmp_path, 1, SHORTEST_TRIAL) as (central_system, running):
        before = await central_system.connected()
        assert await order(central_system, 2) == "Accepted"
        await before.ended()
        await central_system.suspend()
        await running.logged("SecurityProfile set back to 1")
        central_system.profile = 2  # the Central System has moved on, and takes profile 1 no more
        await central_system.resume()
        assert (await central_system.connected(after=before)).profile == 2
        assert await site.value_of(central_system, "SecurityProfile") == "2"
        changes = [event["tech_info"] for event in await running.events("ReconfigurationOfSecurityParameters")]
        assert changes[-1] == "SecurityProfile set to 2 after all: it has connected"


@pytest.mark.requirement("A05.FR.09")
@pytest.mark.parametrize("killed", [False, True], ids=["running on", "started anew"])
async def test_once_connected_there_is_no_way_back_however_long_it_is_refused(killed: bool, tmp_path: Path) -> None:
    async with site.site(tmp_path, 1, SHORTEST_TRIAL) as (central_system, running):
        before = await central_system.connected()
        assert await order(central_system, 2) == "Accepted"
        await before.ended()
        central_system.profile = 2
        connected = await central_system.connected(after=before)
        assert await site.value_of(central_system, "SecurityProfile") == "2"
        central_system.register.highest_profiles.clear()
        if killed:
            await running.stop(signal.SIGKILL)
        central_system.profile = 1
        async with refused_agent(killed, tmp_path, central_system):
            for _ in range(7):  # the trial has two
                await central_system.recorder.take(Refusal)
            central_system.profile = 2
            assert (await central_system.connected(after=connected)).profile == 2


def refused_agent(killed: bool, directory: Path, central_system: CentralSystem) -> AbstractAsyncContextManager[Any]:
    if not killed:
        return nullcontext()
    return agent(directory, central_system.url, site.provisioned(directory, 1, SHORTEST_TRIAL))


@pytest.mark.requirement("A05.FR.01")
async def test_what_a_trial_began_with_is_what_a_second_upgrade_is_judged_by(tmp_path: Path) -> None:
    async with site.site(tmp_path, 1, SHORTEST_TRIAL) as (central_system, _):
        before = await central_system.connected()
        orders = [
            central_system.call("ChangeConfiguration", {"key": "SecurityProfile", "value": value}, at_once=True)
            for value in ("2", "2", "3")
        ]
        answers = await asyncio.gather(*orders)
        assert [answer["status"] for answer in answers] == ["Accepted", "Rejected", "Accepted"]
        after = await central_system.connected(after=before)
        assert after.profile == 1  # neither 3 nor 2 is served: what worked last comes back


@pytest.mark.requirement("A00.FR.006", "A05.FR.07")
async def test_with_an_address_for_each_profile_an_upgrade_moves_from_port_to_port(tmp_path: Path) -> None:
    async with site.central_system_in(1) as basic, site.central_system_in(2) as tls:
        tables = site.provisioned(tmp_path, 1)
        urls = {"central_system.urls": {"2": tls.url}}
        async with agent(tmp_path, basic.url, tables | urls):
            before = await basic.connected()
            await basic.expect("BootNotification")
            assert await order(basic, 2) == "Accepted"
            await before.ended()
            assert (await tls.connected()).profile == 2
            assert not basic.connections
