"""The security log as text, in the two forms that can be chosen (docs/logs.md): JSON lines and CSV.

Guaranteed: an event is one line of printable text, whatever the world has put into it. In JSON nothing is lost; in CSV
what is not printable is escaped, and what a spreadsheet would take for a formula is disarmed by an apostrophe.

Not done here: reading rows, and writing files (security_log_export.py).
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from logs.event_table import to_instant

Row = tuple[int, int, str, str | None, int, int, int, int]
"""id, occurred_us, type, tech_info, time_known, critical, owed, delivered: as the table has them."""

FIELDS: Final = ("id", "timestamp", "type", "techInfo", "timeKnown", "critical", "owed", "delivered")

_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet calculate, in both widths; a tab or carriage return in front is escaped anyway."""

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the log.

    Attributes:
        extension: of the file, with its dot.
        head: what the file begins with.
        lines: returns the lines of some rows, each with its end.
    """

    extension: str
    head: str
    lines: Callable[[Iterable[Row]], str]


def json_lines(rows: Iterable[Row]) -> str:
    """Return one JSON object a line, ASCII only."""
    return "".join(f"{_encode(dict(zip(FIELDS, _values(row), strict=True)))}\n" for row in rows)


def csv_lines(rows: Iterable[Row]) -> str:
    """Return one record of RFC 4180 a line."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerows([_cell(value) for value in _values(row)] for row in rows)
    return "".join(lines)


FORMS: Final[Mapping[str, Form]] = {
    "jsonl": Form(".jsonl", "", json_lines),
    "csv": Form(".csv", ",".join(FIELDS) + "\r\n", csv_lines),
}
"""By the value of ``[logs] security_log_format``."""


class _Lines(list[str]):
    """What the writer of CSV takes for a file."""

    def write(self, line: str, /) -> None:
        self.append(line)


def _values(row: Row) -> tuple[int | str | bool | None, ...]:
    number, occurred_us, event_type, tech_info, *truths = row
    return number, _timestamp(to_instant(occurred_us)), event_type, tech_info, *map(bool, truths)


def _timestamp(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(value: int | str | bool | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
    if not value.isprintable():
        value = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in value)
    return f"'{value}" if value.startswith(_FORMULA) else value
