"""The machine of a firmware update, walked pair by pair: what follows, what is told, what is ordered."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from firmware import command, event
from firmware.command import Command
from firmware.event import Event
from firmware.machine import MAX_STARTS, TRANSITIONS, IllegalEvent, Update
from firmware.order import MARKING_WAIT, ORDERS
from firmware.record import Policy
from firmware.state import ENDS, STATUS, STOPPING, State, Stopping
from firmware.status import FirmwareStatus
from security.event import SecurityEventType
from tests.updating import (
    EVENTS,
    HOUR,
    NOW,
    OLD,
    POLICY,
    REQUEST_ID,
    RUNNING,
    SHA256,
    after,
    request,
    restarted,
    statuses,
    update_in,
)

ILLEGAL = [(state, kind) for state in State for kind in EVENTS if (state, kind) not in TRANSITIONS]
CHARGING_GOES_ON = Policy(charging_during_install=True)


def name_of(each: State | type[Event]) -> str:
    return each.name if isinstance(each, State) else each.__name__


def orders(commands: Iterable[Command]) -> list[type[Command]]:
    return [type(each) for each in commands if not isinstance(each, command.Report)]


class TestTable:
    @pytest.mark.parametrize(("state", "kind"), ILLEGAL, ids=name_of)
    def test_an_illegal_event_raises_and_changes_nothing(self, state: State, kind: type[Event]) -> None:
        update = update_in(state)
        before = update.snapshot()
        with pytest.raises(IllegalEvent, match=f"{kind.__name__} has no place in the state {state.name}"):
            update.receive(EVENTS[kind])
        assert update.snapshot() == before

    @pytest.mark.parametrize(
        ("state", "kind"),
        [pair for pair, step in TRANSITIONS.items() if step.choose is None],
        ids=name_of,
    )
    def test_a_row_with_one_way_leads_there(self, state: State, kind: type[Event]) -> None:
        assert after(update_in(state), EVENTS[kind]).state is TRANSITIONS[state, kind].to[0]

    def test_an_end_is_for_ever_but_for_what_a_boot_loader_undoes(self) -> None:
        assert {state for state, _ in TRANSITIONS} == set(State) - ENDS | {State.INSTALLED}
        assert [kind for state, kind in TRANSITIONS if state is State.INSTALLED] == [event.Restarted]

    def test_every_state_on_the_way_survives_a_restart_and_can_fail(self) -> None:
        for state in set(State) - ENDS:
            assert (state, event.Restarted) in TRANSITIONS
            assert (state, event.JobFailed) in TRANSITIONS

    def test_installing_is_entered_from_checking_alone(self) -> None:
        """L01.FR.09."""
        ways = [pair for pair, step in TRANSITIONS.items() if State.INSTALLING in step.to]
        assert ways == [(State.CHECKING, event.ImageConfirmed)]

    def test_it_can_be_stopped_where_the_table_of_stopping_says_so(self) -> None:
        assert set(STOPPING) == set(State) - ENDS
        for state, stopping in STOPPING.items():
            stoppable = stopping not in (Stopping.SOON, Stopping.NEVER)
            assert ((state, event.Stopped) in TRANSITIONS) is stoppable
            assert update_in(state).stopping is stopping

    def test_every_state_on_the_way_orders_something_but_the_one_that_waits_for_the_answer(self) -> None:
        assert set(ORDERS) == set(State) - ENDS - {State.ACCEPTED}


class TestTelling:
    @pytest.mark.parametrize("state", list(State), ids=lambda state: state.name)
    def test_a_new_status_is_told_with_the_request(self, state: State) -> None:
        """L01.FR.01, L01.FR.10."""
        ways = [pair for pair, step in TRANSITIONS.items() if step.to == (state,) and pair[0] is not state]
        for before, kind in ways:
            update = update_in(before)
            told = [each for each in update.receive(EVENTS[kind]) if isinstance(each, command.Report)]
            assert told == ([command.Report(STATUS[state], REQUEST_ID)] if state in STATUS else [])
            assert update.status is STATUS.get(state)

    def test_idle_is_never_a_state(self) -> None:
        assert set(STATUS.values()) == set(FirmwareStatus) - {FirmwareStatus.IDLE}

    def test_a_status_in_force_is_not_told_again(self) -> None:
        update = update_in(State.DOWNLOADING, status=FirmwareStatus.DOWNLOADING)
        assert statuses(update.receive(EVENTS[event.DownloadInterrupted])) == []
        assert statuses(update.receive(event.TimeCame(NOW + HOUR, held=False))) == []
        assert statuses(update.receive(event.DownloadHeldBack())) == ["DownloadPaused"]
        assert statuses(update.receive(event.HoldReleased())) == ["Downloading"]

    def test_a_cancelled_update_tells_nothing_more(self) -> None:
        """L01.FR.26."""
        update = update_in(State.INSTALL_SCHEDULED, status=FirmwareStatus.INSTALL_SCHEDULED)
        assert update.receive(event.Stopped()) == [command.DiscardImage()]
        assert update.is_over


class TestOrders:
    def test_a_whole_update(self) -> None:
        update = Update.of(request(), POLICY)
        steps: list[tuple[Event, list[str], list[type[Command]]]] = [
            (
                event.Begun(NOW, held=False),
                ["Downloading"],
                [command.ReleaseConnectors, command.DiscardImage, command.Download],
            ),
            (event.DownloadCompleted(SHA256, 1000), ["Downloaded"], [command.VerifySignature]),
            (event.SignatureAccepted(), ["SignatureVerified"], [command.AwaitTime]),
            (event.TimeCame(NOW, held=False), [], [command.HoldConnectors, command.AwaitIdle]),
            (event.TransactionsEnded(), [], [command.CheckImage]),
            (event.ImageConfirmed(), ["Installing"], [command.Install]),
            (event.RebootRequired(NOW), [], [command.AwaitIdle]),
            (event.TransactionsEnded(), ["InstallRebooting"], [command.AwaitReport]),
            (event.RebootAnnounced(), [], [command.Reboot]),
            (restarted(RUNNING), [], [command.HoldConnectors, command.MarkGood]),
            (event.MarkedGood("1.1.0"), [], [command.RecordEvent]),
            (event.EventRecorded(), ["Installed"], [command.ReleaseConnectors, command.DiscardImage]),
            (restarted(RUNNING), [], []),
        ]
        for what, told, ordered in steps:
            commands = update.receive(what)
            assert (statuses(commands), orders(commands)) == (told, ordered), what
        assert update.record.recognised
        assert (update.record.installs, update.record.reboots) == (1, 1)

    def test_what_is_installed_is_what_was_verified(self) -> None:
        update = update_in(State.DOWNLOADING, sha256="")
        assert update.receive(event.DownloadCompleted(SHA256, 1))[-1] == command.VerifySignature(SHA256)
        assert update_in(State.SIGNATURE_VERIFIED, CHARGING_GOES_ON).receive(EVENTS[event.TimeCame]) == [
            command.CheckImage(SHA256)
        ]
        assert update_in(State.CHECKING).receive(event.ImageConfirmed())[-1] == command.Install(SHA256)

    def test_connectors_are_free_while_charging_can_go_on(self) -> None:
        update = update_in(State.SIGNATURE_VERIFIED, CHARGING_GOES_ON)
        assert orders(update.receive(EVENTS[event.TimeCame])) == [command.CheckImage]
        assert orders(update.receive(event.ImageConfirmed())) == [command.Install]
        # A reboot ends every transaction: it waits for them all the same.
        assert orders(update.receive(event.RebootRequired(NOW))) == [command.HoldConnectors, command.AwaitIdle]

    def test_a_restart_holds_the_connectors_again(self) -> None:
        update = update_in(State.WAITING_FOR_TRANSACTIONS)
        assert orders(update.receive(restarted(OLD))) == [command.HoldConnectors, command.AwaitIdle]
        assert orders(update.work()) == [command.HoldConnectors, command.AwaitIdle]
        assert orders(update_in(State.DOWNLOADING).work()) == [command.Download]
        assert update_in(State.DOWNLOAD_FAILED).work() == []

    def test_a_failed_end_lets_the_connectors_come_back(self) -> None:
        update = update_in(State.INSTALLING)
        assert orders(update.receive(EVENTS[event.InstallFailed])) == [command.ReleaseConnectors, command.DiscardImage]

    @pytest.mark.parametrize(
        ("state", "what", "kind", "tells"),
        [
            (
                State.DOWNLOADED,
                event.SignatureRefused("it is wrong"),
                SecurityEventType.INVALID_FIRMWARE_SIGNATURE,
                "request 4711: it is wrong",
            ),
            (
                State.CHECKING,
                event.CertificateRefused("it has expired"),
                SecurityEventType.INVALID_FIRMWARE_SIGNING_CERTIFICATE,
                "request 4711: it has expired",
            ),
            (
                State.PROBATION,
                event.MarkedGood("1.1.0"),
                SecurityEventType.FIRMWARE_UPDATED,
                f"request 4711: version 1.1.0 runs, SHA-256 {SHA256}",
            ),
            (
                State.PROBATION,
                event.MarkedGood(None),
                SecurityEventType.FIRMWARE_UPDATED,
                f"request 4711: version not known runs, SHA-256 {SHA256}",
            ),
            (
                State.INSTALLED,
                restarted(OLD),
                SecurityEventType.FIRMWARE_UPDATED,
                f"rolled back: 1.0.0 runs in place of that of request 4711, SHA-256 {SHA256}",
            ),
        ],
    )
    def test_a_security_event_is_recorded_before_the_end(
        self, state: State, what: Event, kind: SecurityEventType, tells: str
    ) -> None:
        """L01.FR.02, L01.FR.03; a kill before the event is recorded finds the state that records it."""
        update = update_in(state)
        order = command.RecordEvent(kind, tells)
        assert update.receive(what)[-1] == order
        assert not update.is_over
        assert Update.restore(update.snapshot(), POLICY).receive(restarted(OLD))[-1] == order
        assert update.receive(event.EventRecorded())
        assert update.is_over


class TestWaiting:
    def test_for_transactions_as_long_as_it_takes(self) -> None:
        update = update_in(State.SIGNATURE_VERIFIED)
        assert update.receive(EVENTS[event.TimeCame])[-1] == command.AwaitIdle(None)

    def test_for_transactions_no_longer_than_is_set(self) -> None:
        policy = Policy(max_wait=HOUR)
        update = update_in(State.SIGNATURE_VERIFIED, policy)
        limited = command.AwaitIdle(NOW + HOUR)
        assert update.receive(EVENTS[event.TimeCame])[-1] == limited
        later = event.Restarted(NOW + HOUR / 2, held=False, found=OLD)
        assert update.receive(later)[-1] == limited  # a restart does not begin the wait anew
        update.receive(event.WaitExpired())
        assert update.record.failure == "transactions went on for longer than [firmware] max_wait_s"
        assert update_in(State.INSTALLING, policy).receive(event.RebootRequired(NOW))[-1] == limited

    def test_an_image_that_cannot_be_taken_back_is_waited_for_without_end(self) -> None:
        update = update_in(State.WAITING_FOR_REBOOT, Policy(max_wait=HOUR), waiting_until=NOW)
        assert update.receive(event.WaitExpired()) == [command.Withdraw()]
        assert update.receive(event.WithdrawalRefused()) == [command.AwaitIdle(None)]
        assert update.record.failure == ""

    def test_for_the_next_try_as_the_request_says(self) -> None:
        update = update_in(State.DOWNLOADING, request=request(retries=1, retry_interval_s=90))
        assert update.receive(EVENTS[event.DownloadInterrupted])[-1] == command.AwaitTime(NOW + timedelta(seconds=90))
        assert update.record.failure == "the server does not answer"
        update.receive(event.TimeCame(NOW + HOUR, held=False))
        update.receive(EVENTS[event.DownloadInterrupted])
        assert update.state is State.DOWNLOAD_FAILED

    def test_for_the_next_try_as_config_toml_says_where_the_request_does_not(self) -> None:
        update = update_in(State.DOWNLOADING)
        assert update.receive(EVENTS[event.DownloadInterrupted])[-1] == command.AwaitTime(NOW + POLICY.retry_interval)

    def test_no_retry_at_all(self) -> None:
        update = update_in(State.DOWNLOADING, request=request(retries=0))
        assert statuses(update.receive(EVENTS[event.DownloadInterrupted])) == ["DownloadFailed"]

    def test_before_a_failed_marking_is_repeated(self) -> None:
        update = update_in(State.REBOOTING)
        assert update.receive(restarted(RUNNING))[-1] == command.MarkGood(timedelta())
        assert update.receive(EVENTS[event.MarkingFailed]) == [command.MarkGood(MARKING_WAIT)]


class TestFailing:
    def test_an_image_that_waits_for_the_reboot_is_taken_back_before_a_failure_is_told(self) -> None:
        update = update_in(State.INSTALL_REBOOTING)
        assert update.receive(event.JobFailed("a fault")) == [command.Withdraw()]
        assert statuses(update.receive(event.ImageWithdrawn())) == ["InstallationFailed"]

    def test_a_fault_that_is_no_time_out_does_not_wait_for_the_boot(self) -> None:
        update = update_in(State.WAITING_FOR_REBOOT, timed_out=True)
        update.receive(event.JobFailed("a fault"))
        update.receive(event.WithdrawalRefused())
        assert update.state is State.INSTALLATION_FAILED

    def test_a_snapshot_that_has_killed_two_starts_is_not_tried_again(self) -> None:
        update = update_in(State.DOWNLOADING)
        for _ in range(MAX_STARTS):
            assert update.count_start()
            update = Update.restore(update.snapshot(), POLICY)
            update.receive(restarted(OLD))
        assert not update.count_start()
        assert statuses(update.receive(event.JobFailed("it has killed two starts"))) == ["DownloadFailed"]

    def test_a_security_event_is_recorded_however_many_starts_were_killed(self) -> None:
        assert update_in(State.RECORDING_SUCCESS, starts=MAX_STARTS).count_start()

    def test_what_goes_on_has_killed_nobody(self) -> None:
        update = update_in(State.DOWNLOADING)
        assert update.count_start()
        update.receive(EVENTS[event.DownloadInterrupted])
        assert update.record.starts == 0
        assert update.count_start()
        assert update.settle()
        assert not update.settle()
