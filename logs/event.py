"""What can happen to an upload: the events of its machine, each a fact.

Those that bear an attempt come of the command that bore the same number, and all but `UploadBegun` end it.
No event bears a time: an upload knows no instant, only the wait between two tries, which begins anew with the process.
Pure data.
"""

from dataclasses import dataclass

from logs.status import UploadStatus


@dataclass(frozen=True, slots=True)
class Answered:
    """GetLog.conf or GetDiagnostics.conf is out."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The agent has been started again, after an orderly end, a kill or a power cut.

    Attributes:
        file_is_there: the spool file, which is whole where it is at all.
    """

    file_is_there: bool


@dataclass(frozen=True, slots=True)
class Suspended:
    """The agent ends in order."""


@dataclass(frozen=True, slots=True)
class Canceled:
    """Another request takes the place of this one."""


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The upload cannot go on, by a fault of ours or of the machine."""


@dataclass(frozen=True, slots=True)
class FileWritten:
    """The spool file is whole and on the disk."""

    attempt: int


@dataclass(frozen=True, slots=True)
class FileFailed:
    """The spool file could not be written; nothing of it is left."""

    attempt: int


@dataclass(frozen=True, slots=True)
class UploadBegun:
    """The server has taken the first bytes of the file: what is there under its name is ours from now on."""

    attempt: int


@dataclass(frozen=True, slots=True)
class UploadCompleted:
    """The whole file is on the server."""

    attempt: int


@dataclass(frozen=True, slots=True)
class UploadInterrupted:
    """A try to upload came to nothing.

    Attributes:
        status: what the upload ends in if this was the last try.
        worth_retrying: whether another try may end better.
    """

    attempt: int
    status: UploadStatus
    worth_retrying: bool


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """The wait before the next try is over."""

    attempt: int


Outcome = FileWritten | FileFailed | UploadBegun | UploadCompleted | UploadInterrupted | WaitEnded
Event = Answered | Restarted | Suspended | Canceled | JobFailed | Outcome
