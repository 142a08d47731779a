"""Whether the device has booted, or only the agent has been started again.

The hardware port names each boot of the device by a boot id. It is kept together with a reset that was ordered, so that
a crash of the agent is not taken for a boot of the device, and a reset is reported when it is done.

`BootRecord.take` reports at least once: the boot id is kept after the events were recorded.
"""

import sqlite3
from typing import Final

from chargepoint.database import Database
from security.event import RaiseEvent, SecurityEventType

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS boot (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        boot_id TEXT,       -- of the last boot that was reported
        reset_pending TEXT  -- the reset that was ordered and not reported yet
    )
    """,
)


def boot_events(
    previous_boot_id: str | None, current_boot_id: str, reset_pending: str | None
) -> list[tuple[SecurityEventType, str]]:
    """Return the security events that a start of the agent means, each with its tech info.

    Args:
        previous_boot_id: of the last boot that was reported, None before the first.
        current_boot_id: of the boot that runs.
        reset_pending: the reset that was ordered before this start, for instance ``Hard``; None: none.
    """
    events = []
    if current_boot_id != previous_boot_id:
        events.append((SecurityEventType.STARTUP_OF_THE_DEVICE, f"boot {current_boot_id}"))
    if reset_pending is not None:
        events.append((SecurityEventType.RESET_OR_REBOOT, f"{reset_pending} reset"))
    return events


class BootRecord:
    """What is known of the last boot, on the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def order_reset(self, kind: str) -> None:
        """Keep durably that a reset is about to happen; the next start reports it.

        Args:
            kind: ``Hard`` or ``Soft``.

        Raises:
            DatabaseError: it is not kept.
        """
        await self._keep(
            "INSERT INTO boot (id, reset_pending) VALUES (1, ?) "
            "ON CONFLICT (id) DO UPDATE SET reset_pending = excluded.reset_pending",
            kind,
        )

    async def take(self, boot_id: str, raise_event: RaiseEvent) -> bool:
        """Record the security events that this start of the agent means, and keep the boot id.

        Args:
            boot_id: of the boot that runs.
            raise_event: records an event durably.

        Returns:
            Whether the device has booted.

        Raises:
            DatabaseError: the same is reported again at the next start.
        """
        previous, pending = await self._database.read(_load)
        events = boot_events(previous, boot_id, pending)
        for event_type, tech_info in events:
            await raise_event(event_type, tech_info)
        if events:
            await self._keep("INSERT OR REPLACE INTO boot (id, boot_id) VALUES (1, ?)", boot_id)
        return boot_id != previous

    async def _keep(self, statement: str, value: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(statement, (value,))

        await self._database.write(work)


def _load(connection: sqlite3.Connection) -> tuple[str | None, str | None]:
    row = connection.execute("SELECT boot_id, reset_pending FROM boot").fetchone()
    return row or (None, None)
