from datetime import UTC, datetime, timedelta, timezone

import pytest

from chargepoint.date_time import has_zone, read_date_time, write_date_time


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02t03:04:05z",
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T04:04:05+01:00",
        "2026-01-02T04:04:05+0100",
        "2026-01-01T22:04:05.0000000-05:00",
        "2026-01-02T03:04:05",
    ],
)
def test_every_form_that_central_systems_send_is_read_as_utc(text: str) -> None:
    instant = read_date_time(text)
    assert instant == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert instant.tzinfo is UTC
    assert has_zone(text) is (text != "2026-01-02T03:04:05")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-01-02",
        "20260102T030405Z",
        "2026-W01-1T00:00:00",
        "2026-02-30T00:00:00Z",
        "2026-01-02 03:04:05",
        "2026-01-02T25:00:00Z",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05Z\n",
        "0001-01-01T00:00:00+12:00",
        "٢٠٢٦-01-02T03:04:05Z",
    ],
)
def test_what_is_no_date_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a date-time"):
        read_date_time(text)


def test_a_date_time_is_written_in_utc_with_milliseconds() -> None:
    there = timezone(timedelta(hours=2))
    assert write_date_time(datetime(2026, 1, 2, 5, 4, 5, 678_900, tzinfo=there)) == "2026-01-02T03:04:05.678Z"
    with pytest.raises(ValueError, match="naive"):
        write_date_time(datetime(2026, 1, 2))  # noqa: DTZ001 - that is the fault
