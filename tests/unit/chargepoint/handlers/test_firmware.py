"""SignedUpdateFirmware.req, and triggers for its status, on a session's stage where nobody installs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chargepoint.database_error import DatabaseFailed
from chargepoint.job_journal import JobJournal
from firmware.command import Report
from tests.pki import NOW, make
from tests.session_stage import Stage, on_stage

CERTIFICATE = make("Firmware Signing", not_before=NOW.replace(year=2020)).pem


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(tmp_path) as made:
        await made.boot()
        yield made


async def ask(stage: Stage, request_id: int = 1, **changes: Any) -> list[Any]:
    """Send a SignedUpdateFirmware.req and return the frame of its answer."""
    firmware = {
        "location": "https://files.example.com/firmware.bin",
        "retrieveDateTime": "2026-01-01T00:00:00",
        "installDateTime": "2026-01-01T02:00:00+02:00",
        "signingCertificate": CERTIFICATE,
        "signature": "bm90aGluZw==",
    }
    payload = {"requestId": request_id, "retries": 1, "retryInterval": 5, "firmware": firmware | changes}
    answer: list[Any] = await stage.link.ask([2, f"order {request_id}", "SignedUpdateFirmware", payload])
    return answer


async def told(stage: Stage, *statuses: tuple[str, int | None]) -> None:
    """Statuses were sent before."""
    journal = stage.firmware_updates._journal
    for status, request_id in statuses:
        await journal.commit({}, [Report(status, request_id or 0)])
        await stage.answer("SignedFirmwareStatusNotification", {})
    assert await stage.link.ask([2, "taken in?", "DataTransfer", {"vendorId": "x"}])


async def triggered(stage: Stage, action: str, message: str) -> dict[str, Any]:
    """Trigger FirmwareStatusNotification and return what comes."""
    payload = {"requestedMessage": "FirmwareStatusNotification"}
    answer = await stage.link.ask([2, f"{stage.clock.monotonic()}", action, payload])
    assert answer[2] == {"status": "Accepted"}
    return await stage.answer(message, {})


async def test_a_certificate_under_no_root_is_told_in_the_answer(stage: Stage) -> None:
    assert (await ask(stage))[2] == {"status": "InvalidCertificate"}
    (event,) = await stage.log.read(None, None, 10)
    assert event.event.type == "InvalidFirmwareSigningCertificate"


async def test_the_first_trigger_ever_brings_idle(stage: Stage) -> None:
    """L01.FR.21: the one status without a requestId."""
    assert await triggered(stage, "ExtendedTriggerMessage", "SignedFirmwareStatusNotification") == {"status": "Idle"}


async def test_a_trigger_repeats_the_last_status_but_installed(stage: Stage) -> None:
    """L01.FR.28, L01.FR.29."""
    await told(stage, ("Downloading", 7), ("DownloadFailed", 7))
    for _ in range(2):
        again = await triggered(stage, "ExtendedTriggerMessage", "SignedFirmwareStatusNotification")
        assert again == {"status": "DownloadFailed", "requestId": 7}
    await told(stage, ("Installed", 8))
    assert await triggered(stage, "ExtendedTriggerMessage", "SignedFirmwareStatusNotification") == {"status": "Idle"}


async def test_a_journal_that_cannot_be_read_is_answered_with_idle(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: JobJournal) -> None:
        raise DatabaseFailed(Path("state.db"), "it is gone", "look for it")

    monkeypatch.setattr(JobJournal, "last_sent", broken)
    assert await triggered(stage, "ExtendedTriggerMessage", "SignedFirmwareStatusNotification") == {"status": "Idle"}


async def test_the_message_of_ocpp_1_6_is_answered_in_its_own_words(stage: Stage) -> None:
    await told(stage, ("DownloadFailed", 7))
    assert await triggered(stage, "TriggerMessage", "FirmwareStatusNotification") == {"status": "Idle"}
