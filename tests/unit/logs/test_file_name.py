"""The names of uploaded files: safe letters, whatever the Charge Point is called."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from logs.file_name import MAX_FILE_NAME_CHARACTERS, file_name

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def test_tells_who_what_and_when() -> None:
    assert file_name("CP001", "security-log", NOON, ".jsonl.gz") == "CP001-security-log-20270301T120000Z.jsonl.gz"


def test_the_time_is_utc() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-5)))
    assert file_name("CP001", "diagnostics", elsewhere, ".tar.gz") == "CP001-diagnostics-20270301T120000Z.tar.gz"


@pytest.mark.parametrize(
    ("identity", "begin"),
    [
        ("../../etc", "_._.._etc-"),
        ("-rf", "_rf-"),
        (".hidden", "_hidden-"),
        ("a b/c\\d\x00e\n\u202e\u00e9", "a_b_c_d_e___-"),
        ("", "-"),
    ],
)
def test_an_identity_of_any_characters_makes_a_safe_name(identity: str, begin: str) -> None:
    name = file_name(identity, "security-log", NOON, ".csv")
    assert name.startswith(begin)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", name)


def test_is_never_too_long() -> None:
    assert len(file_name("x" * 1000, "security-log", NOON, ".jsonl.gz")) <= MAX_FILE_NAME_CHARACTERS
