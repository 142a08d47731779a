"""The small files of the installers: whole or missing, and a damaged one is set aside."""

from pathlib import Path
from typing import Any

import pytest

from firmware import note


def as_it_is(values: dict[str, Any]) -> dict[str, Any]:
    return values


def refused(values: dict[str, Any]) -> dict[str, Any]:
    raise ValueError("not such a note")


def test_is_read_as_it_was_stored(tmp_path: Path) -> None:
    note.store(tmp_path / "note", {"sha256": "5ha", "request_id": 7, "none": None})
    assert note.load(tmp_path / "note", as_it_is) == {"sha256": "5ha", "request_id": 7, "none": None}
    assert (tmp_path / "note").stat().st_mode & 0o777 == 0o600


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert note.load(tmp_path / "note", as_it_is) is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"\xff", b"[" * 5000, b'{"x": "' + b"x" * note.MAX_NOTE_BYTES + b'"}']
)
def test_a_damaged_note_is_set_aside_and_told(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "note").write_bytes(damage)
    assert note.load(tmp_path / "note", as_it_is) is None
    assert (tmp_path / "note.damaged-1").read_bytes() == damage
    assert not (tmp_path / "note").exists()
    assert "note is damaged" in caplog.text


def test_a_note_of_another_meaning_is_damaged_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    note.store(tmp_path / "note", {})
    assert note.load(tmp_path / "note", refused) is None
    assert "not such a note" in caplog.text
