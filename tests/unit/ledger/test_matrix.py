import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledger.matrix import main, read_markers, read_matrix

ROOT = Path(__file__).resolve().parents[3]

TEST_OF = """
import pytest

@pytest.mark.requirement({ids})
async def test_closes():
    pass
"""


class Project:
    """A directory with a ledger, tests and sources, of which the matrix is read."""

    def __init__(self, root: Path, claim: Callable[..., str]) -> None:
        self.root = root
        self._claim = claim
        self.claims()

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def claims(self, *names: str) -> None:
        self.write("tests/requirements.toml", self._claim(*names))

    def gaps(self) -> tuple[str, ...]:
        return read_matrix(self.root).gaps


@pytest.fixture
def project(tmp_path: Path, claim: Callable[..., str]) -> Project:
    return Project(tmp_path, claim)


def test_has_no_gap_when_a_claim_has_a_test_and_a_line(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.claims("A00.FR.309")
    project.write("tests/conformance/test_a00.py", TEST_OF.format(ids='"A00.FR.309"'))
    project.write("security/tls.py", "# A00.FR.309\n\n# A00.FR.309-310\n")
    assert main(["--root", str(project.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("  A00.FR.309  test            connection")
    assert [line.strip() for line in lines[start + 1 : start + 3]] == [
        "tests/conformance/test_a00.py::test_closes",
        "security/tls.py:1,3",
    ]
    assert lines[-1].startswith("204 requirements: 1 test, ")


def test_misses_a_test(project: Project) -> None:
    project.claims("A00.FR.309")
    project.write("security/tls.py", "# A00.FR.309\n")
    assert project.gaps() == ("A00.FR.309: no test names it",)
    assert main(["--root", str(project.root)]) == 1


def test_misses_a_source_line(project: Project) -> None:
    project.claims("A00.FR.309")
    project.write("tests/conformance/test_a00.py", TEST_OF.format(ids='"A00.FR.309"'))
    project.write("chargepoint/simulation/wire.py", "# A00.FR.309\n")
    assert project.gaps() == ("A00.FR.309: no source line of the side that must act names it",)


@pytest.mark.parametrize(("source", "gaps"), [("chargepoint/simulation/wire.py", 0), ("security/tls.py", 1)])
def test_wants_the_central_systems_line_in_the_simulation(project: Project, source: str, gaps: int) -> None:
    project.claims("A00.FR.305")
    project.write("tests/conformance/test_a00.py", TEST_OF.format(ids='"A00.FR.305"'))
    project.write(source, "# A00.FR.305\n")
    assert len(project.gaps()) == gaps


@pytest.mark.parametrize(
    ("ids", "gap"),
    [
        ('"A00.FR.207"', "names 'A00.FR.207', which is not in the ledger"),
        ("NAME", "names 'NAME', which is not in the ledger"),
        (", ".join(f'"A00.FR.50{n}"' for n in range(1, 6)), "names 5 requirements, at most 4 are allowed"),
    ],
)
def test_shows_what_a_test_claims_wrongly(project: Project, ids: str, gap: str) -> None:
    project.write("tests/test_a.py", TEST_OF.format(ids=ids))
    assert project.gaps() == (f"tests/test_a.py::test_closes: {gap}",)


def test_shows_an_unknown_id_in_a_source(project: Project) -> None:
    project.write("logs/a.py", '"""A00.FR.207."""\n')
    assert project.gaps() == ("logs/a.py:1: names A00.FR.207, which is not in the ledger",)


def test_shows_a_faulty_ledger(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("tests/requirements.toml", "[A00.FR.001]\n")
    assert main(["--root", str(project.root)]) == 1
    assert "GAP requirements.toml: A00.FR.001: 'observed' is missing" in capsys.readouterr().out


def test_names_the_planned_rows_that_a_test_already_names(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("tests/test_a.py", TEST_OF.format(ids='"A00.FR.309"'))
    assert main(["--root", str(project.root)]) == 0
    assert "planned, though a test names them: A00.FR.309" in capsys.readouterr().out


def test_finds_markers_of_module_class_function_and_parameter(project: Project) -> None:
    lines = [
        "import pytest",
        'pytestmark = [pytest.mark.timeout(5), pytest.mark.requirement("A00.FR.501")]',
        '@pytest.mark.requirement("A00.FR.502")',
        "class TestKeys:",
        '    @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.requirement("A00.FR.503"))])',
        "    def test_length(self, n): pass",
        "def test_other(): pass",
        "def helper(): pass",
    ]
    project.write("tests/test_keys.py", "\n".join(lines))
    assert read_markers(project.root) == {
        "tests/test_keys.py::TestKeys::test_length": [["A00.FR.501"], ["A00.FR.502"], ["A00.FR.503"]],
        "tests/test_keys.py::test_other": [["A00.FR.501"]],
    }


def test_finds_markers_in_decorators_of_the_module(project: Project) -> None:
    lines = [
        "import pytest",
        'NAMED = pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.requirement("A00.FR.202"))])',
        "def twins(first, second):",
        "    marks = [pytest.mark.requirement(*first), pytest.mark.requirement(*second)]",
        '    return pytest.mark.parametrize("n", [pytest.param(1, marks=each) for each in marks])',
        "@NAMED",
        "def test_named(n): pass",
        '@twins(["A00.FR.501", "A00.FR.502", "A00.FR.503"], ["A00.FR.506", "A00.FR.507"])',
        "def test_twins(n): pass",
    ]
    project.write("tests/test_keys.py", "\n".join(lines))
    assert read_markers(project.root) == {
        "tests/test_keys.py::test_named": [["A00.FR.202"]],
        "tests/test_keys.py::test_twins": [["A00.FR.501", "A00.FR.502", "A00.FR.503"], ["A00.FR.506", "A00.FR.507"]],
    }
    assert project.gaps() == ()  # five ids, but never more than four by one parameter


def test_prints_the_same_as_json(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.claims("A00.FR.309")
    project.write("tests/test_a.py", TEST_OF.format(ids='"A00.FR.309"'))
    assert main(["--root", str(project.root), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    (row,) = (row for row in printed["requirements"] if row["id"] == "A00.FR.309")
    assert row["verdict"] == "test"
    assert row["tests"] == ["tests/test_a.py::test_closes"]
    assert row["sources"] == []
    assert printed["gaps"] == ["A00.FR.309: no source line of the side that must act names it"]


def test_runs_as_a_module() -> None:
    run = subprocess.run([sys.executable, "-m", "tests.ledger.matrix", "--help"], cwd=ROOT, check=False)
    assert run.returncode == 0
