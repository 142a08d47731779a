"""The table [firmware] of config.toml: who installs firmware, and when."""
# ruff: noqa: RUF009 - `setting` returns a dataclass field, as dataclasses.field does

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from chargepoint.mistake import MistakeList
from chargepoint.setting import setting
from chargepoint.setting_check import check_bus_address
from chargepoint.setting_table import HardwareSettings

MAX_ARGUMENTS: Final = 64  #: arguments; of a command, itself included; one that needs more is a script

InstallerName = Literal["", "simulated", "command", "rauc", "none"]
"""Who installs firmware; "" leaves it to the hardware driver (`installer_name`)."""

_TABLE: Final = "firmware"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareSettings:
    """[firmware]: secure firmware updates (L01)."""

    installer: InstallerName = setting(
        "", why='"simulated" with the simulated driver; with another one nobody, until it is said who'
    )
    download_retries: int = setting(
        3, unit="retries", low=0, high=100, why="of a download, where the request leaves it open (L01 leaves it to us)"
    )
    download_retry_interval: timedelta = setting(
        timedelta(seconds=60), unit="s", low=1, high=86_400, why="likewise; a server that restarts is back by then"
    )
    max_image_mib: int = setting(
        2048, unit="MiB", low=1, high=1_000_000, why="a larger file is no firmware of any known board, and fills disks"
    )
    pause_while_charging: bool = setting(
        default=False, why="a download does not disturb charging; true keeps a thin link free (DownloadPaused)"
    )
    charging_during_install: bool = setting(
        default=False, why="safe on every board; true where the image goes to a slot that does not run (L01.FR.06)"
    )
    max_wait: timedelta = setting(
        timedelta(), unit="s", low=0, high=31_536_000, why="0: as long as transactions take (L01.FR.06), else it fails"
    )
    reboot_report_wait: timedelta = setting(
        timedelta(seconds=30), unit="s", low=0, high=3600, why="InstallRebooting goes out before (L01.FR.15), if it can"
    )
    mark_good_after: timedelta = setting(
        timedelta(seconds=600), unit="s", low=0, high=86_400, why="without a connection the network may be at fault"
    )
    simulated_activation: Literal["reboot", "at-once"] = setting(
        "reboot", why="as boards with two slots do; an image may say otherwise (docs/firmware-installers.md)"
    )
    install_command: tuple[str, ...] = setting(
        (), unit="characters", low=1, high=4096, why='what installer = "command" runs: a program and its arguments'
    )
    inspect_command: tuple[str, ...] = setting(
        (), unit="characters", low=1, high=4096, why="what runs is told by the hardware driver's version alone"
    )
    mark_good_command: tuple[str, ...] = setting(
        (), unit="characters", low=1, high=4096, why="the board keeps new firmware without being told"
    )
    withdraw_command: tuple[str, ...] = setting(
        (), unit="characters", low=1, high=4096, why="an image that waits for the reboot cannot be taken back"
    )
    install_cancellable: bool = setting(
        default=False, why="nobody but the integrator knows what the board is like in the middle of an installation"
    )
    install_timeout: timedelta = setting(
        timedelta(hours=1), unit="s", low=0, high=86_400, why="slow flash writes a gigabyte in it; 0: no limit"
    )
    rauc_bus: str = setting(
        "", unit="characters", high=255, check=check_bus_address, why="the system's; RAUC is nowhere else on a board"
    )

    @property
    def commands(self) -> Mapping[str, tuple[str, ...]]:
        """The commands by their keys."""
        return {
            "install_command": self.install_command,
            "inspect_command": self.inspect_command,
            "mark_good_command": self.mark_good_command,
            "withdraw_command": self.withdraw_command,
        }


def installer_name(firmware: FirmwareSettings, hardware: HardwareSettings) -> str:
    """Return who installs firmware: simulated slots would tell a real board's operator of updates that never were."""
    return firmware.installer or ("simulated" if hardware.driver == "simulated" else "none")


def check_firmware(firmware: FirmwareSettings, mistakes: MistakeList) -> None:
    """Add to `mistakes` what only shows when several keys, or the programs on this machine, are looked at."""
    if firmware.installer == "rauc" and find_spec("jeepney") is None:
        reason = "needs the Python package jeepney: pip install chargepoint[rauc]"
        mistakes.add(_TABLE, "installer", firmware.installer, reason)
    if firmware.rauc_bus and firmware.installer != "rauc":
        mistakes.add(_TABLE, "rauc_bus", firmware.rauc_bus, 'needs installer = "rauc" beside it')
    wanted = firmware.installer == "command"
    if wanted and not firmware.install_command and not mistakes.names(_TABLE, "install_command"):
        mistakes.add_at(_TABLE, "install_command", "(missing)", 'is required with installer = "command"')
    for key, command in firmware.commands.items():
        if not command:
            continue
        if not wanted:
            mistakes.add_at(_TABLE, key, command[0], 'needs installer = "command" beside it')
        elif fault := _fault(command):
            mistakes.add_at(_TABLE, key, command[0], fault)


def firmware_warnings(firmware: FirmwareSettings, hardware: HardwareSettings) -> Iterator[str]:
    """Yield what is allowed but probably not meant."""
    if firmware.installer == "simulated" and hardware.driver != "simulated":
        yield '[firmware] installer = "simulated": updates are reported as Installed and change nothing on this board'
    if firmware.installer == "command" and not firmware.inspect_command:
        yield (
            "[firmware] inspect_command: without it a roll-back by the boot loader shows only where the hardware "
            "driver knows the version that runs"
        )
    for command in firmware.commands.values():
        if command and Path(command[0]).stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield f"{command[0]} installs firmware and others may change it: chmod go-w {command[0]}"


def _fault(command: tuple[str, ...]) -> str | None:
    """Say why a command cannot be run, None where it can."""
    program = Path(command[0])
    if len(command) > MAX_ARGUMENTS:
        return f"has {len(command)} arguments, at most {MAX_ARGUMENTS} are taken; write a script"
    if not program.is_absolute():
        return "must be an absolute path: the program is not searched for"
    if not program.is_file():
        return "there is no such program" if not program.exists() else "is not a file"
    if not os.access(program, os.X_OK):
        return f"cannot be executed by this user: chmod +x {program}"
    return None
