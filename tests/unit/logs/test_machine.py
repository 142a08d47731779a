"""The life of an upload, single-stepped."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from logs.command import Clear, Command, Report, StartUpload, Wait, WriteFile
from logs.event import (
    Answered,
    Canceled,
    Event,
    FileFailed,
    FileWritten,
    JobFailed,
    Restarted,
    Suspended,
    UploadBegun,
    UploadCompleted,
    UploadInterrupted,
    WaitEnded,
)
from logs.machine import ENDS, MAX_KILLED_STARTS, TRANSITIONS, State, UploadMachine
from logs.request import Retrying, UploadRequest
from logs.status import FAILURES, LogKind, UploadStatus

INTERVAL = timedelta(seconds=30)
HERE, GONE = Restarted(file_is_there=True), Restarted(file_is_there=False)

EVENTS: list[Event] = [
    Answered(), HERE, Suspended(), Canceled(), JobFailed(), FileWritten(1), FileFailed(1), UploadBegun(2),
    UploadCompleted(2),
    UploadInterrupted(2, UploadStatus.UPLOAD_FAILURE, worth_retrying=True), WaitEnded(3),
]  # fmt: skip
"""One of each kind."""


def machine(*events: Event, retries: int = 2) -> UploadMachine:
    """A machine to which this has happened."""
    request = UploadRequest(
        kind=LogKind.SECURITY_LOG,
        request_id=7,
        location="ftp://user:word@files.example.com/",
        retrying=Retrying(retries, INTERVAL),
    )
    made = UploadMachine(request, "security.jsonl")
    for event in events:
        made.receive(event)
    return made


def interrupted(attempt: int, *, worth_retrying: bool = True) -> UploadInterrupted:
    return UploadInterrupted(attempt, UploadStatus.PERMISSION_DENIED, worth_retrying)


UPLOADING: list[Event] = [Answered(), FileWritten(1)]
BEGUN: list[Event] = [*UPLOADING, UploadBegun(2)]
WAYS: dict[State, list[Event]] = {
    State.ACCEPTED: [],
    State.WRITING: [Answered()],
    State.UPLOADING: UPLOADING,
    State.WAITING: [*UPLOADING, interrupted(2)],
    State.UPLOADED: [*UPLOADING, UploadCompleted(2)],
    State.FAILED: [*UPLOADING, interrupted(2, worth_retrying=False)],
    State.CANCELED: [*UPLOADING, Canceled()],
}
"""State -> what leads there."""


def statuses(commands: Sequence[Command]) -> list[UploadStatus]:
    return [command.status for command in commands if isinstance(command, Report)]


@pytest.mark.parametrize("state", State)
def test_every_state_is_reached_and_in_the_table(state: State) -> None:
    assert machine(*WAYS[state]).state is state
    assert (state in ENDS) is not any(where is state for where, _ in TRANSITIONS)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_leads_where_the_table_says_or_raises_and_changes_nothing(state: State, event: Event) -> None:
    made = machine(*WAYS[state])
    before = made.snapshot()
    step = TRANSITIONS.get((state, type(event)))
    if step is None:
        with pytest.raises(RuntimeError, match=f"{type(event).__name__} cannot happen to an upload that is {state}"):
            made.receive(event)
        assert made.snapshot() == before
    else:
        made.receive(event)
        assert made.state in step.to


@pytest.mark.parametrize(
    ("state", "event", "target"),
    [(state, event, target) for (state, event), step in TRANSITIONS.items() for target in step.to],
)
def test_every_target_of_the_table_is_taken(state: State, event: type[Event], target: State) -> None:
    ways: dict[tuple[type[Event], State], Callable[[UploadMachine], Event]] = {
        (Restarted, State.WRITING): lambda _: GONE,
        (UploadInterrupted, State.FAILED): lambda made: interrupted(made.attempt, worth_retrying=False),
    }
    made = machine(*WAYS[state])
    if (event, target) == (Restarted, State.FAILED):
        for _ in range(MAX_KILLED_STARTS):
            made = UploadMachine.restore(made.snapshot() | {"state": str(state)})
            made.receive(HERE)
        made = UploadMachine.restore(made.snapshot() | {"state": str(state)})
    default = next(each for each in EVENTS if type(each) is event)
    way = ways.get((event, target))
    made.receive(default if way is None else way(made))
    assert made.state is target


class TestGood:
    def test_an_upload_is_written_sent_and_cleared_away(self) -> None:
        made = machine()
        assert made.receive(Answered()) == [WriteFile(1)]
        assert made.receive(FileWritten(1)) == [Report(UploadStatus.UPLOADING, 7), StartUpload(2, resume=False)]
        assert made.receive(UploadCompleted(2)) == [Report(UploadStatus.UPLOADED, 7), Clear()]
        assert made.is_over
        assert made.end_status is UploadStatus.UPLOADED

    def test_uploading_is_said_once_and_the_next_try_goes_on_where_the_last_one_ended(self) -> None:
        made = machine(*BEGUN)
        assert made.receive(interrupted(2)) == [Wait(3, INTERVAL)]
        assert made.receive(WaitEnded(3)) == [StartUpload(4, resume=True)]
        assert statuses(made.receive(UploadCompleted(4))) == [UploadStatus.UPLOADED]

    def test_a_try_of_which_the_server_took_nothing_is_not_gone_on_behind(self) -> None:
        made = machine(*UPLOADING, interrupted(2))
        assert made.receive(WaitEnded(3)) == [StartUpload(4, resume=False)]
        assert made.receive(UploadBegun(4)) == []
        made.receive(interrupted(4))
        assert made.receive(WaitEnded(5)) == [StartUpload(6, resume=True)]

    def test_a_trigger_hears_uploading_from_the_answer_on_and_idle_after_the_end(self) -> None:
        expected = {state: UploadStatus.UPLOADING if state not in ENDS else UploadStatus.IDLE for state in State}
        assert {state: machine(*WAYS[state]).status for state in State} == expected


class TestBad:
    @pytest.mark.parametrize("retries", [0, 1, 3])
    def test_the_end_status_is_sent_once_after_the_last_try(self, retries: int) -> None:
        made, heard, tries = machine(Answered(), retries=retries), [], 0
        commands = made.receive(FileWritten(1))
        while True:
            heard += statuses(commands)
            if made.is_over:
                break
            tries += 1
            commands = made.receive(interrupted(made.attempt))
            if made.state is State.WAITING:
                commands = made.receive(WaitEnded(made.attempt))
        assert tries == retries + 1
        assert heard == [UploadStatus.UPLOADING, UploadStatus.PERMISSION_DENIED]

    @pytest.mark.parametrize("status", sorted(FAILURES))
    def test_what_cannot_get_better_is_not_tried_again(self, status: UploadStatus) -> None:
        made = machine(*UPLOADING)
        assert made.receive(UploadInterrupted(2, status, worth_retrying=False)) == [Report(status, 7), Clear()]
        assert made.end_status is status

    def test_a_file_that_cannot_be_written_fails_the_upload(self) -> None:
        assert machine(Answered()).receive(FileFailed(1)) == [Report(UploadStatus.UPLOAD_FAILURE, 7), Clear()]

    @pytest.mark.parametrize("state", [state for state in State if state not in ENDS])
    def test_a_fault_of_ours_fails_the_upload(self, state: State) -> None:
        assert machine(*WAYS[state]).receive(JobFailed()) == [Report(UploadStatus.UPLOAD_FAILURE, 7), Clear()]

    @pytest.mark.parametrize("state", [state for state in State if state not in ENDS])
    def test_of_a_canceled_upload_nothing_is_said(self, state: State) -> None:
        made = machine(*WAYS[state])
        assert made.receive(Canceled()) == [Clear()]
        assert made.end_status is None


class TestRestarted:
    def test_an_upload_that_was_accepted_begins(self) -> None:
        assert machine().receive(GONE) == [WriteFile(1)]

    @pytest.mark.parametrize(("way", "resume"), [(BEGUN, True), (UPLOADING, False)], ids=["begun", "not begun"])
    def test_an_upload_goes_on_behind_what_is_surely_ours_on_the_server(
        self, way: list[Event], *, resume: bool
    ) -> None:
        made = UploadMachine.restore(machine(*way).snapshot())
        assert made.receive(HERE) == [StartUpload(3, resume=resume)]

    def test_a_file_that_is_lost_is_written_anew_and_sent_from_its_beginning(self) -> None:
        made = UploadMachine.restore(machine(*BEGUN).snapshot())
        assert made.receive(GONE) == [WriteFile(3)]
        assert made.receive(FileWritten(3)) == [StartUpload(4, resume=False)]

    def test_a_wait_begins_anew(self) -> None:
        made = UploadMachine.restore(machine(*WAYS[State.WAITING]).snapshot())
        assert made.receive(HERE) == [Wait(4, INTERVAL)]

    def test_a_file_half_written_is_written_anew(self) -> None:
        assert UploadMachine.restore(machine(Answered()).snapshot()).receive(GONE) == [WriteFile(2)]

    def test_an_upload_that_killed_two_starts_in_a_row_is_given_up(self) -> None:
        made = machine(*UPLOADING)
        for _ in range(MAX_KILLED_STARTS):
            made = UploadMachine.restore(made.snapshot())
            assert statuses(made.receive(HERE)) == []
            made.receive(UploadBegun(made.attempt))
        assert UploadMachine.restore(made.snapshot()).receive(HERE) == [
            Report(UploadStatus.UPLOAD_FAILURE, 7),
            Clear(),
        ]

    @pytest.mark.parametrize("between", [Suspended(), interrupted(4)], ids=["an orderly end", "an outcome"])
    def test_a_start_that_came_to_something_does_not_count(self, between: Event) -> None:
        made = machine(*UPLOADING, HERE, HERE)
        made.receive(between)
        made.receive(HERE)
        assert not made.is_over

    @pytest.mark.parametrize("state", [state for state in State if state not in ENDS])
    def test_an_orderly_end_changes_nothing_else(self, state: State) -> None:
        made = machine(*WAYS[state])
        before = made.snapshot()
        assert made.receive(Suspended()) == []
        assert made.snapshot() == before


class TestSnapshot:
    @pytest.mark.parametrize("state", State)
    def test_brings_back_the_same_machine(self, state: State) -> None:
        made = machine(*WAYS[state])
        again = UploadMachine.restore(json.loads(json.dumps(made.snapshot())))
        assert again.snapshot() == made.snapshot()
        assert (again.state, again.status, again.end_status) == (made.state, made.status, made.end_status)

    @pytest.mark.parametrize("state", State)
    def test_has_the_location_only_as_long_as_it_is_needed(self, state: State) -> None:
        made = machine(*WAYS[state])
        assert ("word@" in json.dumps(made.snapshot())) is not made.is_over

    def test_no_repr_tells_the_location(self) -> None:
        assert "word" not in repr(machine().request)

    @pytest.mark.parametrize(
        "change",
        [
            {"state": "elsewhere"}, {"request": None}, {"request": {}}, {"attempt": None}, {"end_status": "Fine"},
            {"killed_starts": []}, {"file_name": None, "attempt": "x"},
        ],
        ids=str,
    )  # fmt: skip
    def test_one_that_no_machine_made_is_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"."):
            UploadMachine.restore(machine(*UPLOADING).snapshot() | change)

    def test_an_empty_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="not the snapshot of an upload"):
            UploadMachine.restore({})

    def test_a_wait_beyond_all_bounds_is_refused(self) -> None:
        snapshot = machine().snapshot()
        snapshot["request"]["retry_interval_s"] = 1e300
        with pytest.raises(ValueError, match="not the snapshot of an upload"):
            UploadMachine.restore(snapshot)


class TestAwaits:
    def test_the_outcome_of_the_work_that_is_under_way(self) -> None:
        assert machine(*UPLOADING).awaits(UploadCompleted(2))

    def test_no_outcome_of_work_that_is_over(self) -> None:
        made = machine(*UPLOADING)
        assert not made.awaits(UploadCompleted(1))
        assert not made.awaits(FileWritten(2))
