"""Who installs firmware: as config.toml says it, and nobody on a board of which it is not known."""

from pathlib import Path
from typing import Any

import pytest

from chargepoint.firmware_installer import open_firmware_installer
from chargepoint.foundation import open_foundation
from chargepoint.hardware.discovery import open_hardware
from chargepoint.settings import Settings, load
from chargepoint.state import StateUnusable
from firmware.command_installer import CommandInstaller
from firmware.installer import Installer, Outcome
from firmware.rauc_installer import RaucInstaller
from firmware.simulated_slots import SimulatedSlots
from tests.agent_process import write_config
from tests.firmware_image import Told, make_image
from tests.rauc_service import Device, private_bus, rauc_service
from tests.shell_script import make_script


def settings_in(directory: Path, **firmware: Any) -> Settings:
    tables = {"firmware": firmware, "charge_point": {"firmware_version": "1.0.0"}}
    return load(write_config(directory, "ws://127.0.0.1:1/ocpp", tables))


def opened(settings: Settings, directory: Path) -> Installer | None:
    return open_firmware_installer(settings, open_hardware(settings.hardware, 1, directory), directory)


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


async def test_programs_of_the_board_install_where_config_toml_says_so(tmp_path: Path) -> None:
    install = make_script(tmp_path / "install", f"echo $1 > {tmp_path}/installed; exit 10")
    inspect = make_script(tmp_path / "inspect", "echo running_version=3.1.0")
    settings = settings_in(
        tmp_path,
        installer="command",
        install_command=[str(install), "--now"],
        inspect_command=[str(inspect)],
        install_cancellable=True,
    )
    installer = opened(settings, tmp_path)
    assert isinstance(installer, CommandInstaller)
    assert installer.cancellable
    assert await installer.running_version() == "3.1.0"
    assert await installer.install(make_image(tmp_path / "image"), Told()) is Outcome.NEEDS_REBOOT
    assert (tmp_path / "installed").read_text() == "--now\n"


async def test_rauc_installs_where_config_toml_says_so(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as address, rauc_service(address, Device()) as rauc:
        installer = opened(settings_in(tmp_path, installer="rauc", rauc_bus=address), tmp_path)
        assert isinstance(installer, RaucInstaller)
        assert not (await installer.inspect()).installing
        await rauc.begin_elsewhere()
        assert (await installer.inspect()).installing


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
