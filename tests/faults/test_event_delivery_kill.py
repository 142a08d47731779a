"""The agent is killed in the middle of a long queue of security events: none is lost, and few come twice.

SIGKILL is not a power cut; that what was confirmed or recorded survives one rests on SQLite's journal, whose settings
the database asserts at each start.
"""

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from chargepoint.database import Database
from chargepoint.event_delivery import MAX_REPEATED_EVENTS
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.frame import Call
from chargepoint.state import StateDirectory
from chargepoint.state_schema import MIGRATIONS
from logs.security_log import SecurityLog
from security.event import SecurityEvent, SecurityEventType
from tests.agent_process import PKI, agent

NOTIFICATION: Final = "SecurityEventNotification"
TAMPER: Final = SecurityEventType.TAMPER_DETECTION_ACTIVATED
EVENTS: Final = 400


async def fill(state: Path) -> None:
    """Queue numbered events, as an agent without a connection would."""
    directory = StateDirectory.open(state)
    database = await Database.open(directory.database_path, MIGRATIONS)
    log = SecurityLog(database, max_events=1000, max_age=timedelta(days=365))
    now = datetime.now(UTC)
    events = (SecurityEvent(TAMPER, now, str(number)) for number in range(EVENTS))
    await asyncio.gather(*(log.record(event, boot_id="boot", monotonic=0.0, time_known=True) for event in events))
    await database.close()
    directory.close()


def arrived(central_system: CentralSystem) -> list[int]:
    """The numbers of all events so far, as they came."""
    return [
        int(entry.frame.payload["techInfo"])
        for entry in central_system.recorder.frames("received")
        if isinstance(entry.frame, Call) and entry.action == NOTIFICATION and entry.frame.payload["type"] == TAMPER
    ]


@pytest.mark.requirement("A04.FR.02")
@pytest.mark.parametrize("kills", [(1,), (40,), (150, 100, 37)])
async def test_a_kill_loses_nothing_keeps_the_order_and_repeats_few(tmp_path: Path, kills: tuple[int, ...]) -> None:
    await fill(tmp_path / "state")
    async with CentralSystem(pki=PKI) as central_system:
        lives = []
        for number in kills:
            before = len(arrived(central_system))
            async with agent(tmp_path, central_system.url, waits=False, level="warning") as running:
                for _ in range(number):
                    await central_system.expect(NOTIFICATION, match={"type": TAMPER})
                await running.stop(signal.SIGKILL)
            lives.append(arrived(central_system)[before:])
        before = len(arrived(central_system))
        async with agent(tmp_path, central_system.url, waits=False, level="warning") as running:
            await central_system.expect(NOTIFICATION, match={"techInfo": str(EVENTS - 1)})
        lives.append(arrived(central_system)[before:])

    come = 0
    for life in lives:
        assert come - MAX_REPEATED_EVENTS <= life[0] <= come, "nothing is left out, little is repeated"
        assert life == list(range(life[0], life[-1] + 1)), "in order"
        come = life[-1] + 1
    assert come == EVENTS
