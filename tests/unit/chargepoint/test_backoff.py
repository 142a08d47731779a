from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from chargepoint.backoff import MAX_STEADY_RETRIES, Backoff

SECOND = timedelta(seconds=1)


def backoff(*, chance: float = 0.0, jitter: float = 0.5, factor: float = 2.0) -> Backoff:
    return Backoff(
        first=SECOND, initial=5 * SECOND, maximum=60 * SECOND, factor=factor, jitter=jitter, random=lambda: chance
    )


def test_the_first_tries_are_soon_and_steady_as_tc_078_expects() -> None:
    assert {backoff().delay(failures) for failures in range(MAX_STEADY_RETRIES)} == {SECOND}


def test_then_the_wait_grows_up_to_its_bound() -> None:
    grown = [backoff().delay(MAX_STEADY_RETRIES + step) / SECOND for step in range(6)]
    assert grown == [5, 10, 20, 40, 60, 60]


def test_an_outage_of_years_overflows_nothing() -> None:
    assert backoff(factor=10.0).delay(10**9) == 60 * SECOND


def test_a_factor_of_one_never_grows() -> None:
    assert backoff(factor=1.0).delay(10**9) == 5 * SECOND


def test_jitter_takes_away_its_share_at_most() -> None:
    assert backoff(chance=0.999).delay(0) >= 0.5 * SECOND


def test_no_first_wait_is_longer_than_the_bound() -> None:
    odd = Backoff(first=90 * SECOND, initial=SECOND, maximum=60 * SECOND, factor=2, jitter=0, random=lambda: 0.0)
    assert odd.delay(0) == 60 * SECOND


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1, exclude_max=True), st.floats(1, 10))
def test_every_wait_is_within_bounds(failures: int, jitter: float, chance: float, factor: float) -> None:
    assert timedelta() <= backoff(chance=chance, jitter=jitter, factor=factor).delay(failures) <= 60 * SECOND
