"""The matrix of requirements: `python -m tests.ledger.matrix` prints id, verdict, tests and source lines.

It is generated from the ledger, the markers of the tests and the ids in the sources, and never kept by hand. Nothing is
run or imported: the markers are read from the syntax tree, so the ids must be literal texts. They count on a function,
on its class, in `pytestmark` of a class or module, in the parameters of a test, and in what a decorator of the module's
own takes or is made of.

Guaranteed: status 1 and a list of gaps, when
- the ledger itself is faulty,
- an id with the verdict `test` has no test that names it, or no source line: of the agent where the Charge Point must
  act, of the simulated Central System where it alone must,
- a test or a source line names an id that is not in the ledger.

Not done here: whether the tests pass (plugin.py).
"""

import argparse
import ast
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.ledger.ledger import LEDGER_PATH, USE_CASES, LedgerError, Requirement, Verdict, read_ledger
from tests.ledger.mention import Mention, read_mentions

ROOT: Final = Path(__file__).resolve().parents[2]

_INDENT: Final = " " * 30  # below the column behind id and verdict


@dataclass(frozen=True, slots=True)
class Row:
    """A requirement with all that stands for it."""

    requirement: Requirement
    tests: tuple[str, ...]
    sources: tuple[Mention, ...]

    def gap(self) -> str | None:
        """What is missing behind the verdict `test`, None where nothing is."""
        if self.requirement.verdict is not Verdict.TEST:
            return None
        if not self.tests:
            return f"{self.requirement.id}: no test names it"
        if not any(self.requirement.obeyed_at(source.path) for source in self.sources):
            return f"{self.requirement.id}: no source line of the side that must act names it"
        return None


@dataclass(frozen=True, slots=True)
class Matrix:
    """All rows, in the order of the ledger, and all gaps."""

    summary: str
    rows: tuple[Row, ...]
    gaps: tuple[str, ...]


def read_matrix(root: Path) -> Matrix:
    """Compare the ledger, the tests and the sources below `root`; a ledger that is faulty is all gaps and no rows."""
    try:
        ledger = read_ledger(root / LEDGER_PATH)
    except LedgerError as error:
        return Matrix("no ledger", (), error.faults)
    markers = read_markers(root)
    mentions = read_mentions(root)
    tests = _by_requirement(markers)
    rows = tuple(
        Row(requirement, tuple(tests.get(name, ())), tuple(mentions.get(name, ())))
        for name, requirement in ledger.requirements.items()
    )
    gaps = [gap for row in rows if (gap := row.gap())]
    gaps += (fault for test, each in markers.items() for marker in each for fault in ledger.mark_faults(test, marker))
    gaps += ledger.mention_faults(mentions)
    return Matrix(ledger.summary(), rows, tuple(gaps))


def read_markers(root: Path) -> dict[str, list[list[object]]]:
    """Find the tests that carry a requirement marker, by node id, with the ids of each marker as they are written.

    Markers stay apart: what one parameter of a test claims, the test does not claim with another.
    """
    markers: dict[str, list[list[object]]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        own = {
            name: node
            for node in tree.body
            for name in _names(node)
            if any(_is_marker(inner) for inner in ast.walk(node)) and not name.startswith("test")
        }
        markers.update(_markers_below(tree, path.relative_to(root).as_posix(), [], own))
    return markers


def _names(node: ast.stmt) -> list[str]:
    """What a statement of the module defines that may stand as a decorator."""
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.name] if isinstance(node, ast.FunctionDef) else []


def _markers_below(
    scope: ast.Module | ast.ClassDef, name: str, inherited: list[list[object]], own: Mapping[str, ast.stmt]
) -> Iterator[tuple[str, list[list[object]]]]:
    markers = inherited + [
        found for statement in scope.body if _is_pytestmark(statement) for found in _markers(statement)
    ]
    for node in scope.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            carried = markers + [
                found for decorator in node.decorator_list for found in _markers_of_decorator(decorator, own)
            ]
            if isinstance(node, ast.ClassDef):
                yield from _markers_below(node, f"{name}::{node.name}", carried, own)
            elif carried and node.name.startswith("test"):
                yield f"{name}::{node.name}", carried


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _markers_of_decorator(decorator: ast.expr, own: Mapping[str, ast.stmt]) -> Iterator[list[object]]:
    if isinstance(decorator, ast.Name) and decorator.id in own:
        yield from _markers(own[decorator.id])
    elif isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id in own:
        for argument in decorator.args:  # each is handed to a marker
            yield [node.value for node in ast.walk(argument) if isinstance(node, ast.Constant)]
    else:
        yield from _markers(decorator)


def _markers(node: ast.AST) -> Iterator[list[object]]:
    """The arguments of every `pytest.mark.requirement(...)` in an expression; one that is not literal as its source."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and _is_marker(call):
            yield [
                argument.value if isinstance(argument, ast.Constant) else ast.unparse(argument)
                for argument in call.args
            ]


def _is_marker(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement"


def _by_requirement(markers: Mapping[str, Sequence[Sequence[object]]]) -> Mapping[object, list[str]]:
    tests: defaultdict[object, list[str]] = defaultdict(list)
    for test, each in markers.items():
        for name in dict.fromkeys(name for marker in each for name in marker):
            tests[name].append(test)
    return tests


def as_text(matrix: Matrix) -> Iterator[str]:
    """The lines for a terminal, by use case."""
    for key, group in groupby(matrix.rows, key=lambda row: row.requirement.use_case):
        rows = list(group)
        shown = sum(row.requirement.verdict is Verdict.TEST for row in rows)
        yield f"{key}  {USE_CASES[key].title} ({shown} of {len(rows)} shown by tests)"
        for row in rows:
            yield from _row_as_text(row)
        yield ""
    ready = [row.requirement.id for row in matrix.rows if row.requirement.verdict is Verdict.PLANNED and row.tests]
    if ready:
        yield f"planned, though a test names them: {', '.join(ready)}"
    yield matrix.summary
    yield from (f"GAP {gap}" for gap in matrix.gaps)


def _row_as_text(row: Row) -> Iterator[str]:
    requirement = row.requirement
    head = f"  {requirement.id:<10}  {requirement.verdict:<14}  "
    yield head + (requirement.reason or requirement.part)
    yield from (_INDENT + test for test in row.tests)
    for path, mentions in groupby(row.sources, key=lambda mention: mention.path):
        yield f"{_INDENT}{path}:{','.join(str(mention.line) for mention in mentions)}"


def as_json(matrix: Matrix) -> str:
    """The same for programs: `summary`, `requirements` and `gaps`."""
    requirements = [
        asdict(row.requirement) | {"tests": row.tests, "sources": [str(source) for source in row.sources]}
        for row in matrix.rows
    ]
    return json.dumps({"summary": matrix.summary, "requirements": requirements, "gaps": matrix.gaps}, indent=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the matrix of this project; the exit status is 1 where there is a gap."""
    parser = argparse.ArgumentParser(prog="python -m tests.ledger.matrix", description="The matrix of requirements.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--root", type=Path, default=ROOT, help="the root of the project")
    options = parser.parse_args(arguments)
    matrix = read_matrix(options.root)
    text = as_json(matrix) if options.json else "\n".join(as_text(matrix))
    sys.stdout.write(text + "\n")
    return 1 if matrix.gaps else 0


if __name__ == "__main__":
    sys.exit(main())
