"""What each state of a firmware update wants done, and what holds for as long as an update is in it. Pure data."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from firmware import command
from firmware.command import Command
from firmware.record import Record
from firmware.state import State
from security.event import SecurityEventType

MARKING_WAIT: Final = timedelta(seconds=30)  #: time; after a marking that failed; a daemon may still be starting

ASKING: Final = frozenset(
    {
        State.INSTALLING,
        State.FOLLOWING,
        State.WAITING_FOR_REBOOT,
        State.INSTALL_REBOOTING,
        State.REBOOTING,
        State.WITHDRAWING,
        State.PROBATION,
        State.INSTALLED,
    }
)
"""Where a restart asks the installer what it holds."""

RECORDING: Final = frozenset(
    {
        State.RECORDING_SUCCESS,
        State.RECORDING_SIGNATURE,
        State.RECORDING_CERTIFICATE,
        State.RECORDING_ROLL_BACK,
    }
)
"""Where nothing is done but to record a security event."""

HOLDING_UNLESS_CHARGING: Final = frozenset(
    {State.WAITING_FOR_TRANSACTIONS, State.CHECKING, State.INSTALLING, State.FOLLOWING}
)
"""Where connectors are held, unless charging can go on."""

HOLDING: Final = frozenset(
    {
        State.WAITING_FOR_REBOOT,
        State.INSTALL_REBOOTING,
        State.REBOOTING,
        State.WITHDRAWING,
        State.PROBATION,
        State.RECORDING_SUCCESS,
    }
)
"""Where connectors are held in any case: the device is about to boot, or to find out whether its firmware is good."""

ORDERS: Final[Mapping[State, Callable[[Record], Command]]] = {
    State.DOWNLOAD_SCHEDULED: lambda record: command.AwaitTime(record.request.retrieve_date_time),
    State.DOWNLOAD_HELD: lambda record: command.AwaitRelease(),
    State.DOWNLOADING: lambda record: command.Download(),
    State.RETRY_WAIT: lambda record: command.AwaitTime(record.retry_at),
    State.DOWNLOAD_PAUSED: lambda record: command.AwaitRelease(),
    State.DOWNLOADED: lambda record: command.VerifySignature(record.sha256),
    State.SIGNATURE_VERIFIED: lambda record: command.AwaitTime(None),
    State.INSTALL_SCHEDULED: lambda record: command.AwaitTime(record.request.install_date_time),
    State.WAITING_FOR_TRANSACTIONS: lambda record: command.AwaitIdle(record.waiting_until),
    State.CHECKING: lambda record: command.CheckImage(record.sha256),
    State.INSTALLING: lambda record: command.Install(record.sha256),
    State.FOLLOWING: lambda record: command.FollowInstall(),
    State.WAITING_FOR_REBOOT: lambda record: command.AwaitIdle(record.waiting_until),
    State.INSTALL_REBOOTING: lambda record: command.AwaitReport(),
    State.REBOOTING: lambda record: command.Reboot(),
    State.WITHDRAWING: lambda record: command.Withdraw(),
    State.PROBATION: lambda record: command.MarkGood(MARKING_WAIT if record.markings else timedelta()),
    State.RECORDING_SUCCESS: lambda record: command.RecordEvent(
        SecurityEventType.FIRMWARE_UPDATED, f"request {record.request.request_id}: {_named(record)}"
    ),
    State.RECORDING_SIGNATURE: lambda record: command.RecordEvent(  # L01.FR.03
        SecurityEventType.INVALID_FIRMWARE_SIGNATURE, f"request {record.request.request_id}: {record.failure}"
    ),
    State.RECORDING_CERTIFICATE: lambda record: command.RecordEvent(  # L01.FR.02
        SecurityEventType.INVALID_FIRMWARE_SIGNING_CERTIFICATE, f"request {record.request.request_id}: {record.failure}"
    ),
    State.RECORDING_ROLL_BACK: lambda record: command.RecordEvent(
        SecurityEventType.FIRMWARE_UPDATED,
        f"rolled back: {record.version or 'another version'} runs in place of that of request "
        f"{record.request.request_id}, SHA-256 {record.sha256}",
    ),
}
"""What each state wants done, besides what `_enter` adds for all."""


def _named(record: Record) -> str:
    return f"version {record.version or 'not known'} runs, SHA-256 {record.sha256}"
