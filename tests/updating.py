"""What the tests of the firmware update share: a request that is good, one of each event, and ways into each state."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from firmware import event
from firmware.command import Command, Report
from firmware.event import Event, Found
from firmware.machine import Update
from firmware.record import Policy, Record
from firmware.request import FirmwareRequest
from firmware.state import State

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHA256 = "5e" * 32
OTHER_SHA256 = "a0" * 32
REQUEST_ID = 4711
POLICY = Policy()

RUNNING = Found(running_version="1.1.0", running_sha256=SHA256, confirmed=False)
WAITING = Found(running_version="1.0.0", running_sha256=OTHER_SHA256, waiting_sha256=SHA256)
OLD = Found(running_version="1.0.0", running_sha256=OTHER_SHA256)
BUSY = Found(running_version="1.0.0", running_sha256=OTHER_SHA256, installing=True)


def request(**changes: Any) -> FirmwareRequest:
    """A request that may be carried out at once, unless a keyword changes it."""
    values: dict[str, Any] = {
        "request_id": REQUEST_ID,
        "location": "https://user:secret@files.example.com/images/firmware-1.1.0.bin?token=secret",
        "retrieve_date_time": NOW - HOUR,
        "signing_certificate": "a certificate",
        "signature": "a signature",
    }
    return FirmwareRequest.of(**(values | changes))


EVENTS: Mapping[type[Event], Event] = {
    type(each): each
    for each in (
        event.Begun(NOW, held=False),
        event.Restarted(NOW, held=False, found=OLD),
        event.TimeCame(NOW, held=False),
        event.HoldReleased(),
        event.DownloadHeldBack(),
        event.DownloadInterrupted(NOW, "the server does not answer", worth_retrying=True),
        event.DownloadCompleted(SHA256, 1000),
        event.SignatureAccepted(),
        event.SignatureRefused("it is wrong"),
        event.CertificateRefused("it has expired"),
        event.ImageConfirmed(),
        event.TransactionsEnded(),
        event.WaitExpired(),
        event.ImageActivated(),
        event.RebootRequired(NOW),
        event.InstallFailed("the flash is worn"),
        event.VerificationFailed("the image is for another board"),
        event.InstallFollowed(NOW, OLD),
        event.ImageWithdrawn(),
        event.WithdrawalRefused(),
        event.RebootAnnounced(),
        event.MarkedGood("1.1.0"),
        event.MarkingFailed("the daemon does not answer"),
        event.EventRecorded(),
        event.Stopped(),
        event.JobFailed("a fault"),
    )
}
"""One of each kind."""


def update_in(state: State, policy: Policy = POLICY, **known: Any) -> Update:
    """An update in a state, with what is usually known there."""
    record = Record(request=known.pop("request", request()), state=state, sha256=SHA256)
    return Update(replace(record, **known), policy)


def statuses(commands: list[Command]) -> list[str]:
    """The statuses that are to be reported."""
    return [each.status for each in commands if isinstance(each, Report)]


def restarted(found: Found) -> event.Restarted:
    """A start of the agent, with what the installer says."""
    return event.Restarted(NOW, held=False, found=found)


def after(update: Update, *events: Event) -> Update:
    """A copy of an update to which something has happened."""
    copy = Update(update.record, update.policy)
    for each in events:
        copy.receive(each)
    return copy


FOLLOWS: Mapping[str, frozenset[str]] = {
    "": frozenset({"DownloadScheduled", "Downloading", "DownloadFailed"}),
    "DownloadScheduled": frozenset({"Downloading", "DownloadFailed"}),
    "Downloading": frozenset({"DownloadPaused", "Downloaded", "DownloadFailed"}),
    "DownloadPaused": frozenset({"Downloading", "DownloadFailed"}),
    "Downloaded": frozenset({"SignatureVerified", "InvalidSignature", "InstallVerificationFailed"}),
    "SignatureVerified": frozenset(
        {"InstallScheduled", "Installing", "InvalidSignature", "InstallVerificationFailed", "InstallationFailed"}
    ),
    "InstallScheduled": frozenset(
        {"Installing", "InvalidSignature", "InstallVerificationFailed", "InstallationFailed"}
    ),
    # An installation that a power cut has ended is begun anew only after everything was checked again.
    "Installing": frozenset(
        {"InstallRebooting", "Installed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature"}
    ),
    "InstallRebooting": frozenset({"Installed", "InstallationFailed"}),
    "Installed": frozenset(),
    "DownloadFailed": frozenset(),
    "InvalidSignature": frozenset(),
    "InstallationFailed": frozenset(),
    "InstallVerificationFailed": frozenset(),
}
"""What the Central System may hear of one update: status -> what may come next; nothing comes behind an end."""


def assert_legal(told: Sequence[str]) -> None:
    """Every status is told once and in an order that an update can have."""
    for before, status in zip(("", *told), told, strict=False):
        assert status in FOLLOWS[before], f"{status} behind {before or 'nothing'} in {list(told)}"
