"""What a Central System can wear out: its changes of the configuration are bounded, and nobody else's are."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.clock import Clock
from chargepoint.configuration import MAX_CHANGES, ChangeStatus, Configuration, Origin, device_values
from chargepoint.database import Database
from chargepoint.events import EventDoor
from chargepoint.state_schema import MIGRATIONS
from logs.security_log import SecurityLog

ACCEPTED, REJECTED = ChangeStatus.ACCEPTED, ChangeStatus.REJECTED


class Bench:
    def __init__(self, configuration: Configuration, log: SecurityLog) -> None:
        self.configuration = configuration
        self.log = log

    async def change(self, name: str, value: str, origin: Origin = Origin.CENTRAL_SYSTEM) -> ChangeStatus:
        return (await self.configuration.change(name, value, origin)).status


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    log = SecurityLog(database, max_events=20_000, max_age=timedelta(days=365))
    configuration = await Configuration.load(
        database,
        given={},
        device=device_values(1),
        raise_event=EventDoor(log, Clock(), "boot-1").raise_event,
        missing_prerequisite=lambda profile: None,
    )
    yield Bench(configuration, log)
    await database.close()


@pytest.mark.parametrize("name", ["CpoName", "AuthorizationKey"])
async def test_changes_without_end_are_refused_and_do_not_roll_the_security_log(bench: Bench, name: str) -> None:
    statuses = [await bench.change(name, f"{number:032}") for number in range(MAX_CHANGES + 10)]
    assert statuses == [ACCEPTED] * MAX_CHANGES + [REJECTED] * 10
    assert await bench.log.count() == MAX_CHANGES


async def test_a_list_that_is_sent_again_and_again_costs_nothing(bench: Bench) -> None:
    for _ in range(2 * MAX_CHANGES):
        assert await bench.change("CpoName", "Example") is ACCEPTED
    assert await bench.change("CpoName", "Other") is ACCEPTED


async def test_local_commands_are_not_bound_by_it(bench: Bench) -> None:
    for number in range(MAX_CHANGES + 1):
        await bench.change("CpoName", str(number))
    assert await bench.change("CpoName", "Central System") is REJECTED
    assert await bench.change("CpoName", "local", Origin.LOCAL) is ACCEPTED
