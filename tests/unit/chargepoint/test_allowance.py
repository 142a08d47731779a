from datetime import timedelta

from chargepoint.allowance import Allowance


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_so_many_are_there_at_once_and_one_more_each_interval() -> None:
    time = Time()
    allowance = Allowance(3, timedelta(minutes=1), time)
    assert [allowance.take() for _ in range(5)] == [True, True, True, False, False]
    time.now += 59
    assert not allowance.take()
    time.now += 1
    assert [allowance.take() for _ in range(2)] == [True, False]


def test_it_is_never_more_than_full() -> None:
    time = Time()
    allowance = Allowance(2, timedelta(seconds=1), time)
    time.now += 1_000_000
    assert [allowance.take() for _ in range(3)] == [True, True, False]
