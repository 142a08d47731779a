"""BootNotification as a Central System sees it: what is said before it is accepted, and after a reconnect."""

from pathlib import Path

from chargepoint.firmware_installer import SLOTS_NAME
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.settings import HardwareSettings
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import FrameEntry
from chargepoint.simulation.script import Answer, Error, Step
from firmware.installer import Image, Outcome
from firmware.simulated_slots import SimulatedSlots
from tests.agent_process import PKI, agent, booted
from tests.firmware_image import Told, make_image

NOW = "2026-06-01T12:00:00Z"


def boot_conf(status: str, interval: int) -> Answer:
    return Answer({"status": status, "currentTime": NOW, "interval": interval})


def received(central_system: CentralSystem) -> list[str]:
    """The actions of all CALLs so far but security events, whose turn is a matter of test_a04; answers are empty."""
    return [
        entry.action if isinstance(entry.data, str) and entry.data.startswith("[2") else ""
        for entry in central_system.recorder.frames("received")
        if entry.action != "SecurityEventNotification"
    ]


async def test_says_who_it_is_and_then_the_status_of_each_connector(tmp_path: Path) -> None:
    about = {
        "connectors": 2,
        "firmware_version": "1.2.3",
        "iccid": "8931000000000000000",
        "imsi": "204000000000000",
        "meter_type": "Meter",
        "meter_serial_number": "M-1",
        "charge_box_serial_number": "B-1",
    }
    async with (
        CentralSystem(pki=PKI) as central_system,
        agent(tmp_path, central_system.url, {"charge_point": about}),
    ):
        assert await central_system.expect("BootNotification") == {
            "chargePointVendor": "Vendor",
            "chargePointModel": "Model",
            "chargePointSerialNumber": "SN-0001",
            "chargeBoxSerialNumber": "B-1",
            "firmwareVersion": "1.2.3",
            "iccid": "8931000000000000000",
            "imsi": "204000000000000",
            "meterType": "Meter",
            "meterSerialNumber": "M-1",
        }
        for connector in (0, 1, 2):
            status = await central_system.expect("StatusNotification")
            assert (status["connectorId"], status["status"], status["errorCode"]) == (connector, "Available", "NoError")
        assert not central_system.findings


async def test_asks_again_until_it_is_accepted(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        steps: list[Step] = [Error("InternalError", "later"), boot_conf("Pending", 1), boot_conf("Rejected", 0)]
        for step in steps:
            central_system.script("BootNotification", step, times=1)
        async with agent(tmp_path, central_system.url):
            for _ in range(4):
                await central_system.expect("BootNotification")
            await central_system.expect("StatusNotification")
            assert received(central_system)[:5] == [*["BootNotification"] * 4, "StatusNotification"]
            assert not central_system.findings


async def test_while_rejected_it_is_deaf_and_dumb_even_over_a_new_connection(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        central_system.script("BootNotification", boot_conf("Rejected", 1), times=1)
        async with agent(tmp_path, central_system.url) as running:
            await central_system.expect("BootNotification")
            await running.logged("Rejected, interval 1 s")
            for attempt in ("first", "second"):
                connection = await central_system.connected()
                connection.send_raw(f'[2,"{attempt} valid","GetConfiguration",{{}}]')
                connection.send_raw(f'[2,"{attempt} unknown","Nonsense",{{}}]')
                connection.send_raw(f'[2,"{attempt} malformed","GetConfiguration"]')
                connection.send_raw(f'[2,"{attempt} reset","Reset",{{"type":"Hard"}}]')
                await running.call("hardware.fault", connector=1)
                if attempt == "first":
                    await central_system.drop()
                    await central_system.connected(after=connection)
            await central_system.expect("BootNotification")
            await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Faulted"})
            assert set(received(central_system)) == {"BootNotification", "StatusNotification"}
            assert not central_system.findings


async def test_while_pending_it_answers_and_sends_only_what_is_triggered(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        central_system.script("BootNotification", boot_conf("Pending", 3600))
        async with agent(tmp_path, central_system.url) as running:
            await central_system.expect("BootNotification")
            answer = await central_system.call("GetConfiguration", {"key": ["NumberOfConnectors"]})
            assert answer["configurationKey"][0]["value"] == "1"
            refused = await central_system.call("RemoteStartTransaction", {"idTag": "A"})
            assert refused == {"status": "Rejected"}
            assert await central_system.call("RemoteStopTransaction", {"transactionId": 1}) == {"status": "Rejected"}
            await running.call("hardware.fault", connector=1)
            triggered = {"requestedMessage": "StatusNotification", "connectorId": 1}
            assert await central_system.call("TriggerMessage", triggered) == {"status": "Accepted"}
            await central_system.expect("StatusNotification", match={"status": "Faulted"})
            assert [action for action in received(central_system) if action] == [
                "BootNotification",
                "StatusNotification",
            ]
            central_system.unscript()
            await central_system.call("ExtendedTriggerMessage", {"requestedMessage": "BootNotification"})
            await central_system.expect("BootNotification")
            await central_system.expect("StatusNotification", match={"connectorId": 0})
            assert not central_system.findings


async def test_a_mere_reconnect_brings_no_boot_but_what_changed_meanwhile(tmp_path: Path) -> None:
    async with booted(tmp_path, {"charge_point": {"connectors": 2}}) as (central_system, running):
        await central_system.expect("StatusNotification", match={"connectorId": 2})
        first = await central_system.connected()
        await running.call("connection.down")
        assert (await running.call("status"))["connection"]["state"] == "down"
        await running.call("hardware.fault", connector=1, error_code="GroundFailure", info="wet")
        await running.call("hardware.fault", connector=2)
        await running.call("hardware.clear_fault", connector=2)
        await running.call("connection.up")
        await central_system.connected(after=first)
        told = await central_system.expect("StatusNotification")
        assert (told["connectorId"], told["errorCode"], told["info"]) == (1, "GroundFailure", "wet")
        await central_system.call("GetConfiguration")
        assert received(central_system) == ["BootNotification", *["StatusNotification"] * 4, ""]
        assert not central_system.findings


async def test_after_a_cut_it_comes_back_without_a_boot(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        for _ in range(3):
            before = await central_system.connected()
            await central_system.drop(reset=True)
            await central_system.connected(after=before)
        await central_system.call("GetConfiguration")
        assert received(central_system).count("BootNotification") == 1
        assert not central_system.findings


async def test_a_new_process_boots_even_if_it_was_accepted_before(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        assert await running.stop() == 0
        async with agent(tmp_path, central_system.url):
            await central_system.expect("BootNotification")
            await central_system.recorder.wait(FrameEntry, lambda entry: entry.action == "StatusNotification")


async def test_says_the_version_of_the_firmware_that_runs_since_the_last_boot(tmp_path: Path) -> None:
    tables = {"charge_point": {"firmware_version": "1.0.0"}}
    async with CentralSystem(pki=PKI) as central_system:
        async with agent(tmp_path, central_system.url, tables) as running:
            assert (await central_system.expect("BootNotification"))["firmwareVersion"] == "1.0.0"
            assert await running.stop() == 0

        await install(running.state, make_image(tmp_path / "cp-1.1.0.bin", b"\x7fELF"))
        async with agent(tmp_path, central_system.url, tables) as running:
            boot = await central_system.expect("BootNotification")
            assert boot["firmwareVersion"] == "1.0.0", "an agent that is started again is no boot"
            assert (await central_system.call("Reset", {"type": "Hard"}))["status"] == "Accepted"
            assert (await central_system.expect("BootNotification"))["firmwareVersion"] == "1.1.0"
            assert await running.stop() == 0


async def install(state: Path, image: Image) -> None:
    """Put an image into the slot that the next boot of the simulated board tries."""
    boot_id = SimulatedHardware(HardwareSettings(), 1, state).boot_id
    slots = SimulatedSlots.open(state / SLOTS_NAME, boot_id=boot_id, factory_version="1.0.0")
    assert await slots.install(image, Told()) is Outcome.NEEDS_REBOOT
