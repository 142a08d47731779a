"""What the event loop and the thread of a transfer share: the order to stop, how far the transfer is, and its result.

Guaranteed: an order to stop holds from the moment when it is given; after it, and after `close`, nothing more is told
of the progress. Reports are rare, for the event loop has other work, but the first bytes are told at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

REPORT_SECONDS: Final = 0.5  #: seconds between two reports of progress; a person sees no more
SMOOTHING: Final = 0.3  #: share of the newest figure in the rate that is told; mobile links jump

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is.

    Attributes:
        done_bytes: of the file, what an earlier try has brought there included.
        total_bytes: None where nobody has told yet.
        bytes_per_s: smoothed, of this try; 0 at its begin.
    """

    done_bytes: int
    total_bytes: int | None
    bytes_per_s: float

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at this rate, None where that cannot be told."""
        if self.total_bytes is None or self.bytes_per_s <= 0:
            return None
        return max(self.total_bytes - self.done_bytes, 0) / self.bytes_per_s


@dataclass(frozen=True, slots=True)
class Download:
    """A file that has come: it is whole on the disk.

    Attributes:
        size_bytes: its size.
        sha256: its digest, computed as it came.
    """

    size_bytes: int
    sha256: bytes


Tell = Callable[[Progress], None]


class Stopped(Exception):
    """Raised in the thread of a transfer that was ordered to stop."""


class Watch:
    """Made in the event loop, then used by one thread.

    Args:
        tell: called in the event loop.
    """

    def __init__(self, tell: Tell) -> None:
        self._loop = asyncio.get_running_loop()
        self._tell = tell
        self._stopped = False
        self._closed = False
        self._next_at = 0.0
        self._last: tuple[float, int] | None = None
        self._untold: tuple[int, int | None] | None = None
        self._moves = False
        self._rate = 0.0

    @property
    def stopped(self) -> bool:
        """Whether the transfer is to stop."""
        return self._stopped

    def stop(self) -> None:
        """Order the transfer to stop; from any thread."""
        self._stopped = self._closed = True

    def close(self) -> None:
        """Tell nothing more; called in the event loop."""
        self._closed = True

    def note(self, done_bytes: int, total_bytes: int | None, *, last: bool = False) -> None:
        """Take in how far the transfer is; called by its thread as often as it likes.

        Args:
            done_bytes: of the file.
            total_bytes: None where nobody has told yet.
            last: this one is told in any case.
        """
        now = time.monotonic()
        begins = done_bytes > 0 and not self._moves  # told at once: from here on there is something to be continued
        if now < self._next_at and not last and not begins:
            self._untold = (done_bytes, total_bytes)
            return
        self._untold = None
        self._moves = self._moves or begins
        self._next_at = now + REPORT_SECONDS
        if self._last is not None and now > self._last[0]:
            rate = max(done_bytes - self._last[1], 0) / (now - self._last[0])
            self._rate = rate if self._rate == 0 else SMOOTHING * rate + (1 - SMOOTHING) * self._rate
        self._last = (now, done_bytes)
        progress = Progress(done_bytes, total_bytes, self._rate)
        with suppress(RuntimeError):  # the event loop is closed: the agent has ended
            self._loop.call_soon_threadsafe(self._deliver, progress)

    def flush(self) -> None:
        """Tell what was noted last, should it have come too soon after another; called by the thread at the end."""
        if self._untold is not None:
            self.note(*self._untold, last=True)

    def _deliver(self, progress: Progress) -> None:
        if self._closed:
            return
        try:
            self._tell(progress)
        except Exception:  # noqa: BLE001 - whoever shows the progress must not harm the transfer
            _log.exception("the progress of a transfer could not be told")
