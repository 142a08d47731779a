"""What people and programs are told of a firmware update (`chargepoint status`): plain JSON, without a secret."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from firmware.installer import Progress
from firmware.machine import Update
from firmware.port import FetchProgress
from firmware.state import State

_DOWNLOADING: Final = frozenset({State.DOWNLOADING, State.RETRY_WAIT, State.DOWNLOAD_PAUSED})
_WAITING: Final = frozenset(
    {State.DOWNLOAD_HELD, State.DOWNLOAD_PAUSED, State.WAITING_FOR_TRANSACTIONS, State.WAITING_FOR_REBOOT}
)


@dataclass(slots=True)
class Activity:
    """What is known of the work under way.

    Attributes:
        download: how far it is, None before the first news of it.
        installation: likewise.
        installing: whether the installer is at work and has to be asked before it is stopped.
    """

    download: FetchProgress | None = None
    installation: Progress | None = None
    installing: bool = False


def summary(update: Update | None, activity: Activity, transactions: int) -> dict[str, object]:
    """Tell what is under way, or how the last update ended.

    Args:
        update: the last one, None before the first.
        activity: how far its work is.
        transactions: how many run.
    """
    if update is None:
        return {"state": "idle"}
    record, request = update.record, update.request
    shown: dict[str, object] = {
        "state": record.state.value,
        "status": record.status and str(record.status),
        "request_id": request.request_id,
    }
    if record.failure:
        shown["failure"] = record.failure
    if update.is_over:
        return shown | ({"version": record.version} if record.state is State.INSTALLED else {})
    shown |= {
        "location": request.shown_location,
        "retrieve_date_time": _date_time(request.retrieve_date_time),
        "install_date_time": request.install_date_time and _date_time(request.install_date_time),
        "failed_tries": record.failed_tries,
    }
    if record.state in _WAITING:
        shown["waits_for_transactions"] = transactions
    if record.state in _DOWNLOADING and (progress := activity.download) is not None:
        shown |= {
            "downloaded_bytes": progress.done_bytes,
            "total_bytes": progress.total_bytes,
            "bytes_per_s": round(progress.bytes_per_s),
            "seconds_left": None if progress.seconds_left is None else round(progress.seconds_left),
        }
    if record.state is State.INSTALLING and (installation := activity.installation) is not None:
        shown |= {"installed_percent": installation.percent, "installer_says": installation.text}
    return shown


def _date_time(instant: datetime) -> str:
    """Write an instant as all others of the status are written."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
