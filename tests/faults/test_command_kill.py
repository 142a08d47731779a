"""A kill or a power cut while a command installs: the next start knows what it does not know, and asks what runs."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.command_installer import LOCK_NAME, CommandInstaller, Commands, load_record
from firmware.installer import Image, InstallFailed, Outcome, Slots
from tests.firmware_image import Told, make_image
from tests.recorder import Recorder
from tests.shell_script import make_script, wait_for_lock

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("command_worker.py")
OLD = Slots(running_version="1.0.0", running_sha256=None, waiting_sha256=None, installing=False, confirmed=True)


def start(state: Path, command: Path, *, boot_id: str = "boot-0", version: str = "1.0.0") -> CommandInstaller:
    return CommandInstaller(
        Commands(install=(str(command),)),
        state,
        load_record(state),
        boot_id=boot_id,
        board_version=lambda: version,
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


async def kill_in_mid_command(state: Path, command: Path, image: Image) -> None:
    """Start an agent that installs, and kill it as soon as the command is at work."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        WORKER,
        state,
        command,
        image.path,
        image.sha256,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert worker.stdout is not None
    async with asyncio.timeout(30):
        assert await worker.stdout.readline() == b"1\n"
        worker.send_signal(signal.SIGKILL)
        assert await worker.wait() == -signal.SIGKILL


async def test_a_command_that_outlives_a_killed_agent_is_waited_for_and_not_started_twice(
    tmp_path: Path, state: Path
) -> None:
    image = make_image(tmp_path / "image")
    os.mkfifo(tmp_path / "go-on")
    script = f"echo progress 1; read -r _ < {tmp_path}/go-on; echo installed >> {tmp_path}/log; exit 10"
    command = make_script(tmp_path / "install", script)
    await kill_in_mid_command(state, command, image)

    restarted = start(state, command)
    assert await restarted.inspect() == replace(OLD, installing=True)
    with pytest.raises(InstallFailed, match="under way already"):
        await restarted.install(image, Told())

    await asyncio.to_thread((tmp_path / "go-on").write_text, "go on\n")
    await asyncio.to_thread(wait_for_lock, state / LOCK_NAME)
    assert (tmp_path / "log").read_text() == "installed\n"
    assert await restarted.inspect() == OLD, "how it ended was heard by nobody"
    booted = start(state, command, boot_id="boot-1", version="1.1.0")
    assert (await booted.inspect()).running_sha256 == image.sha256


async def test_a_command_that_dies_with_the_agent_is_no_installation_and_may_be_started_again(
    tmp_path: Path, state: Path
) -> None:
    image = make_image(tmp_path / "image")
    hangs = make_script(tmp_path / "install", f"echo $$ > {tmp_path}/pid; echo progress 1; exec tail -f /dev/null")
    await kill_in_mid_command(state, hangs, image)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    await asyncio.to_thread(wait_for_lock, state / LOCK_NAME)

    good = make_script(tmp_path / "good", "exit 10")
    restarted = start(state, good)
    assert await restarted.inspect() == OLD
    assert await restarted.install(image, Told()) is Outcome.NEEDS_REBOOT
    assert await restarted.inspect() == replace(OLD, waiting_sha256=image.sha256)


async def test_a_power_cut_at_any_step_leaves_what_the_version_decides(tmp_path: Path, state: Path) -> None:
    image = make_image(tmp_path / "image")
    log = tmp_path / "log"
    command = make_script(tmp_path / "install", f"echo installed >> {log}; exit 10")
    (state / LOCK_NAME).touch(0o600)
    with Recorder(state) as recorder:
        assert await start(state, command).install(image, Told()) is Outcome.NEEDS_REBOOT
    assert log.read_text() == "installed\n"

    for cut in recorder.power_cuts(tmp_path / "cuts"):
        old = await start(cut.directory, command, boot_id="boot-1").inspect()
        assert old == OLD, cut.after
        new = await start(cut.directory, command, boot_id="boot-1", version="1.1.0").inspect()
        assert new.running_sha256 in {None, image.sha256}, cut.after
        noted = (cut.directory / "command.json").exists()
        assert (new.running_sha256 == image.sha256) == noted, cut.after
        # The command starts after the first note: whatever the board runs then, its image is known.
        assert noted or not cut.finished
        assert await start(cut.directory, command, boot_id="boot-1").install(image, Told()) is Outcome.NEEDS_REBOOT


async def test_the_image_is_on_the_disk_before_the_command_starts(tmp_path: Path, state: Path) -> None:
    image = make_image(tmp_path / "image")
    copy = make_script(tmp_path / "install", f"cp {state}/command.json {tmp_path}/seen; exit 1")
    with pytest.raises(InstallFailed):
        await start(state, copy).install(image, Told())
    assert image.sha256 in (tmp_path / "seen").read_text()
    assert '"begun"' in (tmp_path / "seen").read_text()
