"""Each security event of section 8 that can happen by now is made to happen, and seen where it belongs.

Those that are critical, or owed for another reason, are waited for at the Central System; the others are looked up in
the security log, and were not told. docs/security-events.md has the same in a table.
"""

import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from chargepoint.simulation import faults
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.fault_server import FaultServer
from chargepoint.simulation.recorder import Refusal
from tests.agent_process import PKI, Agent, Tables, agent, booted

pytestmark = pytest.mark.requirement("N01.FR.05", "A04.FR.04")

NOTIFICATION: Final = "SecurityEventNotification"
PASSWORD: Final = bytes(range(16))
OTHER_PASSWORD: Final = bytes(range(1, 17))


async def told(central_system: CentralSystem, running: Agent, event_type: str) -> str:
    """Wait until the Central System hears of it, find it in the log too, and return its details."""
    event = await central_system.expect(NOTIFICATION, match={"type": event_type})
    tech_info: str = event.get("techInfo", "")
    assert tech_info in [logged["tech_info"] for logged in await running.events(event_type)]
    return tech_info


async def only_logged(central_system: CentralSystem, running: Agent, event_type: str) -> str:
    """Find it in the log, make sure that the Central System does not hear of it, and return its details."""
    (event,) = await running.events(event_type)
    await running.call("security.raise_event", type="TamperDetectionActivated", tech_info="behind it in the queue")
    await central_system.expect(NOTIFICATION, match={"techInfo": "behind it in the queue"})
    heard = [entry.data for entry in central_system.recorder.frames("received") if entry.action == NOTIFICATION]
    assert not any(event_type in str(data) for data in heard)
    return str(event["tech_info"])


def secured(directory: Path, profile: int = 2) -> Tables:
    """The settings of an agent that starts in a profile, with the right password and root."""
    root = directory / "root.pem"
    root.write_bytes(PKI.root_pem)
    return {
        "configuration": {"SecurityProfile": profile, "AuthorizationKey": PASSWORD.hex()},
        "provisioning": {"central_system_roots": [str(root)]},
    }


async def test_startup_of_the_device(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        async with agent(tmp_path, central_system.url) as running:
            assert (await told(central_system, running, "StartupOfTheDevice")).startswith("boot ")
            await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url) as running:
            assert len(await running.events("StartupOfTheDevice")) == 1, "a crash of the agent is no boot of the device"


async def test_reset_or_reboot(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await central_system.call("Reset", {"type": "Soft"})
        await running.ready(times=2)
        assert await told(central_system, running, "ResetOrReboot") == "Soft reset"


async def test_setting_system_time(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await running.call("hardware.set_clock", offset_s=3600)
        await central_system.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
        moved = await told(central_system, running, "SettingSystemTime")
        assert moved.startswith(("moved by -36", "moved by -35"))  # to the time of the Central System


async def test_memory_exhaustion_when_the_queue_is_full(tmp_path: Path) -> None:
    async with booted(tmp_path, {"logs": {"event_queue_max_events": 10}}) as (central_system, running):
        await running.call("connection.down")
        for number in range(12):
            await running.call("security.raise_event", type="TamperDetectionActivated", tech_info=str(number))
        await running.call("connection.up")
        full = await told(central_system, running, "MemoryExhaustion")
        # One more where StartupOfTheDevice was still unconfirmed when the connection went.
        left_out = full.removeprefix("the queue of 10 security events was full: ")
        assert left_out in {f"{count} are in the security log only" for count in (3, 4)}
        assert len(await running.events("TamperDetectionActivated")) == 12


async def test_memory_exhaustion_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    async with booted(tmp_path, {"state": {"min_free_mib": 1_000_000_000}}) as (central_system, running):
        nearly = await told(central_system, running, "MemoryExhaustion")
        assert nearly.endswith("less than the 1000000000 MiB of [state] min_free_mib")


async def test_invalid_messages(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await central_system.send_raw("gibberish")
        await running.logged("security event InvalidMessages")
        await only_logged(central_system, running, "InvalidMessages")


async def test_attempted_replay_attacks(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await central_system.send_raw('[2,"same","GetConfiguration",{}]')
        await central_system.send_raw('[2,"same","GetConfiguration",{"key":["HeartbeatInterval"]}]')
        await running.logged("security event AttemptedReplayAttacks")
        await only_logged(central_system, running, "AttemptedReplayAttacks")


async def test_tamper_detection_activated(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await running.call("hardware.tamper", info="the lid was opened")
        assert await told(central_system, running, "TamperDetectionActivated") == "the lid was opened"


async def test_security_log_was_cleared(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await running.call("security.raise_event", type="AcmeDoorOpen")
        assert (await running.call("security.clear_log"))["removed"] >= 1
        details = await told(central_system, running, "SecurityLogWasCleared")
        assert details.startswith("cleared by a local command: ")
        assert not await running.events("AcmeDoorOpen")


async def test_reconfiguration_of_security_parameters(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        change = {"key": "AuthorizationKey", "value": PASSWORD.hex()}
        assert await central_system.call("ChangeConfiguration", change) == {"status": "Accepted"}
        what = await only_logged(central_system, running, "ReconfigurationOfSecurityParameters")
        assert "AuthorizationKey" in what
        assert PASSWORD.hex() not in what


async def test_failed_to_authenticate_at_central_system(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OTHER_PASSWORD
        async with agent(tmp_path, central_system.url, secured(tmp_path, 1)) as running:
            await central_system.refused()
            await running.logged("security event FailedToAuthenticateAtCentralSystem")
            central_system.passwords["CP001"] = PASSWORD
            await central_system.expect("BootNotification")
            assert "401" in await only_logged(central_system, running, "FailedToAuthenticateAtCentralSystem")


async def test_invalid_central_system_certificate(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=2) as central_system:
        central_system.passwords["CP001"] = PASSWORD
        now = datetime.now(UTC)
        central_system.present(
            PKI.server_certificate(not_before=now - timedelta(days=2), not_after=now - timedelta(days=1))
        )
        async with agent(tmp_path, central_system.url, secured(tmp_path)) as running:
            await central_system.recorder.take(Refusal, lambda entry: entry.stage == "tls")
            await running.logged("security event InvalidCentralSystemCertificate")
            central_system.present()
            assert "expired" in await told(central_system, running, "InvalidCentralSystemCertificate")


async def test_invalid_charge_point_certificate(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        chain = PKI.charge_point_certificate("SN-0001").chain_pem.decode()
        conf = await central_system.call("CertificateSigned", {"certificateChain": chain})
        assert conf == {"status": "Rejected"}
        assert "no certificate request" in await told(central_system, running, "InvalidChargePointCertificate")


async def told_after(fault: Callable[..., FaultServer], tmp_path: Path, event_type: str) -> str:
    """Put a server that misbehaves in the Central System's place, then the Central System again."""
    async with AsyncExitStack() as stack:
        central_system = await stack.enter_async_context(CentralSystem(pki=PKI, profile=2))
        central_system.passwords["CP001"] = PASSWORD
        await central_system.suspend()
        with fault(PKI.server_certificate(), port=central_system.port):
            running = await stack.enter_async_context(agent(tmp_path, central_system.url, secured(tmp_path)))
            await running.logged(f"security event {event_type}")
        await central_system.resume()
        return await told(central_system, running, event_type)


async def test_invalid_tls_version(tmp_path: Path) -> None:
    assert "version" in await told_after(faults.tls_1_1_only, tmp_path, "InvalidTLSVersion")


async def test_invalid_tls_cipher_suite(tmp_path: Path) -> None:
    assert "suite" in await told_after(faults.forbidden_suites, tmp_path, "InvalidTLSCipherSuite")
