"""Whatever stands in config.toml, reading it ends with Settings or with mistakes that name their place."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargepoint.mistake import NOWHERE
from chargepoint.settings import TABLES, Settings, SettingsError, describe_all, load

SHIPPED = (Path(__file__).parents[2] / "config.toml").read_text(encoding="utf-8")
SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7"

TABLE_NAMES = [*TABLES, "configuration", "central_system.urls", "hardware.options", "statee", '"\\u0000"']
KEYS = [*(each.key for each in describe_all()), "SecurityProfile", "AuthorizationKey", "CpoName", "1", '"a b"', '"\\n"']

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
values = st.recursive(
    st.one_of(
        st.integers(),
        st.floats().map(lambda number: str(number).replace("e+", "e")),
        st.sampled_from(["true", "false", "1979-05-27T07:32:00Z", "07:32:00", "0x" + "f" * 4000, "-0", '"a" "b"']),
        st.sampled_from(
            ['"ws://h"', '"wss://10.0.0.1"', '"ws://u:p@h"', '"ws://[::1"', '"wss://h:99999"', '"a\\u0000b"']
        ),
        texts.map(lambda text: "'" + text.replace("'", "") + "'"),
        texts.map(lambda text: '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'),
    ).map(str),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items.items()) + "}"
        ),
    ),
    max_leaves=6,
)
tables = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
documents = st.dictionaries(st.sampled_from(TABLE_NAMES), tables, max_size=6).map(
    lambda document: "".join(
        f"[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
        for table, keys in document.items()
    )
)


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "config.toml"


def _judge(path: Path, content: bytes) -> Settings | None:
    """Load a file; where it is refused, each mistake has its five parts, fits a line and shows no secret."""
    path.write_bytes(content)
    try:
        return load(path)
    except SettingsError as error:
        mistakes = error.mistakes
    assert mistakes
    for mistake in mistakes:
        line = str(mistake)
        assert line.isprintable()
        assert SECRET not in line
        for part in (mistake.file, mistake.table, mistake.key, mistake.value, mistake.reason):
            assert part
            assert part == NOWHERE or part in line
    return None


@given(content=st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes(path: Path, content: bytes) -> None:
    assert _judge(path, content) is None


@given(document=documents)
@settings(max_examples=200, deadline=None)
def test_any_document(path: Path, document: str) -> None:
    _judge(path, document.encode())


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_the_shipped_file_with_one_line_changed(path: Path, data: st.DataObject) -> None:
    lines = SHIPPED.splitlines(keepends=True)
    number = data.draw(st.integers(0, len(lines) - 1))
    line = lines[number].removeprefix("# ")
    key, separator, _ = line.partition(" = ")
    lines[number] = data.draw(
        st.one_of(
            st.just(line),
            st.just(""),
            texts,
            values.map(lambda value: f"{key} = {value}\n" if separator else f"{value}\n"),
            st.just(f"{key} = {SECRET}\n"),
            st.just(f'{key} = "ws://user:{SECRET}@h"\n'),
            st.just(f'{key} = "ws://user:{SECRET}"\n'),
            st.just(f'{key} = "{SECRET}"\n'),
        )
    )
    _judge(path, "".join(lines).encode())


@given(
    values=st.fixed_dictionaries(
        {each.key: values for each in describe_all() if each.table == "connection"},
    )
)
@settings(deadline=None)
def test_any_values_of_a_whole_table(path: Path, values: dict[str, Any]) -> None:
    text = SHIPPED.replace(
        "[connection]", "[connection]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
    )
    _judge(path, text.encode())
