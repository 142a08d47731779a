"""Who is asked about, and where whoever may charge is expected."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.charging_bench import CARD, Bench, on_bench

ANOTHER = "ANOTHER"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with on_bench(tmp_path, connectors=3) as new_bench:
        bench = new_bench()
        async with bench.at_work():
            yield bench


async def started_at(bench: Bench) -> int:
    """Wait until a transaction runs, and return its connector."""
    await bench.settled(lambda: any(bench.charging.transaction(number) for number in bench.connectors.numbers))
    return next(number for number in bench.connectors.numbers if bench.charging.transaction(number))


class TestCardWithoutAConnector:
    async def test_means_the_cable_that_waits(self, bench: Bench) -> None:
        await bench.board.plug_in(2)
        bench.board.present_id_tag(CARD)
        assert await started_at(bench) == 2

    async def test_means_whichever_is_plugged_in_next(self, bench: Bench) -> None:
        bench.board.present_id_tag(CARD)
        await bench.settled(lambda: bench.asked == [CARD])
        assert bench.statuses() == ["Available"] * 4  # nobody knows yet where
        await bench.board.plug_in(3)
        assert await started_at(bench) == 3

    async def test_means_the_only_one_that_is_free(self, bench: Bench) -> None:
        for connector in (1, 3):
            bench.board.fault(connector)
        bench.board.present_id_tag(CARD)
        await bench.has_status(2, "Preparing")
        await bench.board.plug_in(2)
        assert await started_at(bench) == 2

    async def test_does_not_mean_a_vehicle_that_has_had_its_turn(self, bench: Bench) -> None:
        await bench.charge(1)
        bench.board.present_id_tag(CARD)
        await bench.has_status(1, "Finishing")
        bench.board.present_id_tag(ANOTHER)
        await bench.settled(lambda: bench.asked == [CARD, ANOTHER])
        await bench.board.plug_in(2)
        assert await started_at(bench) == 2

    async def test_is_not_taken_for_somebody_else_who_is_expected(self, bench: Bench) -> None:
        bench.board.present_id_tag(CARD)
        await bench.settled(lambda: bench.asked == [CARD])
        assert bench.charging.remote_start(ANOTHER, 1)
        await bench.board.plug_in(1)
        assert await started_at(bench) == 1
        transaction = bench.charging.transaction(1)
        assert transaction is not None
        assert transaction.id_tag == ANOTHER
        await bench.board.plug_in(2)
        await bench.has_status(2, "Charging")

    async def test_is_refused_where_none_is_free(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        bench.board.fault(0)
        bench.board.present_id_tag(CARD)
        assert bench.asked == []
        assert "a card is refused: no connector is free" in caplog.text


class TestAsked:
    async def test_one_at_a_time_and_connector(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        bench.answer.clear()
        bench.board.present_id_tag(CARD, 1)
        bench.board.present_id_tag(ANOTHER, 1)
        bench.board.present_id_tag(ANOTHER, 2)
        assert not bench.charging.remote_start(ANOTHER, 1)
        await bench.settled(lambda: bench.asked == [CARD, ANOTHER])
        assert "a card is refused at connector 1: another card is being asked about" in caplog.text
        bench.answer.set()
        await bench.has_status(1, "Preparing")
        await bench.has_status(2, "Preparing")

    async def test_and_refused_nothing_happens(self, bench: Bench) -> None:
        bench.allowed = False
        await bench.board.plug_in(1)
        bench.board.present_id_tag(CARD, 1)
        await bench.settled(lambda: bench.asked == [CARD])
        assert bench.charging.transactions_running() == 0

    @pytest.mark.parametrize("connector", [1, None])
    async def test_too_late_where_the_connectors_are_held_meanwhile(
        self, bench: Bench, caplog: pytest.LogCaptureFixture, connector: int | None
    ) -> None:
        caplog.set_level("INFO")
        bench.answer.clear()
        bench.board.present_id_tag(CARD, connector)
        await bench.settled(lambda: bench.asked == [CARD])
        bench.charging.hold_connectors()
        bench.answer.set()
        await bench.settled(lambda: "a card that was accepted is too late" in caplog.text)
        bench.charging.release_connectors()
        await bench.board.plug_in(1)
        assert bench.connectors[1].status == "Preparing"

    async def test_and_given_up_at_the_end(self, bench: Bench) -> None:
        bench.answer.clear()
        bench.board.present_id_tag(CARD, 1)
        await bench.settled(lambda: bench.asked == [CARD])
        await asyncio.wait_for(bench.charging.close(), 5)
        bench.answer.set()
        bench.board.present_id_tag(ANOTHER, 1)
        assert bench.asked == [CARD]


class TestExpected:
    @pytest.mark.parametrize("connector", [1, None])
    async def test_until_the_time_is_over(
        self, bench: Bench, caplog: pytest.LogCaptureFixture, connector: int | None
    ) -> None:
        caplog.set_level("INFO")
        await bench.set_key("ConnectionTimeOut", "30")
        bench.board.present_id_tag(CARD, connector)
        await bench.settled(lambda: bench.asked == [CARD])
        bench.pass_time(31)
        await bench.settled(lambda: "is expected no longer" in caplog.text)
        assert bench.statuses() == ["Available"] * 4
        await bench.board.plug_in(1)
        await bench.has_status(1, "Preparing")
        assert bench.charging.transactions_running() == 0

    async def test_no_longer_at_a_connector_that_fails(self, bench: Bench) -> None:
        assert bench.charging.remote_start(CARD, 1)
        bench.board.fault(1)
        await bench.has_status(1, "Faulted")
        await bench.settled(lambda: bench.charging._visitors.next_lapse_in() is None)
        bench.board.clear_fault(1)
        assert bench.connectors[1].status == "Available"


class TestOrderFromAfar:
    async def test_needs_no_question(self, bench: Bench) -> None:
        await bench.board.plug_in(1)
        assert bench.charging.remote_start(CARD, None)
        assert await started_at(bench) == 1
        assert bench.asked == []

    async def test_is_asked_about_where_the_configuration_wants_it(self, bench: Bench) -> None:
        await bench.set_key("AuthorizeRemoteTxRequests", "true")
        await bench.board.plug_in(1)
        assert bench.charging.remote_start(CARD, 1)
        assert await started_at(bench) == 1
        assert bench.asked == [CARD]

    @pytest.mark.parametrize("connector", [0, 4])
    async def test_is_refused_for_what_is_no_connector(self, bench: Bench, connector: int) -> None:
        assert not bench.charging.remote_start(CARD, connector)
