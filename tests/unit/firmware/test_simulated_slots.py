"""The simulated slots: what a firmware update finds, before and after each boot."""

import asyncio
import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.installer import (
    Image,
    InstallerUnavailable,
    InstallFailed,
    Outcome,
    Progress,
    Slots,
    VerificationFailed,
)
from firmware.simulated_boot import MAX_TRIES
from firmware.simulated_image import Activation
from firmware.simulated_slots import CHUNK_BYTES, SimulatedSlots
from security import durable
from tests.firmware_image import Told, make_image

FACTORY = Slots(running_version="1.0.0", running_sha256=None, waiting_sha256=None, installing=False, confirmed=True)


class FullDisk(durable.Operations):
    """Takes so many more files and then none."""

    def __init__(self, files: int) -> None:
        self._files = files

    def create(self, path: Path, mode: int) -> int:
        self._files -= 1
        if self._files < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().create(path, mode)


def boot(tmp_path: Path, boot_id: str = "boot-0", activation: Activation = Activation.REBOOT) -> SimulatedSlots:
    return SimulatedSlots.open(tmp_path / "slots", boot_id=boot_id, factory_version="1.0.0", activation=activation)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return make_image(tmp_path / "image", b"version=1.1.0\n" + bytes(3 * CHUNK_BYTES))


async def test_the_factory_version_runs_at_first(tmp_path: Path) -> None:
    slots = boot(tmp_path)
    assert await slots.inspect() == FACTORY
    assert await slots.running_version() == "1.0.0"
    assert slots.cancellable


async def test_an_installed_image_runs_after_the_reboot_and_stays_when_marked_good(
    tmp_path: Path, image: Image
) -> None:
    slots, told = boot(tmp_path), Told()
    assert await slots.install(image, told) is Outcome.NEEDS_REBOOT
    waits = replace(FACTORY, waiting_sha256=image.sha256)
    assert await slots.inspect() == waits
    assert [each.percent for each in told.progress] == [33, 66, 99, 100]
    assert await boot(tmp_path).inspect() == waits, "an agent that is started again is no boot"

    slots = boot(tmp_path, "boot-1")
    runs = replace(FACTORY, running_version="1.1.0", running_sha256=image.sha256, confirmed=False)
    assert await slots.inspect() == runs
    assert (tmp_path / "slots" / "b.image").read_bytes() == image.path.read_bytes()

    await slots.mark_good()
    await slots.mark_good()
    for number in range(2, 10):
        assert await boot(tmp_path, f"boot-{number}").inspect() == replace(runs, confirmed=True)


async def test_firmware_that_is_not_marked_good_is_rolled_back(tmp_path: Path, image: Image) -> None:
    await boot(tmp_path).install(image, Told())
    for number in range(1, MAX_TRIES + 1):
        assert (await boot(tmp_path, f"boot-{number}").inspect()).running_sha256 == image.sha256
    assert await boot(tmp_path, "boot-last").inspect() == FACTORY


async def test_an_image_can_be_active_at_once(tmp_path: Path, image: Image) -> None:
    slots = boot(tmp_path, activation=Activation.AT_ONCE)
    assert await slots.install(image, Told()) is Outcome.ACTIVE
    assert await slots.running_version() == "1.1.0"
    assert (await slots.inspect()).running_sha256 == image.sha256


async def test_the_image_overrules_the_setting(tmp_path: Path) -> None:
    slots = boot(tmp_path)
    at_once = make_image(tmp_path / "at-once", b"version=1.1.0\nactivation=at-once\n")
    assert await slots.install(at_once, Told()) is Outcome.ACTIVE


async def test_an_image_that_does_not_boot_is_rolled_back_by_the_first_boot(tmp_path: Path) -> None:
    image = make_image(tmp_path / "image", b"version=1.1.0\ninstall=rollback\n")
    assert await boot(tmp_path).install(image, Told()) is Outcome.NEEDS_REBOOT
    assert await boot(tmp_path, "boot-1").inspect() == FACTORY


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"install=fail\n", InstallFailed, "orders its installation to fail"),
        (b"install=verification\n", VerificationFailed, "orders its verification to fail"),
        (b"install=explode\n", InstallFailed, "a marker that is not understood: 'explode'"),
    ],
)
async def test_an_image_orders_its_failure(
    tmp_path: Path, image: Image, content: bytes, kind: type[InstallFailed], why: str
) -> None:
    slots = boot(tmp_path)
    await slots.install(image, Told())
    with pytest.raises(InstallFailed) as raised:
        await slots.install(make_image(tmp_path / "bad", content), Told())
    assert type(raised.value) is kind
    assert why in raised.value.why
    assert await slots.inspect() == FACTORY, "what waited before is given up as well"
    assert await boot(tmp_path, "boot-1").inspect() == FACTORY


async def test_an_image_that_was_changed_after_its_verification_is_refused(tmp_path: Path, image: Image) -> None:
    image.path.write_bytes(image.path.read_bytes() + b"\0")
    with pytest.raises(VerificationFailed, match="not the image whose signature was found good"):
        await boot(tmp_path).install(image, Told())
    assert await boot(tmp_path, "boot-1").inspect() == FACTORY
    assert not (tmp_path / "slots" / "b.image").exists()


async def test_an_image_that_is_gone_is_no_installation(tmp_path: Path, image: Image) -> None:
    image.path.unlink()
    with pytest.raises(InstallFailed, match="the image cannot be read: No such file"):
        await boot(tmp_path).install(image, Told())


async def test_the_version_may_stand_in_the_file_name(tmp_path: Path) -> None:
    image = replace(make_image(tmp_path / "download", b"\x7fELF"), file_name="cp-2.5.1.bin")
    await boot(tmp_path).install(image, Told())
    assert await boot(tmp_path, "boot-1").running_version() == "2.5.1"


async def test_an_image_that_waits_can_be_withdrawn(tmp_path: Path, image: Image) -> None:
    slots = boot(tmp_path)
    assert await slots.withdraw()
    await slots.install(image, Told())
    assert await slots.withdraw()
    assert await slots.inspect() == FACTORY
    assert await boot(tmp_path, "boot-1").inspect() == FACTORY


async def test_the_only_good_slot_is_not_overwritten(tmp_path: Path, image: Image) -> None:
    await boot(tmp_path).install(image, Told())
    slots = boot(tmp_path, "boot-1")
    with pytest.raises(InstallFailed, match="not marked good yet"):
        await slots.install(image, Told())
    await slots.mark_good()
    await slots.install(image, Told())


async def test_a_hanging_installation_is_cancelled_and_leaves_nothing_to_boot(tmp_path: Path, image: Image) -> None:
    hanging = make_image(tmp_path / "hanging", b"install=hang\n" + bytes(3 * CHUNK_BYTES))
    slots, told = boot(tmp_path), Told()
    installing = asyncio.create_task(slots.install(hanging, told))
    await told.until(lambda progress: (progress.percent or 0) >= 50)
    assert (await slots.inspect()).installing
    with pytest.raises(InstallFailed, match="another image is being installed"):
        await slots.install(image, Told())

    installing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await installing
    assert await slots.inspect() == FACTORY
    assert [path.name for path in (tmp_path / "slots").iterdir()] == ["boot.json"]
    assert await slots.install(image, Told()) is Outcome.NEEDS_REBOOT


@pytest.mark.parametrize("activation", Activation)
async def test_an_installation_that_is_cancelled_as_it_succeeds_is_undone(
    tmp_path: Path, image: Image, activation: Activation
) -> None:
    slots = boot(tmp_path, activation=activation)
    installing: asyncio.Task[Outcome]

    class Cancelling(durable.Operations):
        """Cancels when the image is bootable: the slot emptied, the image, and the slot filled are three renames."""

        renames = 0

        def rename(self, source: Path, target: Path) -> None:
            super().rename(source, target)
            self.renames += 1
            if self.renames == 3:
                loop.call_soon_threadsafe(installing.cancel)

    loop = asyncio.get_running_loop()
    before, durable.operations = durable.operations, Cancelling()
    try:
        installing = asyncio.create_task(slots.install(image, Told()))
        await asyncio.wait([installing])
    finally:
        durable.operations = before
    assert installing.cancelled()
    assert await slots.inspect() == FACTORY
    assert await boot(tmp_path, "boot-1").inspect() == FACTORY


async def test_an_undoing_that_the_disk_does_not_take_is_told_and_the_cancellation_stays_one(
    tmp_path: Path, image: Image, caplog: pytest.LogCaptureFixture
) -> None:
    slots = boot(tmp_path)
    loop = asyncio.get_running_loop()

    class Failing(FullDisk):
        """Takes the three files of an installation, and cancels with the last."""

        def create(self, path: Path, mode: int) -> int:
            descriptor = super().create(path, mode)
            if self._files == 0:
                loop.call_soon_threadsafe(installing.cancel)
            return descriptor

    before, durable.operations = durable.operations, Failing(3)
    try:
        installing = asyncio.create_task(slots.install(image, Told()))
        await asyncio.wait([installing])
    finally:
        durable.operations = before
    assert installing.cancelled()
    assert "the cancelled image waits for the reboot" in caplog.text
    assert (await slots.inspect()).waiting_sha256 == image.sha256


async def test_an_image_that_goes_away_while_it_is_copied_is_no_installation(tmp_path: Path, image: Image) -> None:
    class Vanishing(durable.Operations):
        """Takes the image away as its copy begins."""

        def create(self, path: Path, mode: int) -> int:
            if ".image." in path.name:
                image.path.unlink()
            return super().create(path, mode)

    slots = boot(tmp_path)
    before, durable.operations = durable.operations, Vanishing()
    try:
        with pytest.raises(InstallFailed, match="the image cannot be read: No such file"):
            await slots.install(image, Told())
    finally:
        durable.operations = before
    assert await boot(tmp_path, "boot-1").inspect() == FACTORY


@pytest.mark.parametrize("files", [0, 1, 2])
async def test_a_full_disk_fails_the_installation_and_the_old_slot_boots(
    tmp_path: Path, image: Image, files: int
) -> None:
    slots = boot(tmp_path)
    before, durable.operations = durable.operations, FullDisk(files)
    try:
        with pytest.raises(InstallFailed, match=r"the slot cannot be written: .*No space left"):
            await slots.install(image, Told())
    finally:
        durable.operations = before
    assert await boot(tmp_path, "boot-1").inspect() == FACTORY


async def test_an_order_that_the_disk_does_not_take_is_not_obeyed(tmp_path: Path, image: Image) -> None:
    slots = boot(tmp_path)
    await slots.install(image, Told())
    before, durable.operations = durable.operations, FullDisk(0)
    try:
        with pytest.raises(InstallerUnavailable, match="cannot be written"):
            await slots.withdraw()
        with pytest.raises(InstallerUnavailable, match="cannot be written"):
            await slots.mark_good()
    finally:
        durable.operations = before
    assert (await slots.inspect()).waiting_sha256 == image.sha256


async def test_a_damaged_memory_of_the_boot_loader_is_set_aside_and_the_factory_slot_runs(
    tmp_path: Path, image: Image
) -> None:
    await boot(tmp_path).install(image, Told())
    (tmp_path / "slots" / "boot.json").write_bytes(b"\0" * 100)
    assert await boot(tmp_path).inspect() == FACTORY
    assert (tmp_path / "slots" / "boot.json.damaged-1").exists()


async def test_progress_is_told_on_the_event_loop(tmp_path: Path, image: Image) -> None:
    loops = []

    def tell(progress: Progress) -> None:
        loops.append(asyncio.get_running_loop())

    await boot(tmp_path).install(image, tell)
    assert set(loops) == {asyncio.get_running_loop()}
