"""What people are told of a firmware update: where it is, what it waits for, and no secret."""

from dataclasses import dataclass

from firmware.installer import Progress
from firmware.state import State
from firmware.status import FirmwareStatus
from firmware.summary import Activity, summary
from tests.updating import HOUR, NOW, REQUEST_ID, request, update_in


@dataclass
class Download:
    done_bytes: int = 10
    total_bytes: int | None = None
    bytes_per_s: float = 2.6
    seconds_left: float | None = None


COMMON = {
    "request_id": REQUEST_ID,
    "location": "https://files.example.com/images/firmware-1.1.0.bin",
    "retrieve_date_time": "2026-11-28T11:00:00.000Z",
    "install_date_time": None,
    "failed_tries": 0,
}


def test_nothing_yet() -> None:
    assert summary(None, Activity(), 0) == {"state": "idle"}


def test_a_download_and_how_far_it_is() -> None:
    update = update_in(State.DOWNLOADING, status=FirmwareStatus.DOWNLOADING)
    begun = {"state": "downloading", "status": "Downloading", **COMMON}
    assert summary(update, Activity(), 0) == begun
    assert summary(update, Activity(download=Download()), 0) == begun | {
        "downloaded_bytes": 10,
        "total_bytes": None,
        "bytes_per_s": 3,
        "seconds_left": None,
    }
    known = summary(update, Activity(download=Download(total_bytes=100, seconds_left=34.6)), 0)
    assert (known["total_bytes"], known["seconds_left"]) == (100, 35)


def test_what_it_waits_for() -> None:
    scheduled = update_in(State.INSTALL_SCHEDULED, request=request(install_date_time=NOW + HOUR))
    assert summary(scheduled, Activity(), 1)["install_date_time"] == "2026-11-28T13:00:00.000Z"
    waiting = update_in(State.WAITING_FOR_TRANSACTIONS, failure="the last failed try")
    shown = summary(waiting, Activity(), 2)
    assert (shown["state"], shown["waits_for_transactions"]) == (
        "waiting for transactions to end before the installation",
        2,
    )
    assert shown["failure"] == "the last failed try"


def test_an_installation_and_how_far_it_is() -> None:
    update = update_in(State.INSTALLING)
    assert "installed_percent" not in summary(update, Activity(), 0)
    shown = summary(update, Activity(installation=Progress(percent=40, text="copying")), 0)
    assert (shown["installed_percent"], shown["installer_says"]) == (40, "copying")


def test_how_it_ended() -> None:
    failed = update_in(State.DOWNLOAD_FAILED, status=FirmwareStatus.DOWNLOAD_FAILED, failure="no such file")
    assert summary(failed, Activity(), 0) == {
        "state": "download failed",
        "status": "DownloadFailed",
        "request_id": REQUEST_ID,
        "failure": "no such file",
    }
    assert summary(update_in(State.INSTALLED, version="1.1.0"), Activity(), 0)["version"] == "1.1.0"
