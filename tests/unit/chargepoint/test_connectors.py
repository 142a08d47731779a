"""The status that the facts of a connector make, and what the Central System is owed about it."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from chargepoint.connectors import MAX_INFO_LENGTH, STATUSES, Connectors
from chargepoint.payload import enums

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def connectors() -> Connectors:
    return Connectors(2, NOW)


def _report_all(connectors: Connectors) -> None:
    for number in connectors.unreported():
        connectors.mark_reported(number, connectors[number])


def test_all_are_owed_at_first(connectors: Connectors) -> None:
    assert connectors.numbers == (0, 1, 2)
    assert connectors.unreported() == (0, 1, 2)
    assert connectors[1].status == "Available"


def test_nothing_is_owed_once_confirmed(connectors: Connectors) -> None:
    _report_all(connectors)
    assert connectors.unreported() == ()


def test_a_fault_is_owed(connectors: Connectors) -> None:
    _report_all(connectors)
    connectors.set_fault(2, "GroundFailure", "x" * 80, LATER)
    assert connectors.unreported() == (2,)
    assert (connectors[2].status, connectors[2].error_code) == ("Faulted", "GroundFailure")
    assert connectors[2].info == "x" * MAX_INFO_LENGTH
    assert connectors[2].changed_at == LATER


def test_a_fault_that_came_and_went_unseen_is_not_owed(connectors: Connectors) -> None:
    _report_all(connectors)
    connectors.set_fault(1, "OtherError", None, LATER)
    connectors.clear_fault(1, LATER)
    assert connectors.unreported() == ()


def test_a_change_during_the_report_stays_owed(connectors: Connectors) -> None:
    _report_all(connectors)
    connectors.set_fault(1, "OtherError", None, LATER)
    told = connectors[1]
    connectors.clear_fault(1, LATER)
    connectors.mark_reported(1, told)
    assert connectors.unreported() == (1,)


def test_the_same_fault_again_keeps_its_time(connectors: Connectors) -> None:
    connectors.set_fault(1, "OtherError", None, NOW)
    connectors.set_fault(1, "OtherError", None, LATER)
    assert connectors[1].changed_at == NOW


def test_all_are_owed_anew_after_a_boot(connectors: Connectors) -> None:
    _report_all(connectors)
    connectors.forget_reports()
    assert connectors.unreported() == (0, 1, 2)


def test_a_connector_that_does_not_exist_is_refused(connectors: Connectors) -> None:
    assert 3 not in connectors
    with pytest.raises(KeyError):
        connectors.set_fault(3, "OtherError", None, NOW)


class TestStatus:
    def test_is_one_that_ocpp_knows(self) -> None:
        assert {status for status, _ in STATUSES} | {"Reserved"} == set(enums.ChargePointStatus)

    def test_goes_through_a_whole_transaction(self, connectors: Connectors) -> None:
        acts: list[Callable[[], None]] = [
            lambda: connectors.plug_in(1, LATER),
            lambda: connectors.begin_use(1, LATER),
            lambda: connectors.set_ev_suspended(1, True, LATER),
            lambda: connectors.set_ev_suspended(1, False, LATER),
            lambda: connectors.suspend_evse(1, LATER),
            lambda: connectors.end_use(1, LATER),
            lambda: connectors.plug_out(1, LATER),
        ]
        seen = []
        for act in acts:
            act()
            seen.append(connectors[1].status)
        assert seen == [
            "Preparing",
            "Charging",
            "SuspendedEV",
            "Charging",
            "SuspendedEVSE",
            "Finishing",
            "Available",
        ]
        assert connectors[2].status == connectors[0].status == "Available"

    def test_a_card_before_the_plug_prepares_too(self, connectors: Connectors) -> None:
        connectors.set_expected(1, True, LATER)
        assert connectors[1].status == "Preparing"
        connectors.set_expected(1, False, LATER)
        assert connectors[1].status == "Available"

    def test_a_new_transaction_may_follow_with_the_cable_still_there(self, connectors: Connectors) -> None:
        connectors.plug_in(1, NOW)
        connectors.begin_use(1, NOW)
        connectors.end_use(1, NOW)
        connectors.begin_use(1, LATER)
        assert connectors[1].status == "Charging"

    def test_what_never_came_about_leaves_nothing_to_finish(self, connectors: Connectors) -> None:
        connectors.plug_in(1, NOW)
        connectors.begin_use(1, NOW)
        connectors.end_use(1, LATER, was_charging=False)
        assert connectors[1].status == "Preparing"

    def test_a_pulled_cable_whose_transaction_goes_on_waits_for_the_vehicle(self, connectors: Connectors) -> None:
        connectors.plug_in(1, NOW)
        connectors.begin_use(1, NOW)
        connectors.plug_out(1, LATER, goes_on=True)
        assert connectors[1].status == "SuspendedEV"
        connectors.plug_in(1, LATER)
        assert connectors[1].status == "Charging"
        connectors.plug_out(1, LATER, goes_on=True)
        connectors.end_use(1, LATER)
        connectors.plug_in(1, LATER)
        connectors.begin_use(1, LATER)
        assert connectors[1].status == "Charging"

    def test_a_pulled_cable_whose_transaction_is_to_end_changes_nothing_until_then(
        self, connectors: Connectors
    ) -> None:
        connectors.plug_in(1, NOW)
        connectors.begin_use(1, NOW)
        connectors.plug_out(1, LATER)
        assert connectors[1].status == "Charging"
        connectors.end_use(1, LATER)
        assert connectors[1].status == "Available"

    def test_a_fault_shows_over_everything_and_takes_nothing_away(self, connectors: Connectors) -> None:
        connectors.plug_in(1, NOW)
        connectors.begin_use(1, NOW)
        connectors.set_fault(1, "GroundFailure", None, LATER)
        assert connectors[1].status == "Faulted"
        connectors.clear_fault(1, LATER)
        assert connectors[1].status == "Charging"


class TestOutOfService:
    def test_shows_at_once_where_nothing_runs_even_with_a_cable(self, connectors: Connectors) -> None:
        connectors.plug_in(1, NOW)
        connectors.set_operative([1], False, LATER)
        assert (connectors[1].status, connectors[2].status) == ("Unavailable", "Available")
        connectors.set_operative([1], True, LATER)
        assert connectors[1].status == "Preparing"

    def test_shows_when_the_transaction_has_ended(self, connectors: Connectors) -> None:
        connectors.plug_in(1, NOW)
        connectors.begin_use(1, NOW)
        connectors.set_operative(connectors.meant_by(0), False, LATER)
        assert [connectors[number].status for number in (0, 1, 2)] == ["Available", "Charging", "Unavailable"]
        connectors.end_use(1, LATER)
        assert [connectors[number].status for number in (0, 1, 2)] == ["Unavailable"] * 3

    def test_is_meant_of_one_or_of_all(self, connectors: Connectors) -> None:
        assert connectors.meant_by(0) == (0, 1, 2)
        assert connectors.meant_by(2) == (2,)
        connectors.set_operative(connectors.meant_by(2), False, LATER)
        assert [connectors.is_operative(number) for number in (0, 1, 2)] == [True, True, False]


class TestHeld:
    def test_what_is_not_in_use_is_unavailable_and_the_rest_as_it_falls_free(self, connectors: Connectors) -> None:
        connectors.plug_in(1, NOW)
        connectors.begin_use(1, NOW)
        connectors.hold(LATER)
        assert connectors.held
        assert [connectors[number].status for number in (0, 1, 2)] == ["Available", "Charging", "Unavailable"]
        connectors.end_use(1, LATER)
        assert [connectors[number].status for number in (0, 1, 2)] == ["Unavailable"] * 3

    def test_comes_back_as_availability_and_plug_say(self, connectors: Connectors) -> None:
        connectors.set_operative([2], False, NOW)
        connectors.plug_in(1, NOW)
        connectors.begin_use(1, NOW)
        connectors.hold(NOW)
        connectors.end_use(1, NOW)
        connectors.release(LATER)
        assert not connectors.held
        assert [connectors[number].status for number in (0, 1, 2)] == ["Available", "Finishing", "Unavailable"]


class TestObstacle:
    def test_is_none_where_a_transaction_may_start(self, connectors: Connectors) -> None:
        assert connectors.obstacle(1) is None
        connectors.plug_in(1, NOW)
        assert connectors.is_plugged_in(1)
        assert connectors.obstacle(1) is None

    def test_says_what_stands_in_the_way(self, connectors: Connectors) -> None:
        assert "whole Charge Point" in str(connectors.obstacle(0))
        connectors.set_fault(1, "OtherError", None, NOW)
        assert "faulted" in str(connectors.obstacle(1))
        connectors.set_operative([1], False, NOW)
        assert "out of service" in str(connectors.obstacle(1))
        connectors.hold(NOW)
        assert "firmware update" in str(connectors.obstacle(1))
        connectors.begin_use(1, NOW)
        assert "a transaction runs" in str(connectors.obstacle(1))
        assert connectors.in_use == (1,)

    def test_a_fault_of_the_whole_charge_point_is_one_of_each_connector(self, connectors: Connectors) -> None:
        connectors.set_fault(0, "OtherError", None, NOW)
        assert "faulted" in str(connectors.obstacle(1))
        assert connectors[1].status == "Available"
