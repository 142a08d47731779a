"""The answer of the control socket's `status` as text for people: names left, values right, parts indented.

Nothing is known here of what the status holds, so that a part that is new in the agent shows without a change.
Pure: text in, text out.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from chargepoint.mistake import printable

NAME_WIDTH: Final = 28  #: characters; the longest name of the status with its indent
INDENT: Final = "  "


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
            yield f"{shown:<{NAME_WIDTH - 1}} {_one_line(value)}"


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
