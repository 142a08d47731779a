"""Where an update goes on where several ways are open."""

import pytest

from firmware import event
from firmware.choice import MAX_INSTALLS, MAX_MARKINGS, MAX_REBOOTS
from firmware.event import Event
from firmware.machine import TRANSITIONS, Update
from firmware.record import Policy
from firmware.state import State
from tests.updating import (
    BUSY,
    EVENTS,
    HOUR,
    NOW,
    OLD,
    POLICY,
    RUNNING,
    WAITING,
    after,
    request,
    restarted,
    update_in,
)

CHARGING_GOES_ON = Policy(charging_during_install=True)
LATER = request(retrieve_date_time=NOW + HOUR, install_date_time=NOW + HOUR)
HELD = event.TimeCame(NOW, held=True)
UNKNOWN_ON_TRIAL = event.Found(confirmed=False)


WAYS: list[tuple[Update, Event, State]] = [
    (update_in(State.ACCEPTED), event.Begun(NOW, held=False), State.DOWNLOADING),
    (update_in(State.ACCEPTED), event.Begun(NOW, held=True), State.DOWNLOAD_SCHEDULED),
    (update_in(State.ACCEPTED, request=LATER), event.Begun(NOW, held=False), State.DOWNLOAD_SCHEDULED),
    (update_in(State.ACCEPTED), restarted(OLD), State.DOWNLOADING),
    (update_in(State.ACCEPTED, request=LATER), restarted(OLD), State.DOWNLOAD_SCHEDULED),
    (update_in(State.DOWNLOAD_SCHEDULED), EVENTS[event.TimeCame], State.DOWNLOADING),
    (update_in(State.DOWNLOAD_SCHEDULED), HELD, State.DOWNLOAD_HELD),
    (update_in(State.DOWNLOAD_SCHEDULED, request=LATER), EVENTS[event.TimeCame], State.DOWNLOAD_SCHEDULED),
    (update_in(State.DOWNLOADING), EVENTS[event.DownloadInterrupted], State.RETRY_WAIT),
    (
        update_in(State.DOWNLOADING, failed_tries=POLICY.retries),
        EVENTS[event.DownloadInterrupted],
        State.DOWNLOAD_FAILED,
    ),
    (
        update_in(State.DOWNLOADING),
        event.DownloadInterrupted(NOW, "no URL", worth_retrying=False),
        State.DOWNLOAD_FAILED,
    ),
    (update_in(State.RETRY_WAIT, retry_at=NOW), EVENTS[event.TimeCame], State.DOWNLOADING),
    (update_in(State.RETRY_WAIT), EVENTS[event.TimeCame], State.DOWNLOADING),
    (update_in(State.RETRY_WAIT, retry_at=NOW), HELD, State.DOWNLOAD_PAUSED),
    (update_in(State.RETRY_WAIT, retry_at=NOW + HOUR), EVENTS[event.TimeCame], State.RETRY_WAIT),
    (update_in(State.SIGNATURE_VERIFIED), EVENTS[event.TimeCame], State.WAITING_FOR_TRANSACTIONS),
    (update_in(State.SIGNATURE_VERIFIED, CHARGING_GOES_ON), EVENTS[event.TimeCame], State.CHECKING),
    (update_in(State.SIGNATURE_VERIFIED, request=LATER), EVENTS[event.TimeCame], State.INSTALL_SCHEDULED),
    (update_in(State.INSTALL_SCHEDULED), EVENTS[event.TimeCame], State.WAITING_FOR_TRANSACTIONS),
    (update_in(State.INSTALL_SCHEDULED, CHARGING_GOES_ON), EVENTS[event.TimeCame], State.CHECKING),
    (update_in(State.INSTALL_SCHEDULED, request=LATER), EVENTS[event.TimeCame], State.INSTALL_SCHEDULED),
    (update_in(State.CHECKING), restarted(OLD), State.WAITING_FOR_TRANSACTIONS),
    (update_in(State.CHECKING, CHARGING_GOES_ON), restarted(OLD), State.CHECKING),
    *[
        (update_in(state, policy, installs=installs), what, target)
        for state, tell in (
            (State.INSTALLING, restarted),
            (State.FOLLOWING, restarted),
            (State.FOLLOWING, lambda found: event.InstallFollowed(NOW, found)),
        )
        for policy, installs, what, target in (
            (POLICY, 1, tell(BUSY), State.FOLLOWING),
            (POLICY, 1, tell(RUNNING), State.PROBATION),
            (POLICY, 1, tell(WAITING), State.WAITING_FOR_REBOOT),
            (POLICY, 1, tell(OLD), State.WAITING_FOR_TRANSACTIONS),
            (CHARGING_GOES_ON, 1, tell(OLD), State.CHECKING),
            (POLICY, MAX_INSTALLS, tell(OLD), State.INSTALLATION_FAILED),
        )
    ],
    *[
        (update_in(state, reboots=reboots), restarted(found), target)
        for state in (State.WAITING_FOR_REBOOT, State.INSTALL_REBOOTING, State.REBOOTING)
        for reboots, found, target in (
            (1, RUNNING, State.PROBATION),
            (1, UNKNOWN_ON_TRIAL, State.PROBATION),
            (1, WAITING, State.WAITING_FOR_REBOOT),
            (MAX_REBOOTS, WAITING, State.WITHDRAWING),
            (1, OLD, State.INSTALLATION_FAILED),
        )
    ],
    (update_in(State.WITHDRAWING), restarted(WAITING), State.WITHDRAWING),
    (update_in(State.WITHDRAWING), restarted(RUNNING), State.PROBATION),
    (update_in(State.WITHDRAWING), restarted(OLD), State.INSTALLATION_FAILED),
    (update_in(State.WITHDRAWING, timed_out=True), event.WithdrawalRefused(), State.WAITING_FOR_REBOOT),
    (update_in(State.WITHDRAWING), event.WithdrawalRefused(), State.INSTALLATION_FAILED),
    (update_in(State.PROBATION), EVENTS[event.MarkingFailed], State.PROBATION),
    (update_in(State.PROBATION, markings=MAX_MARKINGS - 1), EVENTS[event.MarkingFailed], State.INSTALLATION_FAILED),
    (update_in(State.PROBATION), restarted(RUNNING), State.PROBATION),
    (update_in(State.PROBATION), restarted(OLD), State.INSTALLATION_FAILED),
    (update_in(State.INSTALLED), restarted(RUNNING), State.INSTALLED),
    (update_in(State.INSTALLED), restarted(event.Found()), State.INSTALLED),
    (update_in(State.INSTALLED, recognised=True), restarted(event.Found()), State.RECORDING_ROLL_BACK),
    (update_in(State.INSTALLED), restarted(OLD), State.RECORDING_ROLL_BACK),
]
"""Every way out of every row that leaves several open."""


@pytest.mark.parametrize(
    ("update", "what", "target"),
    WAYS,
    ids=[f"{update.state.name}-{type(what).__name__}-{target.name}" for update, what, target in WAYS],
)
def test_a_row_with_several_ways_chooses(update: Update, what: Event, target: State) -> None:
    assert after(update, what).state is target


def test_every_way_of_every_row_was_walked() -> None:
    walked = {(update.state, type(what), target) for update, what, target in WAYS}
    open_ways = {(*pair, target) for pair, step in TRANSITIONS.items() if step.choose is not None for target in step.to}
    assert walked == open_ways
