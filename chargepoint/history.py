"""What has happened lately, for the diagnostics: connections and transfers, the newest entries of a bounded number.

Guaranteed: an entry holds no credentials of a URL; entries of equal content in a row are one that counts, so that an
outage of months leaves the hours before it readable. Noting costs nothing and touches no disk: after a restart a
history begins anew, and the agent's log (log_file.py) has what was before.

Not done here: knowing what happened. Whoever acts notes it.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from chargepoint.date_time import write_date_time
from chargepoint.mistake import printable
from chargepoint.redact import redact_url

MAX_ENTRIES: Final = 200  #: count; some weeks of an ordinary connection, 50 KB
MAX_TEXT_CHARACTERS: Final = 500  #: characters; of one detail: a reason is a sentence, an address has at most 512

Detail = str | int | float | bool | None


@dataclass(slots=True)
class _Entry:
    first_at: datetime
    last_at: datetime
    times: int
    what: str
    details: Mapping[str, Detail]


class History:
    """A history.

    Args:
        now: the agent's clock.
        max_entries: how many are kept; the oldest go first.
    """

    def __init__(self, now: Callable[[], datetime], max_entries: int = MAX_ENTRIES) -> None:
        self._now = now
        self._entries: deque[_Entry] = deque(maxlen=max_entries)

    def note(self, what: str, **details: Detail) -> None:
        """Add what has happened now.

        Args:
            what: in one or two words, such as ``connected`` or ``log upload``.
            details: by name; texts are made printable, cut, and lose the credentials of a URL. No other secrets.
        """
        shown = {name: _shown(detail) for name, detail in details.items() if detail is not None}
        now = self._now()
        last = self._entries[-1] if self._entries else None
        if last is not None and (last.what, last.details) == (what, shown):
            last.last_at, last.times = now, last.times + 1
        else:
            self._entries.append(_Entry(now, now, 1, what, shown))

    def entries(self, oldest: datetime | None = None, latest: datetime | None = None) -> list[dict[str, Any]]:
        """Return what has happened, oldest first, as plain JSON.

        Args:
            oldest: not what was over before this instant.
            latest: not what began after this instant.
        """
        return [
            {
                "at": write_date_time(entry.first_at),
                **({"until": write_date_time(entry.last_at), "times": entry.times} if entry.times > 1 else {}),
                "what": entry.what,
                **entry.details,
            }
            for entry in self._entries
            if (oldest is None or entry.last_at >= oldest) and (latest is None or entry.first_at <= latest)
        ]


def _shown(detail: Detail) -> Detail:
    return printable(redact_url(detail))[:MAX_TEXT_CHARACTERS] if isinstance(detail, str) else detail
