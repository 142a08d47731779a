"""A firmware update across kills, reboots and roll-backs: nothing is lost, and nothing is done twice."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.job_journal import WingJournal
from firmware import updater, worker
from firmware.installer import Image
from firmware.port import FetchRefused, JournalFailed
from firmware.state import State
from tests.pki import NOW
from tests.update_stage import HOUR, IMAGE, Stage, on_update_stage

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


class TestRestart:
    @pytest.mark.parametrize(
        "state",
        [
            State.ACCEPTED,
            State.DOWNLOADING,
            State.RETRY_WAIT,
            State.INSTALL_SCHEDULED,
            State.WAITING_FOR_TRANSACTIONS,
            State.INSTALLING,
            State.INSTALL_REBOOTING,
            State.REBOOTING,
            State.PROBATION,
        ],
        ids=lambda state: state.name,
    )
    async def test_a_kill_loses_nothing_and_installs_once(self, state: State, stage: Stage) -> None:
        await self._brought_to(state, stage)
        await stage.killed()
        stage.world.gate.set()
        stage.installer.gate.set()
        stage.world.told.set()
        stage.world.healthy.set()
        await stage.world.charge(0)
        await stage.world.pass_time(2 * HOUR)
        await stage.until(State.REBOOTING, State.INSTALLED)
        if stage.state is State.REBOOTING:
            await stage.booted()
        await stage.until(State.INSTALLED)
        told = [each for each in await stage.statuses() if not each.startswith("InstallScheduled")]
        assert told == [*WHOLE, "Installed 1"]
        assert len(stage.installer.completed) == 1
        assert [kind for kind, _ in stage.world.events] == ["FirmwareUpdated"]

    async def _brought_to(self, state: State, stage: Stage) -> None:
        request = stage.request()
        match state:
            case State.DOWNLOADING:
                stage.world.gate.clear()
            case State.RETRY_WAIT:
                stage.world.served.appendleft(UNREACHABLE)
            case State.INSTALL_SCHEDULED:
                request = stage.request(install_date_time=NOW + HOUR)
            case State.WAITING_FOR_TRANSACTIONS:
                await stage.world.charge(1)
            case State.INSTALLING:
                stage.installer.gate.clear()
            case State.INSTALL_REBOOTING:
                stage.world.told.clear()
        accepted = await stage.hand_in(request)
        if state is State.ACCEPTED:
            return
        accepted.begin()
        if state is State.PROBATION:
            stage.world.healthy.clear()
            await stage.until(State.REBOOTING)
            await stage.booted()
        await stage.until(state)
        if state is State.INSTALLING:
            await stage.installer.begun.wait()

    async def test_a_power_cut_behind_the_last_byte_installs_nothing_again(self, stage: Stage) -> None:
        stage.installer.gate.clear()
        await stage.ask()
        await stage.installer.begun.wait()
        # What the installer has done is done; the agent has not heard of it.
        image = Image(path=stage.image, request_id=1, sha256=hashlib.sha256(IMAGE).hexdigest())
        await stage.installer.slots.install(image, lambda progress: None)
        await stage.booted()
        await stage.until(State.INSTALLED)
        assert stage.installer.completed == []
        assert await stage.statuses() == [*WHOLE[:4], "Installed 1"]

    async def test_an_installation_that_outlived_the_agent_is_followed_to_its_end(self, stage: Stage) -> None:
        stage.installer.gate.clear()
        await stage.ask()
        await stage.installer.begun.wait()
        image = Image(path=stage.image, request_id=1, sha256=hashlib.sha256(IMAGE).hexdigest())
        await stage.installer.slots.install(image, lambda progress: None)
        stage.installer.busy = 2
        await stage.killed()
        await stage.until(State.REBOOTING)
        assert stage.installer.completed == []
        assert await stage.statuses() == WHOLE

    async def test_a_start_that_cannot_be_counted_goes_on(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        stage.world.gate.clear()
        await stage.ask()
        await stage.world.fetched_times(1)
        commit, failures = WingJournal.commit, [2]

        async def failing(self: WingJournal, *about: Any, **more: Any) -> None:
            if failures[0]:
                failures[0] -= 1
                raise JournalFailed("the disk is full")
            await commit(self, *about, **more)

        monkeypatch.setattr(WingJournal, "commit", failing)
        await stage.killed()
        stage.world.gate.set()
        await stage.until(State.REBOOTING)

    async def test_a_roll_back_after_the_end_is_noticed_once(self, stage: Stage) -> None:
        await stage.ask()
        await rebooted(stage)
        await stage.until(State.INSTALLED)
        await stage.roll_back()
        await stage.booted()
        await stage.until(State.ROLLED_BACK)
        await stage.booted()
        kinds = [kind for kind, _ in stage.world.events]
        assert kinds == ["FirmwareUpdated", "FirmwareUpdated"]
        assert stage.world.events[-1][1].startswith("rolled back: 1.0.0 runs")
        assert (await stage.statuses())[-1] == "Installed 1"

    async def test_a_snapshot_that_kills_is_given_up(self, stage: Stage) -> None:
        stage.world.gate.clear()
        await stage.ask()
        await stage.world.fetched_times(1)
        for times in (2, 3):
            await stage.killed()
            await stage.world.fetched_times(times)
        await stage.killed()
        await stage.until(State.DOWNLOAD_FAILED)
        assert await stage.statuses() == ["Downloading 1", "DownloadFailed 1"]

    @pytest.mark.parametrize("how", ["it lives on", "it ends in order"])
    async def test_a_start_that_goes_well_does_not_count(
        self, how: str, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage.world.gate.clear()
        await stage.ask()
        await stage.world.fetched_times(1)
        if how == "it lives on":
            monkeypatch.setattr(updater, "SETTLED_AFTER", timedelta())
        for times in range(2, 6):
            await stage.killed()
            await stage.world.fetched_times(times)
            if how == "it lives on":
                await settled(stage)
            else:
                await stage.updater.close()
        assert await stage.statuses() == ["Downloading 1"]

    async def test_what_is_not_understood_is_over(self, stage: Stage) -> None:
        await stage.ask(stage.request(install_date_time=NOW + HOUR))
        await stage.until(State.INSTALL_SCHEDULED)
        snapshot = await stage.journal.load()
        assert snapshot is not None
        await stage.journal.commit(snapshot | {"format": 2})
        await stage.killed()
        assert stage.state is None
        assert (await stage.statuses())[-1] == "InstallationFailed 1"
        assert not stage.image.exists()
        await stage.killed()
        assert await stage.statuses() == []

    async def test_an_end_that_is_not_understood_is_told_no_more(self, stage: Stage) -> None:
        await stage.journal.commit({"format": 2, "state": "DOWNLOAD_FAILED", "request": {"request_id": 1}})
        await stage.killed()
        assert await stage.statuses() == []

    async def test_a_journal_that_cannot_be_read_starts_nothing(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def load() -> None:
            raise JournalFailed("the disk is gone")

        monkeypatch.setattr(stage.updater._kept._journal, "load", load)
        await stage.updater.start()
        assert stage.updater.status() == {"state": "idle"}


async def settled(stage: Stage) -> None:
    """Wait until a start has been found to go well."""
    async with asyncio.timeout(20):
        while stage.updater.update is not None and stage.updater.update.record.starts:
            await stage.updater.wait_for_change()
