"""The time between two good connections: what went wrong in it, each cause told once, its repeats counted.

Pure. The causes come from finite tables (failure.py), so that an outage of a year needs no more memory than one of an
hour.
"""

from collections import Counter
from dataclasses import dataclass, field

from chargepoint.failure import Failure


@dataclass(slots=True)
class Outage:
    """One outage; it begins when a link is lost, or at the start, and ends with the next good connection.

    Attributes:
        causes: cause -> how many tries it ended.
    """

    causes: Counter[str] = field(default_factory=Counter)

    def note(self, failure: Failure) -> bool:
        """Count a failed try; True when its cause is new to this outage, so that its security event is due."""
        self.causes[failure.what] += 1
        return self.causes[failure.what] == 1

    @property
    def tries(self) -> int:
        """How many tries have failed."""
        return self.causes.total()

    def summary(self) -> str:
        """Name each cause with its count, the most frequent first."""
        return ", ".join(f"{count} x {cause}" for cause, count in self.causes.most_common())
