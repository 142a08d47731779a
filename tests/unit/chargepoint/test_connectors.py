"""What the Central System is owed about the connectors."""

from datetime import UTC, datetime, timedelta

import pytest

from chargepoint.connectors import MAX_INFO_LENGTH, Connectors

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
