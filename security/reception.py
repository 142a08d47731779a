"""How the Central System has received each Charge Point certificate: whose turn it is, and which of them is in doubt.

A certificate that never worked takes turns with others, and one that works then decides (certificate_life.py). What it
decides depends on how the new one was received:

    refused    by an alert about it, or by HTTP 401 or 403: it is given up
    hung up on the Central System asked for it and closed the connection without a word: it is in doubt

Some servers refuse that way, those built on Python's asyncio among them; but so does a proxy whose Central System is
away. Therefore the one that is in doubt stands back for `DOUBT_PAUSE` and has its turn again. It is given up only where
it was hung up on `MAX_DOUBTS` times, and each time the other one worked immediately after
(docs/decisions/0142-a-certificate-that-is-hung-up-on.md).

In memory only: after a restart the new one has its turn first, and nothing is lost but time. Certificates are named by
their fingerprints.

Pure: the time is an argument. None means that the clock is not set. Then nothing is given up and nothing in doubt: what
was received badly may be a certificate whose time has not come, and it stands back until the time is known.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

DOUBT_PAUSE: Final = timedelta(hours=1)  #: time; most outages are over by then, and three pauses fit into any renewal
MAX_DOUBTS: Final = (
    3  #: rounds; three outages in a row that end exactly when the other certificate has its turn: hardly
)

_REFUSED: Final = "refused"
_HUNG_UP_ON: Final = "hung up on"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a good connection says about the certificates that were tried in vain before it.

    Attributes:
        given_up: they are not tried again.
        doubted: they stand back for a while.
    """

    given_up: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Doubt:
    rounds: int
    since: datetime


class Reception:
    """The memory."""

    def __init__(self) -> None:
        # With the clock set and without: without it a certificate may have been received badly for no other reason
        # than that its time has not come.
        self._turns: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._judged: dict[str, str] = {}
        self._doubts: dict[str, _Doubt] = {}

    def turns(self, now: datetime | None) -> Mapping[str, int]:
        """Return how many turns each one has had in vain since the last good connection."""
        return self._turns[now is not None]

    def doubted(self, now: datetime | None) -> frozenset[str]:
        """Return which ones stand back now."""
        return frozenset(
            name
            for name, doubt in self._doubts.items()
            if now is None or doubt.since <= now < doubt.since + DOUBT_PAUSE  # a clock set back ends it too
        )

    def next_end(self, now: datetime | None) -> datetime | None:
        """Return when the next of them has its turn again; None where none stands back."""
        ends = [doubt.since + DOUBT_PAUSE for doubt in self._doubts.values()]
        return min((end for end in ends if now is not None and end > now), default=None)

    def note_refusal(self, name: str, now: datetime | None) -> None:
        """Take note that the connection was refused because of a certificate, in so many words."""
        self.note_turn(name, now)
        if now is not None:
            self._judged[name] = _REFUSED

    def note_hang_up(self, name: str, now: datetime | None) -> None:
        """Take note that a certificate was asked for and hung up on."""
        self.note_turn(name, now)
        if now is not None:
            self._judged.setdefault(name, _HUNG_UP_ON)

    def note_turn(self, name: str, now: datetime | None) -> None:
        """Take note that a certificate has had a turn in vain, which says nothing about it."""
        self._turns[now is not None][name] += 1

    def weigh(self, newer: Iterable[str], now: datetime | None) -> Verdicts:
        """Say what a good connection means for newer certificates that never worked; changes nothing.

        Args:
            newer: than the one that it was made with.
            now: the agent's time, None while its clock is not set.
        """
        if now is None:
            return Verdicts()
        judged = {name: self._judged[name] for name in newer if name in self._judged}
        given_up = [name for name, how in judged.items() if how is _REFUSED or self._rounds(name) + 1 >= MAX_DOUBTS]
        return Verdicts(tuple(given_up), tuple(name for name in judged if name not in given_up))

    def settle(self, proven: str, verdicts: Verdicts, now: datetime | None) -> None:
        """Begin anew after a good connection; while the clock is not set, everything is kept.

        Args:
            proven: the certificate that it was made with.
            verdicts: of `weigh`.
            now: as above.
        """
        if now is None:
            return
        for counts in self._turns.values():
            counts.clear()
        self._judged.clear()
        for name in (proven, *verdicts.given_up):
            self._doubts.pop(name, None)
        for name in verdicts.doubted:
            self._doubts[name] = _Doubt(self._rounds(name) + 1, now)

    def _rounds(self, name: str) -> int:
        doubt = self._doubts.get(name)
        return doubt.rounds if doubt else 0
