"""Where the source names requirements, so that a reader finds the line that obeys one.

How a text may name requirements:
- one id, `A00.FR.309`;
- a range, `A00.FR.501-503`, which names every number from the first to the last;
- a list, `L01.FR.06/07/18-19`, whose numbers share the use case;
- a family, `A00.FR.5xx`, is prose and names none.

Not done here: judging whether an id exists (ledger.py).
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The packages whose source lines obey requirements.
PACKAGES: Final = ("security", "firmware", "logs", "chargepoint")


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """A source line that names a requirement; the path is relative to the project, with slashes."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


_MENTION: Final = re.compile(r"\b([A-Z]\d\d\.FR\.)(\d+)((?:[-/]\d+)*)(?!\w)")
_STEP: Final = re.compile(r"([-/])(\d+)")


def ids_in(text: str) -> Iterator[str]:
    """The requirements that a text names, ranges and lists spelled out.

    A range that runs backwards or changes its number of digits is given as it stands, so that it is found unknown.
    """
    for prefix, first, rest in _MENTION.findall(text):
        yield prefix + first
        last = first
        for joint, number in _STEP.findall(rest):
            if len(number) != len(first) or (joint == "-" and number <= last):
                yield prefix + first + rest
                break
            start = int(last) + 1 if joint == "-" else int(number)
            yield from (f"{prefix}{value:0{len(first)}}" for value in range(start, int(number) + 1))
            last = number


def read_mentions(root: Path) -> dict[str, list[Mention]]:
    """Find every line of the four packages that names a requirement.

    Whole lines are read, not only comments: a dotted id is no Python, so it can stand only in a comment or a text.
    """
    mentions: defaultdict[str, list[Mention]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            source = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                for name in dict.fromkeys(ids_in(line)):
                    mentions[name].append(Mention(source, number))
    return dict(mentions)
