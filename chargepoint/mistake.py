"""A mistake in config.toml, and the list in which one reading collects all of them.

Guaranteed: a mistake is one printable line that names file, table, key, value and reason, and it never shows a secret:
not that of a known key, not that of a key whose name was misspelled, not one that stands in the wrong place.
Not done here: finding mistakes (setting.py, setting_check.py, settings.py).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chargepoint.redact import MASK

MAX_SHOWN_CHARACTERS: Final = 160  #: characters; a path is seldom longer, and the file holds the rest
NOWHERE: Final = "-"

_SECRET_NAME = re.compile(r"auth[a-z]*_?key|pass(word|phrase)|secret", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"[0-9A-Fa-f]{32,}|-----BEGIN [A-Z ]*PRIVATE KEY")
_URL_CREDENTIALS = re.compile(r"(?<=//).*@", re.DOTALL)
"""Wider than in redact.py: this URL may be broken, and the password may be what broke it."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with config.toml.

    Attributes:
        file: the file as the person named it.
        table: the table's dotted name, ``-`` where the mistake is outside of all tables.
        key: the key, ``-`` where it concerns no single key.
        value: the value as it may be shown, or where in the file the mistake is, ``-`` where it is the file itself.
        reason: what is wrong, and where it helps what to do.
    """

    file: str
    table: str
    key: str
    value: str
    reason: str

    def __str__(self) -> str:
        """Return the line for people; what there is not, is left out."""
        table = "" if self.table == NOWHERE else f"[{self.table}] "
        key = "" if self.key == NOWHERE else f"{self.key} = "
        value = "" if self.value == NOWHERE else self.value
        return ": ".join(part for part in (self.file, f"{table}{key}{value}".strip(), self.reason) if part)


class SettingsError(Exception):
    """Raised when config.toml cannot be used; `mistakes` holds all that is wrong with it, at least one."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


class MistakeList:
    """Collects the mistakes of one reading of one file.

    Args:
        file: the file that is read.
    """

    def __init__(self, file: Path) -> None:
        self._file = printable(str(file))
        self._mistakes: list[Mistake] = []

    def add(self, table: str, key: str, value: object, reason: str, *, secret: bool = False) -> None:
        """Note one mistake; the value is made printable, short, and masked where it is or may be a secret."""
        masked = secret or _SECRET_NAME.search(key) is not None
        self.add_at(table, key, MASK if masked else show(value), reason)

    def add_at(self, table: str, key: str, place: str, reason: str) -> None:
        """Note one mistake where there is a place in the file, or an explanation, instead of a value."""

        def shown(part: str) -> str:
            return cut(printable(part)) or NOWHERE

        self._mistakes.append(Mistake(self._file, shown(table), shown(key), shown(place), printable(reason)))

    def names(self, table: str, key: str) -> bool:
        """Whether a mistake is already known of this key, so that nothing needs to be concluded from its value."""
        return any(mistake.table == table and mistake.key == key for mistake in self._mistakes)

    def __iter__(self) -> Iterator[Mistake]:
        return iter(self._mistakes)

    def __len__(self) -> int:
        return len(self._mistakes)


def show(value: object) -> str:
    """Return a value of a TOML document as short printable text that gives away no secret."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() if _SECRET_TEXT.search(value):
            return MASK
        case str():
            text = '"' + _URL_CREDENTIALS.sub(f"{MASK}@", value) + '"'
        case int() if value.bit_length() > MAX_SHOWN_CHARACTERS:
            return "(a very large number)"
        case Mapping():
            return "(a table)"
        case list() | tuple():
            return "(an array)"
        case _:
            text = str(value)
    return cut(printable(text))


def cut(text: str) -> str:
    """Return the text, cut to `MAX_SHOWN_CHARACTERS`."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 3] + "..."


def printable(text: str) -> str:
    """Return the text with everything escaped that would break the line or steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
