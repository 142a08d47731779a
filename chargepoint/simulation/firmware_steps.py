"""The steps of the demo about firmware: forgeries refused, an update from 1.0.0 to 1.1.0 (L01)."""

from typing import Any, Final

from chargepoint.simulation.firmware_publisher import FirmwarePublisher, Release
from chargepoint.simulation.firmware_signing import bad_signing_certificates
from chargepoint.simulation.stage import IDENTITY, Stage
from chargepoint.simulation.step import Step, demand

OLD_VERSION: Final = "1.0.0"
NEW_VERSION: Final = "1.1.0"

_FETCHED: Final = ("Downloading", "Downloaded")


async def _refuse_a_stranger(stage: Stage) -> str:
    root = {"certificateType": "ManufacturerRootCertificate", "certificate": stage.pki.manufacturer_root_pem.decode()}
    conf = await stage.central_system.call("InstallCertificate", root)
    demand(conf["status"] == "Accepted", f"the manufacturer root was {conf['status']}")
    server = await stage.server_for("https")
    publisher = FirmwarePublisher(stage.servers, stage.pki)
    stranger = bad_signing_certificates(stage.pki)["unknown root"]
    await _order(
        stage, publisher, publisher.publish("6.6.6", server=server, shown=stranger), wanted="InvalidCertificate"
    )
    await stage.central_system.expect("SecurityEventNotification", match={"type": "InvalidFirmwareSigningCertificate"})
    demand(not server.record.of("GET", "HEAD"), "the image was fetched all the same")
    return "signed under no manufacturer root: InvalidCertificate, InvalidFirmwareSigningCertificate, nothing fetched"


async def _refuse_a_forgery(stage: Stage) -> str:
    server = await stage.server_for("sftp", "https")
    publisher = FirmwarePublisher(stage.servers, stage.pki)
    forged = publisher.publish("6.6.7", server=server)
    forged.tamper()
    request_id = await _order(stage, publisher, forged)
    await _expect_statuses(stage, request_id, *_FETCHED, "InvalidSignature")
    await stage.central_system.expect("SecurityEventNotification", match={"type": "InvalidFirmwareSignature"})
    version = await _running(stage)
    demand(version == OLD_VERSION, f"{version} runs")
    return (
        f"one byte changed after the signing: fetched by {server.scheme}, InvalidSignature, and {OLD_VERSION} runs on"
    )


async def _update(stage: Stage) -> str:
    server = await stage.server_for("https")
    publisher = FirmwarePublisher(stage.servers, stage.pki)
    connection = await stage.central_system.connected(IDENTITY)
    request_id = await _order(stage, publisher, publisher.publish(NEW_VERSION, server=server))
    await _expect_statuses(stage, request_id, *_FETCHED, "SignatureVerified", "Installing", "InstallRebooting")
    boot = await stage.central_system.expect("BootNotification")
    demand(boot.get("firmwareVersion") == NEW_VERSION, f"it booted {boot.get('firmwareVersion')}")
    await stage.central_system.connected(IDENTITY, after=connection)
    await _expect_statuses(stage, request_id, "Installed")
    await stage.central_system.expect("SecurityEventNotification", match={"type": "FirmwareUpdated"})
    return f"verified, installed, rebooted: BootNotification.req says {NEW_VERSION}, then Installed"


async def _order(stage: Stage, publisher: FirmwarePublisher, release: Release, *, wanted: str = "Accepted") -> int:
    """Order an update, whatever the image is worth; return its requestId."""
    request = publisher.request(release, checked=False)
    conf = await stage.central_system.call("SignedUpdateFirmware", request)
    demand(conf["status"] == wanted, f"SignedUpdateFirmware.req was {conf['status']}, not {wanted}")
    request_id: int = request["requestId"]
    return request_id


async def _expect_statuses(stage: Stage, request_id: int, *statuses: str) -> None:
    for status in statuses:
        told: dict[str, Any] = await stage.central_system.expect("SignedFirmwareStatusNotification")
        demand(told == {"status": status, "requestId": request_id}, f"it told {told}, not {status}")


async def _running(stage: Stage) -> str:
    """Ask the Charge Point which firmware runs."""
    conf = await stage.central_system.call("TriggerMessage", {"requestedMessage": "BootNotification"})
    demand(conf["status"] == "Accepted", f"TriggerMessage.req was {conf['status']}")
    return str((await stage.central_system.expect("BootNotification")).get("firmwareVersion"))


FIRMWARE_STEPS: Final = (
    Step("Refuse firmware of a stranger", ("L01.FR.02", "L01.FR.23", "L01.FR.24"), _refuse_a_stranger),
    Step("Refuse forged firmware", ("L01.FR.03", "L01.FR.04", "L01.FR.12"), _refuse_a_forgery),
    Step("Update the firmware", ("L01.FR.01", "L01.FR.05", "L01.FR.10", "L01.FR.15"), _update),
)
