"""The connectors at work: out of service over restarts, held for a firmware update and let go."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chargepoint.availability import AvailabilityStore
from chargepoint.charging import Charging
from chargepoint.clock import Clock
from chargepoint.connectors import Connectors
from chargepoint.database import Database
from chargepoint.state_schema import MIGRATIONS


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield database
    await database.close()


class Bench:
    """The charging side of one process, over a database that outlives it."""

    def __init__(self, database: Database, connectors: int = 2) -> None:
        clock = Clock()
        self.told = 0
        self.connectors = Connectors(connectors, clock.now())
        self.charging = Charging(
            self.connectors, availability=AvailabilityStore(database), clock=clock, tell=self._note_told
        )

    def _note_told(self) -> None:
        self.told += 1

    def statuses(self) -> list[str]:
        return [self.connectors[number].status for number in self.connectors.numbers]


class TestAvailability:
    async def test_holds_over_a_restart(self, database: Database) -> None:
        assert await Bench(database).charging.change_availability(2, operative=False) == "Accepted"
        after = Bench(database)
        await after.charging.open()
        assert after.statuses() == ["Available", "Available", "Unavailable"]
        assert await after.charging.change_availability(2, operative=True) == "Accepted"
        again = Bench(database)
        await again.charging.open()
        assert again.statuses() == ["Available"] * 3

    async def test_of_the_whole_charge_point_is_that_of_all_and_one_may_come_back_alone(
        self, database: Database
    ) -> None:
        bench = Bench(database)
        assert await bench.charging.change_availability(0, operative=False) == "Accepted"
        assert bench.statuses() == ["Unavailable"] * 3
        assert await bench.charging.change_availability(1, operative=True) == "Accepted"
        after = Bench(database)
        await after.charging.open()
        assert after.statuses() == bench.statuses() == ["Unavailable", "Available", "Unavailable"]

    async def test_what_a_larger_board_has_left_behind_means_nothing(self, database: Database) -> None:
        await Bench(database, 3).charging.change_availability(3, operative=False)
        after = Bench(database, 1)
        await after.charging.open()
        assert after.statuses() == ["Available"] * 2

    async def test_of_a_connector_that_does_not_exist_is_rejected(self, database: Database) -> None:
        assert await Bench(database).charging.change_availability(3, operative=False) == "Rejected"

    async def test_that_the_disk_does_not_take_is_rejected_and_changes_nothing(
        self, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(connection: sqlite3.Connection) -> None:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON inoperative_connector BEGIN SELECT raise(FAIL, 'full'); END"
            )

        await database.write(refuse)
        bench = Bench(database)
        assert await bench.charging.change_availability(1, operative=False) == "Rejected"
        assert bench.statuses() == ["Available"] * 3
        assert "its availability cannot be kept" in caplog.text

    async def test_is_not_written_again_where_it_holds_already(self, database: Database) -> None:
        bench = Bench(database)
        await bench.charging.change_availability(1, operative=False)
        changes = await database.read(lambda connection: connection.total_changes)
        assert await bench.charging.change_availability(1, operative=False) == "Accepted"
        assert await database.read(lambda connection: connection.total_changes) == changes


class TestHold:
    async def test_tells_once_when_it_begins_and_once_when_it_ends(self, database: Database) -> None:
        bench = Bench(database)
        for _ in range(2):
            bench.charging.hold_connectors()
        assert (bench.statuses(), bench.told) == (["Unavailable"] * 3, 1)
        for _ in range(2):
            bench.charging.release_connectors()
        assert (bench.statuses(), bench.told) == (["Available"] * 3, 2)

    async def test_is_idle_where_no_transaction_runs(self, database: Database) -> None:
        bench = Bench(database)
        assert bench.charging.transactions_running() == 0
        await asyncio.wait_for(bench.charging.wait_until_idle(), 5)
