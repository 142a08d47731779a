"""A gate before the log, so that nobody fills the disk by making the agent write the same line for ever.

Guaranteed: of each kind of line so many pass at once and then one each interval, which tells how many were left out; a
kind is one place in the program, whatever values its lines show. Debug lines always pass: whoever asks for them wants
all of them.

Not done here: what the security log keeps (events.py has bounds of its own).
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from chargepoint.allowance import Allowance

MAX_LINES: Final = 200  #: lines; of one kind at once, far more than an honest minute brings
LINE_INTERVAL: Final = timedelta(seconds=5)  #: time; afterwards a kind of line fills some MB a day
MAX_KINDS: Final = 512  #: kinds; the program has fewer, but a library may put values into its format


class _Kind:
    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self.left_out = 0


class FloodGate(logging.Filter):
    """A filter for the one handler of the log.

    Args:
        monotonic: seconds of a clock that never steps.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line may pass; the first one after others were left out bears their number."""
        if record.levelno < logging.INFO:
            return True
        kind = self._kind(record.name, str(record.msg))
        if not kind.allowance.take():
            kind.left_out += 1
            return False
        if kind.left_out:
            record.msg = f"{record.getMessage()} ({kind.left_out} more like it were left out)"
            record.args = None
            kind.left_out = 0
        return True

    def _kind(self, name: str, template: str) -> _Kind:
        if len(self._kinds) > MAX_KINDS:
            self._kinds.clear()
        key = name, template
        if key not in self._kinds:
            self._kinds[key] = _Kind(Allowance(MAX_LINES, LINE_INTERVAL, self._monotonic))
        return self._kinds[key]
