"""Connectors in service and out of it, over restarts and on a disk that fails."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chargepoint.availability import Availability
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
    """One process over a database that outlives it."""

    def __init__(self, database: Database, connectors: int = 2) -> None:
        clock = Clock()
        self.clock = clock
        self.connectors = Connectors(connectors, clock.now())
        self.availability = Availability(database, self.connectors, clock)

    def statuses(self) -> list[str]:
        return [self.connectors[number].status for number in self.connectors.numbers]


async def test_holds_over_a_restart(database: Database) -> None:
    assert await Bench(database).availability.change(2, operative=False) == "Accepted"
    after = Bench(database)
    await after.availability.open()
    assert after.statuses() == ["Available", "Available", "Unavailable"]
    assert await after.availability.change(2, operative=True) == "Accepted"
    again = Bench(database)
    await again.availability.open()
    assert again.statuses() == ["Available"] * 3


async def test_of_the_whole_charge_point_is_that_of_all_and_one_may_come_back_alone(database: Database) -> None:
    bench = Bench(database)
    assert await bench.availability.change(0, operative=False) == "Accepted"
    assert bench.statuses() == ["Unavailable"] * 3
    assert await bench.availability.change(1, operative=True) == "Accepted"
    after = Bench(database)
    await after.availability.open()
    assert after.statuses() == bench.statuses() == ["Unavailable", "Available", "Unavailable"]


async def test_is_scheduled_while_a_transaction_runs_and_on_the_disk_already(database: Database) -> None:
    bench = Bench(database)
    bench.connectors.begin_use(1, bench.clock.now())
    for _ in range(2):
        assert await bench.availability.change(0, operative=False) == "Scheduled"
    assert bench.statuses() == ["Available", "Charging", "Unavailable"]
    assert await bench.availability.change(2, operative=False) == "Accepted"
    after = Bench(database)
    await after.availability.open()
    assert after.statuses() == ["Unavailable"] * 3
    assert await bench.availability.change(1, operative=True) == "Accepted"


async def test_what_a_larger_board_has_left_behind_means_nothing(database: Database) -> None:
    await Bench(database, 3).availability.change(3, operative=False)
    after = Bench(database, 1)
    await after.availability.open()
    assert after.statuses() == ["Available"] * 2


async def test_of_a_connector_that_does_not_exist_is_rejected(database: Database) -> None:
    assert await Bench(database).availability.change(3, operative=False) == "Rejected"


async def test_that_the_disk_does_not_take_is_rejected_and_changes_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(connection: sqlite3.Connection) -> None:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON inoperative_connector BEGIN SELECT raise(FAIL, 'full'); END"
        )

    await database.write(refuse)
    bench = Bench(database)
    assert await bench.availability.change(1, operative=False) == "Rejected"
    assert bench.statuses() == ["Available"] * 3
    assert "its availability cannot be kept" in caplog.text


async def test_is_not_written_again_where_it_holds_already(database: Database) -> None:
    bench = Bench(database)
    await bench.availability.change(1, operative=False)
    changes = await database.read(lambda connection: connection.total_changes)
    assert await bench.availability.change(1, operative=False) == "Accepted"
    assert await database.read(lambda connection: connection.total_changes) == changes
