"""Finds the driver that config.toml names, among the entry points of the group ``chargepoint.hardware``."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from chargepoint.hardware.port import Hardware
from chargepoint.settings import HardwareSettings

GROUP: Final = "chargepoint.hardware"
OWN_DRIVER: Final = "simulated"

Factory = Callable[[HardwareSettings, int, Path], Hardware]
"""Makes a driver of ``[hardware]``, the number of connectors and a directory whose files survive."""


class DriverUnusable(Exception):
    """Raised when the named driver is not installed, or cannot be loaded.

    Attributes:
        name: what ``[hardware] driver`` says.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"[hardware] driver = {name!r}: {why}")
        self.name = name


def open_hardware(settings: HardwareSettings, connectors: int, directory: Path) -> Hardware:
    """Load the driver and make the board; nothing is started yet.

    Args:
        settings: the table ``[hardware]``; ``options`` is the driver's own.
        connectors: how many connectors the board has, 1 or more.
        directory: where the driver may keep files that must survive a power cut.

    Raises:
        DriverUnusable: no such driver, or it cannot be loaded.
    """
    return _factory(settings.driver)(settings, connectors, directory)


def _factory(driver: str) -> Factory:
    if driver == OWN_DRIVER:
        # Ours is known: reading the entry points of all that is installed takes some milliseconds of every start.
        from chargepoint.hardware.simulated import SimulatedHardware

        return SimulatedHardware
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP)
    if driver not in found.names:
        installed = ", ".join(sorted(found.names)) or "none"
        raise DriverUnusable(driver, f"no such driver is installed (installed: {installed})")
    try:
        return cast(Factory, found[driver].load())
    except (ImportError, AttributeError) as error:
        raise DriverUnusable(driver, f"it cannot be loaded: {error}") from error
