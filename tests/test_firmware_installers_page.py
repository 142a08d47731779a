"""The scripts that docs/firmware-installers.md shows are scripts, and the numbers it names are those of the program."""

import re
import subprocess
from pathlib import Path

import pytest

from firmware import command_installer, program

PAGE = (Path(__file__).parents[1] / "docs" / "firmware-installers.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_shell_understands_each_script(script: str) -> None:
    done = subprocess.run(["/bin/sh", "-n"], input=script, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_there_is_one_to_install_and_one_to_answer() -> None:
    assert len(SCRIPTS) == 2


@pytest.mark.parametrize(
    "words",
    [
        f"| {command_installer.NEEDS_REBOOT_STATUS} | installed; the next boot activates it |",
        f"| {command_installer.VERIFICATION_FAILED_STATUS} | the program's own check refused the image",
        f"({program.MAX_LOGGED_LINES} lines; a line is cut after {program.MAX_LINE_BYTES} bytes)",
        f"At most {command_installer.MAX_PROGRESS} progress lines",
    ],
)
def test_the_numbers_are_those_of_the_program(words: str) -> None:
    assert words in PAGE
