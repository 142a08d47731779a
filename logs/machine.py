"""The life of one upload, as a machine without a world: events in, commands out (N01).

An upload is accepted, its file is written to the disk, then sent, and sent again after a wait where that failed and
may still succeed. It ends uploaded, failed, or canceled by its successor; then nothing happens to it any more, and the
next request has a machine of its own.

- `TRANSITIONS` says what may follow what. An event that has no row raises `RuntimeError` and changes nothing.
- The Central System hears Uploading when the first try begins (N01.FR.08), and one end status after the last one
  (N01.FR.09, N01.FR.10), each with the requestId (N01.FR.07). Of a canceled upload it hears nothing more (N01.FR.11).
- Each piece of work has a number, the attempt; an outcome with another number than the present one is of work that is
  over, and whoever drives the machine drops it (`awaits`).
- A try goes on behind what is on the server only after the server has taken bytes of this very file; before that, what
  lies there under the name may be the file of last week, and going on behind it would spoil both.
- A start of the agent that is followed by no outcome and no orderly end was killed. After two of these in a row the
  upload is given up: it may be what kills the agent.
- A finished upload forgets its location, which may hold credentials.

Pure: driven by uploader.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from logs.command import Clear, Command, Report, StartUpload, Wait, WriteFile
from logs.event import (
    Answered,
    Canceled,
    Event,
    FileFailed,
    FileWritten,
    JobFailed,
    Outcome,
    Restarted,
    Suspended,
    UploadBegun,
    UploadCompleted,
    UploadInterrupted,
    WaitEnded,
)
from logs.request import UploadRequest
from logs.status import UploadStatus

MAX_KILLED_STARTS: Final = 2  #: starts; in a row: a third one would most likely be killed as well


class State(StrEnum):
    """Where an upload is."""

    ACCEPTED = "accepted"
    WRITING = "writing"
    UPLOADING = "uploading"
    WAITING = "waiting"
    UPLOADED = "uploaded"
    FAILED = "failed"
    CANCELED = "canceled"


INITIAL: Final = State.ACCEPTED
ENDS: Final = frozenset({State.UPLOADED, State.FAILED, State.CANCELED})


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the table: the states that may follow, and who chooses where there are several."""

    to: tuple[State, ...]
    choose: "Callable[[UploadMachine, Any], State] | None" = None


class UploadMachine:
    """One upload.

    Args:
        request: what was asked for.
        file_name: what the file is called on the server, as the answer named it.

    Attributes:
        request: what was asked for.
        file_name: as above.
        state: where it is.
        attempt: number of the last piece of work.
        failures: tries to upload that came to nothing.
        end_status: what the Central System was told at the end; None before that, and where it was canceled.
    """

    def __init__(self, request: UploadRequest, file_name: str) -> None:
        self.request: Final = request
        self.file_name: Final = file_name
        self.state = INITIAL
        self.attempt = 0
        self.failures = 0
        self.end_status: UploadStatus | None = None
        self._killed_starts = 0
        self._announced = False
        self._sent_in_part = False

    @property
    def is_over(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in ENDS

    @property
    def status(self) -> UploadStatus:
        """What a trigger is to be told now: from the answer on until the end it is under way (N01.FR.12)."""
        return UploadStatus.IDLE if self.is_over else UploadStatus.UPLOADING

    @property
    def sent_in_part(self) -> bool:
        """Whether a part of this very file is on the server."""
        return self._sent_in_part

    def awaits(self, outcome: Outcome) -> bool:
        """Whether this outcome is of the work that is under way."""
        return outcome.attempt == self.attempt and (self.state, type(outcome)) in TRANSITIONS

    def receive(self, event: Event) -> list[Command]:
        """Take in what happened, and return what is to be done, in order.

        Raises:
            RuntimeError: it cannot happen in this state; nothing was changed.
        """
        step = TRANSITIONS.get((self.state, type(event)))
        if step is None:
            raise RuntimeError(f"{type(event).__name__} cannot happen to an upload that is {self.state}")
        target = step.choose(self, event) if step.choose else step.to[0]
        if isinstance(event, UploadBegun):  # what kills the agent may come after it, so it says nothing of that
            self._sent_in_part = True
            return []
        self._killed_starts = self._killed_starts + 1 if isinstance(event, Restarted) else 0
        if isinstance(event, Suspended):
            return []
        if isinstance(event, UploadInterrupted):
            self.failures += 1
        return self._enter(target, event)

    def snapshot(self) -> dict[str, Any]:
        """Return all that has to outlive the process, as plain JSON; with the location only as long as it is needed."""
        return {
            "request": self.request.to_json() | ({"location": ""} if self.is_over else {}),
            "file_name": self.file_name,
            "state": str(self.state),
            "attempt": self.attempt,
            "failures": self.failures,
            "killed_starts": self._killed_starts,
            "announced": self._announced,
            "sent_in_part": self._sent_in_part,
            "end_status": self.end_status,
        }

    @classmethod
    def restore(cls, snapshot: Mapping[str, Any]) -> Self:
        """Return the machine that made a snapshot.

        Raises:
            ValueError: no machine of this release made it; the text of the error is not for a log.
        """
        try:
            machine = cls(UploadRequest.from_json(snapshot["request"]), str(snapshot["file_name"]))
            machine.state = State(snapshot["state"])
            machine.attempt = int(snapshot["attempt"])
            machine.failures = int(snapshot["failures"])
            machine._killed_starts = int(snapshot["killed_starts"])
            machine._announced = bool(snapshot["announced"])
            machine._sent_in_part = bool(snapshot["sent_in_part"])
            if (end_status := snapshot["end_status"]) is not None:
                machine.end_status = UploadStatus(end_status)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"not the snapshot of an upload: {error}") from error
        return machine

    def _enter(self, state: State, event: Event) -> list[Command]:
        self.state = state
        match state:
            case State.WRITING:
                self.attempt += 1
                self._sent_in_part = False  # what is on the server, if anything, is of another file
                return [WriteFile(self.attempt)]
            case State.UPLOADING:
                self.attempt += 1
                told = [] if self._announced else [self._report(UploadStatus.UPLOADING)]  # N01.FR.08
                start = StartUpload(self.attempt, resume=self._sent_in_part)
                self._announced = True
                return [*told, start]
            case State.WAITING:
                self.attempt += 1
                return [Wait(self.attempt, self.request.retrying.interval)]
            case State.UPLOADED:
                return self._end(UploadStatus.UPLOADED)  # N01.FR.09
            case State.FAILED:  # N01.FR.10
                return self._end(event.status if isinstance(event, UploadInterrupted) else UploadStatus.UPLOAD_FAILURE)
            case _:
                return [Clear()]  # N01.FR.11: a canceled upload tells nothing more

    def _end(self, status: UploadStatus) -> list[Command]:
        self.end_status = status
        return [self._report(status), Clear()]

    def _report(self, status: UploadStatus) -> Report:
        return Report(status, self.request.request_id)  # N01.FR.07


def _after_restart(machine: UploadMachine, event: Any) -> State:
    if machine._killed_starts >= MAX_KILLED_STARTS:
        return State.FAILED
    if machine.state is State.ACCEPTED or not event.file_is_there:
        return State.WRITING
    return machine.state


def _after_interruption(machine: UploadMachine, event: Any) -> State:
    may_retry = event.worth_retrying and machine.failures < machine.request.retrying.retries
    return State.WAITING if may_retry else State.FAILED


_UNDER_WAY: Final = tuple(state for state in State if state not in ENDS)

TRANSITIONS: Final[Mapping[tuple[State, type[Event]], Step]] = {
    (State.ACCEPTED, Answered): Step((State.WRITING,)),
    (State.ACCEPTED, Restarted): Step((State.WRITING, State.FAILED), _after_restart),
    (State.WRITING, FileWritten): Step((State.UPLOADING,)),
    (State.WRITING, FileFailed): Step((State.FAILED,)),
    (State.WRITING, Restarted): Step((State.WRITING, State.FAILED), _after_restart),
    (State.UPLOADING, UploadBegun): Step((State.UPLOADING,)),
    (State.UPLOADING, UploadCompleted): Step((State.UPLOADED,)),
    (State.UPLOADING, UploadInterrupted): Step((State.WAITING, State.FAILED), _after_interruption),
    (State.UPLOADING, Restarted): Step((State.UPLOADING, State.WRITING, State.FAILED), _after_restart),
    (State.WAITING, WaitEnded): Step((State.UPLOADING,)),
    (State.WAITING, Restarted): Step((State.WAITING, State.WRITING, State.FAILED), _after_restart),
    **{(state, Suspended): Step((state,)) for state in _UNDER_WAY},
    **{(state, Canceled): Step((State.CANCELED,)) for state in _UNDER_WAY},  # N01.FR.11
    **{(state, JobFailed): Step((State.FAILED,)) for state in _UNDER_WAY},
}
"""Every legal event of every state; what is not here is illegal, and so is every event after an end."""
