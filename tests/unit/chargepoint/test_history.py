"""What has happened lately: bounded, countable, without a secret."""

from datetime import UTC, datetime, timedelta

import pytest

from chargepoint.history import MAX_TEXT_CHARACTERS, History

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        self.at += MINUTE
        return self.at


def test_tells_what_happened_when_and_how() -> None:
    history = History(Clock())
    history.note("connected", security_profile=2, reason=None)
    history.note("log upload", size_bytes=7, outcome="Uploaded")
    assert history.entries() == [
        {"at": "2027-03-01T12:01:00.000Z", "what": "connected", "security_profile": 2},
        {"at": "2027-03-01T12:02:00.000Z", "what": "log upload", "size_bytes": 7, "outcome": "Uploaded"},
    ]


def test_the_same_in_a_row_is_one_entry_that_counts() -> None:
    history = History(Clock())
    for reason in ("refused", "refused", "refused", "silent", "refused"):
        history.note("failed", reason=reason)
    assert [(entry["reason"], entry.get("times"), entry.get("until")) for entry in history.entries()] == [
        ("refused", 3, "2027-03-01T12:03:00.000Z"),
        ("silent", None, None),
        ("refused", None, None),
    ]


def test_the_oldest_go_first() -> None:
    history = History(Clock(), max_entries=2)
    for number in range(5):
        history.note("connected", number=number)
    assert [entry["number"] for entry in history.entries()] == [3, 4]


@pytest.mark.parametrize(
    ("oldest", "latest", "expected"),
    [
        (None, None, ["a", "b", "c"]),
        (NOON + 2 * MINUTE, None, ["a", "b", "c"]),  # a went on until then
        (NOON + 3 * MINUTE, None, ["b", "c"]),
        (None, NOON + 3 * MINUTE, ["a", "b"]),
        (NOON + 5 * MINUTE, None, []),
        (None, NOON, []),
    ],
)
def test_gives_the_entries_that_a_window_touches(
    oldest: datetime | None, latest: datetime | None, expected: list[str]
) -> None:
    history = History(Clock())
    for what in ("a", "a", "b", "c"):
        history.note(what)
    assert [entry["what"] for entry in history.entries(oldest, latest)] == expected


def test_holds_no_credentials_no_control_characters_and_no_long_texts() -> None:
    history = History(Clock())
    history.note("log upload", location="ftp://user:pa\x1bss@host/x", reason="x" * 10_000)
    (entry,) = history.entries()
    assert entry["location"] == "ftp://***@host/x"
    assert len(entry["reason"]) == MAX_TEXT_CHARACTERS
    history.note("bell", reason="\x07")
    assert history.entries()[-1]["reason"] == "\\x07"
