import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chargepoint.state import StateDirectory, StateUnusable
from security import durable


def test_makes_a_directory_that_only_its_user_can_enter(tmp_path: Path) -> None:
    state = StateDirectory.open(tmp_path / "state")
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    assert {each.name for each in state.path.iterdir()} == {"lock"}
    assert state.database_path.parent == state.certificates.parent == state.path
    state.close()


def test_closes_a_directory_that_others_could_enter(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir(mode=0o755)
    path.chmod(0o755)
    StateDirectory.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_leaves_what_is_inside_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"precious")
    StateDirectory.open(tmp_path).close()
    assert (tmp_path / "state.db").read_bytes() == b"precious"


def test_refuses_a_directory_whose_parent_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="parent directory does not exist; make it") as refusal:
        StateDirectory.open(tmp_path / "mistyped" / "state")
    assert refusal.value.path == tmp_path / "mistyped" / "state"
    assert not (tmp_path / "mistyped").exists()


def test_refuses_a_file_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("somebody's notes")
    with pytest.raises(StateUnusable, match="not a directory"):
        StateDirectory.open(path)
    assert path.read_text() == "somebody's notes"


def test_refuses_a_file_in_place_of_its_parent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnusable, match="not a directory"):
        StateDirectory.open(tmp_path / "file" / "state")


def test_refuses_the_directory_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StateUnusable, match=r"it belongs to the user .*; run the agent and its commands as"):
        StateDirectory.open(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_second_agent_in_another_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    state = StateDirectory.open(tmp_path)
    program = "import pathlib, sys; from chargepoint import state; state.StateDirectory.open(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", program, str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert f"another agent uses it (process {os.getpid()})" in second.stderr
    with pytest.raises(StateUnusable, match="another agent uses it"):
        StateDirectory.open(tmp_path)
    state.close()
    state.close()
    third = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert third.returncode == 0


def test_the_lock_is_free_again_after_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(durable.Operations):
        def write(self, descriptor: int, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(durable, "operations", FullDisk())
        with pytest.raises(StateUnusable, match="the disk is full; make room on it"):
            StateDirectory.open(tmp_path)
    StateDirectory.open(tmp_path).close()


def test_a_lock_that_cannot_be_taken_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StateUnusable, match="No locks available; check the disk and its mount"):
        StateDirectory.open(tmp_path)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "this user may not write there"),
        (errno.EIO, "Input/output error; check the disk"),
    ],
)
def test_says_in_words_what_the_operating_system_says_in_numbers(
    number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FailingDisk(durable.Operations):
        def create(self, path: Path, mode: int) -> int:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable, "operations", FailingDisk())
    with pytest.raises(StateUnusable, match=words):
        StateDirectory.open(tmp_path)


def test_collects_what_a_power_cut_left_half_written(tmp_path: Path) -> None:
    (tmp_path / ".probe.0123.tmp").write_bytes(b"half")
    StateDirectory.open(tmp_path).close()
    assert not list(tmp_path.glob(".*.tmp"))
