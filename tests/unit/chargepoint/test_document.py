"""A TOML file that cannot be read or is not TOML is one mistake that names the place and shows nothing else."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from chargepoint.document import MAX_FILE_BYTES, read_document
from chargepoint.mistake import Mistake, MistakeList

KEY = "00112233445566778899aabbccddeeff"


def _read(path: Path) -> tuple[Mapping[str, object], list[Mistake]]:
    mistakes = MistakeList(path)
    return read_document(path, mistakes), list(mistakes)


@pytest.mark.parametrize(
    ("text", "table", "key", "value"),
    [
        (f"[state]\n[ configuration ]\nAuthorizationKey = {KEY}\n", "configuration", "AuthorizationKey", "(line 3"),
        (f'[configuration]\nAuthorizationKey = "{KEY}\n', "configuration", "AuthorizationKey", "(line 2"),
        (f"[a.b]\n{KEY}\n", "a.b", "-", "(line 2"),
        ("[charge_point]\nidentity = a\n", "charge_point", "identity", "(line 2"),
        ("identity", "-", "-", "(end of the file)"),
        ("a = 1\na = 2\n", "-", "a", "(line 2"),
        ("x = " + "[" * 5000, "-", "-", "-"),
        ("x = " + "1" * 5000, "-", "-", "-"),
        ("x = 2021-13-45", "-", "x", "(line 1"),
    ],
)
def test_a_fault_of_the_syntax_is_placed_and_shows_no_text(
    tmp_path: Path, text: str, table: str, key: str, value: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    document, (mistake,) = _read(path)
    assert document == {}
    assert (mistake.table, mistake.key) == (table, key)
    assert mistake.value.startswith(value)
    assert KEY not in str(mistake)


def test_a_file_that_cannot_be_read_is_one_mistake(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"

    def reason() -> str:
        _, (mistake,) = _read(path)
        return mistake.reason

    assert "does not exist" in reason()
    assert str(_read(path)[1][0]).startswith(f"{path}: does not exist")
    path.mkdir()
    assert "cannot be read: Is a directory" in reason()
    path.rmdir()
    path.write_bytes(b"[state]\nx = '\xff'\n")
    assert "not UTF-8: byte 0xff in line 2" in reason()
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert "larger than 1048576 bytes" in reason()


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("\ufeffx = 1", encoding="utf-8")
    assert _read(path) == ({"x": 1}, [])
