"""The RAUC installer against a service with RAUC's interface, on a D-Bus of its own, led step by step."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from firmware import rauc_bus, rauc_installer
from firmware.installer import (
    Image,
    InstallerUnavailable,
    InstallFailed,
    Outcome,
    Progress,
    Slots,
    VerificationFailed,
)
from firmware.rauc_installer import MAX_PROGRESS, RECORD_NAME
from security import durable
from tests.bad_disk import VARIABLE, BadDisk
from tests.firmware_image import make_image
from tests.rauc_agent import Agent
from tests.rauc_service import Device, RaucService, private_bus, rauc_service

FACTORY = Slots(running_version=None, running_sha256=None, waiting_sha256=None, installing=False, confirmed=True)


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with private_bus(tmp_path) as address:
        yield address


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
async def rauc(address: str, device: Device) -> AsyncIterator[RaucService]:
    async with rauc_service(address, device) as service:
        yield service


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return make_image(tmp_path / "cp-1.1.0.raucb", b"a bundle")


@pytest.fixture
def agent(state: Path, address: str) -> Agent:
    return Agent(state, address)


async def test_a_bundle_runs_after_the_reboot_and_is_marked_good(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    assert await agent.installer.inspect() == FACTORY
    assert not agent.installer.cancellable
    assert await agent.install(image, rauc) is Outcome.NEEDS_REBOOT
    assert rauc.bundles == [str(image.path)]
    waits = replace(FACTORY, waiting_sha256=image.sha256)
    assert await agent.installer.inspect() == waits
    assert await agent.start().inspect() == waits, "an agent that is started again is no boot"

    device.boot()
    installer = agent.start()
    runs = replace(FACTORY, running_version="1.1.0", running_sha256=image.sha256, confirmed=False)
    assert await installer.inspect() == runs
    assert await installer.running_version() == "1.1.0"
    await installer.mark_good()
    assert device.marks == [("good", "booted")]
    assert await agent.start().inspect() == replace(runs, confirmed=True)


async def test_a_roll_back_of_the_boot_loader_is_seen(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    await agent.install(image, rauc)
    device.boot("rootfs.0")
    assert await agent.start().inspect() == FACTORY


async def test_the_second_update_goes_back_to_the_first_slot(
    agent: Agent, rauc: RaucService, device: Device, image: Image, tmp_path: Path
) -> None:
    await agent.install(image, rauc)
    device.boot()
    await agent.start().mark_good()
    second = make_image(tmp_path / "second", b"another bundle")
    await agent.install(second, rauc, "1.2.0")
    slots = await agent.start().inspect()
    assert (slots.running_sha256, slots.waiting_sha256) == (image.sha256, second.sha256)
    device.boot()
    assert (await agent.start().inspect()).running_version == "1.2.0"


async def test_progress_is_told_in_bounds_and_nothing_twice(agent: Agent, rauc: RaucService, image: Image) -> None:
    await agent.begin(image, rauc)
    for percent, text in ((0, "Installing"), (0, "Installing"), (40, "Checking bundle"), (140, "x" * 900)):
        await rauc.progress(percent, text)
        await agent.told.until(lambda told, text=text: told.text == text[:200])  # type: ignore[misc]
    await rauc.complete()
    await agent.installing
    told = [progress for progress in agent.told.progress if progress.text]
    assert told == [
        Progress(percent=0, text="Installing"),
        Progress(percent=40, text="Checking bundle"),
        Progress(percent=100, text="x" * 200),
    ]


async def test_progress_without_end_is_not_told_without_end(
    agent: Agent, rauc: RaucService, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rauc_installer, "MAX_PROGRESS", 2)
    await agent.begin(image, rauc)
    await agent.told.until(lambda told: True)
    await rauc.progress(10, "one")
    await agent.told.until(lambda told: told.text == "one")
    await rauc.progress(20, "two")
    await rauc.complete()
    await agent.installing
    assert len(agent.told.progress) == 2 < MAX_PROGRESS


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("signature verification failed: Verify error: self-signed certificate", VerificationFailed),
        ("Installation error: Compatible mismatch: Expected 'A' but bundle manifest has 'B'", VerificationFailed),
        ("Invalid bundle format: signature too large", VerificationFailed),
        ("Installation error: Failed updating slot rootfs.1: checksum mismatch", VerificationFailed),
        ("Installation error: Failed to open slot device /dev/mmcblk0p3: No such device", InstallFailed),
        ("", InstallFailed),
    ],
)
async def test_what_rauc_says_tells_a_bundle_that_is_not_good_from_a_board_that_is_not(
    agent: Agent, rauc: RaucService, image: Image, error: str, kind: type[InstallFailed]
) -> None:
    await agent.begin(image, rauc)
    await rauc.end(error, 1)
    with pytest.raises(InstallFailed) as raised:
        await agent.installing
    assert type(raised.value) is kind
    assert raised.value.why == (error or "RAUC ended in the middle of it")
    assert await agent.installer.inspect() == FACTORY
    assert await agent.start().inspect() == FACTORY


async def test_a_bundle_that_rauc_does_not_begin_with_is_a_failure(
    agent: Agent, rauc: RaucService, image: Image
) -> None:
    rauc.refusal = "Unsupported key: anything"
    with pytest.raises(InstallFailed, match="Unsupported key"):
        await agent.installer.install(image, agent.told)
    assert await agent.installer.inspect() == FACTORY


async def test_an_installation_of_somebody_else_is_waited_for(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    await rauc.begin_elsewhere()
    assert await agent.installer.inspect() == replace(FACTORY, installing=True, confirmed=False)
    agent.installing = asyncio.create_task(agent.installer.install(image, agent.told))
    await agent.told.until(lambda told: told.text == "waiting for another installation")
    assert rauc.bundles == []
    await rauc.complete("9.9.9")
    await rauc.begun()
    assert (await agent.installer.inspect()).installing, "it is ours now"
    await rauc.complete()
    await agent.installing
    device.boot()
    slots = await agent.start().inspect()
    assert (slots.running_version, slots.running_sha256) == ("1.1.0", image.sha256)


async def test_what_somebody_else_has_installed_is_not_taken_for_ours(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    await agent.install(image, rauc)
    await rauc.begin_elsewhere()
    busy = await agent.start().inspect()
    assert busy.installing
    await rauc.complete("9.9.9")
    assert (await agent.installer.inspect()).waiting_sha256 is None
    device.boot()
    slots = await agent.start().inspect()
    assert (slots.running_version, slots.running_sha256) == ("9.9.9", None)


async def test_one_installation_at_a_time(agent: Agent, rauc: RaucService, image: Image) -> None:
    before = await agent.installer.inspect()
    await agent.begin(image, rauc)
    assert await agent.installer.inspect() == replace(before, installing=True)
    with pytest.raises(InstallFailed, match="another image is being installed"):
        await agent.installer.install(image, agent.told)
    await rauc.complete()
    await agent.installing


async def test_a_rauc_that_takes_too_long_is_no_longer_waited_for(
    agent: Agent, rauc: RaucService, image: Image
) -> None:
    installer = agent.start(timeout=timedelta(milliseconds=1))
    with pytest.raises(InstallFailed, match="did not end within"):
        await installer.install(image, agent.told)
    assert not (await installer.inspect()).waiting_sha256


async def test_an_image_that_waits_is_withdrawn(agent: Agent, rauc: RaucService, device: Device, image: Image) -> None:
    assert await agent.installer.withdraw()
    assert device.marks == [], "nothing waits"
    await agent.install(image, rauc)
    assert await agent.installer.withdraw()
    assert device.marks == [("active", "booted")]
    assert await agent.installer.inspect() == FACTORY
    device.boot()
    assert await agent.start().inspect() == FACTORY


async def test_a_rauc_without_status_file_is_believed(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    device.keeps_status = False
    await agent.install(image, rauc)
    assert (await agent.installer.inspect()).waiting_sha256 == image.sha256
    device.boot()
    slots = await agent.start().inspect()
    assert (slots.running_version, slots.running_sha256) == (None, image.sha256)
    assert await agent.installer.running_version() is None


async def test_a_boot_loader_that_does_not_name_the_next_slot_leaves_it_open_what_waits(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    device.names_primary = False
    assert await agent.install(image, rauc) is Outcome.NEEDS_REBOOT
    assert (await agent.installer.inspect()).waiting_sha256 is None
    assert await agent.installer.withdraw()
    assert device.marks == [("active", "booted")], "it may wait"
    device.boot("rootfs.1")
    assert (await agent.start().inspect()).running_sha256 == image.sha256


async def test_a_rauc_that_does_not_activate_has_not_installed(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    device.activates = False
    await agent.begin(image, rauc)
    await rauc.complete()
    with pytest.raises(InstallFailed, match="see activate-installed"):
        await agent.installing


async def test_orders_that_rauc_refuses_may_be_given_again(agent: Agent, rauc: RaucService, image: Image) -> None:
    await agent.install(image, rauc)
    rauc.refusal = "the boot loader's tools fail"
    with pytest.raises(InstallerUnavailable, match="does not mark the booted slot as good: the boot loader"):
        await agent.installer.mark_good()
    with pytest.raises(InstallerUnavailable, match="does not mark the booted slot as active: the boot loader"):
        await agent.installer.withdraw()


async def test_a_rauc_that_is_busy_says_nothing_of_its_slots(
    agent: Agent, rauc: RaucService, caplog: pytest.LogCaptureFixture
) -> None:
    await rauc.begin_elsewhere()
    assert await agent.installer.running_version() is None
    assert "does not say what is in its slots: already processing" in caplog.text
    with pytest.raises(InstallerUnavailable, match="does not say what is in its slots"):
        await agent.installer.mark_good()


async def test_nobody_but_rauc_is_believed_about_the_outcome(
    agent: Agent, rauc: RaucService, address: str, image: Image
) -> None:
    await agent.begin(image, rauc)
    async with rauc_bus.open_rauc(address) as stranger:
        from jeepney import DBusAddress, new_signal

        emitter = DBusAddress("/", interface="de.pengutronix.rauc.Installer")
        await stranger._bus._connection.send(new_signal(emitter, "Completed", "i", (0,)))
    await rauc.end("Installation error: no space", 1)
    with pytest.raises(InstallFailed, match="no space"):
        await agent.installing


async def test_without_rauc_nothing_is_known_and_nothing_installed(
    agent: Agent, image: Image, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InstallerUnavailable, match="rauc does not answer on D-Bus"):
        await agent.installer.inspect()
    with pytest.raises(InstallFailed, match="rauc does not answer on D-Bus"):
        await agent.installer.install(image, agent.told)
    assert await agent.installer.running_version() is None
    assert "does not answer" in caplog.text
    assert not (agent.state / RECORD_NAME).exists()


async def test_nothing_is_begun_that_cannot_be_noted(
    agent: Agent, rauc: RaucService, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "bad"))
    monkeypatch.setattr(durable, "operations", BadDisk())
    (tmp_path / "bad").touch()
    with pytest.raises(InstallFailed, match="nothing was begun, because it could not be noted"):
        await agent.installer.install(image, agent.told)
    assert rauc.bundles == []


async def test_an_outcome_that_cannot_be_noted_is_told_and_asked_for_again(
    agent: Agent,
    rauc: RaucService,
    image: Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "bad"))
    monkeypatch.setattr(durable, "operations", BadDisk())
    await agent.begin(image, rauc)
    (tmp_path / "bad").touch()
    await rauc.complete()
    assert await agent.installing is Outcome.NEEDS_REBOOT
    assert "what became of an image is not noted" in caplog.text
    assert (await agent.installer.inspect()).waiting_sha256 == image.sha256
    assert (await agent.start().inspect()).waiting_sha256 == image.sha256


async def test_a_damaged_record_is_set_aside(agent: Agent, rauc: RaucService, image: Image, state: Path) -> None:
    await agent.install(image, rauc)
    (state / RECORD_NAME).write_text('{"held": {}, "begun": {"request_id": 1}}')
    assert (await agent.start().inspect()).waiting_sha256 is None
    assert (state / f"{RECORD_NAME}.damaged-1").exists()
