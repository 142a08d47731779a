"""OCTT TC_081_CS, Secure firmware update with an invalid signature."""

import asyncio
from pathlib import Path

import pytest

from tests.firmware_site import firmware_site


@pytest.mark.requirement("L01.FR.03", "L01.FR.04", "L01.FR.09")
async def test_tc_081_invalid_signature(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as here:
        release = here.publisher.publish("1.1.0")
        release.tamper()
        before = slots(tmp_path)

        # 1-2: the tool orders an update whose signature is not that of the image.
        request_id, answer = await here.order(release, checked=False)
        assert answer == "Accepted"

        # 3-4: Downloading. 5-6: Downloaded.
        for status in ("Downloading", "Downloaded"):
            await here.told(request_id, status)

        # 7-10, in any order: InvalidSignature, and its security event.
        event, heard = await asyncio.gather(here.event("InvalidFirmwareSignature"), here.end_of(request_id))
        assert event["techInfo"]
        assert heard == ["Downloading", "Downloaded", "InvalidSignature"]

        # The image is gone, and nothing of it is in a slot.
        assert slots(tmp_path) == before
        assert not [path for path in (tmp_path / "state" / "firmware").iterdir() if path.is_file()]
        assert (await here.status())["state"] == "invalid signature"


def slots(directory: Path) -> dict[str, bytes]:
    """What lies in the slots, and what the boot loader knows."""
    return {path.name: path.read_bytes() for path in (directory / "state" / "simulated-slots").iterdir()}
