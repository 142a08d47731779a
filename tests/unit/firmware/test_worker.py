"""The work of a firmware update: what is refused, how a download goes on, and what is waited for."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from firmware import updater, worker
from firmware.port import FetchRefused
from firmware.record import Policy
from firmware.state import State
from firmware.status import Answer
from security.store import CaDomain
from tests.pki import NOW, make
from tests.update_stage import FORGED, HOUR, IMAGE, Stage, on_update_stage, sign

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


class TestRefusal:
    async def test_an_image_that_was_not_signed_is_gone(self, stage: Stage) -> None:
        stage.world.served[0] = FORGED
        await stage.ask()
        await stage.until(State.INVALID_SIGNATURE)
        assert await stage.statuses() == ["Downloading 1", "Downloaded 1", "InvalidSignature 1"]
        assert [kind for kind, _ in stage.world.events] == ["InvalidFirmwareSignature"]
        assert not stage.image.exists()
        assert stage.installer.completed == []

    async def test_a_certificate_that_nobody_vouches_for_starts_nothing(self, stage: Stage) -> None:
        stranger = make("Firmware Signing", organisation="A Stranger")
        request = stage.request(signing_certificate=stranger.pem, signature=sign(IMAGE, stranger))
        assert await stage.ask(request) is Answer.INVALID_CERTIFICATE
        assert [kind for kind, _ in stage.world.events] == ["InvalidFirmwareSigningCertificate"]
        assert (stage.state, stage.world.fetched) == (None, [])

    async def test_a_certificate_that_is_refused_leaves_the_running_update_alone(self, stage: Stage) -> None:
        stage.world.gate.clear()
        await stage.ask()
        await stage.world.fetched_times(1)
        assert await stage.ask(stage.request(request_id=2, signing_certificate="none")) is Answer.INVALID_CERTIFICATE
        stage.world.gate.set()
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == WHOLE

    async def test_a_root_that_has_gone_while_the_update_waited_forbids_it(self, stage: Stage) -> None:
        await stage.ask(stage.request(install_date_time=NOW + HOUR))
        await stage.until(State.INSTALL_SCHEDULED)
        (root,) = stage.certificates.hash_data(CaDomain.MANUFACTURER)
        stage.certificates.delete_root(root)
        await stage.world.pass_time(HOUR)
        await stage.until(State.INSTALL_VERIFICATION_FAILED)
        assert (await stage.statuses())[-1] == "InstallVerificationFailed 1"
        assert [kind for kind, _ in stage.world.events] == ["InvalidFirmwareSigningCertificate"]
        assert stage.installer.completed == []

    @pytest.mark.parametrize("also_killed", [False, True])
    async def test_a_file_that_was_exchanged_before_the_installation_is_not_installed(
        self, also_killed: bool, stage: Stage
    ) -> None:
        await stage.ask(stage.request(install_date_time=NOW + HOUR))
        await stage.until(State.INSTALL_SCHEDULED)
        stage.image.write_bytes(FORGED)
        if also_killed:
            await stage.killed()
        await stage.world.pass_time(HOUR)
        await stage.until(State.INVALID_SIGNATURE)
        assert [kind for kind, _ in stage.world.events] == ["InvalidFirmwareSignature"]
        assert stage.installer.completed == []

    async def test_a_file_that_was_exchanged_for_the_installer_is_not_installed(self, stage: Stage) -> None:
        stage.installer.gate.clear()
        await stage.ask()
        await stage.installer.begun.wait()
        stage.image.write_bytes(FORGED)
        stage.installer.gate.set()
        await stage.until(State.INSTALL_VERIFICATION_FAILED)
        assert await stage.running() == ("1.0.0", True)

    async def test_a_file_that_is_gone_ends_the_update(self, stage: Stage) -> None:
        await stage.ask(stage.request(install_date_time=NOW + HOUR))
        await stage.until(State.INSTALL_SCHEDULED)
        stage.image.unlink()
        await stage.world.pass_time(HOUR)
        await stage.until(State.INSTALL_VERIFICATION_FAILED)
        assert "cannot be read" in str(stage.updater.status()["failure"])

    async def test_without_an_installer_every_request_is_rejected(self, stage: Stage) -> None:
        stage.updater._can_install = False
        assert await stage.ask() is Answer.REJECTED
        assert await stage.ask(stage.request(signing_certificate="none")) is Answer.INVALID_CERTIFICATE


class TestDownload:
    async def test_it_fails_once_after_the_last_retry(self, stage: Stage) -> None:
        stage.world.served[0] = UNREACHABLE
        await stage.ask(stage.request(retries=2, retry_interval_s=60))
        for _ in range(2):
            await stage.until(State.RETRY_WAIT)
            await stage.world.pass_time(timedelta(seconds=60))
            await stage.until(State.DOWNLOADING, State.DOWNLOAD_FAILED)
        await stage.until(State.DOWNLOAD_FAILED)
        assert len(stage.world.fetched) == 3
        assert await stage.statuses() == ["Downloading 1", "DownloadFailed 1"]
        assert stage.updater.status() == {
            "state": "download failed",
            "status": "DownloadFailed",
            "request_id": 1,
            "failure": "the server does not answer",
        }

    async def test_a_second_try_succeeds(self, stage: Stage) -> None:
        stage.world.served.appendleft(UNREACHABLE)
        await stage.ask(stage.request(retry_interval_s=0))
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == WHOLE

    async def test_the_retrieve_date_time_is_waited_for_across_a_restart(self, stage: Stage) -> None:
        await stage.ask(stage.request(retrieve_date_time=NOW + HOUR))
        await stage.until(State.DOWNLOAD_SCHEDULED)
        await stage.killed()
        await stage.world.pass_time(HOUR / 2)
        assert stage.world.fetched == []
        await stage.world.pass_time(HOUR / 2)
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == ["DownloadScheduled 1", *WHOLE]

    async def test_it_stands_back_while_somebody_charges(self, stage: Stage) -> None:
        stage.pause_while_charging = True
        await stage.killed()
        stage.world.gate.clear()
        await stage.ask()
        await stage.world.fetched_times(1)
        await stage.world.charge(1)
        await stage.until(State.DOWNLOAD_PAUSED)
        assert stage.updater.status()["waits_for_transactions"] == 1
        stage.world.gate.set()
        await stage.world.charge(0)
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == ["Downloading 1", "DownloadPaused 1", *WHOLE]

    async def test_it_is_scheduled_while_somebody_charges(self, stage: Stage) -> None:
        stage.pause_while_charging = True
        await stage.killed()
        await stage.world.charge(1)
        await stage.ask()
        await stage.until(State.DOWNLOAD_HELD)
        assert stage.world.fetched == []
        await stage.world.charge(0)
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == ["DownloadScheduled 1", *WHOLE]

    async def test_a_directory_that_cannot_be_made_is_a_failed_try(self, stage: Stage) -> None:
        (stage.directory / "firmware").write_text("in the way")
        await stage.ask(stage.request(retries=0))
        await stage.until(State.DOWNLOAD_FAILED)
        assert stage.world.fetched == []


class TestWaiting:
    async def test_for_transactions_with_the_connectors_held(self, stage: Stage) -> None:
        await stage.world.charge(2)
        await stage.ask()
        await stage.until(State.WAITING_FOR_TRANSACTIONS)
        assert stage.world.held
        assert stage.updater.status()["waits_for_transactions"] == 2
        await stage.killed()
        await stage.until(State.WAITING_FOR_TRANSACTIONS)
        await stage.world.charge(1)
        await stage.world.charge(0)
        await stage.until(State.REBOOTING)
        assert stage.world.held

    async def test_for_transactions_no_longer_than_is_set(self, stage: Stage) -> None:
        stage.policy = Policy(max_wait=HOUR)
        await stage.killed()
        await stage.world.charge(1)
        await stage.ask()
        await stage.until(State.WAITING_FOR_TRANSACTIONS)
        await stage.world.pass_time(HOUR)
        await stage.until(State.INSTALLATION_FAILED)
        assert not stage.world.held
        assert stage.world.transactions == 1

    async def test_a_wait_with_a_limit_ends_with_the_transactions(self, stage: Stage) -> None:
        stage.policy = Policy(max_wait=HOUR)
        await stage.killed()
        await stage.world.charge(1)
        await stage.ask()
        await stage.until(State.WAITING_FOR_TRANSACTIONS)
        await stage.world.charge(0)
        await stage.until(State.REBOOTING)

    async def test_for_the_install_date_time(self, stage: Stage) -> None:
        await stage.ask(stage.request(install_date_time=NOW + HOUR))
        await stage.until(State.INSTALL_SCHEDULED)
        assert stage.installer.completed == []
        await stage.world.pass_time(HOUR)
        await stage.until(State.REBOOTING)
        assert await stage.statuses() == [*WHOLE[:3], "InstallScheduled 1", *WHOLE[3:]]

    async def test_charging_goes_on_until_the_reboot(self, stage: Stage) -> None:
        stage.policy = Policy(charging_during_install=True)
        await stage.killed()
        await stage.world.charge(1)
        await stage.ask()
        await stage.until(State.WAITING_FOR_REBOOT)
        assert len(stage.installer.completed) == 1
        await stage.world.charge(0)
        await stage.until(State.REBOOTING)

    async def test_an_image_that_waits_too_long_for_its_reboot_is_taken_back(self, stage: Stage) -> None:
        stage.policy = Policy(charging_during_install=True, max_wait=HOUR)
        await stage.killed()
        await stage.world.charge(1)
        await stage.ask()
        await stage.until(State.WAITING_FOR_REBOOT)
        await stage.world.pass_time(HOUR)
        await stage.until(State.INSTALLATION_FAILED)
        await stage.booted()
        assert await stage.running() == ("1.0.0", True)
