"""The matrix of requirements: `python -m tests.ledger.matrix` prints id, verdict, tests and source lines.

It is generated from the ledger, the markers of the tests and the ids in the sources, and never kept by hand. Nothing is
run or imported: the markers are read from the syntax tree, so they must be literal texts.

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
    marks = read_marks(root)
    mentions = read_mentions(root)
    tests = _by_requirement(marks)
    rows = tuple(
        Row(requirement, tuple(tests.get(name, ())), tuple(mentions.get(name, ())))
        for name, requirement in ledger.requirements.items()
    )
    gaps = [gap for row in rows if (gap := row.gap())]
    gaps += (fault for test, ids in marks.items() for fault in ledger.mark_faults(test, ids))
    gaps += ledger.mention_faults(mentions)
    return Matrix(ledger.summary(), rows, tuple(gaps))


def read_marks(root: Path) -> dict[str, list[object]]:
    """Find the tests that carry a requirement marker, by node id, with the ids as they are written.

    Markers count on a function, on its class, in `pytestmark` of a class or module, and in the parameters of a test.
    """
    marks: dict[str, list[object]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        marks.update(_marks_below(tree, path.relative_to(root).as_posix(), []))
    return marks


def _marks_below(
    scope: ast.Module | ast.ClassDef, name: str, inherited: list[object]
) -> Iterator[tuple[str, list[object]]]:
    ids = inherited + [found for statement in scope.body if _is_pytestmark(statement) for found in _ids(statement)]
    for node in scope.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            carried = ids + [found for decorator in node.decorator_list for found in _ids(decorator)]
            if isinstance(node, ast.ClassDef):
                yield from _marks_below(node, f"{name}::{node.name}", carried)
            elif carried and node.name.startswith("test"):
                yield f"{name}::{node.name}", carried


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _ids(node: ast.AST) -> Iterator[object]:
    """The arguments of every `pytest.mark.requirement(...)` in an expression; one that is not literal as its source."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.requirement":
            for argument in call.args:
                yield argument.value if isinstance(argument, ast.Constant) else ast.unparse(argument)


def _by_requirement(marks: Mapping[str, Sequence[object]]) -> Mapping[object, list[str]]:
    tests: defaultdict[object, list[str]] = defaultdict(list)
    for test, ids in marks.items():
        for name in dict.fromkeys(ids):
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
