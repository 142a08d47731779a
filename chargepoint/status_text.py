"""The answer of the control socket's `status` as text for people: names left, values right, parts indented.

Nothing is known here of what the status holds, so that a part that is new in the agent shows without a change; but a
name that ends in a unit (``sent_bytes``, ``bytes_per_s``, ``seconds_left``) has its value shown as people read it.
Pure: text in, text out.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from chargepoint.mistake import printable

NAME_WIDTH: Final = 28  #: characters; the longest name of the status with its indent
INDENT: Final = "  "
KIB: Final = 1_024  #: code; bytes in a KiB


def render(status: Mapping[str, object], indent: str = "") -> Iterator[str]:
    """Yield the lines that show a status, or a part of it.

    Args:
        status: what the socket answered; may hold text of the Central System, which is made printable.
        indent: what each line begins with.
    """
    for name, value in status.items():
        shown = indent + printable(name).replace("_", " ")
        if isinstance(value, Mapping) and value:
            yield shown
            yield from render(value, indent + INDENT)
        elif isinstance(value, list) and any(isinstance(item, Mapping | list) or " " in str(item) for item in value):
            yield shown
            yield from (f"{indent}{INDENT}{_one_line(item)}" for item in value)
        else:
            yield f"{shown:<{NAME_WIDTH - 1}} {_measured(name, value)}"


def _measured(name: str, value: object) -> str:
    """Show a value in the unit that its name ends in, for people; bytes and seconds are many where files are moved."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return _one_line(value)
    if name.endswith("_bytes"):
        return _size(value)
    if name.endswith("bytes_per_s"):
        return f"{_size(value)}/s"
    if name.endswith("seconds_left"):
        return _duration(value)
    return _one_line(value)


def _size(size_bytes: float) -> str:
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < KIB:
            break
        size, unit = size / KIB, larger
    return f"{size:.1f} {unit}" if unit != "B" else f"{size:.0f} B"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    shown = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes) + [f"{rest} s"] * (not hours)
    return " ".join(shown)


def _one_line(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return "  ".join(f"{printable(name)}={_one_line(part)}" for name, part in value.items()) or "none"
        case list():
            return ", ".join(map(_one_line, value)) or "none"
        case _:
            return printable(str(value))
