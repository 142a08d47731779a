"""The composition in this process: what the board says, and how everything ends; tests/faults has the real process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint import charging_side
from chargepoint.agent import Agent
from chargepoint.board_notice import MAX_EVENTS_WAITING
from chargepoint.foundation import Foundation, open_foundation
from chargepoint.hardware.port import (
    ConnectorCleared,
    ConnectorFaulted,
    IdTagPresented,
    Notify,
    PluggedIn,
    ResetKind,
    TamperDetected,
)
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.settings import HardwareSettings, load
from chargepoint.state import StateUnusable
from chargepoint.transactions import TransactionStore
from tests.agent_process import Tables, write_config

NOWHERE = "ws://127.0.0.1:1/ocpp"


class Board(SimulatedHardware):
    """A board whose voice the test has."""

    def __init__(self, settings: HardwareSettings, connectors: int, directory: Path) -> None:
        super().__init__(settings, connectors, directory)
        self.started: asyncio.Future[Notify] = asyncio.get_running_loop().create_future()
        self.stopped = False

    async def start(self, notify: Notify) -> None:
        self.started.set_result(notify)

    async def stop(self) -> None:
        self.stopped = True


@pytest.fixture(autouse=True)
def board_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargepoint.foundation.open_hardware", Board)


@asynccontextmanager
async def opened(directory: Path, tables: Tables | None = None) -> AsyncIterator[tuple[Foundation, Board]]:
    async with open_foundation(load(write_config(directory, NOWHERE, tables))) as foundation:
        board = foundation.hardware
        assert isinstance(board, Board)
        yield foundation, board


async def test_a_notice_of_a_connector_that_is_not_there_is_logged_and_the_others_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as (foundation, board):
        agent = Agent(foundation)
        living = asyncio.create_task(agent.live())
        notify = await board.started
        notify(ConnectorFaulted(2, "OtherError"))
        notify(ConnectorCleared(-1))
        notify(ConnectorFaulted(1, "GroundFailure", "wet"))
        assert agent.connectors[1].status == "Faulted"
        agent.reset(ResetKind.SOFT)
        assert await living is ResetKind.SOFT
    assert "the board speaks of connector 2, which there is not" in caplog.text
    assert "the board speaks of connector -1, which there is not" in caplog.text


async def test_a_sensor_that_chatters_is_bounded_and_what_was_noticed_is_recorded_before_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as (foundation, board):
        agent = Agent(foundation)
        living = asyncio.create_task(agent.live())
        notify = await board.started
        for number in range(MAX_EVENTS_WAITING + 5):
            notify(TamperDetected(f"lid {number}"))
        agent.reset(ResetKind.HARD)
        await living
        assert board.stopped
        events = [each.event for each in await foundation.security_log.read(None, None, 1000)]
        assert sum(event.type == "TamperDetectionActivated" for event in events) == MAX_EVENTS_WAITING
    assert caplog.text.count("is not recorded") == 5


@pytest.mark.parametrize(("kind", "reason"), [(ResetKind.HARD, "HardReset"), (ResetKind.SOFT, "SoftReset")])
async def test_what_charges_is_ended_before_a_reset_although_nobody_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: ResetKind, reason: str
) -> None:
    monkeypatch.setattr(charging_side, "MAX_SOFT_LAST_MESSAGES", timedelta())
    tables = {"configuration": {"AllowOfflineTxForUnknownId": "true"}}
    async with opened(tmp_path, tables) as (foundation, board):
        agent = Agent(foundation)
        living = asyncio.create_task(agent.live())
        notify = await board.started
        notify(PluggedIn(1))
        notify(IdTagPresented("04E1C2A3B4"))
        store = TransactionStore(foundation.database, board.boot_id)
        while not await store.running():
            pass
        agent.reset(kind)
        assert await living is kind
        assert await store.running() == []
        reasons = "SELECT reason FROM transaction_message ORDER BY id"
        rows = await foundation.database.read(lambda connection: connection.execute(reasons).fetchall())
        assert rows == [(None,), (reason,)]


async def test_the_first_of_two_resets_counts(tmp_path: Path) -> None:
    async with opened(tmp_path) as (foundation, board):
        agent = Agent(foundation)
        living = asyncio.create_task(agent.live())
        await board.started
        agent.reset(ResetKind.HARD)
        agent.reset(ResetKind.SOFT)
        assert await living is ResetKind.HARD


async def test_what_was_begun_is_ended_where_the_socket_cannot_stand(tmp_path: Path) -> None:
    async with opened(tmp_path, {"control": {"socket": "/no/such/control.sock"}}) as (foundation, board):
        with pytest.raises(StateUnusable, match="the control socket cannot be made"):
            await Agent(foundation).live()
        assert board.stopped


def test_a_notice_says_only_what_can_be_told() -> None:
    with pytest.raises(ValueError, match="'Nonsense' is no ChargePointErrorCode"):
        ConnectorFaulted(1, "Nonsense")
    with pytest.raises(ValueError, match="info is a text"):
        ConnectorFaulted(1, "OtherError", ["a list"])  # type: ignore[arg-type] # as a careless driver may do
    with pytest.raises(ValueError, match="info is a text"):
        TamperDetected(5)  # type: ignore[arg-type] # the same
