"""The table [firmware] of config.toml: who installs firmware, and when."""
# ruff: noqa: RUF009 - `setting` returns a dataclass field, as dataclasses.field does

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chargepoint.setting import setting
from chargepoint.setting_table import HardwareSettings

InstallerName = Literal["", "simulated", "none"]
"""Who installs firmware; "" leaves it to the hardware driver (`installer_name`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareSettings:
    """[firmware]: secure firmware updates (L01)."""

    installer: InstallerName = setting(
        "", why='"simulated" with the simulated driver; with another one nobody, until it is said who'
    )
    simulated_activation: Literal["reboot", "at-once"] = setting(
        "reboot", why="as boards with two slots do; an image may say otherwise (docs/firmware-installers.md)"
    )


def installer_name(firmware: FirmwareSettings, hardware: HardwareSettings) -> str:
    """Return who installs firmware: simulated slots would tell a real board's operator of updates that never were."""
    return firmware.installer or ("simulated" if hardware.driver == "simulated" else "none")


def firmware_warnings(firmware: FirmwareSettings, hardware: HardwareSettings) -> Iterator[str]:
    """Yield what is allowed but probably not meant."""
    if firmware.installer == "simulated" and hardware.driver != "simulated":
        yield '[firmware] installer = "simulated": updates are reported as Installed and change nothing on this board'
