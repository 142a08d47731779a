"""The date-time of OCPP: RFC 3339 text on the wire, aware UTC datetime inside.

Guaranteed: what `read_date_time` returns is aware UTC. A date-time without a zone, which real Central Systems send, is
read as UTC; `has_zone` tells, so that the exchange can warn.
"""

import re
from datetime import UTC, datetime
from typing import Final

# datetime.fromisoformat alone would also take dates without a time, weeks and the basic format.
_SHAPE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)


def read_date_time(text: str) -> datetime:
    """Read a date-time of the wire as aware UTC.

    Raises:
        ValueError: the text is not a date-time of RFC 3339 (a missing zone is forgiven), or it is none of the calendar.
    """
    if not _SHAPE.fullmatch(text):
        raise ValueError("not a date-time of RFC 3339")
    try:
        instant = datetime.fromisoformat(text.upper())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):  # 30 February; the first hours of year 1 in a zone east of Greenwich
        raise ValueError("not a date-time of the calendar") from None


def has_zone(text: str) -> bool:
    """Tell whether a date-time that `read_date_time` accepts says in which zone it is."""
    match = _SHAPE.fullmatch(text)
    return match is not None and match[2] is not None


def write_date_time(instant: datetime) -> str:
    """Write an aware datetime for the wire: UTC, milliseconds, ``Z``.

    Raises:
        ValueError: the datetime is naive, which nothing in this program may be.
    """
    if instant.tzinfo is None:
        raise ValueError("a naive datetime has no place on the wire")
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_optional_date_time(text: str | None) -> datetime | None:
    """Read a field that may be missing; as `read_date_time`."""
    return None if text is None else read_date_time(text)
