"""Which connectors ChangeAvailability.req has taken out of service, on the disk: it holds over restarts (5.2).

Not done here: what follows for the status of a connector (connectors.py).
"""

import sqlite3
from collections.abc import Collection
from typing import Final

from chargepoint.database import Database

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS inoperative_connector (
        connector INTEGER PRIMARY KEY  -- 0: the Charge Point itself
    )
    """,
)


class AvailabilityStore:
    """The connectors that are out of service.

    Args:
        database: it has the table of `SCHEMA`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> frozenset[int]:
        """Return the numbers of the connectors that are out of service.

        Raises:
            DatabaseError: the database cannot be read.
        """
        return await self._database.read(_select)

    async def write(self, connectors: Collection[int], *, operative: bool) -> None:
        """Put connectors into service or out of it, all in one transaction.

        Raises:
            DatabaseError: nothing is changed.
        """
        rows = [(connector,) for connector in connectors]
        statement = (
            "DELETE FROM inoperative_connector WHERE connector = ?"
            if operative
            else "INSERT OR IGNORE INTO inoperative_connector VALUES (?)"
        )

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        await self._database.write(work)


def _select(connection: sqlite3.Connection) -> frozenset[int]:
    return frozenset(connector for (connector,) in connection.execute("SELECT connector FROM inoperative_connector"))
