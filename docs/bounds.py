"""Writes docs/bounds.md: every size, count and time that bounds the program, with its unit, default and precedent.

Two kinds are found, none is listed by hand: the keys of config.toml by their descriptions, and the constants
``NAME: Final = value  #: unit; precedent`` of the four packages by reading their source.

Run it as ``python -m docs.bounds``; tests/test_bounds.py fails while the page is out of date.
"""

import ast
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chargepoint.settings import describe_all

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "bounds.md"
PACKAGES: Final = ("chargepoint", "firmware", "logs", "security")
NO_BOUND: Final = "code"
"""The unit of a number that bounds nothing, such as an error code of a protocol."""

BOUND_WORDS: Final = frozenset({"MAX", "MIN", "LIMIT", "TIMEOUT", "BYTES", "CHARACTERS", "LENGTH", "SECONDS"})
"""What tells a bound from a number of a wire format among the private names, which need no comment otherwise."""

_HEAD: Final = """\
# Bounds

Every size, count and time that bounds the program. This page is generated (`make docs`) from the source.
"""


@dataclass(frozen=True)
class Constant:
    """A number, or a span of time, that a module names once and for all.

    Attributes:
        unit, precedent: the two parts of the comment; empty where the comment lacks.
        final: whether it is declared `Final`.
    """

    name: str
    where: str
    line: int
    value: str
    unit: str
    precedent: str
    final: bool


def constants() -> Iterator[Constant]:
    """Yield the constants of the four packages that are numbers or spans of time, in the order of the files."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from constants_of(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())


def constants_of(source: str, where: str) -> Iterator[Constant]:
    """Yield the constants of one module."""
    comments = _comments(source)
    for name, value, node, final in _assignments(ast.parse(source, where)):
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        comment = next((comments[line] for line in lines if line in comments), "")
        if name.isupper() and _is_amount(value) and (comment or _must_speak(name, value)):
            unit, _, precedent = comment.partition(";")
            yield Constant(name, where, node.lineno, _text(value, source), unit.strip(), precedent.strip(), final)


def page() -> str:
    """Return the whole page."""
    settings = [
        (f"[{each.table}] {each.key}", each.unit, each.default, _number(each.low), _number(each.high), each.why)
        for each in describe_all()
        if each.low is not None or each.high is not None
    ]
    fixed = [
        (each.name, each.where, each.unit, each.value, each.precedent) for each in constants() if each.unit != NO_BOUND
    ]
    return "\n".join(
        [
            _HEAD,
            "## Settings: keys of config.toml\n",
            "For text, lowest and highest are its length. A key without a default must be given.\n",
            *_table(("name", "unit", "default", "lowest", "highest", "reason"), settings),
            "",
            "## Constants\n",
            *_table(("name", "where", "unit", "default", "precedent"), fixed),
            "",
        ]
    )


def _assignments(module: ast.Module) -> Iterator[tuple[str, ast.expr, ast.stmt, bool]]:
    """Yield name, value, statement and whether it is Final; of a class only what is, for the rest are its fields."""
    for node in module.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value, node, _is_final(node)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value, node, False
            case ast.ClassDef(body=body):
                final = [each for each in body if isinstance(each, ast.AnnAssign) and _is_final(each)]
                yield from _assignments(ast.Module(body=list(final), type_ignores=[]))


def _is_final(node: ast.AnnAssign) -> bool:
    return "Final" in ast.unparse(node.annotation)


def _must_speak(name: str, value: ast.expr) -> bool:
    return not name.startswith("_") or isinstance(value, ast.Call) or not BOUND_WORDS.isdisjoint(name.split("_"))


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__)
    return {token.start[0]: token.string[2:] for token in tokens if token.string.startswith("#:")}


def _is_amount(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float()):
            return True
        case ast.UnaryOp(operand=operand):
            return _is_amount(operand)
        case ast.BinOp(left=left, right=right):
            return _is_amount(left) and _is_amount(right)
        case ast.Call(func=ast.Name(id="timedelta")):
            return True
    return False


def _text(value: ast.expr, source: str) -> str:
    match value:
        case ast.Call(args=[], keywords=parts):
            return " ".join(_span(ast.get_source_segment(source, part.value) or "", part.arg or "") for part in parts)
        case _:
            return ast.get_source_segment(source, value) or ""


def _span(amount: str, unit: str) -> str:
    return f"{amount} {unit.removesuffix('s') if amount == '1' else unit}"


def _number(bound: float | None) -> str:
    return "" if bound is None else f"{bound:.10g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
