"""What an upload wants done: the commands of its machine. Pure data.

`Report` is kept together with the snapshot and told by whoever delivers; the others are carried out in order. A command
that bears an attempt brings one event with the same number.
"""

from dataclasses import dataclass
from datetime import timedelta

from logs.status import UploadStatus


@dataclass(frozen=True, slots=True)
class Report:
    """The Central System is to hear of this status."""

    status: UploadStatus
    request_id: int | None


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write the spool file: `FileWritten` or `FileFailed`."""

    attempt: int


@dataclass(frozen=True, slots=True)
class StartUpload:
    """Send the spool file: perhaps `UploadBegun`, then `UploadCompleted` or `UploadInterrupted`.

    Attributes:
        resume: a part of this very file is on the server already.
    """

    attempt: int
    resume: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait before the next try: `WaitEnded`."""

    attempt: int
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Clear:
    """Stop what still runs and remove the spool file; brings no event."""


Command = Report | WriteFile | StartUpload | Wait | Clear
