"""Which connectors ChangeAvailability.req has taken out of service; it holds over restarts (OCPP 1.6, 5.2).

Guaranteed: it is on the disk before the status shows it.

Not done here: what else makes a connector unavailable (connectors.py).
"""

import logging
import sqlite3
from collections.abc import Collection
from typing import Final

from chargepoint.clock import Clock
from chargepoint.connectors import Connectors
from chargepoint.database import Database
from chargepoint.payload import enums
from chargepoint.state import StateUnusable

_log = logging.getLogger(__name__)

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS inoperative_connector (
        connector INTEGER PRIMARY KEY  -- 0: the Charge Point itself
    )
    """,
)


class Availability:
    """The connectors in service and out of it.

    Args:
        database: it has the table of `SCHEMA`.
        connectors: told what is so.
        clock: the agent's clock.
    """

    def __init__(self, database: Database, connectors: Connectors, clock: Clock) -> None:
        self._database = database
        self._connectors = connectors
        self._clock = clock

    async def open(self) -> None:
        """Take in what the disk knows.

        Raises:
            DatabaseError: it cannot be read.
        """
        stored = await self._database.read(_select)
        # What a larger board has left in the database means nothing here.
        known = [connector for connector in stored if connector in self._connectors]
        self._connectors.set_operative(known, False, self._clock.now())

    async def change(self, connector: int, *, operative: bool) -> enums.AvailabilityStatus:
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
                await self._write(changed, operative=operative)
            except StateUnusable as error:
                _log.error("connector %d stays as it is, its availability cannot be kept: %s", connector, error)
                return enums.AvailabilityStatus.rejected
            self._connectors.set_operative(changed, operative, self._clock.now())
            _log.info("connector %d is %s", connector, "put into service" if operative else "taken out of service")
        if not operative and set(meant) & set(self._connectors.in_use):
            return enums.AvailabilityStatus.scheduled
        return enums.AvailabilityStatus.accepted

    async def _write(self, connectors: Collection[int], *, operative: bool) -> None:
        rows = [(connector,) for connector in connectors]
        statement = (
            "DELETE FROM inoperative_connector WHERE connector = ?"
            if operative
            else "INSERT OR IGNORE INTO inoperative_connector VALUES (?)"
        )

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        await self._database.write(work)


def _select(connection: sqlite3.Connection) -> list[int]:
    return [connector for (connector,) in connection.execute("SELECT connector FROM inoperative_connector")]
