"""What a firmware update needs of the world: the transfer, whom to trust, the connectors, and the disk that remembers.

Protocols and their exceptions only; the adapters are in chargepoint/firmware_update.py. The installer, which has
adapters of its own, is in firmware/installer.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from firmware.command import Report
from security.event import SecurityEventType
from security.signature import Verification
from security.signing_certificate import SigningVerdict


class FetchRefused(Exception):
    """Raised by a `Fetcher` when a try came to nothing; the text is safe for a log.

    Attributes:
        worth_retrying: whether another try may end better.
    """

    def __init__(self, reason: str, *, worth_retrying: bool) -> None:
        super().__init__(reason)
        self.worth_retrying = worth_retrying


class JournalFailed(Exception):
    """Raised by a `Journal` when the disk failed; nothing of the commit is kept."""


class FetchProgress(Protocol):
    """How far a download is."""

    @property
    def done_bytes(self) -> int:
        """Bytes that are here."""

    @property
    def total_bytes(self) -> int | None:
        """Bytes in all, where that is known."""

    @property
    def bytes_per_s(self) -> float:
        """How fast it goes."""

    @property
    def seconds_left(self) -> float | None:
        """How long it will take, where that can be told."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is here, whole and on the disk.

    Attributes:
        sha256: over all of it, in hex.
        size_bytes: its size.
    """

    sha256: str
    size_bytes: int


class Fetcher(Protocol):
    """Downloads an image."""

    async def fetch(self, location: str, target: Path, progress: Callable[[FetchProgress], None]) -> Fetched:
        """Fetch a file, going on with a part that is here; cancelled, it stops within a second and leaves the part.

        Args:
            location: a URL as the Central System gave it.
            target: the file; its directory exists, and what an earlier try needs lies beside it.
            progress: told now and then.

        Raises:
            FetchRefused: the file is not here, or not whole.
        """


class Verifier(Protocol):
    """Says whose firmware is installed."""

    async def judge(self, pem: str) -> SigningVerdict:
        """Judge a signing certificate as of now (L01.FR.12, L01.FR.23); nothing raises."""

    async def verify(self, image: Path | bytes, signature: str | None, pem: str) -> Verification:
        """Verify a signature over a file, or over its SHA-256 (L01.FR.04); nothing raises for a SHA-256."""


class Charging(Protocol):
    """The connectors, and what goes on at them."""

    def transactions_running(self) -> int:
        """Return how many transactions run."""

    def hold_connectors(self) -> None:
        """Let no transaction begin; what is free is Unavailable (L01.FR.07, L01.FR.19). Harmless when repeated."""

    def release_connectors(self) -> None:
        """Take the hold back; harmless where there is none."""

    async def wait_until_idle(self) -> None:
        """Wait until no transaction runs."""


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


class Agent(Protocol):
    """What only the whole Charge Point can do."""

    def now(self) -> datetime:
        """Return the agent's time; while its clock is not set, a time that it cannot be earlier than."""

    async def wait_until(self, moment: datetime) -> None:
        """Wait until `now` is not before a moment, although the clock may be set or put back meanwhile."""

    async def record(self, event_type: SecurityEventType, tech_info: str) -> None:
        """Raise a security event; returns when it is on the disk, however long that takes."""

    async def wait_until_told(self, longest: timedelta) -> bool:
        """Wait until the Central System has every report, for so long at most; returns whether it has."""

    async def wait_until_healthy(self) -> None:
        """Wait until the agent has shown that it works with the firmware that runs."""

    async def note_new_firmware(self) -> None:
        """Another firmware runs without a reboot: whoever tells its version has to look again."""

    def reboot(self) -> None:
        """Begin an orderly end and a reboot of the device; returns at once."""
