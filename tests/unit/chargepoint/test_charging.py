"""Transactions at the connectors, from the first plug to the last Wh, with a board and a disk that may fail."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint import charging
from chargepoint.hardware.port import ConnectorCleared, ConnectorFaulted, IdTagPresented, PluggedIn
from chargepoint.payload import enums
from chargepoint.transaction_delivery import Started
from tests.charging_bench import CARD, MAX_OWED, PATIENCE_S, Bench, NewBench, on_bench


@pytest.fixture
async def new_bench(tmp_path: Path) -> AsyncIterator[NewBench]:
    async with on_bench(tmp_path) as new_bench:
        yield new_bench


@pytest.fixture
async def bench(new_bench: NewBench) -> AsyncIterator[Bench]:
    bench = new_bench()
    async with bench.at_work():
        yield bench


class TestTransaction:
    async def test_is_on_the_disk_before_energy_flows_and_ended_when_it_has_stopped(self, bench: Bench) -> None:
        await bench.board.set_meter(1, 500, {})
        await bench.charge()
        assert await bench.owed_messages() == [(1, "start", 500, None, None)]
        assert (bench.owed, bench.board.energised) == (1, {1})
        await bench.board.set_meter(1, 800, {})
        bench.board.present_id_tag(CARD)
        await bench.has_status(1, "Finishing")
        assert await bench.owed_messages() == [(1, "start", 500, None, None), (1, "stop", 800, "Local", CARD)]
        assert (bench.owed, bench.board.energised) == (2, set())
        assert bench.charging.transactions_running() == 0

    async def test_of_one_connector_is_not_ended_by_a_card_at_another(self, bench: Bench) -> None:
        await bench.charge()
        bench.board.present_id_tag(CARD, 2)
        await bench.has_status(2, "Preparing")
        assert bench.charging.transactions_running() == 1

    async def test_is_not_ended_by_another_card(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        await bench.charge()
        bench.board.present_id_tag("ANOTHER", 1)
        assert bench.asked == [CARD]
        assert "a card is refused at connector 1: a transaction runs there" in caplog.text
        assert "ANOTHER" not in caplog.text

    async def test_goes_on_when_the_cable_is_pulled_where_the_operator_wants_it(self, bench: Bench) -> None:
        await bench.set_key("StopTransactionOnEVSideDisconnect", "false")
        await bench.charge()
        await bench.board.plug_out(1)
        assert bench.connectors[1].status == "SuspendedEV"
        await bench.board.plug_in(1)
        assert bench.connectors[1].status == "Charging"

    async def test_that_the_board_refuses_energy_ends_at_once(self, bench: Bench) -> None:
        bench.board.fails = {"start_energy"}
        await bench.board.plug_in(1)
        bench.board.present_id_tag(CARD, 1)
        await bench.has_status(1, "Finishing")
        assert [message[3] for message in await bench.owed_messages()] == [None, "Other"]

    async def test_does_not_begin_without_a_meter(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        bench.board.fails = {"meter_wh"}
        await bench.board.plug_in(1)
        bench.board.present_id_tag(CARD, 1)
        await bench.settled(lambda: "no transaction can begin on connector 1: meter_wh failed" in caplog.text)
        assert bench.connectors[1].status == "Preparing"
        assert await bench.owed_messages() == []

    async def test_ends_with_what_is_known_where_the_board_fails(self, bench: Bench) -> None:
        await bench.board.set_meter(1, 500, {})
        await bench.charge()
        bench.board.fails = {"stop_energy", "meter_wh"}
        await bench.board.plug_out(1)
        await bench.has_status(1, "Available")
        assert (await bench.owed_messages())[-1] == (1, "stop", 500, "EVDisconnected", None)

    async def test_counts_what_flows(self, bench: Bench) -> None:
        await bench.board.set_meter(1, 500, {"power_w": 3600.0})
        await bench.charge()
        assert await bench.board.meter_wh(1) >= 500


class TestDisk:
    async def test_that_does_not_take_the_beginning_gives_no_energy(self, bench: Bench) -> None:
        await bench.break_disk("charging_transaction", "INSERT")
        await bench.board.plug_in(1)
        bench.board.present_id_tag(CARD, 1)
        await bench.has_status(1, "Charging")
        await bench.has_status(1, "Preparing")
        assert (bench.board.energised, bench.charging.transactions_running()) == (set(), 0)

    async def test_that_is_full_of_messages_lets_none_begin(self, bench: Bench) -> None:
        for _ in range(MAX_OWED // 2 + 1):
            await bench.charge(2, "ANOTHER")
            await bench.board.plug_out(2)
            await bench.has_status(2, "Available")
        await bench.board.plug_in(1)
        bench.board.present_id_tag(CARD, 1)
        await bench.has_status(1, "Charging")
        await bench.has_status(1, "Preparing")
        assert len(await bench.owed_messages()) == MAX_OWED + 1  # what runs may end

    async def test_that_does_not_take_the_end_is_asked_again_with_what_was_so_then(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        await bench.charge()
        await bench.break_disk("transaction_message", "INSERT")
        await bench.board.plug_out(1)
        await bench.settled(lambda: "which cannot be kept yet" in caplog.text)
        assert (bench.charging.transactions_running(), bench.board.energised) == (1, set())
        await bench.board.set_meter(1, 900, {})
        await bench.mend_disk()
        bench.pass_time(61)
        await bench.has_status(1, "Available")
        assert (await bench.owed_messages())[-1] == (1, "stop", 0, "EVDisconnected", None)


class TestCutOff:
    async def _cut_off(self, new_bench: NewBench) -> None:
        before = new_bench()
        async with before.at_work():
            await before.board.set_meter(1, 500, {})
            await before.charge()
            await before.board.set_meter(1, 700, {})

    async def test_by_a_power_cut_it_has_ended_by_power_loss(self, new_bench: NewBench) -> None:
        await self._cut_off(new_bench)
        then = new_bench("boot-2")
        async with then.at_work():
            assert (await then.owed_messages())[-1] == (1, "stop", 700, "PowerLoss", None)
            assert await then.store.running() == []
            assert then.statuses() == ["Available", "Preparing", "Available"]

    async def test_by_a_crash_of_the_agent_it_has_ended_by_a_reboot(self, new_bench: NewBench) -> None:
        await self._cut_off(new_bench)
        then = new_bench()
        async with then.at_work():
            assert (await then.owed_messages())[-1] == (1, "stop", 700, "Reboot", None)

    async def test_at_a_connector_that_is_gone_it_has_ended_where_it_began(self, tmp_path: Path) -> None:
        async with on_bench(tmp_path, connectors=2) as new_bench:
            before = new_bench()
            async with before.at_work():
                await before.charge(2)
        async with on_bench(tmp_path, connectors=1) as new_bench:
            then = new_bench()
            async with then.at_work():
                assert (await then.owed_messages())[-1] == (1, "stop", 0, "Reboot", None)


class TestOrders:
    async def test_from_afar_find_a_transaction_by_the_id_that_the_central_system_gave(self, bench: Bench) -> None:
        await bench.charge()
        bench.charging.note_started(Started(1, 7, "Accepted"))
        assert not await bench.charging.remote_stop(8)
        assert await bench.charging.remote_stop(7)
        assert await bench.charging.remote_stop(7)  # the first order counts
        await bench.has_status(1, "Finishing")
        assert [message[3] for message in await bench.owed_messages()] == [None, "Remote"]
        assert not await bench.charging.remote_stop(7)

    async def test_from_afar_may_come_on_the_heels_of_the_id(self, bench: Bench) -> None:
        await bench.charge()
        order = asyncio.create_task(bench.charging.remote_stop(7))
        await asyncio.sleep(0)
        bench.charging.note_started(Started(1, 7, "Accepted"))
        assert await order
        await bench.has_status(1, "Finishing")

    async def test_from_afar_do_not_wait_for_ever(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(charging, "ID_UNDER_WAY", timedelta())
        await bench.charge()
        assert not await bench.charging.remote_stop(7)

    async def test_about_a_transaction_that_has_ended_meanwhile_do_nothing(self, bench: Bench) -> None:
        await bench.charge()
        bench.charging.note_started(Started(2, 7, "Invalid"))
        assert bench.connectors[1].status == "Charging"

    async def test_to_pause_an_invalid_id_tag_stop_the_energy_and_not_the_transaction(self, bench: Bench) -> None:
        await bench.set_key("StopTransactionOnInvalidId", "false")
        await bench.charge()
        bench.charging.note_started(Started(1, 7, "Invalid"))
        await bench.has_status(1, "SuspendedEVSE")
        await bench.settled(lambda: not bench.board.energised)
        assert bench.charging.transactions_running() == 1

    async def test_to_pause_what_ends_at_the_same_time_do_nothing(self, bench: Bench) -> None:
        await bench.set_key("StopTransactionOnInvalidId", "false")
        await bench.charge()
        await bench.board.plug_out(1)
        bench.charging.note_started(Started(1, 7, "Invalid"))
        await bench.has_status(1, "Available")
        await bench.charge()
        assert bench.connectors[1].status == "Charging"

    async def test_to_end_all_let_none_begin_any_more(self, bench: Bench) -> None:
        await bench.charge(1)
        await bench.charge(2, "ANOTHER")
        await asyncio.wait_for(bench.charging.end_all(enums.Reason.soft_reset), PATIENCE_S)
        assert [message[3] for message in await bench.owed_messages()] == [None, None, "SoftReset", "SoftReset"]
        bench.board.present_id_tag(CARD, 1)
        assert bench.asked == [CARD, "ANOTHER"]
        assert not bench.charging.remote_start(CARD, 1)


class TestHold:
    async def test_tells_once_when_it_begins_and_once_when_it_ends(self, bench: Bench) -> None:
        for _ in range(2):
            bench.charging.hold_connectors()
        assert bench.statuses() == ["Unavailable"] * 3
        for _ in range(2):
            bench.charging.release_connectors()
        assert bench.statuses() == ["Available"] * 3

    async def test_waits_for_what_runs_and_lets_nothing_new_begin(self, bench: Bench) -> None:
        await bench.charge(1)
        bench.charging.hold_connectors()
        assert bench.statuses() == ["Available", "Charging", "Unavailable"]
        idle = asyncio.create_task(bench.charging.wait_until_idle())
        await bench.board.plug_in(2)
        bench.board.present_id_tag("ANOTHER", 2)
        assert not bench.charging.remote_start("ANOTHER", 2)
        assert (bench.asked, idle.done()) == ([CARD], False)
        await bench.board.plug_out(1)
        await asyncio.wait_for(idle, PATIENCE_S)
        assert bench.charging.transactions_running() == 0
        assert bench.statuses() == ["Unavailable"] * 3
        bench.charging.release_connectors()
        assert bench.statuses() == ["Available", "Available", "Preparing"]

    async def test_sends_away_whoever_was_to_plug_in(self, bench: Bench) -> None:
        assert bench.charging.remote_start(CARD, 1)
        assert bench.connectors[1].status == "Preparing"
        bench.charging.hold_connectors()
        bench.charging.release_connectors()
        await bench.board.plug_in(1)
        assert (bench.connectors[1].status, bench.charging.transactions_running()) == ("Preparing", 0)

    async def test_is_idle_where_no_transaction_runs(self, bench: Bench) -> None:
        await asyncio.wait_for(bench.charging.wait_until_idle(), PATIENCE_S)


async def test_a_connector_that_is_not_there_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for notice in (
        ConnectorFaulted(3, "OtherError"),
        ConnectorCleared(-1),
        PluggedIn(7),
        IdTagPresented(CARD, 9),
        PluggedIn(0),
    ):
        bench.charging.take_notice(notice)
    for number in (3, -1, 7, 9, 0):
        assert f"the board speaks of connector {number}, which there is not" in caplog.text
    assert bench.statuses() == ["Available"] * 3
