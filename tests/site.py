"""A Charge Point that has all it may ever need: an agent in a process of its own, and a Central System that knows it.

The password, the operator's root and the Charge Point certificate are there from the start, whatever the profile, so
that a test may begin in any profile and go to any other.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.central_system import CentralSystem, Connection
from chargepoint.simulation.recorder import Upgrade
from tests.agent_process import PKI, Agent, Tables, agent

IDENTITY: Final = "CP001"
SERIAL_NUMBER: Final = "SN-0001"
PASSWORD: Final = b"sixteen: or more"
OWN: Final[Issued] = PKI.charge_point_certificate(SERIAL_NUMBER)


def provisioned(directory: Path, profile: int, tables: Tables | None = None) -> dict[str, dict[str, Any]]:
    """Lay the files beside config.toml, and return its tables.

    Args:
        directory: where config.toml will lie.
        profile: the security profile to begin in.
        tables: values that are added, or that stand instead.
    """
    (directory / "root.pem").write_bytes(PKI.root_pem)
    (directory / "cp.pem").write_bytes(OWN.certificate_pem)
    (directory / "cp.key").write_bytes(OWN.key_pem)
    (directory / "cp.key").chmod(0o600)
    content: dict[str, dict[str, Any]] = {
        "configuration": {"SecurityProfile": profile, "AuthorizationKey": PASSWORD.hex()},
        "provisioning": {
            "central_system_roots": ["root.pem"],
            "certificate": "cp.pem",
            "private_key": "cp.key",
        },
    }
    for table, values in (tables or {}).items():
        content[table] = {**content.get(table, {}), **values}
    return content


@asynccontextmanager
async def central_system_in(profile: int) -> AsyncIterator[CentralSystem]:
    """A Central System that serves a profile and knows the Charge Point."""
    async with CentralSystem(pki=PKI, profile=profile) as central_system:
        central_system.passwords[IDENTITY] = PASSWORD
        central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
        yield central_system


@asynccontextmanager
async def site(
    directory: Path, profile: int, tables: Tables | None = None
) -> AsyncIterator[tuple[CentralSystem, Agent]]:
    """A Central System and an agent that is connected in a profile and accepted, with all connectors reported."""
    async with (
        central_system_in(profile) as central_system,
        agent(directory, central_system.url, provisioned(directory, profile, tables)) as running,
    ):
        await booted(central_system)
        yield central_system, running


async def booted(central_system: CentralSystem) -> None:
    """The Charge Point boots and reports connector 0 and connector 1, all well."""
    await central_system.expect("BootNotification")
    for connector in (0, 1):
        await central_system.expect("StatusNotification", match={"connectorId": connector, "status": "Available"})


async def change(central_system: CentralSystem, key: str, value: str) -> str:
    """Order another value of a key, and return the status of the answer."""
    answer = await central_system.call("ChangeConfiguration", {"key": key, "value": value})
    return str(answer["status"])


async def value_of(central_system: CentralSystem, key: str) -> str | None:
    """Ask for the value of a key."""
    answer = await central_system.call("GetConfiguration", {"key": [key]})
    (known,) = answer["configurationKey"]
    value: str | None = known.get("value")
    return value


async def upgrade_of(central_system: CentralSystem, connection: Connection) -> Upgrade:
    """Return the upgrade request that a connection began with."""
    return await central_system.recorder.wait(Upgrade, lambda entry: entry.connection == connection.number)


def authorization(upgrade: Upgrade) -> str | None:
    """Return the value of the one Authorization header, None where there is none."""
    values = [value for name, value in upgrade.headers if name.lower() == "authorization"]
    assert len(values) <= 1
    return values[0] if values else None
