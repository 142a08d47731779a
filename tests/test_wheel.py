"""The wheel holds all that the agent needs and nothing else, and it runs where nothing else is installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from hashlib import sha256
from pathlib import Path

import pytest

import chargepoint

ROOT = Path(__file__).parents[1]
PACKAGES = ("chargepoint", "firmware", "logs", "security")
LOCK = ROOT / "deploy" / "requirements.lock"

pytestmark = pytest.mark.timeout(300)  # it builds, and installs from the package index


def run(*command: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a command far from the source tree, without the environment that would lead back to it."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "CHARGEPOINT_CONFIG"}
    }
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=240)


def succeed(*command: str | Path, directory: Path) -> str:
    done = run(*command, directory=directory)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy is built: the tree itself may hold the remains of an older build, which setuptools would pack too.
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "*.egg-info"))
    succeed(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, directory=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the commands in an environment that holds the wheel and what it asks for, nothing else."""
    home = tmp_path_factory.mktemp("empty") / "venv"
    succeed(sys.executable, "-m", "venv", home, directory=home.parent)
    python = home / "bin" / "python"
    wanted = home / "wanted.txt"
    digest = sha256(wheel.read_bytes()).hexdigest()
    wanted.write_text(f"-r {LOCK}\n{wheel} --hash=sha256:{digest}\n", encoding="utf-8")
    succeed(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", wanted, directory=home.parent)
    succeed(python, "-m", "pip", "check", directory=home.parent)
    return home / "bin"


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode())


def test_the_wheel_holds_every_module_and_type_marker(wheel: Path) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in [*(ROOT / package).rglob("*.py"), ROOT / package / "py.typed"]
    }
    assert wanted <= contents(wheel)


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in contents(wheel)}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == set(PACKAGES)
    assert not [name for name in contents(wheel) if "test" in Path(name).parts[-1] or "__pycache__" in name]


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    said = metadata(wheel)
    assert said["Name"] == "chargepoint"
    assert said["Version"] == chargepoint.__version__
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"


def test_the_command_answers_in_an_empty_environment(commands: Path, tmp_path: Path) -> None:
    told = succeed(commands / "chargepoint", "--help", directory=tmp_path)
    assert "demo" in told


def test_the_demo_runs_in_an_empty_environment(commands: Path, tmp_path: Path) -> None:
    told = succeed(commands / "chargepoint", "demo", "--json", directory=tmp_path)
    assert told.startswith(("{", "["))
