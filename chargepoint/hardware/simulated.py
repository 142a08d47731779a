"""A simulated board, moved by the control socket: outlets, a card reader, a tamper sensor, a clock that can be turned.

Its boot id is the kernel's boot id and a count of its own reboots, so that a killed agent does not look like a device
that has booted, and a Reset.req does.
"""

import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from chargepoint.control import Method
from chargepoint.hardware.port import (
    ConnectorCleared,
    ConnectorFaulted,
    EvResumed,
    EvSuspended,
    IdTagPresented,
    Notice,
    Notify,
    PluggedIn,
    PluggedOut,
    ResetKind,
    TamperDetected,
)
from chargepoint.hardware.simulated_control import hands_on
from chargepoint.hardware.simulated_outlet import Lock, Outlets
from chargepoint.settings import HardwareSettings
from security import durable
from security.errors import DurableError

MAX_CLOCK_OFFSET: Final = timedelta(days=100 * 365)  #: time; from 1970 to 2070 and a little more, within the calendar

_log = logging.getLogger(__name__)

_KERNEL_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class SimulatedHardware:
    """The simulated board.

    Args:
        settings: ``on_reboot``: ``restart`` re-executes the agent, ``exit`` lets it end with status 0.
        connectors: how many connectors there are.
        directory: where the count of reboots, the cables and the meters are kept.
    """

    def __init__(self, settings: HardwareSettings, connectors: int, directory: Path) -> None:
        self._on_reboot = settings.on_reboot
        self._connectors = connectors
        self._reboots_file = directory / "simulated-reboots"
        self._reboots = self._read_reboots()
        self._clock_offset = timedelta()
        self._outlets = Outlets(connectors, directory / "simulated-outlets")
        self._with_failed_lock: set[int] = set()
        self._notify: Notify | None = None

    @property
    def boot_id(self) -> str:
        """The kernel's boot id and the number of simulated reboots."""
        kernel = _KERNEL_BOOT_ID.read_text().strip() if _KERNEL_BOOT_ID.exists() else "no-kernel-boot-id"
        return f"{kernel}.{self._reboots}"

    @property
    def firmware_version(self) -> str | None:
        """Not known here: the firmware installer says it, or config.toml."""
        return None

    def system_time(self) -> datetime:
        """The machine's clock, off by what `set_clock` said."""
        return datetime.now(UTC) + self._clock_offset

    async def set_system_time(self, moment: datetime) -> bool:
        """Refuse, as an agent without the right to set the clock must: the machine's clock is not ours."""
        return False

    async def start(self, notify: Notify) -> None:
        """Remember whom to tell, and tell of the cables that are in place."""
        self._notify = notify
        for connector in self._outlets.plugged_in:
            notify(PluggedIn(connector))

    async def stop(self) -> None:
        """Open the contactors, and tell nobody any more."""
        self._notify = None
        self._outlets.stop()
        await self._save()

    async def start_energy(self, connector: int) -> None:
        """Close lock and contactor. Raises OSError where the lock does not close."""
        if not self._outlets.set_offered(self._outlet(connector), True):
            self._fail_lock(connector, "the lock does not close")
            raise OSError(f"the lock of connector {connector} does not close")

    async def stop_energy(self, connector: int) -> None:
        """Open contactor and lock."""
        if not self._outlets.set_offered(self._outlet(connector), False):
            self._fail_lock(connector, "the lock does not open")
        await self._save()

    async def meter_wh(self, connector: int) -> int:
        """Return the register of a connector."""
        return self._outlets.meter_wh(self._outlet(connector))

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
        notice = ConnectorFaulted(self._checked(connector), error_code, info)
        self._with_failed_lock.discard(connector)
        self._outlets.set_faulted(connector, True)
        self._tell(notice)

    def clear_fault(self, connector: int) -> None:
        """Mend a connector (0: the whole Charge Point).

        Raises:
            ValueError: no such connector.
        """
        self._outlets.set_faulted(self._checked(connector), False)
        self._with_failed_lock.discard(connector)
        self._tell(ConnectorCleared(connector))

    async def plug_in(self, connector: int) -> None:
        """Join a connector and a vehicle by a cable.

        Raises:
            ValueError: no such connector.
        """
        self._outlets.set_plugged_in(self._outlet(connector), True)
        await self._save()
        self._tell(PluggedIn(connector))

    async def plug_out(self, connector: int) -> None:
        """Take the cable away; raises as `plug_in`."""
        self._outlets.set_plugged_in(self._outlet(connector), False)
        await self._save()
        self._tell(PluggedOut(connector))

    def present_id_tag(self, id_tag: str, connector: int | None = None) -> None:
        """Hold a card to the reader of a connector, or to one that serves them all.

        Raises:
            ValueError: no such connector, or no such id tag.
        """
        self._tell(IdTagPresented(id_tag, None if connector is None else self._outlet(connector)))

    def suspend_ev(self, connector: int) -> None:
        """Let the vehicle take no more energy.

        Raises:
            ValueError: no such connector, or no vehicle there.
        """
        self._outlets.set_suspended(self._outlet(connector), True)
        self._tell(EvSuspended(connector))

    def resume_ev(self, connector: int) -> None:
        """Let the vehicle take energy again; raises as `suspend_ev`."""
        self._outlets.set_suspended(self._outlet(connector), False)
        self._tell(EvResumed(connector))

    def set_lock(self, connector: int, mode: object) -> None:
        """Say how a lock behaves: ``ok``, ``fail`` or ``absent``. One that works again clears the fault that it made.

        Raises:
            ValueError: no such connector, or no such mode.
        """
        self._outlets.set_lock(self._outlet(connector), mode)
        if mode != Lock.FAIL and connector in self._with_failed_lock:
            self.clear_fault(connector)

    async def set_meter(self, connector: int, energy_wh: object, readings: Mapping[str, object]) -> dict[str, float]:
        """Set what a meter shows, and return all of it.

        Args:
            connector: whose meter.
            energy_wh: the register, None to leave it.
            readings: what is measured besides; ``power_w`` makes the register grow while energy flows.

        Raises:
            ValueError: no such connector, or no such value.
        """
        shown = self._outlets.set_meter(self._outlet(connector), energy_wh, readings)
        await self._save()
        return shown

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
        return {name: Method(act) for name, act in hands_on(self).items()}

    def _checked(self, connector: int) -> int:
        if type(connector) is not int:
            raise ValueError("connector is a whole number")
        if not 0 <= connector <= self._connectors:
            raise ValueError(f"connector {connector!r} does not exist: there are 0 to {self._connectors}")
        return connector

    def _outlet(self, connector: int) -> int:
        if self._checked(connector) == 0:
            raise ValueError(f"connector 0 is the whole board: there are 1 to {self._connectors}")
        return connector

    def _fail_lock(self, connector: int, info: str) -> None:
        self.fault(connector, "ConnectorLockFailure", info)
        self._with_failed_lock.add(connector)

    async def _save(self) -> None:
        try:
            await self._outlets.save()
        except DurableError as error:  # a full disk stops no board
            _log.warning("the simulated board forgets cables and meters at the next start: %s", error)

    def _tell(self, notice: Notice) -> None:
        if self._notify is not None:
            self._notify(notice)

    def _read_reboots(self) -> int:
        try:
            return int(self._reboots_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0
