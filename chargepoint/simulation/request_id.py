"""Numbers for orders: one row for all of this process, so that no Charge Point sees a requestId for two things."""

from itertools import count
from typing import Final

_numbers: Final = count(1)


def next_request_id() -> int:
    """Return a number that was not used before."""
    return next(_numbers)
