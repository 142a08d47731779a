"""Programs that the fault tests start as processes of their own, to kill them or to run them where the disk is bad.

python state_worker.py write DIRECTORY   records events and changes a key for ever, printing what was promised
python state_worker.py open DIRECTORY    opens the state and writes once; prints the fault, if there is one
python state_worker.py fill DIRECTORY    fills the disk under an open state, prints the refusal, makes room again
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from chargepoint.clock import Clock
from chargepoint.configuration import Configuration, Origin, device_values
from chargepoint.database import Database
from chargepoint.events import EventDoor
from chargepoint.state import StateDirectory, StateUnusable
from chargepoint.state_schema import MIGRATIONS
from logs.security_log import SecurityLog


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


class State:
    """The parts that keep state, put together as the agent does."""

    def __init__(
        self, directory: StateDirectory, database: Database, configuration: Configuration, log: SecurityLog
    ) -> None:
        self.directory = directory
        self.database = database
        self.configuration = configuration
        self.log = log

    @classmethod
    async def open(cls, path: Path) -> "State":
        directory = StateDirectory.open(path)
        database = await Database.open(directory.database_path, MIGRATIONS)
        log = SecurityLog(database, max_events=1_000_000, max_age=timedelta(days=365))
        configuration = await Configuration.load(
            database,
            given={},
            device=device_values(1),
            raise_event=EventDoor(log, Clock(), "boot-1").raise_event,
            missing_prerequisite=lambda profile: None,
        )
        return cls(directory, database, configuration, log)

    async def close(self) -> None:
        await self.database.close()
        self.directory.close()


async def write(path: Path) -> None:
    state = await State.open(path)
    for number in range(1_000_000):
        await asyncio.gather(
            state.configuration.change("CpoName", f"operator {number}", Origin.LOCAL),
            *(state.configuration.change("HeartbeatInterval", str(number), Origin.LOCAL) for _ in range(3)),
        )
        say(number)


async def open_once(path: Path) -> None:
    state = await State.open(path)
    change = await state.configuration.change("CpoName", "operator", Origin.LOCAL)
    say(change.status)
    await state.close()


async def fill(path: Path) -> None:
    state = await State.open(path)
    number, change = 0, await state.configuration.change("CpoName", "operator 0", Origin.LOCAL)
    with (path.parent / "ballast").open("wb") as ballast:
        while True:
            try:
                os.write(ballast.fileno(), bytes(4096))
            except OSError:
                break
    while change.status == "Accepted":
        number += 1
        change = await state.configuration.change("CpoName", f"operator {number}", Origin.LOCAL)
    say(change.reason)
    say(state.configuration.text("CpoName") == f"operator {number - 1}")
    events_before = await state.log.count()
    (path.parent / "ballast").unlink()
    say((await state.configuration.change("CpoName", "after", Origin.LOCAL)).status)
    say(await state.log.count() - events_before)
    await state.close()


async def main(what: str, path: Path) -> int:
    try:
        await {"write": write, "open": open_once, "fill": fill}[what](path)
    except StateUnusable as fault:
        say(f"unusable: {fault}")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], Path(sys.argv[2]))))
