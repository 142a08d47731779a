"""What the upload of a log needs of the world: the content, the transfer, and the disk that remembers.

Protocols and their exceptions only; the adapters are in chargepoint/log_upload.py.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from logs.command import Report
from logs.status import UploadStatus


class UploadRefused(Exception):
    """Raised by an `UploadPort` when a try came to nothing.

    Attributes:
        status: what it means to the Central System, one of `logs.status.FAILURES`.
        worth_retrying: whether another try may end better.
    """

    def __init__(self, status: UploadStatus, detail: str, *, worth_retrying: bool) -> None:
        super().__init__(detail)
        self.status = status
        self.worth_retrying = worth_retrying


class ContentFailed(Exception):
    """Raised by a `LogContent` when what is to be uploaded cannot be read, for the time being."""


class JournalFailed(Exception):
    """Raised by a `Journal` when the disk failed; nothing of the commit is kept."""


class Progress(Protocol):
    """How far a transfer is."""

    @property
    def done_bytes(self) -> int:
        """Bytes that are through."""

    @property
    def total_bytes(self) -> int | None:
        """Bytes in all, where that is known."""

    @property
    def bytes_per_s(self) -> float:
        """How fast it goes."""

    @property
    def seconds_left(self) -> float | None:
        """How long it will take, where that can be told."""


class UploadPort(Protocol):
    """Sends a file."""

    async def upload(
        self, source: Path, location: str, *, file_name: str, resume: bool, progress: Callable[[Progress], None]
    ) -> None:
        """Send a file to where it is wanted; cancelled, it stops within a second.

        Args:
            source: the file.
            location: a URL as the Central System gave it.
            file_name: what the file is called there, where the URL leaves that open.
            resume: a part of this very file is there: go on behind it where the protocol can.
            progress: told now and then; of the first bytes that the server takes in any case, before this raises.

        Raises:
            UploadRefused: the file is not there, or not whole.
        """


class LogContent(Protocol):
    """What is uploaded."""

    async def is_available(self, oldest: datetime | None, latest: datetime | None) -> bool:
        """Whether there is anything in this window; raises ContentFailed."""

    def file_name(self, now: datetime) -> str:
        """Return the name under which the file is uploaded."""

    async def write(self, target: Path, oldest: datetime | None, latest: datetime | None) -> int:
        """Write the file and return its size in bytes.

        Raises:
            ContentFailed, DurableError: there is no file; neither is there where this was cancelled.
        """


class Journal(Protocol):
    """Keeps the machine, and what the Central System is to hear."""

    async def load(self) -> dict[str, Any] | None:
        """Return the last snapshot; raises JournalFailed."""

    async def commit(
        self, snapshot: dict[str, Any], reports: Sequence[Report] = (), *, withdraw: int | None = None
    ) -> None:
        """Keep a snapshot and what is to be reported, and drop what was not reported yet of a request.

        Raises:
            JournalFailed: nothing of it was done.
        """
