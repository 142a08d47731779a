"""The command installer and the programs of a board: what they are told, and what is made of their answers."""

import asyncio
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from firmware import command_installer
from firmware.command_installer import (
    LOCK_NAME,
    MAX_PROGRESS,
    MAX_TEXT_CHARACTERS,
    RECORD_NAME,
    CommandInstaller,
    Commands,
    load_record,
)
from firmware.installer import (
    InstallerUnavailable,
    InstallFailed,
    Outcome,
    Progress,
    Slots,
    VerificationFailed,
)
from security import durable
from tests.bad_disk import VARIABLE, BadDisk
from tests.firmware_image import Told, make_image
from tests.shell_script import make_script, wait_for_lock

OLD = Slots(running_version="1.0.0", running_sha256=None, waiting_sha256=None, installing=False, confirmed=True)


class Board:
    """A board with programs, and the agent's installer on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.image = make_image(directory / "cp-1.1.0.bin")
        self.commands = Commands(install=self.program("install", "exit 10"))
        self.version: str | None = "1.0.0"
        self.boot_id = "boot-0"
        self.installer = self.start()

    def program(self, name: str, script: str) -> tuple[str, ...]:
        return (str(make_script(self.directory / name, script)),)

    def start(self, **changes: object) -> CommandInstaller:
        """Start the agent anew, with other commands."""
        self.commands = replace(self.commands, **changes)  # type: ignore[arg-type]
        self.installer = CommandInstaller(
            self.commands,
            self.directory,
            load_record(self.directory),
            boot_id=self.boot_id,
            board_version=lambda: self.version,
        )
        return self.installer

    def boot(self, version: str | None) -> CommandInstaller:
        """Boot the board, after which it runs a version."""
        self.boot_id += "+"
        self.version = version
        return self.start()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


async def test_an_image_that_needs_a_reboot_runs_after_it(board: Board) -> None:
    assert await board.installer.inspect() == OLD
    assert await board.installer.install(board.image, Told()) is Outcome.NEEDS_REBOOT
    waits = replace(OLD, waiting_sha256=board.image.sha256)
    assert await board.installer.inspect() == waits
    assert await board.start().inspect() == waits, "an agent that is started again is no boot"
    assert await board.boot("1.1.0").inspect() == replace(
        OLD, running_version="1.1.0", running_sha256=board.image.sha256
    )


async def test_a_roll_back_of_the_boot_loader_shows_in_the_version(board: Board) -> None:
    await board.installer.install(board.image, Told())
    assert await board.boot("1.0.0").inspect() == OLD


async def test_an_image_may_be_active_at_once(board: Board) -> None:
    installer = board.start(install=board.program("install", "exit 0"))
    assert await installer.install(board.image, Told()) is Outcome.ACTIVE
    board.version = "1.1.0"
    assert (await board.start().inspect()).running_sha256 == board.image.sha256


@pytest.mark.parametrize(
    ("script", "kind", "why"),
    [
        ("echo the disk is full >&2; exit 1", InstallFailed, "install ended with status 1: the disk is full"),
        ("echo wrong board >&2; exit 11", VerificationFailed, "install ended with status 11: wrong board"),
        ("kill -9 $$", InstallFailed, "install was ended by signal 9"),
    ],
)
async def test_any_other_status_is_a_failure(board: Board, script: str, kind: type[InstallFailed], why: str) -> None:
    installer = board.start(install=board.program("install", script))
    with pytest.raises(InstallFailed) as raised:
        await installer.install(board.image, Told())
    assert type(raised.value) is kind
    assert raised.value.why.endswith(why)
    assert await installer.inspect() == OLD
    assert await board.boot("1.0.0").inspect() == OLD


async def test_a_program_that_is_not_there_fails_the_installation(board: Board) -> None:
    installer = board.start(install=("/no/such/program",))
    with pytest.raises(InstallFailed, match="cannot be started"):
        await installer.install(board.image, Told())
    assert await installer.inspect() == OLD


async def test_a_program_that_takes_too_long_is_ended_and_has_failed(board: Board) -> None:
    hangs = board.program("install", "exec tail -f /dev/null")
    installer = board.start(install=hangs, timeout=timedelta(microseconds=1))
    with pytest.raises(InstallFailed, match="did not end within"):
        await installer.install(board.image, Told())
    assert await installer.inspect() == OLD


async def test_the_program_is_told_what_it_installs(board: Board, tmp_path: Path) -> None:
    installer = board.start(install=board.program("install", f"env | sort > {tmp_path}/env; exit 10"))
    await installer.install(board.image, Told())
    told = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert {name: value for name, value in told.items() if name.startswith("CHARGEPOINT_")} == {
        "CHARGEPOINT_IMAGE": str(board.image.path),
        "CHARGEPOINT_REQUEST_ID": "1",
        "CHARGEPOINT_SHA256": board.image.sha256,
        "CHARGEPOINT_VERSION": "1.1.0",
    }


async def test_no_version_is_told_where_the_file_name_holds_none(board: Board, tmp_path: Path) -> None:
    installer = board.start(install=board.program("install", f"env > {tmp_path}/env; exit 10"))
    await installer.install(replace(board.image, file_name="firmware.bin"), Told())
    assert "CHARGEPOINT_VERSION" not in (tmp_path / "env").read_text()


async def test_progress_is_told_in_bounds(board: Board) -> None:
    script = f"""
        echo progress 0
        echo progress 42 writing the root file system
        echo progress 101 beyond
        echo progress -1
        echo 'progress fifty'
        echo anything else
        echo progress 50 $(head -c 400 /dev/zero | tr '\\0' x)
        yes progress 99 again | head -n {MAX_PROGRESS}
        exit 10
    """
    told = Told()
    await board.start(install=board.program("install", script)).install(board.image, told)
    assert told.progress[:3] == [
        Progress(percent=0, text=""),
        Progress(percent=42, text="writing the root file system"),
        Progress(percent=50, text="x" * MAX_TEXT_CHARACTERS),
    ]
    assert len(told.progress) == MAX_PROGRESS


async def test_one_installation_at_a_time(board: Board, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    waits = board.program("install", f"echo progress 1; read -r _ < {tmp_path}/pipe; exit 10")
    installer, told = board.start(install=waits), Told()
    installing = asyncio.create_task(installer.install(board.image, told))
    await told.until(lambda _: True)
    assert (await installer.inspect()).installing
    with pytest.raises(InstallFailed, match="under way already"):
        await installer.install(board.image, Told())
    await asyncio.to_thread((tmp_path / "pipe").write_text, "go on\n")
    assert await installing is Outcome.NEEDS_REBOOT
    assert not (await installer.inspect()).installing


async def test_a_cancelled_installation_is_ended_where_that_is_allowed(board: Board) -> None:
    hangs = board.program("install", "echo progress 1; exec tail -f /dev/null")
    installer, told = board.start(install=hangs, cancellable=True), Told()
    assert installer.cancellable
    installing = asyncio.create_task(installer.install(board.image, told))
    await told.until(lambda _: True)
    installing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await installing
    assert await installer.inspect() == OLD
    installer = board.start(install=board.program("install", "exit 10"))
    assert await installer.install(board.image, Told()) is Outcome.NEEDS_REBOOT


async def test_where_it_is_not_allowed_the_program_goes_on_and_inspect_says_so(board: Board, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    waits = board.program("install", f"echo progress 1; read -r _ < {tmp_path}/pipe; exit 10")
    installer, told = board.start(install=waits), Told()
    assert not installer.cancellable
    installing = asyncio.create_task(installer.install(board.image, told))
    await told.until(lambda _: True)
    installing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await installing
    restarted = board.start()
    assert (await restarted.inspect()).installing
    with pytest.raises(InstallFailed, match="under way already"):
        await restarted.install(board.image, Told())
    await asyncio.to_thread((tmp_path / "pipe").write_text, "go on\n")
    await asyncio.to_thread(wait_for_lock, tmp_path / LOCK_NAME)
    assert await restarted.inspect() == OLD, "nobody heard its exit status"
    assert (await board.boot("1.1.0").inspect()).running_sha256 == board.image.sha256


async def test_the_program_that_answers_is_believed(board: Board) -> None:
    answers = f"""
        echo 'running_version=2.0.0'
        echo 'running_sha256={board.image.sha256.upper()}'
        echo 'waiting_sha256='
        echo 'installing=yes'
        echo 'confirmed=no'
        echo 'weather=fine'
        echo 'anything else'
    """
    installer = board.start(inspect=board.program("inspect", answers))
    assert await installer.inspect() == Slots(
        running_version="2.0.0",
        running_sha256=board.image.sha256,
        waiting_sha256=None,
        installing=True,
        confirmed=False,
    )
    assert await installer.running_version() == "2.0.0"


async def test_what_the_program_leaves_open_follows_from_the_record(board: Board) -> None:
    installer = board.start(inspect=board.program("inspect", "echo running_version=1.0.0"))
    await installer.install(board.image, Told())
    assert (await installer.inspect()).waiting_sha256 == board.image.sha256
    board.boot("unknown to the driver")
    changed = board.start(inspect=board.program("inspect", "echo running_version=1.1.0"))
    assert (await changed.inspect()).running_sha256 == board.image.sha256


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 1", "inspect ended with status 1"),
        ("echo running_sha256=5ha", "running_sha256 is no SHA-256"),
        ("echo installing=perhaps", "installing is neither yes nor no"),
    ],
)
async def test_an_answer_that_is_none_is_no_answer(board: Board, script: str, why: str) -> None:
    installer = board.start(inspect=board.program("inspect", script))
    with pytest.raises(InstallerUnavailable, match=why):
        await installer.inspect()


async def test_without_an_answer_the_board_says_the_version(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    installer = board.start(inspect=("/no/such/program",))
    assert await installer.running_version() == "1.0.0"
    assert "cannot be started" in caplog.text


async def test_a_program_that_never_answers_is_ended(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_installer, "ANSWER_TIMEOUT", timedelta(microseconds=1))
    installer = board.start(inspect=board.program("inspect", "exec tail -f /dev/null"))
    with pytest.raises(InstallerUnavailable, match="did not end within"):
        await installer.inspect()


async def test_firmware_on_trial_is_marked_good_by_a_program(board: Board, tmp_path: Path) -> None:
    board.start(mark_good=board.program("mark-good", f"echo $CHARGEPOINT_SHA256 >> {tmp_path}/marked"))
    await board.installer.mark_good()
    await board.installer.install(board.image, Told())
    assert (await board.installer.inspect()).confirmed, "the old firmware runs"

    installer = board.boot("1.1.0")
    assert not (await installer.inspect()).confirmed
    await installer.mark_good()
    assert (tmp_path / "marked").read_text().split() == [board.image.sha256]
    assert (await board.boot("1.1.0").inspect()).confirmed


async def test_a_program_that_does_not_mark_leaves_the_firmware_on_trial(board: Board) -> None:
    board.start(mark_good=board.program("mark-good", "exit 1"))
    await board.installer.install(board.image, Told())
    installer = board.boot("1.1.0")
    with pytest.raises(InstallerUnavailable, match="mark-good ended with status 1"):
        await installer.mark_good()
    assert not (await installer.inspect()).confirmed


async def test_without_a_program_that_marks_there_is_nothing_to_mark(board: Board) -> None:
    await board.installer.install(board.image, Told())
    installer = board.boot("1.1.0")
    await installer.mark_good()
    assert (await installer.inspect()).confirmed


async def test_an_image_that_waits_is_withdrawn_by_a_program(board: Board, tmp_path: Path) -> None:
    board.start(withdraw=board.program("withdraw", f"echo $CHARGEPOINT_REQUEST_ID >> {tmp_path}/withdrawn"))
    assert await board.installer.withdraw()
    assert not (tmp_path / "withdrawn").exists(), "nothing waits"
    await board.installer.install(board.image, Told())
    assert await board.installer.withdraw()
    assert (tmp_path / "withdrawn").read_text() == "1\n"
    assert await board.start().inspect() == OLD


async def test_without_a_program_that_withdraws_an_image_goes_on_waiting(board: Board) -> None:
    assert await board.installer.withdraw()
    await board.installer.install(board.image, Told())
    assert not await board.installer.withdraw()
    assert (await board.installer.inspect()).waiting_sha256 == board.image.sha256


async def test_a_program_that_does_not_withdraw_leaves_it_unknown(board: Board) -> None:
    board.start(withdraw=board.program("withdraw", "exit 1"))
    await board.installer.install(board.image, Told())
    with pytest.raises(InstallerUnavailable, match="withdraw ended with status 1"):
        await board.installer.withdraw()


@pytest.fixture
def bad_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that makes the disk read-only as soon as it is there."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "bad"))
    monkeypatch.setattr(durable, "operations", BadDisk())
    return tmp_path / "bad"


async def test_nothing_is_started_that_cannot_be_noted(board: Board, tmp_path: Path, bad_disk: Path) -> None:
    installer = board.start(install=board.program("install", f"touch {tmp_path}/started"))
    bad_disk.touch()
    with pytest.raises(InstallFailed, match="nothing was started, because it could not be noted"):
        await installer.install(board.image, Told())
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("status", [0, 10, 1])
async def test_an_outcome_that_cannot_be_noted_is_told_all_the_same(
    board: Board, bad_disk: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    installer = board.start(install=board.program("install", f"touch {bad_disk}; exit {status}"))
    if status == 1:
        with pytest.raises(InstallFailed, match="status 1"):
            await installer.install(board.image, Told())
    else:
        outcome = await installer.install(board.image, Told())
        assert outcome is (Outcome.ACTIVE if status == 0 else Outcome.NEEDS_REBOOT)
    assert "noted" in caplog.text
    assert (await board.boot("1.1.0").inspect()).running_sha256 == board.image.sha256, "the version tells"


async def test_an_order_that_cannot_be_noted_is_said(board: Board, bad_disk: Path) -> None:
    board.start(mark_good=board.program("mark-good", "exit 0"), withdraw=board.program("withdraw", "exit 0"))
    await board.installer.install(board.image, Told())
    bad_disk.touch()
    with pytest.raises(InstallerUnavailable, match="is done and cannot be noted"):
        await board.installer.withdraw()


async def test_a_lock_that_cannot_be_opened_is_said(board: Board, tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(InstallFailed, match="cannot be opened: Is a directory"):
        await board.installer.install(board.image, Told())
    with pytest.raises(InstallerUnavailable, match="cannot be opened"):
        await board.installer.inspect()


async def test_a_damaged_record_is_set_aside(board: Board, tmp_path: Path) -> None:
    await board.installer.install(board.image, Told())
    (tmp_path / RECORD_NAME).write_text(json.dumps({"running_sha256": None, "update": {"stage": "begun"}}))
    assert await board.start().inspect() == OLD
    assert (tmp_path / f"{RECORD_NAME}.damaged-1").exists()
