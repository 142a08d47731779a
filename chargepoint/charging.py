"""The charging side: what becomes of plugs, faults and orders at the connectors.

A firmware update asks it to hold the connectors (`hold_connectors`), waits until it is idle, and lets them go again. A
hold lives in memory only: after a restart the update, which knows whether it still waits, holds again.

Persist, then act, then tell: the availability is on the disk before the status shows it.
"""

import asyncio
import logging
from collections.abc import Callable

from chargepoint.availability import AvailabilityStore
from chargepoint.clock import Clock
from chargepoint.connectors import Connectors
from chargepoint.hardware.port import ConnectorCleared, ConnectorFaulted
from chargepoint.payload import enums
from chargepoint.state import StateUnusable

_log = logging.getLogger(__name__)

ChargingNotice = ConnectorFaulted | ConnectorCleared
"""What a board says about its connectors."""


class Charging:
    """The connectors at work.

    Args:
        connectors: their facts and status.
        availability: which are out of service, on the disk.
        clock: the agent's clock.
        tell: told whenever a status may have changed.
    """

    def __init__(
        self, connectors: Connectors, *, availability: AvailabilityStore, clock: Clock, tell: Callable[[], None]
    ) -> None:
        self._connectors = connectors
        self._availability = availability
        self._clock = clock
        self._tell = tell
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> None:
        """Take in what the disk knows.

        Raises:
            DatabaseError: it cannot be read.
        """
        stored = await self._availability.load()
        # What a larger board has left in the database means nothing here.
        known = [connector for connector in stored if connector in self._connectors]
        self._connectors.set_operative(known, False, self._clock.now())

    def take_notice(self, notice: ChargingNotice) -> None:
        """Take in what the board says."""
        now = self._clock.now()
        match notice:
            case ConnectorFaulted() | ConnectorCleared() if notice.connector not in self._connectors:
                _log.error("the board speaks of connector %r, which there is not", notice.connector)
            case ConnectorFaulted(connector, error_code, info):
                self._connectors.set_fault(connector, error_code, info, now)
            case ConnectorCleared(connector):
                self._connectors.clear_fault(connector, now)
        self._tell()

    async def change_availability(self, connector: int, *, operative: bool) -> enums.AvailabilityStatus:
        """Put a connector (0: the Charge Point and all of them) into service or out of it, durably.

        A transaction is not touched: its connector is out of service when it has ended, also after a restart.

        Returns:
            Rejected: there is no such connector, or the disk failed; nothing is changed.
        """
        if connector not in self._connectors:
            return enums.AvailabilityStatus.rejected
        meant = self._connectors.meant_by(connector)
        changed = [each for each in meant if self._connectors.is_operative(each) is not operative]
        if changed:
            try:
                await self._availability.write(changed, operative=operative)
            except StateUnusable as error:
                _log.error("connector %d stays as it is, its availability cannot be kept: %s", connector, error)
                return enums.AvailabilityStatus.rejected
            self._connectors.set_operative(changed, operative, self._clock.now())
            _log.info("connector %d is %s", connector, "put into service" if operative else "taken out of service")
        if not operative and set(meant) & set(self._connectors.in_use):
            return enums.AvailabilityStatus.scheduled
        return enums.AvailabilityStatus.accepted

    def transactions_running(self) -> int:
        """Return how many transactions run."""
        return len(self._connectors.in_use)

    def hold_connectors(self) -> None:
        """Let no transaction start; what is not in use is Unavailable, or when it falls free (L01.FR.07, L01.FR.19).

        Harmless when repeated. Nothing of it is on the disk: whoever holds holds again after a restart.
        """
        if not self._connectors.held:
            _log.info("the connectors are held for a firmware update, %d in use", self.transactions_running())
            self._connectors.hold(self._clock.now())
            self._tell()

    def release_connectors(self) -> None:
        """Let transactions start again; harmless when repeated."""
        if self._connectors.held:
            _log.info("the connectors are free again after a firmware update")
            self._connectors.release(self._clock.now())
            self._tell()

    async def wait_until_idle(self) -> None:
        """Wait until no transaction runs; hold the connectors first, or the next one may have started by then."""
        await self._idle.wait()
