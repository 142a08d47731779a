"""How long to wait before the next try to connect.

The first tries after a good connection are soon and steady: OCTT TC_078 measures how fast the Charge Point comes back,
refuses it for twice that time and then expects it (docs/decisions/0040-reconnect-steady-then-slow.md). Only then the
wait grows, exponentially, up to a bound. Jitter only ever shortens a wait, so that the bound holds, and keeps the
Charge Points of a whole site from coming back in step.

Pure: chance and the count of failures are handed in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

MAX_STEADY_RETRIES: Final = 5  #: tries; TC_078 needs the second or third, the others absorb slow handshakes
MAX_GROWTH_STEPS: Final = 64  #: steps; beyond it every factor above 1.2 has long reached its bound


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits between tries.

    Attributes:
        first: wait before each of the first tries after a good connection, or after the start.
        initial: the wait that growth begins with.
        maximum: no wait is longer.
        factor: growth from one wait to the next, at least 1.
        jitter: the share of each wait that chance may take away, 0 to 1.
        random: a number of at least 0 and below 1.
    """

    first: timedelta
    initial: timedelta
    maximum: timedelta
    factor: float
    jitter: float
    random: Callable[[], float]

    def delay(self, failures: int) -> timedelta:
        """Return the wait after so many failed tries in a row; 0 is the wait after a good connection was lost."""
        return self._longest(failures) * (1 - self.jitter * self.random())

    def _longest(self, failures: int) -> timedelta:
        growth_steps = failures - MAX_STEADY_RETRIES
        if growth_steps < 0:
            return min(self.first, self.maximum)
        grown_s = self.initial.total_seconds() * self.factor ** min(growth_steps, MAX_GROWTH_STEPS)
        return timedelta(seconds=min(grown_s, self.maximum.total_seconds()))
