"""Where a firmware update goes on where an event leaves several ways open: one function a row of the table.

Each sees what was known before the event, the policy, and the event. Pure; the table is in firmware/machine.py.
"""

from typing import Final

from firmware import event
from firmware.event import Event
from firmware.record import Policy, Record
from firmware.state import State

MAX_INSTALLS: Final = 3  #: installations; of one update, where power cuts end them before they are complete
MAX_REBOOTS: Final = 3  #: reboots; after which an image that still waits will not be booted by another one
MAX_MARKINGS: Final = 10  #: tries; to mark the running firmware good, over some minutes


def first(record: Record, policy: Policy, what: event.Begun | event.Restarted) -> State:
    """The answer is out: fetch now, or later."""
    due = what.now >= record.request.retrieve_date_time
    # L01.FR.13: the white paper's own example of a scheduled download is a Charge Point that is busy charging.
    return State.DOWNLOADING if due and not what.held else State.DOWNLOAD_SCHEDULED


def at_retrieve_time(record: Record, policy: Policy, what: event.TimeCame) -> State:
    """retrieveDateTime has come: fetch now, unless somebody charges."""
    if what.now < record.request.retrieve_date_time:
        return State.DOWNLOAD_SCHEDULED  # the clock was put back meanwhile
    return State.DOWNLOAD_HELD if what.held else State.DOWNLOADING


def after_try(record: Record, policy: Policy, what: event.DownloadInterrupted) -> State:
    """A try to download came to nothing: try again, or give up."""
    retries = record.request.retries if record.request.retries is not None else policy.retries
    again = what.worth_retrying and record.failed_tries < retries
    return State.RETRY_WAIT if again else State.DOWNLOAD_FAILED


def at_retry(record: Record, policy: Policy, what: event.TimeCame) -> State:
    """The interval is over: try again, unless somebody charges."""
    if record.retry_at is not None and what.now < record.retry_at:
        return State.RETRY_WAIT
    return State.DOWNLOAD_PAUSED if what.held else State.DOWNLOADING


def at_install_time(record: Record, policy: Policy, what: event.TimeCame) -> State:
    """The signature is verified, or installDateTime has come: go on, or wait for it."""
    install_at = record.request.install_date_time
    if install_at is not None and what.now < install_at:
        return State.INSTALL_SCHEDULED  # L01.FR.16
    return before_install(record, policy, what)  # L01.FR.05, L01.FR.17


def before_install(record: Record, policy: Policy, what: Event) -> State:
    """Nothing but transactions stands against the installation."""
    # L01.FR.06, L01.FR.18: where charging cannot go on, the end of all transactions comes first.
    return State.CHECKING if policy.charging_during_install else State.WAITING_FOR_TRANSACTIONS


def after_cut(record: Record, policy: Policy, what: event.Restarted | event.InstallFollowed) -> State:
    """An installation was interrupted: what it has left decides, so that none is completed twice."""
    found, sha256 = what.found, record.sha256
    if found.installing:
        return State.FOLLOWING
    if found.running_sha256 == sha256:
        return State.PROBATION
    if found.waiting_sha256 == sha256:
        return State.WAITING_FOR_REBOOT
    if record.installs >= MAX_INSTALLS:
        return State.INSTALLATION_FAILED
    return before_install(record, policy, what)


def after_boot(record: Record, policy: Policy, what: event.Restarted) -> State:
    """The image was installed: has the device booted it?"""
    if what.found.waiting_sha256 == record.sha256:
        return State.WITHDRAWING if record.reboots >= MAX_REBOOTS else State.WAITING_FOR_REBOOT
    return on_trial(record, policy, what)


def on_trial(record: Record, policy: Policy, what: event.Restarted) -> State:
    """The new image was booted before: does it still run?"""
    found = what.found
    if found.running_sha256 == record.sha256:
        return State.PROBATION
    # An installer that does not know what runs may still know that it is on trial: what was good before is not.
    unknown_on_trial = found.running_sha256 is None and not found.confirmed
    return State.PROBATION if unknown_on_trial else State.INSTALLATION_FAILED


def while_withdrawing(record: Record, policy: Policy, what: event.Restarted) -> State:
    """The image was being taken back: is it?"""
    if what.found.waiting_sha256 == record.sha256:
        return State.WITHDRAWING
    return on_trial(record, policy, what)


def not_withdrawn(record: Record, policy: Policy, what: event.WithdrawalRefused) -> State:
    """The image cannot be taken back."""
    # The next boot starts it whatever we say: an update that has only waited too long waits on for that boot.
    return State.WAITING_FOR_REBOOT if record.timed_out else State.INSTALLATION_FAILED


def after_marking(record: Record, policy: Policy, what: event.MarkingFailed) -> State:
    """The running firmware was not marked good: try again, or give up."""
    return State.PROBATION if record.markings + 1 < MAX_MARKINGS else State.INSTALLATION_FAILED


def still_installed(record: Record, policy: Policy, what: event.Restarted) -> State:
    """The update was complete: does its image still run?"""
    running = what.found.running_sha256
    gone = running != record.sha256 and (running is not None or record.recognised)
    return State.RECORDING_ROLL_BACK if gone else State.INSTALLED
