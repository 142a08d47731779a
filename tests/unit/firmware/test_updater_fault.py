"""Faults of the disk, the installer and ourselves: each ends one update at most, and tells nothing that is not so."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from firmware import updater, worker
from firmware.port import FetchRefused, JournalFailed
from firmware.state import State
from firmware.status import Answer
from tests.update_stage import IMAGE, Stage, on_update_stage

WHOLE = ["Downloading 1", "Downloaded 1", "SignatureVerified 1", "Installing 1", "InstallRebooting 1"]
UNREACHABLE = FetchRefused("the server does not answer", worth_retrying=True)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_update_stage(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "INSTALLER_RETRY", timedelta())
    monkeypatch.setattr(worker, "HOLD_POLL", timedelta(milliseconds=1))
    monkeypatch.setattr(updater, "DISK_RETRY", timedelta(milliseconds=1))


async def rebooted(stage: Stage) -> None:
    """An update has come so far that the device boots."""
    await stage.until(State.REBOOTING)
    await stage.booted()


def failing(times: int = 1000, then: Callable[..., object] | None = None) -> Callable[..., object]:
    """A commit that fails so many times."""
    left = [times]

    async def commit(*about: object, **more: object) -> None:
        if left[0]:
            left[0] -= 1
            raise JournalFailed("the disk is full")
        assert then is not None
        await then(*about, **more)  # type: ignore[misc]

    return commit


class TestFault:
    async def test_a_step_that_cannot_be_kept_is_tried_again_before_anything_is_done(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        accepted = await stage.hand_in()
        journal = stage.updater._kept._journal
        monkeypatch.setattr(journal, "commit", failing(3, journal.commit))
        accepted.begin()
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == WHOLE
        assert len(stage.world.fetched) == 1

    async def test_a_fault_at_the_end_changes_nothing_any_more(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def release() -> None:
            raise ZeroDivisionError("a bug")

        image = b"version=1.1.0\ninstall=fail\n"
        stage.world.served[0] = image
        stage.installer.gate.clear()
        await stage.ask(stage.request(image))
        await stage.installer.begun.wait()
        monkeypatch.setattr(stage.world, "release_connectors", release)
        stage.installer.gate.set()
        await stage.until(State.INSTALLATION_FAILED)
        assert await stage.statuses() == [*WHOLE[:4], "InstallationFailed 1"]

    async def test_an_installer_that_is_away_at_the_wrong_time_ends_the_update(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "MAX_INSTALLER_TRIES", 2)
        await stage.ask()
        await stage.until(State.REBOOTING)
        stage.installer.unavailable = 4
        await stage.killed()
        await stage.until(State.INSTALLATION_FAILED)
        assert stage.updater.status()["failure"] == "the installer does not answer: the daemon is away"

    async def test_an_installer_that_is_away_after_the_end_is_no_matter(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "MAX_INSTALLER_TRIES", 1)
        await stage.ask()
        await rebooted(stage)
        await stage.until(State.INSTALLED)
        stage.installer.unavailable = 1
        await stage.killed()
        await stage.until(State.INSTALLED)
        assert stage.updater.status() == {
            "state": "installed",
            "status": "Installed",
            "request_id": 1,
            "version": "1.1.0",
        }

    async def test_a_fault_of_ours_ends_this_update_only(self, stage: Stage) -> None:
        stage.world.served[0] = ZeroDivisionError("a bug")
        await stage.ask()
        await stage.until(State.DOWNLOAD_FAILED)
        assert stage.updater.status()["failure"] == "a fault of this program: ZeroDivisionError"
        stage.world.served[0] = IMAGE
        assert await stage.ask(stage.request(request_id=2)) is Answer.ACCEPTED
        await stage.until(State.REBOOTING)

    async def test_a_fault_in_what_follows_from_a_fault_ends_it_all_the_same(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def buggy(*about: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(stage.installer, "install", buggy)
        monkeypatch.setattr(stage.installer, "withdraw", buggy)
        await stage.ask()
        await stage.until(State.INSTALLATION_FAILED)
        assert await stage.statuses() == [*WHOLE[:4], "InstallationFailed 1"]
        assert not stage.world.held

    @pytest.mark.parametrize(
        ("order", "end", "status"),
        [
            ("install=fail", State.INSTALLATION_FAILED, "InstallationFailed 1"),
            ("install=verification", State.INSTALL_VERIFICATION_FAILED, "InstallVerificationFailed 1"),
        ],
    )
    async def test_an_installation_that_fails(self, order: str, end: State, status: str, stage: Stage) -> None:
        image = f"version=1.1.0\n{order}\n".encode()
        stage.world.served[0] = image
        await stage.ask(stage.request(image))
        await stage.until(end)
        assert await stage.statuses() == [*WHOLE[:4], status]
        assert await stage.running() == ("1.0.0", True)
        assert not stage.world.held

    async def test_a_boot_into_the_old_firmware(self, stage: Stage) -> None:
        image = b"version=1.1.0\ninstall=rollback\n"
        stage.world.served[0] = image
        await stage.ask(stage.request(image))
        await rebooted(stage)
        await stage.until(State.INSTALLATION_FAILED)
        assert (await stage.statuses())[-1] == "InstallationFailed 1"
        assert stage.world.events == []

    async def test_a_boot_loader_that_goes_back_while_the_new_firmware_is_on_trial(self, stage: Stage) -> None:
        stage.world.healthy.clear()
        await stage.ask()
        await rebooted(stage)
        await stage.until(State.PROBATION)
        while (await stage.running())[0] == "1.1.0":
            await stage.updater.close()
            await stage.booted()
        await stage.until(State.INSTALLATION_FAILED)
        assert await stage.statuses() == [*WHOLE, "InstallationFailed 1"]
        assert stage.world.events == []

    async def test_an_installer_that_answers_late_is_asked_again(self, stage: Stage) -> None:
        await stage.ask()
        await stage.until(State.REBOOTING)
        stage.world.healthy.clear()
        await stage.booted()
        await stage.until(State.PROBATION)
        with pytest.MonkeyPatch.context() as quick:
            quick.setattr("firmware.order.MARKING_WAIT", timedelta())
            stage.installer.unavailable = 2
            stage.world.healthy.set()
            await stage.until(State.INSTALLED)
