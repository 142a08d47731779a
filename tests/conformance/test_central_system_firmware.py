"""What the simulated Central System itself owes to a firmware update (A00.FR.706, L01.FR.11)."""

import asyncio
from pathlib import Path

import pytest
from cryptography import x509

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.firmware_publisher import FirmwarePublisher
from chargepoint.simulation.firmware_signing import Unfit, bad_signing_certificates
from chargepoint.simulation.pki import Pki
from tests.bare_charge_point import BOOT, charge_point

PKI = Pki.create()


@pytest.mark.requirement("L01.FR.11")
async def test_the_request_carries_the_signing_certificate(tmp_path: Path) -> None:
    async with (
        FileServers(tmp_path, PKI) as servers,
        CentralSystem(pki=PKI) as central_system,
        charge_point(central_system) as client,
    ):
        await client.call("BootNotification", BOOT)
        publisher = FirmwarePublisher(servers, PKI)
        release = publisher.publish("1.1.0")
        calling = asyncio.create_task(central_system.call("SignedUpdateFirmware", publisher.request(release)))
        _, _, action, request = await client.answer({"status": "Accepted"})
        assert (await calling, action) == ({"status": "Accepted"}, "SignedUpdateFirmware")
        certificate = x509.load_pem_x509_certificate(request["firmware"]["signingCertificate"].encode())
        certificate.verify_directly_issued_by(PKI.manufacturer_root.certificate)


@pytest.mark.requirement("A00.FR.706")
async def test_what_is_wrong_with_an_image_is_seen_before_it_is_handed_out(tmp_path: Path) -> None:
    async with (
        FileServers(tmp_path, PKI) as servers,
        CentralSystem(pki=PKI) as central_system,
        charge_point(central_system) as client,
    ):
        await client.call("BootNotification", BOOT)
        publisher = FirmwarePublisher(servers, PKI)
        forged = publisher.publish("1.1.0", name="forged.bin")
        forged.tamper()
        releases = [forged, publisher.publish("1.1.0", is_signed=False)]
        releases += [publisher.publish("1.1.0", shown=bad) for bad in bad_signing_certificates(PKI).values()]
        for release in releases:
            with pytest.raises(Unfit):
                await central_system.call("SignedUpdateFirmware", publisher.request(release))
        assert [each.action for each in central_system.recorder.frames("sent")] == ["BootNotification"]
