"""Each fault of a run is shown by a run of its own, in a project of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[3]

SETTINGS = """
[tool.pytest.ini_options]
addopts = ["-ra", "--strict-markers"]
testpaths = ["cases"]
markers = ["requirement(*ids): the requirements that this test proves"]
"""

ONE_TEST = """
import pytest

@pytest.mark.requirement("A00.FR.309")
def test_closes():
    {body}

def test_other():
    pass
"""


class Project:
    """A project with the real ledger and tests that are written into it."""

    def __init__(self, pytester: pytest.Pytester, claim: Callable[..., str]) -> None:
        self._pytester = pytester
        self._claim = claim
        pytester.makepyprojecttoml(SETTINGS)
        self.write("cases/test_empty.py", "")
        self.claims()

    def write(self, path: str, text: str) -> None:
        target = self._pytester.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def claims(self, *names: str, old: str = "", new: str = "") -> None:
        text = self._claim(*names)
        assert old in text
        self.write("tests/requirements.toml", text.replace(old, new, 1))

    def run(self, *arguments: str) -> pytest.RunResult:
        return self._pytester.runpytest_inprocess("-p", "tests.ledger.plugin", *arguments)


@pytest.fixture
def project(pytester: pytest.Pytester, claim: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # quicker, and the ledger needs no other plugin
    return Project(pytester, claim)


def faults(result: pytest.RunResult) -> list[str]:
    return [line.removeprefix("FAULT ") for line in result.outlines if line.startswith("FAULT ")]


def test_passes_when_each_claim_has_a_passing_test(project: Project) -> None:
    project.claims("A00.FR.309")
    project.write("cases/test_door.py", ONE_TEST.format(body="pass"))
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    assert faults(result) == []
    result.stdout.fnmatch_lines(["*requirement ledger*", "204 requirements: 1 test, * planned, * not ours, 1 not obs*"])


def test_fails_when_no_test_names_a_claim(project: Project) -> None:
    project.claims("A00.FR.309")
    project.write("cases/test_door.py", "def test_other(): pass\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert faults(result) == ["A00.FR.309: has the verdict test, but no test names it"]


def test_fails_when_there_is_no_test_at_all(project: Project) -> None:
    project.claims("A00.FR.309")
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("body", ["pytest.skip('no TPM')", "pytest.xfail('not yet')"])
def test_fails_when_the_only_test_of_a_claim_is_skipped_or_xfailed(project: Project, body: str) -> None:
    project.claims("A00.FR.309")
    project.write("cases/test_door.py", ONE_TEST.format(body=body))
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert faults(result) == [
        "A00.FR.309: has the verdict test, but none of its tests passed: cases/test_door.py::test_closes"
    ]


@pytest.mark.parametrize("mark", ["skip(reason='no TPM')", "xfail"])  # xfail: the test passes unexpectedly
def test_fails_when_the_only_test_of_a_claim_is_marked_to_be_excused(project: Project, mark: str) -> None:
    project.claims("A00.FR.309")
    text = ONE_TEST.format(body="pass").replace("@pytest", f"@pytest.mark.{mark}\n@pytest", 1)
    project.write("cases/test_door.py", text)
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED


def test_counts_one_passing_test_of_several(project: Project) -> None:
    project.claims("A00.FR.309")
    project.write("cases/test_a.py", ONE_TEST.format(body="pytest.skip('no TPM')"))
    project.write("cases/test_b.py", ONE_TEST.format(body="pass"))
    assert project.run().ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "arguments",
    [
        ["cases/test_other.py"],
        ["cases/test_other.py", "cases/test_door.py::test_other"],
        ["-k", "other"],
        ["-m", "not requirement"],
        ["--deselect", "cases/test_door.py::test_closes"],
        ["--ignore", "cases/test_door.py"],
        ["--ignore-glob", "*door.py"],
        ["--collect-only"],
        ["--setup-only"],
    ],
)
def test_asks_no_proof_of_a_run_that_leaves_tests_out(project: Project, arguments: list[str]) -> None:
    project.claims("A00.FR.309")
    project.write("cases/test_door.py", ONE_TEST.format(body="pass"))
    project.write("cases/test_other.py", "def test_other(): pass\n")
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["204 requirements: * (not a full run: no proof is asked for)"])


def test_asks_no_proof_of_a_run_of_the_last_failures(project: Project) -> None:
    project.claims("A00.FR.309")
    project.write("cases/test_a.py", ONE_TEST.format(body="pass"))
    project.write("cases/test_b.py", "def test_other(): assert False\n")
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED
    assert faults(project.run("--lf")) == []


def test_asks_no_proof_of_a_run_that_stopped_early(project: Project) -> None:
    project.claims("A00.FR.309")
    project.write("cases/test_a.py", "def test_other(): assert False\n")
    project.write("cases/test_b.py", ONE_TEST.format(body="pass"))
    result = project.run("-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert faults(result) == []


def test_leaves_a_file_that_cannot_be_collected_to_pytest(project: Project) -> None:
    project.claims("A00.FR.309")
    project.write("cases/test_door.py", "import nothing_of_this_name\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert faults(result) == []


def test_leaves_a_wrong_command_line_to_pytest(project: Project) -> None:
    project.claims("A00.FR.309")
    result = project.run("cases/missing.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert faults(result) == []


@pytest.mark.parametrize("path", [".", "cases", "cases/"])
def test_takes_the_whole_path_for_a_full_run(project: Project, path: str) -> None:
    project.claims("A00.FR.309")
    assert project.run(path).ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("ids", "fault"),
    [
        ('"A00.FR.207"', "names 'A00.FR.207', which is not in the ledger"),
        ('"A00.FR.501-503"', "names 'A00.FR.501-503', which is not in the ledger"),
        ('["A00.FR.501"]', "names ['A00.FR.501'], which is not in the ledger"),
        (", ".join(f'"A00.FR.50{n}"' for n in range(1, 6)), "names 5 requirements, at most 4 are allowed"),
        ("", "the requirement marker names no id"),
    ],
)
def test_fails_any_run_whose_test_claims_wrongly(project: Project, ids: str, fault: str) -> None:
    project.write("cases/test_door.py", ONE_TEST.format(body="pass").replace('"A00.FR.309"', ids))
    for arguments in ((), ("-k", "other")):
        result = project.run(*arguments)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert faults(result) == [f"cases/test_door.py::test_closes: {fault}"]


def test_adds_up_the_ids_of_function_class_and_module(project: Project) -> None:
    lines = [
        "import pytest",
        'pytestmark = pytest.mark.requirement("A00.FR.501", "A00.FR.502")',
        '@pytest.mark.requirement("A00.FR.503", "A00.FR.504")',
        "class TestKeys:",
        '    @pytest.mark.requirement("A00.FR.505")',
        "    def test_length(self): pass",
    ]
    project.write("cases/test_keys.py", "\n".join(lines))
    assert faults(project.run()) == [
        "cases/test_keys.py::TestKeys::test_length: names 5 requirements, at most 4 are allowed"
    ]


def test_fails_any_run_when_a_source_line_names_an_unknown_id(project: Project) -> None:
    project.write("cases/test_door.py", ONE_TEST.format(body="pass"))
    project.write("security/tls.py", "# A00.FR.309 is known\n# A00.FR.603-604 is half known\n")
    result = project.run("-k", "other")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert faults(result) == ["security/tls.py:2: names A00.FR.604, which is not in the ledger"]


def test_fails_any_run_when_a_reason_is_missing(project: Project) -> None:
    project.claims(old='reason = "which networks', new='part = "which networks')
    project.write("cases/test_door.py", ONE_TEST.format(body="pass"))
    result = project.run("-k", "other")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert faults(result) == ["requirements.toml: A00.FR.201: 'reason' is missing: a not-ours row says why"]


def test_fails_when_there_is_no_ledger(project: Project, pytester: pytest.Pytester) -> None:
    (pytester.path / "tests/requirements.toml").unlink()
    project.write("cases/test_door.py", ONE_TEST.format(body="pass"))
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED


def test_leaves_the_list_of_skips_to_pytest_at_the_end(project: Project) -> None:
    project.write("cases/test_door.py", ONE_TEST.format(body="pytest.skip('no TPM')"))
    lines = project.run().outlines
    skips = [number for number, line in enumerate(lines) if line.startswith("SKIPPED")]
    assert len(skips) == 1
    assert skips[0] > next(number for number, line in enumerate(lines) if "requirement ledger" in line)


def test_is_imported_once_when_the_root_conftest_names_it(project: Project, pytester: pytest.Pytester) -> None:
    shutil.copytree(ROOT / "tests/ledger", pytester.path / "tests/ledger", ignore=shutil.ignore_patterns("__pycache__"))
    ini = SETTINGS.replace('"cases"', '"tests"').replace('"-ra"', '"--import-mode=importlib"')
    pytester.makepyprojecttoml(ini + 'pythonpath = ["."]\n')
    project.write("tests/conftest.py", 'pytest_plugins = ["tests.ledger.plugin"]\n')
    lines = [
        "import sys",
        "from tests.ledger import plugin",
        "def test_once():",
        "    files = [getattr(module, '__file__', None) for module in list(sys.modules.values())]",
        "    assert files.count(plugin.__file__) == 1",
    ]
    project.write("tests/unit/test_once.py", "\n".join(lines))
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.OK
    assert sum("requirement ledger" in line for line in result.outlines) == 1
