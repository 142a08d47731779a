"""A power cut or a kill at any instant of an installation: the old slot runs, and nothing half is ever booted."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from firmware.installer import Image, Outcome, Slots
from firmware.simulated_slots import CHUNK_BYTES, SimulatedSlots
from tests.firmware_image import Told, make_image
from tests.recorder import Recorder

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("slots_worker.py")


def boot(state: Path, boot_id: str = "boot-0") -> SimulatedSlots:
    return SimulatedSlots.open(state / "slots", boot_id=boot_id, factory_version="1.0.0")


async def legal(state: Path, images: set[str | None]) -> Slots:
    """Start the agent again and boot on what was left; the firmware that comes up is whole and one of `images`."""
    started = await boot(state).inspect()
    assert not started.installing
    booted = boot(state, "boot-after-the-cut")
    runs = await booted.inspect()
    assert runs.running_sha256 in images
    assert runs.running_sha256 == (started.waiting_sha256 or started.running_sha256)
    assert runs.waiting_sha256 is None
    if runs.running_sha256 is not None:
        contents = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (state / "slots").glob("*.image")}
        assert runs.running_sha256 in contents, "what is to run is not whole"
    assert not list((state / "slots").glob("*.tmp"))
    return runs


async def install_again(state: Path, image: Image) -> None:
    """The second attempt succeeds."""
    slots = boot(state, "boot-after-the-cut")
    await slots.mark_good()
    assert await slots.install(image, Told()) is Outcome.NEEDS_REBOOT
    assert (await boot(state, "boot-2").inspect()).running_sha256 == image.sha256


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


async def recorded(state: Path, act: Callable[[], Awaitable[object]]) -> Recorder:
    with Recorder(state) as recorder:
        await act()
    return recorder


async def test_an_installation_leaves_the_old_firmware_or_the_new_one(tmp_path: Path, state: Path) -> None:
    image = make_image(tmp_path / "image", b"version=1.1.0\n" + bytes(CHUNK_BYTES + 1))
    recorder = await recorded(state, lambda: boot(state).install(image, Told()))

    outcomes = set()
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        runs = await legal(cut.directory, {None, image.sha256})
        assert runs.running_sha256 == image.sha256 or not cut.finished, cut.after
        outcomes.add(runs.running_sha256)
        await install_again(cut.directory, image)
    assert outcomes == {None, image.sha256}


async def test_the_second_update_never_leaves_a_slot_without_firmware(tmp_path: Path, state: Path) -> None:
    first = make_image(tmp_path / "first", b"version=1.1.0\n")
    second = make_image(tmp_path / "second", b"version=1.2.0\n" + bytes(100))
    await boot(state).install(first, Told())
    slots = boot(state, "boot-1")
    await slots.mark_good()
    recorder = await recorded(state, lambda: boot(state, "boot-1").install(second, Told()))

    for cut in recorder.power_cuts(tmp_path / "cuts"):
        runs = await boot(cut.directory, "boot-after-the-cut").inspect()
        assert runs.running_sha256 in {first.sha256, second.sha256}, cut.after
        assert runs.running_sha256 == second.sha256 or not cut.finished, cut.after


async def test_a_withdrawn_image_is_withdrawn_or_waits(tmp_path: Path, state: Path) -> None:
    image = make_image(tmp_path / "image")
    await boot(state).install(image, Told())
    recorder = await recorded(state, lambda: boot(state).withdraw())

    for cut in recorder.power_cuts(tmp_path / "cuts"):
        runs = await legal(cut.directory, {None, image.sha256})
        assert runs.running_sha256 is None or not cut.finished, cut.after


async def test_a_boot_that_is_cut_short_is_decided_by_the_next_one(tmp_path: Path, state: Path) -> None:
    image = make_image(tmp_path / "image")
    await boot(state).install(image, Told())

    async def start() -> None:
        boot(state, "boot-1")

    for cut in (await recorded(state, start)).power_cuts(tmp_path / "cuts"):
        assert (await boot(cut.directory, "boot-2").inspect()).running_sha256 == image.sha256, cut.after


async def test_a_kill_in_the_middle_of_the_copy_leaves_nothing_to_boot(tmp_path: Path, state: Path) -> None:
    hanging = make_image(tmp_path / "hanging", b"install=hang\n" + bytes(4 * CHUNK_BYTES))
    good = make_image(tmp_path / "good")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        WORKER,
        state / "slots",
        hanging.path,
        hanging.sha256,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while int(await process.stdout.readline()) < 50:
            pass
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
    assert [path for path in (state / "slots").glob("*.tmp") if path.stat().st_size >= CHUNK_BYTES]

    runs = await legal(state, {None})
    assert runs.running_version == "1.0.0"
    await install_again(state, good)
