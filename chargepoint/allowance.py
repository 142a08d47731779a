"""An allowance for what somebody else may cause: so many at once, and one more each interval.

Pure but for the clock that it is given.
"""

import time
from collections.abc import Callable
from datetime import timedelta


class Allowance:
    """Full at the start, and filled again one by one.

    Args:
        most: how many may be taken at once.
        interval: after which one more may.
        monotonic: seconds of a clock that never steps.
    """

    def __init__(self, most: int, interval: timedelta, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._interval_s = interval.total_seconds()
        self._monotonic = monotonic
        self._left = float(most)
        self._seen_at = monotonic()

    def take(self) -> bool:
        """Take one, if one is left."""
        now = self._monotonic()
        self._left = min(self._left + (now - self._seen_at) / self._interval_s, self._most)
        self._seen_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
