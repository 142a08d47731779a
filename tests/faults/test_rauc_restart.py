"""The agent, RAUC or the D-Bus goes away in the middle of an installation: what RAUC has done is found, not guessed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from firmware import rauc_installer
from firmware.installer import Image, InstallFailed, Outcome, Slots
from tests.firmware_image import make_image
from tests.rauc_agent import Agent
from tests.rauc_service import Device, RaucService, private_bus, rauc_service
from tests.recorder import Recorder

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
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask and come back at once."""
    monkeypatch.setattr(rauc_installer, "ASK_INTERVAL", timedelta(milliseconds=1))
    monkeypatch.setattr(rauc_installer, "RETURN_INTERVAL", timedelta())


@pytest.fixture
def agent(state: Path, address: str) -> Agent:
    return Agent(state, address)


async def test_an_agent_that_is_killed_in_the_middle_finds_what_rauc_has_done(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    await agent.begin(image, rauc)
    installer = await agent.be_killed()
    assert (await installer.inspect()).installing
    await rauc.complete()
    waits = replace(FACTORY, waiting_sha256=image.sha256)
    assert await installer.inspect() == waits
    assert await agent.start().inspect() == waits
    device.boot()
    assert (await agent.start().inspect()).running_sha256 == image.sha256


async def test_an_agent_that_was_killed_learns_only_after_the_boot(
    agent: Agent, rauc: RaucService, device: Device, image: Image
) -> None:
    await agent.begin(image, rauc)
    installer = await agent.be_killed()
    await rauc.complete()
    device.boot()
    slots = await installer.inspect()
    assert (slots.running_sha256, slots.confirmed) == (image.sha256, False)


async def test_an_agent_that_is_killed_in_the_middle_finds_that_rauc_has_failed(
    agent: Agent, rauc: RaucService, image: Image
) -> None:
    await agent.begin(image, rauc)
    installer = await agent.be_killed()
    await rauc.end("Installation error: no space", 1)
    assert await installer.inspect() == FACTORY
    assert await agent.start().inspect() == FACTORY


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.usefixtures("impatient")
async def test_a_rauc_that_is_restarted_in_the_middle_is_asked_what_it_has_done(
    agent: Agent, address: str, device: Device, image: Image, written: bool
) -> None:
    async with rauc_service(address, device) as rauc:
        await agent.begin(image, rauc)
    if written:
        device.write_other("1.1.0")
    async with rauc_service(address, device):
        if written:
            assert await agent.installing is Outcome.NEEDS_REBOOT
            assert (await agent.installer.inspect()).waiting_sha256 == image.sha256
        else:
            with pytest.raises(InstallFailed, match="RAUC ended in the middle of it"):
                await agent.installing
            assert await agent.installer.inspect() == FACTORY


@pytest.mark.usefixtures("impatient")
async def test_a_bus_that_is_restarted_in_the_middle_is_come_back_to(
    agent: Agent, tmp_path: Path, state: Path, device: Device, image: Image
) -> None:
    (tmp_path / "other").mkdir()
    async with private_bus(tmp_path / "other") as address:
        agent.address = address
        agent.start()
        async with rauc_service(address, device) as rauc:
            await agent.begin(image, rauc)
    device.write_other("1.1.0")
    (tmp_path / "other" / "bus").unlink(missing_ok=True)
    async with private_bus(tmp_path / "other") as address, rauc_service(address, device):
        assert await agent.installing is Outcome.NEEDS_REBOOT


async def test_a_power_cut_at_any_step_leaves_what_rauc_says(
    agent: Agent, rauc: RaucService, device: Device, image: Image, state: Path, tmp_path: Path, address: str
) -> None:
    with Recorder(state) as recorder:
        await agent.install(image, rauc)
    device.boot()
    known = set()
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        slots = await Agent(cut.directory, address).installer.inspect()
        assert slots.running_version == "1.1.0", cut.after
        assert slots.running_sha256 in {None, image.sha256}, cut.after
        # RAUC is told to begin after the image was noted, so that one it has installed is always known.
        assert (slots.running_sha256 is not None) == (cut.directory / rauc_installer.RECORD_NAME).exists(), cut.after
        assert slots.running_sha256 == image.sha256 or not cut.finished
        known.add(slots.running_sha256)
    assert known == {None, image.sha256}
