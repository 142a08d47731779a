"""What the tests of certificate requests share: a Charge Point with a certificate, and the Central System's half of it.

The Central System of these tests has no authority that answers by itself: the test is the authority.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import Upgrade
from tests.agent_process import PKI, Agent, Tables, agent

SERIAL_NUMBER = "SN-0001"
CPO_NAME = PKI.organisation
DAY = timedelta(days=1)


def tables(
    directory: Path, own: Issued | None = None, *, profile: int = 3, configuration: Mapping[str, Any] | None = None
) -> dict[str, Mapping[str, Any]]:
    """The configuration of a Charge Point that trusts the test's PKI and has a certificate of its own, unless in 0."""
    root = directory / "root.pem"
    root.write_bytes(PKI.root_pem)
    provisioning: dict[str, Any] = {"central_system_roots": [str(root)]}
    if own is not None:
        certificate_file, key_file = own.write(directory, "own")
        key_file.chmod(0o600)
        provisioning |= {"certificate": str(certificate_file), "private_key": str(key_file)}
    return {
        "provisioning": provisioning,
        "configuration": {"SecurityProfile": profile, "CpoName": CPO_NAME, **(configuration or {})},
    }


@asynccontextmanager
async def in_profile_3(
    directory: Path, own: Issued | None = None, *, further: Tables | None = None, at: timedelta = timedelta()
) -> AsyncIterator[tuple[CentralSystem, Agent]]:
    """A Charge Point that is connected in security profile 3 and has booted.

    Args:
        directory: for its configuration and state.
        own: its certificate; by default one of a year.
        further: tables that are added.
        at: how far the clocks of both ends are ahead of the machine's.
    """
    own = own or PKI.charge_point_certificate(SERIAL_NUMBER)
    async with CentralSystem(pki=PKI, profile=3, clock=lambda: datetime.now(UTC) + at) as central_system:
        central_system.serial_numbers["CP001"] = SERIAL_NUMBER
        given = {**tables(directory, own), **(further or {})}
        async with agent(directory, central_system.url, given) as running:
            await settled(central_system)
            yield central_system, running


async def settled(central_system: CentralSystem) -> None:
    """Wait until a boot was accepted and both connectors were told."""
    await central_system.expect("BootNotification")
    for _ in range(2):
        await central_system.expect("StatusNotification")


async def trigger(central_system: CentralSystem) -> str:
    """Order a certificate request and return the answer."""
    conf = await central_system.call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
    return str(conf["status"])


async def requested(central_system: CentralSystem) -> str:
    """Return the certificate request that comes next."""
    return str((await central_system.expect("SignCertificate"))["csr"])


async def ordered(central_system: CentralSystem) -> str:
    """Order a certificate request and return it."""
    assert await trigger(central_system) == "Accepted"
    return await requested(central_system)


async def hand_over(central_system: CentralSystem, chain: Issued | str) -> str:
    """Send CertificateSigned.req and return the answer."""
    text = chain if isinstance(chain, str) else chain.chain_pem.decode()
    return str((await central_system.call("CertificateSigned", {"certificateChain": text}))["status"])


async def presented(central_system: CentralSystem) -> bytes:
    """Return the certificate of the next connection that is upgraded, DER; those of the past first."""
    upgrade = await central_system.recorder.take(Upgrade)
    assert upgrade.tls is not None
    assert upgrade.tls.client_certificate is not None
    return upgrade.tls.client_certificate


def der(issued: Issued) -> bytes:
    """The leaf in DER."""
    return issued.x509.public_bytes(Encoding.DER)


def public_key(of: str | Issued) -> bytes:
    """The public key of a request, or of a certificate; DER."""
    read = x509.load_pem_x509_csr(of.encode()) if isinstance(of, str) else of.x509
    return read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def ending_soon() -> Issued:
    """A Charge Point certificate with 20 days to live, which is inside the month of A03.FR.02."""
    now = datetime.now(UTC)
    return PKI.charge_point_certificate(SERIAL_NUMBER, not_before=now - 345 * DAY, not_after=now + 20 * DAY)


@asynccontextmanager
async def asked(
    use_case: str, directory: Path, further: Tables | None = None
) -> AsyncIterator[tuple[CentralSystem, Agent, str, Issued]]:
    """A Charge Point in profile 3 that has just asked for a certificate: when triggered (A02), or by itself (A03).

    Yields the Central System, the agent, the request, and the certificate that the connection was made with.
    """
    own = PKI.charge_point_certificate(SERIAL_NUMBER) if use_case == "A02" else ending_soon()
    async with in_profile_3(directory, own, further=further) as (central_system, running):
        csr = await (ordered(central_system) if use_case == "A02" else requested(central_system))
        assert await presented(central_system) == der(own)
        yield central_system, running, csr, own
