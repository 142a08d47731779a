"""When a Heartbeat.req is due."""

from datetime import timedelta

from chargepoint.heartbeat import LONGEST_SILENCE, next_heartbeat_in

_MINUTE = timedelta(minutes=1)
_NOTHING = timedelta()


def test_is_due_an_interval_after_the_last_message() -> None:
    assert next_heartbeat_in(5 * _MINUTE, 2 * _MINUTE, 2 * _MINUTE) == 3 * _MINUTE
    assert next_heartbeat_in(5 * _MINUTE, 5 * _MINUTE, 5 * _MINUTE) == _NOTHING


def test_other_traffic_puts_it_off() -> None:
    assert next_heartbeat_in(5 * _MINUTE, _NOTHING, timedelta(hours=3)) == 5 * _MINUTE


def test_goes_out_once_a_day_however_much_is_said() -> None:
    assert next_heartbeat_in(5 * _MINUTE, _NOTHING, LONGEST_SILENCE) == _NOTHING


def test_an_interval_of_zero_leaves_only_the_daily_one() -> None:
    assert next_heartbeat_in(_NOTHING, timedelta(hours=5), timedelta(hours=5)) == timedelta(hours=19)
