"""A simulated board: connectors, a tamper sensor and a clock that can be turned, moved by the control socket.

Its boot id is the kernel's boot id and a count of its own reboots, so that a killed agent does not look like a device
that has booted, and a Reset.req does.
"""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from chargepoint.control import INVALID_PARAMS, ControlError, Method
from chargepoint.hardware.port import ConnectorCleared, ConnectorFaulted, Notify, ResetKind, TamperDetected
from chargepoint.settings import HardwareSettings
from security import durable

MAX_CLOCK_OFFSET: Final = timedelta(days=100 * 365)  #: time; from 1970 to 2070 and a little more, within the calendar

_KERNEL_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class SimulatedHardware:
    """The simulated board.

    Args:
        settings: ``on_reboot``: ``restart`` re-executes the agent, ``exit`` lets it end with status 0.
        connectors: how many connectors there are.
        directory: where the count of reboots is kept.
    """

    def __init__(self, settings: HardwareSettings, connectors: int, directory: Path) -> None:
        self._on_reboot = settings.on_reboot
        self._connectors = connectors
        self._reboots_file = directory / "simulated-reboots"
        self._reboots = self._read_reboots()
        self._clock_offset = timedelta()
        self._notify: Notify | None = None

    @property
    def boot_id(self) -> str:
        """The kernel's boot id and the number of simulated reboots."""
        kernel = _KERNEL_BOOT_ID.read_text().strip() if _KERNEL_BOOT_ID.exists() else "no-kernel-boot-id"
        return f"{kernel}.{self._reboots}"

    @property
    def firmware_version(self) -> str | None:
        """Not known here: config.toml says it."""
        return None

    def system_time(self) -> datetime:
        """The machine's clock, off by what `set_clock` said."""
        return datetime.now(UTC) + self._clock_offset

    async def set_system_time(self, moment: datetime) -> bool:
        """Refuse, as an agent without the right to set the clock must: the machine's clock is not ours."""
        return False

    async def start(self, notify: Notify) -> None:
        """Remember whom to tell."""
        self._notify = notify

    async def stop(self) -> None:
        """Tell nobody any more."""
        self._notify = None

    def reboot(self, kind: ResetKind) -> None:
        """Count a reboot; then re-execute the agent in the same process, or return so that it ends."""
        durable.write(self._reboots_file, str(self._reboots + 1).encode())
        if self._on_reboot == "restart":
            sys.stdout.flush()
            sys.stderr.flush()
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell, as it was started

    def fault(self, connector: int, error_code: str = "OtherError", info: str | None = None) -> None:
        """Make a connector (0: the whole Charge Point) fail.

        Raises:
            ValueError: no such connector, or no such ChargePointErrorCode.
        """
        self._tell(ConnectorFaulted(self._checked(connector), error_code, info))

    def clear_fault(self, connector: int) -> None:
        """Mend a connector (0: the whole Charge Point).

        Raises:
            ValueError: no such connector.
        """
        self._tell(ConnectorCleared(self._checked(connector)))

    def tamper(self, info: str | None = None) -> None:
        """Let the tamper sensor fire."""
        self._tell(TamperDetected(info))

    def set_clock(self, offset_s: float) -> None:
        """Put the board's clock off by so many seconds from the machine's.

        Raises:
            ValueError: that is no number, or the clock would leave the calendar.
        """
        if type(offset_s) not in (int, float) or not abs(offset_s) <= MAX_CLOCK_OFFSET.total_seconds():
            raise ValueError(f"the offset is a number of seconds, at most {MAX_CLOCK_OFFSET.days} days")
        self._clock_offset = timedelta(seconds=offset_s)

    def control_methods(self) -> Mapping[str, Method]:
        """Return the methods ``hardware.*`` of the control socket, which move the board as a person would."""

        async def fault(connector: int, error_code: str = "OtherError", info: str | None = None) -> None:
            _try(lambda: self.fault(connector, error_code, info))

        async def clear_fault(connector: int) -> None:
            _try(lambda: self.clear_fault(connector))

        async def tamper(info: str | None = None) -> None:
            _try(lambda: self.tamper(info))

        async def set_clock(offset_s: float) -> None:
            _try(lambda: self.set_clock(offset_s))

        return {
            "hardware.fault": Method(fault),
            "hardware.clear_fault": Method(clear_fault),
            "hardware.tamper": Method(tamper),
            "hardware.set_clock": Method(set_clock),
        }

    def _checked(self, connector: int) -> int:
        if type(connector) is not int or not 0 <= connector <= self._connectors:
            raise ValueError(f"connector {connector!r} does not exist: there are 0 to {self._connectors}")
        return connector

    def _tell(self, notice: ConnectorFaulted | ConnectorCleared | TamperDetected) -> None:
        if self._notify is not None:
            self._notify(notice)

    def _read_reboots(self) -> int:
        try:
            return int(self._reboots_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0


def _try(act: Callable[[], None]) -> None:
    try:
        act()
    except ValueError as error:
        raise ControlError(str(error), code=INVALID_PARAMS) from error
