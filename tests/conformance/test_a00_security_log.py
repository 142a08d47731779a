"""A00: a Central System that is refused for its TLS leaves one security event, alike in profiles 2 and 3."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.simulation import faults
from chargepoint.simulation.fault_server import FaultServer
from tests.agent_process import PKI, agent
from tests.site import booted, central_system_in, provisioned

TRIES = 3
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def expired(port: int) -> FaultServer:
    shown = PKI.server_certificate(not_before=YESTERDAY - timedelta(days=1), not_after=YESTERDAY)
    return faults.certificate(shown, port=port)


def old_tls(port: int) -> FaultServer:
    return faults.tls_1_1_only(PKI.server_certificate(), port=port)


def forbidden_suites(port: int) -> FaultServer:
    return faults.forbidden_suites(PKI.server_certificate(), port=port)


@pytest.mark.parametrize(
    ("profile", "fault", "event"),
    [
        pytest.param(
            2, expired, "InvalidCentralSystemCertificate", marks=pytest.mark.requirement("A00.FR.309", "A00.FR.310")
        ),
        pytest.param(
            3, expired, "InvalidCentralSystemCertificate", marks=pytest.mark.requirement("A00.FR.413", "A00.FR.414")
        ),
        pytest.param(2, old_tls, "InvalidTLSVersion", marks=pytest.mark.requirement("A00.FR.315")),
        pytest.param(3, old_tls, "InvalidTLSVersion", marks=pytest.mark.requirement("A00.FR.419")),
        pytest.param(2, forbidden_suites, "InvalidTLSCipherSuite", marks=pytest.mark.requirement("A00.FR.322")),
        pytest.param(3, forbidden_suites, "InvalidTLSCipherSuite", marks=pytest.mark.requirement("A00.FR.426")),
    ],
)
async def test_a_refused_central_system_leaves_one_event_and_gets_no_request(
    profile: int, fault: Callable[[int], FaultServer], event: str, tmp_path: Path
) -> None:
    async with central_system_in(profile) as central_system, AsyncExitStack() as stack:
        await central_system.suspend()
        with fault(central_system.port) as server:
            tables = provisioned(tmp_path, profile)
            running = await stack.enter_async_context(agent(tmp_path, central_system.url, tables))
            await running.logged("to connect to", times=TRIES)
            assert not any(visit.received for visit in server.visits)
        await central_system.resume()
        await booted(central_system)
        assert len(await running.events(event)) == 1
