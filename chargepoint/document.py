"""A TOML document on the disk, read into tables, with every fault of the file as a mistake that names its place.

Guaranteed: whatever the file holds, reading ends with a document or with one mistake. Of the file's text only names of
tables and keys are shown, because the faulty line may hold a secret.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chargepoint.mistake import NOWHERE, MistakeList

MAX_FILE_BYTES: Final = 1_048_576  #: bytes; the shipped file with all its comments has a hundredth of it

_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_HEADER = re.compile(r"\s*\[\[?\s*(?P<name>[A-Za-z0-9_.-]+)\s*\]")
_KEY = re.compile(r"\s*(?P<name>[A-Za-z0-9_-]{1,64})\s*=")


def read_document(path: Path, mistakes: MistakeList) -> Mapping[str, object]:
    """Return the tables of a TOML file; empty, and a mistake is noted, where it cannot be read or is not TOML."""
    try:
        text = _read_text(path)
    except ValueError as error:
        mistakes.add_at(NOWHERE, NOWHERE, NOWHERE, str(error))
        return {}
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _note_syntax(text, str(error), mistakes)
    except RecursionError:
        mistakes.add_at(NOWHERE, NOWHERE, NOWHERE, "is nested too deeply")
    except ValueError:  # of Python, about numbers of thousands of digits and dates that no calendar has
        mistakes.add_at(NOWHERE, NOWHERE, NOWHERE, "holds a number or a date that is out of all bounds")
    return {}


def _read_text(path: Path) -> str:
    """Return the text of the file; raises ValueError with the reason for people."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ValueError("does not exist; name another with --config or CHARGEPOINT_CONFIG") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")  # some editors put a byte order mark before the text
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8: byte 0x{content[error.start]:02x} in line {line}") from error


def _note_syntax(text: str, message: str, mistakes: MistakeList) -> None:
    """Note a fault of the syntax with the table and key that it stands in, as far as the lines tell."""
    place = _PLACE.search(message)
    lines = text.split("\n")
    table, key, where = NOWHERE, NOWHERE, "(end of the file)"
    if place is not None and place["line"] is not None:
        number = int(place["line"])
        where = f"(line {number}, column {place['column']})"
        headers = [header["name"] for line in lines[:number] if (header := _HEADER.match(line))]
        table = headers[-1] if headers else NOWHERE
        name = _KEY.match(lines[number - 1])
        key = name["name"] if name else NOWHERE
    mistakes.add_at(table, key, where, "is not TOML: " + _PLACE.sub("", message))
