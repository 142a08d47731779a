import pytest

from chargepoint.simulation.byte_range import Unsatisfiable, byte_span


@pytest.mark.parametrize(
    ("header", "size", "span"),
    [
        ("", 10, (0, 9)),
        ("", 0, (0, -1)),
        ("bytes=3-", 10, (3, 9)),
        ("bytes=3-5", 10, (3, 5)),
        ("bytes=3-99", 10, (3, 9)),
        ("bytes=0-0", 10, (0, 0)),
        ("bytes=-4", 10, (6, 9)),
        ("bytes=-40", 10, (0, 9)),
        ("bytes=-", 10, (0, 9)),
        ("bytes=1-2,5-6", 10, (0, 9)),
        ("lines=1-2", 10, (0, 9)),
    ],
)
def test_a_range_asks_for_a_part(header: str, size: int, span: tuple[int, int]) -> None:
    assert byte_span(header, size) == span


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=5-3", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_outside_the_file_is_unsatisfiable(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        byte_span(header, size)
