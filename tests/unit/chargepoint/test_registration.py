"""The life of BootNotification.req, single-stepped."""

from datetime import timedelta

import pytest

from chargepoint.registration import Registration, RegistrationStatus

ACCEPTED, PENDING, REJECTED = RegistrationStatus.ACCEPTED, RegistrationStatus.PENDING, RegistrationStatus.REJECTED


@pytest.fixture
def registration() -> Registration:
    fresh = Registration(retry=timedelta(seconds=60))
    fresh.connected("content")
    return fresh


def test_is_due_at_once_when_nobody_has_answered(registration: Registration) -> None:
    due = registration.due_in(now=1000.0)
    assert due is not None
    assert due <= 0
    assert registration.status is None


def test_nothing_is_due_after_accepted(registration: Registration) -> None:
    registration.answered(ACCEPTED, 300, "content", now=1000.0)
    assert registration.due_in(now=1_000_000.0) is None


@pytest.mark.parametrize("status", [PENDING, REJECTED])
def test_is_asked_again_after_the_interval(registration: Registration, status: RegistrationStatus) -> None:
    registration.answered(status, 30, "content", now=1000.0)
    assert registration.due_in(now=1010.0) == 20.0


@pytest.mark.parametrize("status", [PENDING, REJECTED])
def test_an_interval_of_zero_leaves_the_wait_to_us(registration: Registration, status: RegistrationStatus) -> None:
    registration.answered(status, 0, "content", now=1000.0)
    assert registration.due_in(now=1000.0) == 60.0


def test_silence_is_followed_by_our_own_wait(registration: Registration) -> None:
    registration.failed(now=1000.0)
    assert registration.due_in(now=1000.0) == 60.0


def test_a_new_connection_ends_our_own_wait(registration: Registration) -> None:
    registration.failed(now=1000.0)
    registration.connected("content")
    assert registration.due_in(now=1001.0) == -1001.0


@pytest.mark.parametrize("status", [PENDING, REJECTED])
def test_a_new_connection_does_not_shorten_the_central_systems_interval(
    registration: Registration, status: RegistrationStatus
) -> None:
    registration.answered(status, 3600, "content", now=1000.0)
    registration.connected("content")
    assert registration.due_in(now=1001.0) == 3599.0


@pytest.mark.parametrize("status", [PENDING, REJECTED])
@pytest.mark.parametrize("interval_s", [86_401, 2**62])
def test_no_interval_silences_the_charge_point_for_longer_than_a_day(
    registration: Registration, status: RegistrationStatus, interval_s: int
) -> None:
    registration.answered(status, interval_s, "content", now=1000.0)
    registration.connected("content")
    assert registration.due_in(now=1000.0) == 86_400
    assert not registration.is_silent(now=87_400.0)


def test_a_mere_reconnect_asks_for_nothing(registration: Registration) -> None:
    registration.answered(ACCEPTED, 300, "content", now=1000.0)
    registration.connected("content")
    assert registration.due_in(now=1001.0) is None


def test_a_reconnect_with_other_content_asks_again(registration: Registration) -> None:
    registration.answered(ACCEPTED, 300, "content", now=1000.0)
    registration.connected("firmware 1.1.0")
    due = registration.due_in(now=1001.0)
    assert due is not None
    assert due <= 0
    assert registration.status is ACCEPTED


def test_a_trigger_makes_it_due_at_once(registration: Registration) -> None:
    registration.answered(PENDING, 3600, "content", now=1000.0)
    registration.trigger()
    due = registration.due_in(now=1001.0)
    assert due is not None
    assert due <= 0


def test_is_silent_only_while_rejected_and_waiting(registration: Registration) -> None:
    assert not registration.is_silent(now=1000.0)
    registration.answered(REJECTED, 30, "content", now=1000.0)
    assert registration.is_silent(now=1029.0)
    assert not registration.is_silent(now=1030.0)
    registration.answered(PENDING, 30, "content", now=1030.0)
    assert not registration.is_silent(now=1031.0)
