"""The locks hold what pyproject.toml asks for, with hashes, and say nothing about where it comes from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
WHOLE = ROOT / "requirements.lock"
BOARD = ROOT / "deploy" / "requirements.lock"
REMEDY = "run `make lock` and commit both locks"


def pins(lock: Path) -> dict[str, str]:
    """Return package -> version."""
    text = lock.read_text(encoding="utf-8")
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M)}


def wanted() -> tuple[list[Requirement], list[Requirement]]:
    """Return the direct dependencies at run time, and those of all extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return (
        [Requirement(line) for line in project["dependencies"]],
        [each for each in map(Requirement, extras) if each.name != project["name"]],
    )


def test_the_locks_hold_what_the_project_asks_for() -> None:
    run_time, extra = wanted()
    for lock, requirements in ((BOARD, run_time), (WHOLE, run_time + extra)):
        held = pins(lock)
        lacking = [
            str(each) for each in requirements if held.get(canonicalize_name(each.name), "0") not in each.specifier
        ]
        assert not lacking, f"{lock.relative_to(ROOT)} lacks {lacking}: {REMEDY}"


def test_a_board_gets_what_was_tested() -> None:
    assert pins(BOARD).items() <= pins(WHOLE).items(), REMEDY


@pytest.mark.parametrize("lock", [WHOLE, BOARD], ids=["whole", "board"])
def test_every_package_has_hashes(lock: Path) -> None:
    entries = re.split(r"^(?=[\w.-]+==)", lock.read_text(encoding="utf-8"), flags=re.M)[1:]
    bare = [entry.split()[0] for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)]
    assert not bare, REMEDY


@pytest.mark.parametrize("lock", [WHOLE, BOARD], ids=["whole", "board"])
def test_no_lock_names_an_index_or_a_path(lock: Path) -> None:
    lines = lock.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if re.search(r"https?:|index|find-links|file:|^\s*#.*\s/", line)]
