"""Where nobody installs firmware nothing is known, nothing waits and nothing is installed."""

from pathlib import Path

import pytest

from firmware.installer import Image, Installer, InstallFailed
from firmware.no_installer import NoInstaller


async def test_it_refuses_and_knows_nothing() -> None:
    installer: Installer = NoInstaller()
    assert installer.cancellable
    with pytest.raises(InstallFailed, match="installer is none"):
        await installer.install(Image(path=Path("image"), request_id=1, sha256="5e"), lambda progress: None)
    slots = await installer.inspect()
    assert (slots.running_version, slots.running_sha256, slots.waiting_sha256) == (None, None, None)
    assert (slots.installing, slots.confirmed) == (False, True)
    await installer.mark_good()
    assert await installer.withdraw()
    assert await installer.running_version() is None
