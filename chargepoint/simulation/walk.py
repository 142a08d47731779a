"""The steps of the demo, in the order in which they are walked: what is done, and what has to be seen."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chargepoint.simulation.credential_steps import PASSWORD_STEPS, PROFILE_STEPS
from chargepoint.simulation.firmware_steps import FIRMWARE_STEPS
from chargepoint.simulation.log_steps import LOG_STEPS
from chargepoint.simulation.recorder import Refusal, Upgrade
from chargepoint.simulation.renewal_steps import RENEWAL_STEPS
from chargepoint.simulation.root_steps import ROOT_STEPS
from chargepoint.simulation.stage import IDENTITY, SERIAL_NUMBER, Stage
from chargepoint.simulation.step import Step, StepFailed, demand

PASSWORD: Final = bytes(range(16))


async def _boot(stage: Stage) -> str:
    await stage.start_agent()
    boot = await stage.central_system.expect("BootNotification")
    connectors = [(await stage.central_system.expect("StatusNotification"))["connectorId"] for _ in range(2)]
    demand(connectors == [0, 1], f"the connectors were reported as {connectors}")
    return f"{boot['chargePointVendor']} {boot['chargePointModel']} {boot['chargePointSerialNumber']} was accepted"


async def _read_configuration(stage: Stage) -> str:
    conf = await stage.central_system.call("GetConfiguration", {})
    keys = {each["key"]: each.get("value") for each in conf["configurationKey"]}
    demand("AuthorizationKey" in keys, "AuthorizationKey is not among the keys")
    demand(keys["AuthorizationKey"] is None, "the AuthorizationKey was handed out")
    return f"{len(keys)} keys; SecurityProfile is {keys['SecurityProfile']}, AuthorizationKey stays hidden"


async def _refuse_unsigned_firmware(stage: Stage) -> str:
    request = {"location": "http://127.0.0.1/firmware.bin", "retrieveDate": datetime.now(UTC).isoformat()}
    code = await _refused(stage, "UpdateFirmware", request)
    demand(code == "NotSupported", f"UpdateFirmware.req was answered {code}")
    return "UpdateFirmware.req, which knows no signature, gets the CALLERROR NotSupported"


async def _refuse_profile_without_password(stage: Stage) -> str:
    await _change(stage, "SecurityProfile", "1", "Rejected")
    return "SecurityProfile 1 without an AuthorizationKey: Rejected"


async def _set_password(stage: Stage) -> str:
    await _change(stage, "AuthorizationKey", PASSWORD.hex(), "Accepted")
    stage.central_system.passwords[IDENTITY] = PASSWORD
    events = await stage.control("security.events")
    changes = [each["tech_info"] for each in events if each["type"] == "ReconfigurationOfSecurityParameters"]
    demand(any("AuthorizationKey" in each for each in changes), "the change is not in the security log")
    demand(PASSWORD.hex() not in str(events), "the password is in the security log")
    return "Accepted, and in the security log without its value"


async def _upgrade_to_basic(stage: Stage) -> str:
    upgrade = await _upgrade(stage, 1)
    demand(any(name.lower() == "authorization" for name, _ in upgrade.headers), "no Authorization header came")
    return "Accepted, disconnected, and back with HTTP Basic: identity and the bytes of the password"


async def _refuse_downgrade(stage: Stage) -> str:
    await _change(stage, "SecurityProfile", "0", "Rejected")
    return "SecurityProfile 0: Rejected; no OCPP message lowers the profile"


async def _refuse_profile_without_root(stage: Stage) -> str:
    await _change(stage, "SecurityProfile", "2", "Rejected")
    return "SecurityProfile 2 without a CentralSystemRootCertificate: Rejected"


async def _upgrade_to_tls(stage: Stage) -> str:
    root = stage.directory / "root.pem"
    root.write_bytes(stage.pki.root_pem)
    await stage.command("install", str(root), "--as", "central-system-root")
    upgrade = await _upgrade(stage, 2)
    if upgrade.tls is None:
        raise StepFailed("the connection is not TLS")
    return f"the root was installed by a local command; back with {upgrade.tls.version}, {upgrade.tls.suite}"


async def _refuse_expired_server(stage: Stage) -> str:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    stage.central_system.present(
        stage.pki.server_certificate(not_before=yesterday - timedelta(days=1), not_after=yesterday)
    )
    await stage.central_system.drop()
    await stage.central_system.recorder.take(Refusal, lambda entry: entry.stage == "tls")
    status = await stage.control("status")
    demand("expired" in str(status["connection"]["last_failure"]), "the failure does not name the cause")
    stage.central_system.present()
    await stage.central_system.connected(IDENTITY)
    events = await stage.control("security.events")
    demand(any(each["type"] == "InvalidCentralSystemCertificate" for each in events), "there is no security event")
    return "a Central System with an expired certificate got not one byte; InvalidCentralSystemCertificate is recorded"


async def _upgrade_to_client_certificate(stage: Stage) -> str:
    upgrade = await _upgrade(stage, 3)
    demand(not any(name.lower() == "authorization" for name, _ in upgrade.headers), "a password was sent")
    return f"back with a client certificate of its own, CN={SERIAL_NUMBER}, and without a password"


async def _tell_of_an_outage(stage: Stage) -> str:
    await stage.control("connection.down")
    await stage.control("hardware.tamper", info="opened while offline")
    queued = (await stage.control("status"))["queued_events"]
    demand(queued, "nothing is queued for the Central System")
    await stage.control("connection.up")
    told = await stage.central_system.expect("SecurityEventNotification", match={"techInfo": "opened while offline"})
    demand(told["type"] == "TamperDetectionActivated", f"it came as {told['type']}")
    return f"{told['type']} of {told['timestamp']} was queued without a connection, and told after it was back"


async def _survive_a_kill(stage: Stage) -> str:
    before = await _count(stage, "StartupOfTheDevice")
    await stage.kill_agent()
    await stage.start_agent()
    await stage.central_system.expect("BootNotification")
    after = await _count(stage, "StartupOfTheDevice")
    demand(before == after == 1, f"{after} starts of the device are in the log")
    profile = (await stage.control("status"))["connection"]["security_profile"]
    demand(profile == 3, f"it came back in profile {profile}")
    return "killed in mid-run and started again: still profile 3, and not taken for a boot of the device"


async def _reset(stage: Stage) -> str:
    pid = stage.agent_pid
    conf = await stage.central_system.call("Reset", {"type": "Hard"})
    demand(conf["status"] == "Accepted", f"Reset.req was {conf['status']}")
    await stage.central_system.expect("BootNotification")
    await stage.central_system.connected(IDENTITY)
    resets = await _count(stage, "ResetOrReboot")
    demand(resets == 1, f"{resets} resets are in the security log")
    return f"Accepted, rebooted (process {pid} re-executed itself), ResetOrReboot recorded"


async def _judge_the_conversation(stage: Stage) -> str:
    findings = stage.central_system.findings
    demand(not findings, "; ".join(str(finding) for finding in findings))
    events = await stage.control("security.events")
    return f"no breach of OCPP-J seen by the Central System; {len(events)} events in the security log"


async def _upgrade(stage: Stage, profile: int) -> Upgrade:
    await _change(stage, "SecurityProfile", str(profile), "Accepted")
    await stage.central_system.set_profile(profile)
    return await stage.central_system.recorder.take(Upgrade, lambda entry: entry.profile == profile)


async def _change(stage: Stage, key: str, value: str, wanted: str) -> None:
    await stage.central_system.connected(IDENTITY)
    conf = await stage.central_system.call("ChangeConfiguration", {"key": key, "value": value})
    demand(conf["status"] == wanted, f"ChangeConfiguration.req({key}) was {conf['status']}, not {wanted}")


async def _count(stage: Stage, event_type: str) -> int:
    return sum(each["type"] == event_type for each in await stage.control("security.events"))


async def _refused(stage: Stage, action: str, payload: dict[str, Any]) -> str:
    from chargepoint.simulation.caller import CallRefused

    try:
        await stage.central_system.call(action, payload)
    except CallRefused as refused:
        return refused.code
    return "with a CALLRESULT"


WALK: Final = (
    Step("Boot in security profile 0", (), _boot),
    Step("Read the configuration", ("A01.FR.12",), _read_configuration),
    Step("Refuse firmware without a signature", ("L01.FR.20",), _refuse_unsigned_firmware),
    Step("Refuse profile 1 without a password", ("A05.FR.02",), _refuse_profile_without_password),
    Step("Set the password", ("A01.FR.01", "A01.FR.02", "A01.FR.11", "A01.FR.12"), _set_password),
    Step("Upgrade to profile 1", ("A05.FR.05", "A05.FR.06", "A05.FR.07", "A00.FR.202"), _upgrade_to_basic),
    *PASSWORD_STEPS,
    Step("Refuse a downgrade", ("A05.FR.01", "A00.FR.005"), _refuse_downgrade),
    Step("Refuse profile 2 without a root", ("A05.FR.03",), _refuse_profile_without_root),
    Step("Upgrade to profile 2", ("A00.FR.307", "A00.FR.308", "A00.FR.312", "A00.FR.318"), _upgrade_to_tls),
    Step("Refuse an expired Central System", ("A00.FR.309", "A00.FR.310"), _refuse_expired_server),
    *ROOT_STEPS,
    *PROFILE_STEPS,
    Step("Upgrade to profile 3", ("A00.FR.401", "A00.FR.402"), _upgrade_to_client_certificate),
    *RENEWAL_STEPS,
    Step("Tell of what happened offline", ("A04.FR.01", "A04.FR.02", "A04.FR.03"), _tell_of_an_outage),
    Step("Survive a kill", ("A00.FR.001",), _survive_a_kill),
    Step("Reset", (), _reset),
    *LOG_STEPS,
    *FIRMWARE_STEPS,
    Step("Judge the conversation", ("A04.FR.04",), _judge_the_conversation),
)
