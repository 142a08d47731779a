"""The ways in which a simulated file server may be wrong, and how often.

A fault strikes the next requests that it fits, `times` of them (None: from now on); the rest go well, so that the
invariant "the next attempt succeeds" can be shown. Faults with a count are used up first, in the order in which they
were added; the standing fault comes after them. A request is struck by one fault at most, and only once it has passed
the door: who comes without the right password uses none up.

What one request is: with HTTP a request, with FTP a session (its login for `RefuseLogin`), with SFTP a connection.
Bytes are counted from the beginning of that transfer, wherever in the file it began.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import TypeVar

from chargepoint.simulation.authority import Issued


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        times: how many requests are struck, None for all from now on.
    """

    times: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterBytes(Fault):
    """Strikes in the middle of a transfer.

    Attributes:
        bytes: how many pass first; as many as the file has: all of it, but not the answer to an upload. Where the
            transfer is shorter, nothing happens.
    """

    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAfter(AfterBytes):
    """The connection is cut: with a RST if `reset`, else with a FIN (a RST all the same where bytes lie unread)."""

    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StallAfter(AfterBytes):
    """Nothing moves any more, and the connection stays open until the other end leaves it.

    That end of an upload is not seen before the server stops: it stands behind the bytes that nobody reads.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFull(AfterBytes):
    """The server's disk is full: HTTP 507, FTP 552, SFTP "no space"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Fault):
    """Nothing goes faster than this."""

    bytes_per_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseLogin(Fault):
    """The right password is refused too: HTTP 401, FTP 530, SFTP authentication failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPermission(Fault):
    """The account may not do that: HTTP 403, FTP 550, SFTP "permission denied".

    Attributes:
        ftp_reply: what FTP answers: 550 most servers, 553 some to an upload.
    """

    ftp_reply: int = 550


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingDirectory(Fault):
    """There is no such directory or file: HTTP 404, FTP 550, SFTP "no such file"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Fault):
    """The file that is asked for is another one from now on: its content is replaced before it is sent."""

    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NoResume(Fault):
    """The server cannot begin in the middle: HTTP ignores Range, FTP answers 502 to REST and APPE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLength(Fault):
    """The length that is announced is wrong: HTTP Content-Length, the answer to FTP SIZE.

    Attributes:
        by: how many bytes too many, or too few if negative.
    """

    by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed(Fault):
    """The answer is none of this protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved(Fault):
    """HTTP: what is asked for is elsewhere.

    Attributes:
        to: a URL, or a path on this server; without `times` one that points to itself is a loop.
        status: 301, 302, 303, 307 or 308.
    """

    to: str
    status: int = 302


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpError(Fault):
    """HTTP: this status.

    Attributes:
        status: the status.
        retry_after: seconds of a Retry-After header, None for no such header.
    """

    status: int
    retry_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunked(Fault):
    """HTTP: the file comes in chunks, its length is not said beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowCertificate(Fault):
    """TLS: another certificate is shown: a stranger's, an expired one (see `faults.bad_server_certificates`).

    It strikes connections, before any other fault.
    """

    certificate: Issued


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherHostKey(Fault):
    """SFTP: the server has another host key than it had; it strikes connections, before any other fault."""


F = TypeVar("F", bound=Fault)


class FaultQueue:
    """The faults of one server. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: deque[Fault] = deque()
        self._standing: dict[type[Fault], Fault] = {}

    def add(self, fault: Fault) -> None:
        """Add a fault behind those that have a count; a standing one takes the place of an older one of its kind."""
        with self._lock:
            if fault.times is None:
                self._standing[type(fault)] = fault
            else:
                self._counted.extend([fault] * fault.times)

    def clear(self) -> None:
        """Forget all of them: the server is right again."""
        with self._lock:
            self._counted.clear()
            self._standing.clear()

    def take(self, *kinds: type[F]) -> F | None:
        """Use up and return the fault for a request that can be struck by these kinds, None where nothing strikes."""
        with self._lock:
            for index, fault in enumerate(self._counted):
                if isinstance(fault, kinds):
                    del self._counted[index]
                    return fault
            return next((fault for fault in self._standing.values() if isinstance(fault, kinds)), None)


def room(fault: Fault | None, done: int, wanted: int) -> int:
    """Return how many of the wanted bytes may pass before the fault strikes; 0: it strikes now."""
    return min(wanted, max(0, fault.bytes - done)) if isinstance(fault, AfterBytes) else wanted
