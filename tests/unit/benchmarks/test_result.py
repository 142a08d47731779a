"""What the table of the benchmarks says of the figures that it is given."""

import pytest

from benchmarks.result import Of, Row, Wish, table

AT_MOST = Wish(1.4)
AT_LEAST = Wish(2, at_least=True)


def test_compares_the_medians_so_that_one_disturbed_repetition_does_not_count() -> None:
    row = Row("start", "ms", [120, 130, 9000], [100, 100, 2], AT_MOST)
    assert row.ratio == pytest.approx(1.3)
    assert row.verdict == "met"


@pytest.mark.parametrize(("ours", "verdict"), [(139, "met"), (140, "met"), (141, "MISSED")])
def test_the_bound_itself_is_still_good(ours: float, verdict: str) -> None:
    assert Row("start", "ms", [ours], [100], AT_MOST).verdict == verdict


@pytest.mark.parametrize(("ours", "verdict"), [(199, "MISSED"), (200, "met"), (500, "met")])
def test_more_is_better_where_the_wish_says_so(ours: float, verdict: str) -> None:
    assert Row("round trips", "/s", [ours], [100], AT_LEAST).verdict == verdict


def test_a_wish_about_our_value_needs_no_baseline() -> None:
    row = Row("growth", "KiB", [2000], wish=Wish(1024, of=Of.VALUE))
    assert (row.ratio, row.verdict) == (None, "MISSED")


def test_a_baseline_of_zero_gives_no_ratio() -> None:
    assert Row("CPU", "%", [1], [0], AT_MOST).verdict == "not known"


def test_a_row_without_a_wish_only_informs() -> None:
    assert Row("Pss", "MiB", [30], [20]).cells() == ("Pss", "30.0 MiB", "20.0 MiB", "1.50 x", "", "")


def test_the_table_is_markdown_with_aligned_columns() -> None:
    lines = table([Row("a", "ms", [1500]), Row("round trips", "/s", [0.5], [1], AT_LEAST)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].startswith("| what        | ours     |")
    assert set(lines[1]) == {"|", "-"}
    assert "1,500 ms" in lines[2]
