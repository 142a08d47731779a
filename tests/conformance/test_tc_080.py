"""OCTT TC_080_CS, Secure firmware update."""

from pathlib import Path

import pytest

from tests.firmware_site import firmware_site


@pytest.mark.requirement("L01.FR.01", "L01.FR.05", "L01.FR.10", "L01.FR.15")
async def test_tc_080_secure_firmware_update(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as here:
        tool = here.central_system
        release = here.publisher.publish("1.1.0")

        # 1-2: the tool orders the update; the Charge Point checks the certificate and accepts.
        request_id, answer = await here.order(release)
        assert answer == "Accepted"

        # 3-4: Downloading. 5-6: Downloaded. 7-8: SignatureVerified.
        for status in ("Downloading", "Downloaded", "SignatureVerified"):
            await here.told(request_id, status)

        # The connectors may go Unavailable. 9-10: Installing.
        await here.told(request_id, "Installing")
        await here.told(request_id, "InstallRebooting")

        # In any order: 11-12: the Charge Point has rebooted and says so, with the new version.
        boot = await tool.expect("BootNotification", match={"firmwareVersion": "1.1.0"})
        assert boot["chargePointModel"]

        # 13-16: Available for connector 0 and each connector.
        for connector in (0, 1):
            await tool.expect("StatusNotification", match={"connectorId": connector, "status": "Available"})

        # 17-18: Installed.
        assert (await here.end_of(request_id))[-1] == "Installed"
        assert await here.event("FirmwareUpdated")
        assert not tool.findings
