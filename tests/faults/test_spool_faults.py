"""Spool files when the power, the process or the disk goes: whole, or not there after the next start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from logs.spool import CHUNK_BYTES, spool
from security import durable
from tests.recorder import Recorder

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("spool_worker.py")
CONTENT = b"x" * CHUNK_BYTES


async def test_a_power_cut_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    watched = tmp_path / "spool"
    watched.mkdir()
    with Recorder(watched) as recorder:
        async with spool(watched / "log.jsonl", min_free_bytes=0) as file:
            await file.write(CONTENT)
            await file.write(b"end")
    found = set()
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        durable.sweep(cut.directory)
        contents = {each.name: each.read_bytes() for each in cut.directory.iterdir()}
        assert contents in ({}, {"log.jsonl": CONTENT + b"end"}), cut.after
        assert contents or not cut.finished
        found.add(bool(contents))
    assert found == {False, True}


async def test_a_power_cut_in_a_writing_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    watched = tmp_path / "spool"
    watched.mkdir()

    async def fail() -> None:
        async with spool(watched / "log.jsonl", min_free_bytes=0) as file:
            await file.write(CONTENT)
            raise ZeroDivisionError

    with Recorder(watched) as recorder, pytest.raises(ZeroDivisionError):
        await fail()
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        durable.sweep(cut.directory)
        assert list(cut.directory.iterdir()) == [], cut.after


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


def test_what_a_killed_process_leaves_is_swept_at_the_next_start(tmp_path: Path) -> None:
    command = [sys.executable, str(WORKER), "forever", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "begun\n"
        worker.send_signal(signal.SIGKILL)
        worker.wait(20)
    assert [each for each in tmp_path.iterdir() if each.name.startswith(".")]
    durable.sweep(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} <= {"log.jsonl"}


def test_a_full_disk_is_said_in_words_and_gets_its_room_back(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*namespace, mount], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine gives no mount namespace; the refusal is tested with a faulty disk in test_spool.py")
    script = f"{mount}; {sys.executable} {WORKER} once {tmp_path}; echo $?; ls -A {tmp_path} | wc -l"
    done = subprocess.run(
        [*namespace, script], capture_output=True, text=True, timeout=30, check=True, env=environment()
    )
    _, said, status, left = done.stdout.splitlines()
    assert "StorageFull" in said
    assert "cannot be written: No space left on device: free space on the file system" in said
    assert (status, left) == ("3", "0"), done.stdout + done.stderr
