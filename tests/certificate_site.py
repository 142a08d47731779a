"""An agent in a process of its own that is connected over TLS, and the Central System's wishes about its certificates.

The Central System names certificates by its own code (chargepoint/simulation/certificate_hash.py).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from chargepoint.simulation import certificate_hash
from chargepoint.simulation.authority import Authority, Issued
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.certificate_hash import HashData
from chargepoint.simulation.pki import Pki
from tests.agent_process import PROGRAM, Agent, agent

IDENTITY: Final = "CP001"
SERIAL_NUMBER: Final = "SN-0001"
PASSWORD: Final = bytes(range(20))
RootType = Literal["CentralSystemRootCertificate", "ManufacturerRootCertificate"]
CENTRAL_SYSTEM: Final = "CentralSystemRootCertificate"
MANUFACTURER: Final = "ManufacturerRootCertificate"
ROOT_TYPES: Final[tuple[RootType, ...]] = (CENTRAL_SYSTEM, MANUFACTURER)

PKI: Final = Pki.create()
CONNECTED_BY: Final = PKI.central_system_root


@dataclass
class Site:
    """Both ends."""

    central_system: CentralSystem
    agent: Agent
    directory: Path
    certificate: Issued
    """The Charge Point certificate."""

    async def install(self, certificate: Authority | str, root_type: RootType = CENTRAL_SYSTEM) -> str:
        """Send InstallCertificate.req and return the status."""
        request = {"certificateType": root_type, "certificate": _pem(certificate)}
        return str((await self.central_system.call("InstallCertificate", request))["status"])

    async def delete(self, data: HashData) -> str:
        """Send DeleteCertificate.req and return the status."""
        return str((await self.central_system.call("DeleteCertificate", {"certificateHashData": data}))["status"])

    async def listed(self, root_type: RootType = CENTRAL_SYSTEM) -> list[HashData]:
        """Send GetInstalledCertificateIds.req and return what is listed; the status has to fit."""
        answer = await self.central_system.call("GetInstalledCertificateIds", {"certificateType": root_type})
        if answer["status"] == "NotFound":
            assert answer == {"status": "NotFound"}
            return []
        assert answer["status"] == "Accepted"
        assert answer["certificateHashData"]
        return list(answer["certificateHashData"])

    async def lists(self, *names: HashData, root_type: RootType = CENTRAL_SYSTEM) -> bool:
        """Whether exactly these are listed."""
        listed = await self.listed(root_type)
        assert all(entry["hashAlgorithm"] == "SHA256" for entry in listed)
        return sorted(map(folded, listed)) == sorted(map(folded, names))

    async def reconnects(self, shown: Issued | None = None) -> None:
        """Cut the connection, show another server certificate, and wait until the agent is back."""
        before = await self.central_system.connected(IDENTITY)
        self.central_system.present(*([shown] if shown else []))
        await self.central_system.drop()
        await self.central_system.connected(IDENTITY, after=before)

    async def changes(self) -> list[str]:
        """What ReconfigurationOfSecurityParameters says in the security log."""
        return [str(event["tech_info"]) for event in await self.agent.events("ReconfigurationOfSecurityParameters")]

    def files(self, root_type: RootType = CENTRAL_SYSTEM) -> list[Path]:
        """The files of the roots."""
        name = "central_system" if root_type == CENTRAL_SYSTEM else "manufacturer"
        return sorted((self.agent.state / "certificates" / name).glob("*"))


def named(certificate: Authority | str, issuer: Authority | str | None = None) -> HashData:
    """Name a certificate in SHA-256."""
    return certificate_hash.hash_data(_pem(certificate), None if issuer is None else _pem(issuer))


def folded(data: HashData) -> tuple[str, ...]:
    """What is compared of hash data: hex digits in either case are the same."""
    return tuple(value.lower() for _, value in sorted(data.items()))


@asynccontextmanager
async def site(
    directory: Path,
    *,
    profile: int = 2,
    configuration: Mapping[str, Any] | None = None,
    program: tuple[str, ...] = PROGRAM,
) -> AsyncIterator[Site]:
    """Start both in a security profile; the agent has the root that it needs, and is accepted.

    Args:
        directory: holds config.toml and the state directory.
        profile: 2 or 3; in 0 there is no root yet.
        configuration: values of OCPP keys.
        program: what is started.
    """
    certificate = PKI.charge_point_certificate(SERIAL_NUMBER)
    certificate_file, key_file = certificate.write(directory, "cp")
    root_file = directory / "root.pem"
    root_file.write_bytes(CONNECTED_BY.pem)
    tables: dict[str, dict[str, Any]] = {
        "configuration": {"SecurityProfile": profile, "AuthorizationKey": PASSWORD.hex(), **(configuration or {})},
        "provisioning": {
            "central_system_roots": [str(root_file)] if profile >= 2 else [],
            "certificate": str(certificate_file),
            "private_key": str(key_file),
        },
    }
    async with CentralSystem(pki=PKI, profile=profile) as central_system:
        central_system.passwords[IDENTITY] = PASSWORD
        central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
        async with agent(directory, central_system.url, tables, program=program) as running:
            await central_system.expect("BootNotification")
            yield Site(central_system, running, directory, certificate)
            assert not central_system.findings


def _pem(certificate: Authority | str) -> str:
    return certificate if isinstance(certificate, str) else certificate.pem.decode()
