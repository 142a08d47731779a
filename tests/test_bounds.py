"""Every bound has a name, a unit, a precedent and a home, and the page that lists them tells the truth."""

import pytest

from docs import bounds


def test_the_page_of_bounds_is_up_to_date() -> None:
    assert bounds.PAGE.read_text(encoding="utf-8") == bounds.page(), "run `make docs` and commit docs/bounds.md"


def test_every_number_says_its_unit_and_precedent() -> None:
    bare = [
        f"{each.where}:{each.line} {each.name}" for each in bounds.constants() if not (each.unit and each.precedent)
    ]
    assert not bare, f"write `NAME: Final = value  #: unit; precedent` at {', '.join(bare)}"


def test_every_number_is_final() -> None:
    loose = [f"{each.where}:{each.line} {each.name}" for each in bounds.constants() if not each.final]
    assert not loose, f"write `NAME: Final = value  #: unit; precedent` at {', '.join(loose)}"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("MAX: Final = 262_144  #: bytes; fits", ("262_144", "bytes", "fits", True)),
        ("MAX: Final[int] = 64 * 1024  #: bytes; fits; always", ("64 * 1024", "bytes", "fits; always", True)),
        ("WAIT: Final = timedelta(minutes=1)  #: time; short", ("1 minute", "time", "short", True)),
        ("CODE: Final = -32700  #: code; JSON-RPC", ("-32700", "code", "JSON-RPC", True)),
        ("WAIT: Final = timedelta(\n    days=2,\n)  #: time; long", ("2 days", "time", "long", True)),
        ("_MAX: Final = 9", ("9", "", "", True)),
        ("class A:\n    MAX: Final = 5  #: tries; enough", ("5", "tries", "enough", True)),
        ("MAX: Final = (\n    2  #: labels; long reason\n)", ("2", "labels", "long reason", True)),
        ("SHARE = 0.5  # half", ("0.5", "", "", False)),
        ("MAX: Final = 3  #: tries", ("3", "tries", "", True)),
    ],
)
def test_reads_a_constant(line: str, expected: tuple[str, str, str, bool]) -> None:
    (found,) = bounds.constants_of(line, "module.py")
    assert (found.value, found.unit, found.precedent, found.final) == expected


@pytest.mark.parametrize(
    "line",
    [
        'NAME: Final = "text"',
        "FLAG: Final = True",
        "lower = 3",
        "NOT_SET: int",
        "A, B = 1, 2",
        "class Profile(IntEnum):\n    BASIC = 1",
        "_TYPE: Final = 0x16",
    ],
)
def test_passes_over_what_bounds_nothing(line: str) -> None:
    assert not list(bounds.constants_of(line, "module.py"))
