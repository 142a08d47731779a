"""The answers given to the Central System's recent CALLs, so that a CALL sent again is not handled again.

Guaranteed: bounded in number and bytes, the oldest go first; it outlives the connection, but not the process.

Not done here: nothing is sent, and no event is raised.

- On one connection an id belongs to one CALL for good: the same content gets the remembered answer, other content is an
  attempted replay.
- On a later connection OCPP-J 1.6 (4.1.4) lets the Central System use its ids anew, and those that count from 1 do. The
  same content within RESEND_WINDOW is taken for a CALL that was sent again because the answer was lost with the old
  connection; anything else is a new CALL (docs/decisions/0027).
- Contents are compared by digest, so that no secret of a request is kept.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Final, NamedTuple

MAX_REMEMBERED_ANSWERS: Final = 64  #: answers; default of [connection] max_remembered_answers
MAX_REMEMBERED_BYTES: Final = 262_144  #: bytes; as many as the largest frame, so that one answer always fits
RESEND_WINDOW: Final = timedelta(minutes=5)  #: time; longer than any call timeout plus reconnect seen in the field

_DIGEST_BYTES: Final = 16  #: bytes; no two CALLs of a lifetime meet by chance in 128 bits


class Recall(Enum):
    """What the memory says of an id for which it has no answer to give."""

    NEW = "new"
    OTHER_CONTENT = "other content"


class _Answer(NamedTuple):
    digest: bytes
    text: str
    connection: int
    given_at: float


def digest_of(text: str) -> bytes:
    """Return the digest of a CALL as it came; whoever sends a CALL again sends the same text."""
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


class AnswerMemory:
    """Remembers what was answered to which CALL.

    Args:
        max_answers: how many answers are kept.
        max_bytes: how many bytes their texts may have together; an answer larger than that is not kept.
        monotonic: seconds of a clock that never steps.
    """

    def __init__(
        self,
        max_answers: int = MAX_REMEMBERED_ANSWERS,
        max_bytes: int = MAX_REMEMBERED_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._bytes = 0
        self._connection = 0

    def begin_connection(self) -> None:
        """Note that ids seen from now on come over a new connection."""
        self._connection += 1

    def recall(self, unique_id: str, digest: bytes) -> str | Recall:
        """Return the text of the answer that was given to this CALL, or why there is none."""
        answer = self._answers.get(unique_id)
        if answer is None:
            return Recall.NEW
        if answer.connection == self._connection:
            return answer.text if answer.digest == digest else Recall.OTHER_CONTENT
        age = self._monotonic() - answer.given_at
        if answer.digest == digest and age <= RESEND_WINDOW.total_seconds():
            return answer.text
        return Recall.NEW

    def remember(self, unique_id: str, digest: bytes, text: str) -> None:
        """Keep an answer, the frame as it is sent; an older one of the same id is replaced."""
        self._forget(unique_id)
        self._answers[unique_id] = _Answer(digest, text, self._connection, self._monotonic())
        self._bytes += len(text)  # frames are ASCII: one byte a character
        while len(self._answers) > self._max_answers or self._bytes > self._max_bytes:
            self._forget(next(iter(self._answers)))

    def _forget(self, unique_id: str) -> None:
        answer = self._answers.pop(unique_id, None)
        if answer is not None:
            self._bytes -= len(answer.text)
