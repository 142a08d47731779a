"""Frames that nobody should have to read: malformed, forged, stale, huge and hostile ones, each kind in turn.

Guaranteed: no two frames are alike, so that whatever remembers them grows; a few kinds are answered with CALLERROR,
none with CALLRESULT.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Final

NESTING: Final = 2000  #: levels; above every parser's limit
LARGE_CHARACTERS: Final = 20_000  #: twice the largest field of OCPP 1.6

_REUSED_ID: Final = "one-id-for-all"

KINDS: Final[tuple[Callable[[int], str | bytes], ...]] = (
    lambda n: f'[2,"{n}","Heartbeat",{{',  # cut off
    lambda n: f"garbage {n}",
    lambda n: "[" * NESTING + str(n),
    lambda n: json.dumps({"messageId": n}),
    lambda n: json.dumps([5, str(n), {}]),  # a type that does not exist
    lambda n: json.dumps([2, f"{n:x<50}", "GetConfiguration", {}]),  # an id that is too long
    lambda n: json.dumps([2, str(n), f"NoAction{n}", {}]),
    lambda n: json.dumps([2, str(n), ["GetConfiguration"], {}]),
    lambda n: json.dumps([2, str(n), "GetConfiguration", {"key": n}]),
    lambda n: json.dumps([2, str(n), "GetConfiguration", {"key": [f"{n:k<60}"]}]),
    lambda n: json.dumps([2, str(n), "GetConfiguration", {"key": ["x" * LARGE_CHARACTERS]}]),
    lambda n: json.dumps([2, str(n), "ChangeConfiguration", {"key": "HeartbeatInterval", f"value{n}": "1"}]),
    lambda n: json.dumps([2, _REUSED_ID, "GetConfiguration", {"key": n}]),  # a replay with other content
    lambda n: json.dumps([2, str(n), "GetConfiguration", {"key": [f"\ud800{n}"]}]),  # half a character
    lambda n: f'[2,"{n}","GetConfiguration",{{"key":["a"],"key":["{n}"]}}]',
    lambda n: f'[2,"{n}","GetConfiguration",{{"key":[NaN]}}]',
    lambda n: f'[2,"{n}","GetConfiguration",{{"key":[{"9" * 1000}]}}]',
    lambda n: json.dumps([3, str(n), {"status": "Accepted"}]),  # an answer to nothing
    lambda n: json.dumps([4, str(n), "InternalError", "four elements"]),
    lambda n: json.dumps([4, str(n), "InternalError", "", {"detail": n}]),
    lambda n: n.to_bytes(8) * 20,  # a binary message
)


def frames() -> Iterator[str | bytes]:
    """Yield frames without end."""
    for number in itertools.count(1):
        yield KINDS[number % len(KINDS)](number)
