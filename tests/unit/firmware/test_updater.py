"""The driver of firmware updates: requests taken in, one job at a time, and what faults are kept to."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from firmware import updater, worker
from firmware.port import FetchRefused, JournalFailed
from firmware.state import State
from firmware.status import Answer
from tests.pki import NOW
from tests.update_stage import FORGED, HOUR, IMAGE, Stage, on_update_stage

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


class TestWholeUpdate:
    async def test_the_new_firmware_runs_and_is_kept(self, stage: Stage) -> None:
        assert await stage.ask() is Answer.ACCEPTED
        await rebooted(stage)
        await stage.until(State.INSTALLED)
        assert await stage.statuses() == [*WHOLE, "Installed 1"]
        assert await stage.running() == ("1.1.0", True)
        assert [kind for kind, _ in stage.world.events] == ["FirmwareUpdated"]
        assert stage.world.reboots == 1
        assert not stage.world.held
        assert not stage.image.exists()

    async def test_is_no_news_at_the_next_start(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "firmware")
        await stage.ask()
        await rebooted(stage)
        await stage.until(State.INSTALLED)
        await stage.killed()
        await stage.until(State.INSTALLED)
        assert caplog.text.count("firmware update 1: installed") == 1

    async def test_nothing_is_told_or_done_before_the_answer_is_out(self, stage: Stage) -> None:
        accepted = await stage.hand_in()
        assert accepted.answer is Answer.ACCEPTED
        assert (await stage.statuses(), stage.world.fetched) == ([], [])
        accepted.begin()
        await stage.until(State.REBOOTING)

    async def test_an_answer_of_which_nobody_says_that_it_is_out_keeps_nothing_back(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(updater, "BEGIN_WAIT", timedelta(milliseconds=1))
        await stage.hand_in()
        await stage.until(State.REBOOTING)

    async def test_a_firmware_that_runs_at_once(self, stage: Stage) -> None:
        image = b"version=1.1.0\nactivation=at-once\n"
        stage.world.served[0] = image
        await stage.ask(stage.request(image))
        await stage.until(State.INSTALLED)
        assert await stage.statuses() == [*WHOLE[:4], "Installed 1"]
        assert (stage.world.reboots, stage.world.versions_told) == (0, 1)

    async def test_the_report_of_the_reboot_is_waited_for(self, stage: Stage) -> None:
        stage.world.told.clear()
        await stage.ask()
        await stage.until(State.INSTALL_REBOOTING)
        assert stage.world.reboots == 0
        stage.world.told.set()
        await stage.until(State.REBOOTING)

    async def test_the_report_of_the_reboot_is_not_waited_for_for_ever(self, stage: Stage) -> None:
        stage.report_wait = timedelta()
        await stage.killed()
        stage.world.told.clear()
        await stage.ask()
        await stage.until(State.REBOOTING)

    async def test_installed_is_told_when_the_agent_is_healthy(self, stage: Stage) -> None:
        stage.world.healthy.clear()
        await stage.ask()
        await rebooted(stage)
        await stage.until(State.PROBATION)
        assert await stage.statuses() == WHOLE
        assert await stage.running() == ("1.1.0", False)
        stage.world.healthy.set()
        await stage.until(State.INSTALLED)


class TestSecondRequest:
    @pytest.mark.parametrize(
        "state",
        [State.DOWNLOAD_SCHEDULED, State.DOWNLOADING, State.INSTALL_SCHEDULED, State.WAITING_FOR_TRANSACTIONS],
        ids=lambda state: state.name,
    )
    async def test_it_takes_the_place_of_the_first(self, state: State, stage: Stage) -> None:
        first = {
            State.DOWNLOAD_SCHEDULED: stage.request(retrieve_date_time=NOW + HOUR),
            State.INSTALL_SCHEDULED: stage.request(install_date_time=NOW + HOUR),
        }.get(state, stage.request())
        if state is State.DOWNLOADING:
            stage.world.gate.clear()
        if state is State.WAITING_FOR_TRANSACTIONS:
            await stage.world.charge(1)
        await stage.ask(first)
        await stage.until(state)
        assert await stage.ask(stage.request(request_id=2)) is Answer.ACCEPTED_CANCELED
        stage.world.gate.set()
        await stage.world.charge(0)
        await rebooted(stage)
        await stage.until(State.INSTALLED)
        # What was not sent of the first one is never sent.
        assert await stage.statuses() == [f"{each[:-1]}2" for each in [*WHOLE, "Installed 1"]]
        assert not stage.world.held

    async def test_its_file_is_not_looked_for_before(self, stage: Stage) -> None:
        stage.world.gate.clear()
        await stage.ask()
        await stage.world.fetched_times(1)
        stage.world.served[0] = FetchRefused("there is no such file", worth_retrying=False)
        assert await stage.ask(stage.request(request_id=2)) is Answer.ACCEPTED_CANCELED
        stage.world.gate.set()
        await stage.until(State.DOWNLOAD_FAILED)
        assert await stage.statuses() == ["Downloading 2", "DownloadFailed 2"]

    async def test_two_that_race_come_one_after_the_other(self, stage: Stage) -> None:
        stage.world.gate.clear()
        requests = [stage.request(request_id=number) for number in (1, 2, 3)]
        accepted = await asyncio.gather(*map(stage.hand_in, requests))
        assert [each.answer for each in accepted] == [
            Answer.ACCEPTED,
            Answer.ACCEPTED_CANCELED,
            Answer.ACCEPTED_CANCELED,
        ]
        for each in accepted:
            each.begin()
        stage.world.gate.set()
        await stage.until(State.REBOOTING)
        assert {report[-1] for report in await stage.statuses()} == {"3"}

    async def test_the_same_again_changes_nothing(self, stage: Stage) -> None:
        stage.world.gate.clear()
        request = stage.request()
        await stage.ask(request)
        await stage.world.fetched_times(1)
        assert await stage.ask(request) is Answer.ACCEPTED
        stage.world.gate.set()
        await stage.until(State.REBOOTING)
        assert len(stage.world.fetched) == 1
        assert await stage.statuses() == WHOLE

    async def test_the_same_id_with_another_content_is_another_request(self, stage: Stage) -> None:
        stage.world.gate.clear()
        await stage.ask()
        await stage.world.fetched_times(1)
        assert await stage.ask(stage.request(retries=1)) is Answer.ACCEPTED_CANCELED
        stage.world.gate.set()
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == WHOLE

    async def test_after_an_end_it_is_simply_accepted(self, stage: Stage) -> None:
        stage.world.served[0] = FORGED
        await stage.ask()
        await stage.until(State.INVALID_SIGNATURE)
        stage.world.served[0] = IMAGE
        assert await stage.ask() is Answer.ACCEPTED
        await stage.until(State.REBOOTING)
        # What was owed of the first one is told all the same.
        assert await stage.statuses() == ["Downloading 1", "Downloaded 1", "InvalidSignature 1", *WHOLE]

    async def test_it_stops_an_installation_that_can_be_stopped(self, stage: Stage) -> None:
        stage.installer.gate.clear()
        await stage.ask()
        await stage.installer.begun.wait()
        assert await stage.ask(stage.request(request_id=2, retrieve_date_time=NOW + HOUR)) is Answer.ACCEPTED_CANCELED
        await stage.until(State.DOWNLOAD_SCHEDULED)
        stage.installer.gate.set()
        assert stage.installer.completed == []
        assert await stage.statuses() == ["DownloadScheduled 2"]
        assert not stage.world.held

    async def test_it_is_rejected_where_an_installation_cannot_be_stopped(self, stage: Stage) -> None:
        stage.installer.cancellable = False
        stage.installer.gate.clear()
        await stage.ask()
        await stage.installer.begun.wait()
        assert await stage.ask(stage.request(request_id=2)) is Answer.REJECTED
        stage.installer.gate.set()
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == WHOLE

    async def test_it_takes_an_installed_image_back(self, stage: Stage) -> None:
        stage.world.told.clear()
        await stage.ask()
        await stage.until(State.INSTALL_REBOOTING)
        assert await stage.ask(stage.request(request_id=2, retrieve_date_time=NOW + HOUR)) is Answer.ACCEPTED_CANCELED
        await stage.booted()
        assert await stage.running() == ("1.0.0", True)
        await stage.until(State.DOWNLOAD_SCHEDULED)

    @pytest.mark.parametrize("cause", ["refuses", "does not answer"])
    async def test_it_is_rejected_where_an_installed_image_cannot_be_taken_back(self, cause: str, stage: Stage) -> None:
        stage.world.told.clear()
        await stage.ask()
        await stage.until(State.INSTALL_REBOOTING)
        stage.installer.can_withdraw = cause != "refuses"
        stage.installer.unavailable = int(cause != "refuses")
        assert await stage.ask(stage.request(request_id=2)) is Answer.REJECTED
        stage.world.told.set()
        await rebooted(stage)
        await stage.until(State.INSTALLED)
        assert await stage.statuses() == [*WHOLE, "Installed 1"]

    async def test_it_is_rejected_while_the_device_reboots(self, stage: Stage) -> None:
        await stage.ask()
        await stage.until(State.REBOOTING)
        assert await stage.ask(stage.request(request_id=2)) is Answer.REJECTED

    async def test_it_waits_for_a_first_one_that_is_about_to_end(self, stage: Stage) -> None:
        stage.world.served[0] = FORGED
        stage.world.disk.clear()
        await stage.ask()
        await stage.world.recording.wait()
        second = asyncio.create_task(stage.hand_in(stage.request(request_id=2)))
        await stage.turns()
        stage.world.disk.set()
        assert (await second).answer is Answer.ACCEPTED
        assert await stage.statuses() == ["Downloading 1", "Downloaded 1", "InvalidSignature 1"]

    async def test_it_waits_no_longer_than_an_answer_may_take(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(updater, "STOP_WAIT", timedelta(milliseconds=1))
        stage.world.served[0] = FORGED
        stage.world.disk.clear()
        await stage.ask()
        await stage.world.recording.wait()
        assert await stage.ask(stage.request(request_id=2)) is Answer.REJECTED
        # The event of a refused certificate is in memory then, and the answer goes out.
        assert await stage.ask(stage.request(request_id=3, signing_certificate="none")) is Answer.INVALID_CERTIFICATE
        stage.world.disk.set()
        await stage.until(State.INVALID_SIGNATURE)

    async def test_it_comes_while_the_first_one_takes_its_last_step(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is being kept when it comes is kept, and seen."""
        journal = stage.updater._kept._journal
        commit, reached, goes_on = journal.commit, asyncio.Event(), asyncio.Event()

        async def slow(snapshot: dict[str, Any], reports: Any = (), **more: Any) -> None:
            if snapshot["state"] == "RECORDING_SIGNATURE":
                reached.set()
                await goes_on.wait()
            await commit(snapshot, reports, **more)

        monkeypatch.setattr(journal, "commit", slow)
        stage.world.served[0] = FORGED
        await stage.ask()
        await reached.wait()
        second = asyncio.create_task(stage.hand_in(stage.request(request_id=2)))
        await stage.turns()
        goes_on.set()
        assert (await second).answer is Answer.ACCEPTED
        assert [kind for kind, _ in stage.world.events] == ["InvalidFirmwareSignature"]
        assert await stage.statuses() == ["Downloading 1", "Downloaded 1", "InvalidSignature 1"]

    async def test_it_is_rejected_where_the_new_firmware_runs_already(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was activated at once can be taken back no more, and is to be marked good."""
        noting, goes_on = asyncio.Event(), asyncio.Event()

        async def note_new_firmware() -> None:
            noting.set()
            await goes_on.wait()

        monkeypatch.setattr(stage.world, "note_new_firmware", note_new_firmware)
        image = b"version=1.1.0\nactivation=at-once\n"
        stage.world.served[0] = image
        await stage.ask(stage.request(image))
        await noting.wait()
        assert await stage.ask(stage.request(request_id=2)) is Answer.REJECTED
        goes_on.set()
        await stage.until(State.INSTALLED)
        assert await stage.statuses() == [*WHOLE[:4], "Installed 1"]
        assert await stage.running() == ("1.1.0", True)

    async def test_one_that_cannot_be_kept_is_rejected_and_the_first_goes_on(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await stage.ask(stage.request(install_date_time=NOW + HOUR))
        await stage.until(State.INSTALL_SCHEDULED)
        with monkeypatch.context() as full:
            full.setattr(stage.updater._kept._journal, "commit", _refusing)
            assert await stage.ask(stage.request(request_id=2)) is Answer.REJECTED
        await stage.world.pass_time(HOUR)
        await stage.until(State.REBOOTING)


class TestConnectionLost:
    """The handler of a request is cancelled when its connection has been gone for a while."""

    async def test_connectors_come_back_although_nobody_waits_for_the_answer(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await stage.world.charge(1)
        await stage.ask()
        await stage.until(State.WAITING_FOR_TRANSACTIONS)
        assert stage.world.held
        journal = stage.updater._kept._journal
        commit, reached, goes_on = journal.commit, asyncio.Event(), asyncio.Event()

        async def slow(*about: Any, **more: Any) -> None:
            reached.set()
            await goes_on.wait()
            await commit(*about, **more)

        with monkeypatch.context() as disk:
            disk.setattr(journal, "commit", slow)
            second = asyncio.create_task(stage.hand_in(stage.request(request_id=2, retrieve_date_time=NOW + HOUR)))
            await reached.wait()
            second.cancel()
            goes_on.set()
            await asyncio.wait({second})
        assert second.cancelled()
        await stage.until(State.DOWNLOAD_SCHEDULED)
        assert await stage.statuses() == ["DownloadScheduled 2"]
        assert not stage.world.held

    async def test_what_was_stopped_goes_on_only_once_it_has_stopped(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two downloads into one file at once would make an image that nobody has signed."""
        fetch, stopping, ends = stage.world.fetch, asyncio.Event(), asyncio.Event()
        under_way: list[int] = []

        async def slow_to_stop(*about: Any) -> Any:
            under_way.append(len(under_way))
            try:
                if not stopping.is_set():
                    await asyncio.Event().wait()
                return await fetch(*about)
            except asyncio.CancelledError:
                stopping.set()
                await ends.wait()
                raise

        monkeypatch.setattr(stage.world, "fetch", slow_to_stop)
        await stage.ask()
        while not under_way:
            await stage.turns()
        second = asyncio.create_task(stage.hand_in(stage.request(request_id=2)))
        await stopping.wait()
        second.cancel()
        await stage.turns()
        assert (second.done(), under_way) == (False, [0])
        ends.set()
        await asyncio.wait({second})
        await stage.until(State.REBOOTING)
        assert under_way == [0, 1]
        assert await stage.statuses() == WHOLE


async def _refusing(*about: object, **more: object) -> None:
    raise JournalFailed("the disk is full")
