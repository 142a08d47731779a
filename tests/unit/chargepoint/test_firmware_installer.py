"""Who installs firmware: as config.toml says it, and nobody on a board of which it is not known."""

from pathlib import Path

import pytest

from chargepoint.firmware_installer import open_firmware_installer
from chargepoint.firmware_settings import FirmwareSettings, InstallerName, firmware_warnings, installer_name
from chargepoint.foundation import open_foundation
from chargepoint.hardware.discovery import open_hardware
from chargepoint.settings import HardwareSettings, Settings, load
from chargepoint.state import StateUnusable
from firmware.installer import Installer, Outcome
from firmware.simulated_slots import SimulatedSlots
from tests.agent_process import write_config
from tests.firmware_image import Told, make_image


def settings_in(directory: Path, **firmware: str) -> Settings:
    tables = {"firmware": firmware, "charge_point": {"firmware_version": "1.0.0"}}
    return load(write_config(directory, "ws://127.0.0.1:1/ocpp", tables))


def opened(settings: Settings, directory: Path) -> Installer | None:
    return open_firmware_installer(settings, open_hardware(settings.hardware, 1, directory), directory)


@pytest.mark.parametrize(
    ("driver", "installer", "name"),
    [
        ("simulated", "", "simulated"),
        ("simulated", "none", "none"),
        ("acme", "", "none"),
        ("acme", "simulated", "simulated"),
    ],
)
def test_a_real_board_has_no_simulated_slots_unless_they_are_wanted(
    driver: str, installer: InstallerName, name: str
) -> None:
    assert installer_name(FirmwareSettings(installer=installer), HardwareSettings(driver=driver)) == name


def test_warns_of_simulated_slots_on_a_real_board() -> None:
    slots = FirmwareSettings(installer="simulated")
    (warning,) = firmware_warnings(slots, HardwareSettings(driver="acme"))
    assert "change nothing on this board" in warning
    assert not list(firmware_warnings(slots, HardwareSettings()))
    assert not list(firmware_warnings(FirmwareSettings(), HardwareSettings(driver="acme")))


def test_there_may_be_none(tmp_path: Path) -> None:
    assert opened(settings_in(tmp_path, installer="none"), tmp_path) is None


async def test_the_simulated_board_starts_with_the_version_of_config_toml(tmp_path: Path) -> None:
    installer = opened(settings_in(tmp_path), tmp_path)
    assert isinstance(installer, SimulatedSlots)
    assert await installer.running_version() == "1.0.0"


async def test_config_toml_says_when_firmware_in_a_simulated_slot_begins_to_run(tmp_path: Path) -> None:
    installer = opened(settings_in(tmp_path, simulated_activation="at-once"), tmp_path)
    assert installer is not None
    assert await installer.install(make_image(tmp_path / "image"), Told()) is Outcome.ACTIVE


async def test_slots_that_cannot_be_opened_are_a_state_that_cannot_be_used(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with open_foundation(settings):
        pass
    slots = settings.state.directory / "simulated-slots"
    (slots / "boot.json").unlink()
    slots.rmdir()
    slots.write_bytes(b"no directory")
    with pytest.raises(StateUnusable, match="simulated-slots"):
        async with open_foundation(settings):
            pass
