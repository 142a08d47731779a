"""A00.FR.004: nothing of OCPP before a security profile is configured, and then in that profile."""

from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import Upgrade
from tests.agent_process import PKI, PROGRAM, agent, process, write_config
from tests.site import IDENTITY, PASSWORD, booted, central_system_in, provisioned


@pytest.mark.requirement("A00.FR.004")
@pytest.mark.parametrize(
    ("configuration", "named"),
    [
        ({"SecurityProfile": 4}, "SecurityProfile"),
        ({"SecurityProfile": "two"}, "SecurityProfile"),
        ({"SecurityProfile": 2, "AuthorizationKey": PASSWORD.hex()}, "wss://"),
        ({"SecurityProfile": 1, "AuthorizationKey": "00"}, "AuthorizationKey"),
    ],
    ids=["no profile", "no number", "an address that does not fit", "no password"],
)
async def test_a_profile_that_is_none_ends_the_start_without_a_socket(
    configuration: dict[str, Any], named: str, tmp_path: Path
) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        config = write_config(tmp_path, central_system.url, {"configuration": configuration})
        async with process(tmp_path, PROGRAM, "run", "--config", str(config)) as running:
            assert await running.ended() == 2
            assert named in running.said()
        assert not central_system.recorder.entries


@pytest.mark.requirement("A00.FR.004")
@pytest.mark.parametrize(
    ("profile", "lacks"), [(1, "AuthorizationKey"), (2, "central_system_roots"), (3, "certificate")]
)
async def test_a_profile_that_lacks_something_opens_no_socket_until_it_has_it(
    profile: int, lacks: str, tmp_path: Path
) -> None:
    async with central_system_in(profile) as central_system:
        tables = provisioned(tmp_path, profile)
        for table in tables.values():
            table.pop(lacks, None)
        if lacks == "certificate":
            del tables["provisioning"]["private_key"]
        async with agent(tmp_path, central_system.url, tables) as running:
            await running.logged(f"security profile {profile} needs", times=3)
            assert not central_system.recorder.entries
            match profile:
                case 1:
                    await running.call("configuration.set", values={"AuthorizationKey": PASSWORD.hex()})
                case 2:
                    await running.call("certificates.install", pem=PKI.root_pem.decode(), use="central-system-root")
                case 3:
                    await running.call(
                        "certificates.install",
                        pem=(tmp_path / "cp.pem").read_text(),
                        key=(tmp_path / "cp.key").read_text(),
                        use="charge-point-certificate",
                    )
            await booted(central_system)
            (upgrade,) = [entry for entry in central_system.recorder.entries if isinstance(entry, Upgrade)]
            assert (upgrade.identity, upgrade.profile) == (IDENTITY, profile)
