"""Makes the firmware installer that config.toml names; each one is imported only where it is wanted."""

from pathlib import Path
from typing import Final

from chargepoint.firmware_settings import FirmwareSettings, installer_name
from chargepoint.hardware.port import Hardware
from chargepoint.settings import Settings
from firmware.installer import Installer
from security import durable

SLOTS_NAME: Final = "simulated-slots"
COMMAND_NAME: Final = "firmware-command"
RAUC_NAME: Final = "firmware-rauc"


def open_firmware_installer(settings: Settings, hardware: Hardware, state: Path) -> Installer | None:
    """Make the installer; nothing is installed yet. Moves the disk: to be called in a thread.

    Args:
        settings: config.toml, found good.
        hardware: the board; each new boot id of it is a boot.
        state: the state directory, where the installer keeps what must survive.

    Returns:
        The installer, None where nobody installs firmware.

    Raises:
        DurableError: the disk fails.
    """
    name = installer_name(settings.firmware, settings.hardware)
    if name == "simulated":
        from firmware.simulated_image import Activation
        from firmware.simulated_slots import SimulatedSlots

        return SimulatedSlots.open(
            state / SLOTS_NAME,
            boot_id=hardware.boot_id,
            factory_version=settings.charge_point.firmware_version,
            activation=Activation(settings.firmware.simulated_activation),
        )
    if name == "command":
        return _command_installer(settings.firmware, hardware, state / COMMAND_NAME)
    if name == "rauc":
        return _rauc_installer(settings.firmware, state / RAUC_NAME)
    return None


def _command_installer(firmware: FirmwareSettings, hardware: Hardware, directory: Path) -> Installer:
    from firmware.command_installer import CommandInstaller, Commands, load_record

    durable.make_directory(directory)
    durable.sweep(directory)
    commands = Commands(
        install=firmware.install_command,
        inspect=firmware.inspect_command,
        mark_good=firmware.mark_good_command,
        withdraw=firmware.withdraw_command,
        cancellable=firmware.install_cancellable,
        timeout=firmware.install_timeout or None,
    )
    return CommandInstaller(
        commands,
        directory,
        load_record(directory),
        boot_id=hardware.boot_id,
        board_version=lambda: hardware.firmware_version,
    )


def _rauc_installer(firmware: FirmwareSettings, directory: Path) -> Installer:
    from firmware.rauc_bus import SYSTEM_BUS
    from firmware.rauc_installer import RaucInstaller, load_record

    durable.make_directory(directory)
    durable.sweep(directory)
    return RaucInstaller(
        directory,
        load_record(directory),
        timeout=firmware.install_timeout or None,
        address=firmware.rauc_bus or SYSTEM_BUS,
    )
