"""The words of the exchange: what it needs of a connection, what it asks of handlers, and how a CALL fails.

CallFailed
├── CallErrorReceived   the Central System answered with CALLERROR
├── CallTimedOut        it did not answer in time, but its WebSocket lives
├── ConnectionLost      the connection went, or was gone
└── InvalidAnswer       it answered with what no schema allows

Plain data and protocols: nothing here does anything.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from chargepoint.frame import ErrorCode

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class LinkLost(Exception):
    """Raised by a Transport when the connection has gone.

    Attributes:
        invalid_message: it went because of what the peer sent: a frame too large, or one that is no WebSocket.
    """

    def __init__(self, reason: str = "", *, invalid_message: bool = False) -> None:
        super().__init__(reason)
        self.invalid_message = invalid_message


class Transport(Protocol):
    """What the exchange needs of a connection; each method raises LinkLost when it has gone."""

    async def receive(self) -> str | bytes:
        """Return the next message, text or binary; cancelling loses none."""

    async def send(self, text: str) -> None:
        """Send one text message; waits while the peer does not read."""

    async def ping(self, timeout: timedelta) -> bool:
        """Send a ping and tell whether its pong came in time."""

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; `receive` then raises LinkLost."""


class CallFailed(Exception):
    """Root of the reasons why `Exchange.call` has no answer to return."""


class CallErrorReceived(CallFailed):
    """Raised when the Central System answered with CALLERROR; `code` is its own text, known to us or not."""

    def __init__(self, action: str, code: str, description: str) -> None:
        super().__init__(f"{action} was answered with CALLERROR {code!a}: {description!a}")
        self.code = code
        self.description = description

    @property
    def lacks_message(self) -> bool:
        """Whether the Central System does not have this message at all: to say it again changes nothing."""
        return self.code in (ErrorCode.NOT_IMPLEMENTED.value, ErrorCode.NOT_SUPPORTED.value)


class CallTimedOut(CallFailed):
    """Raised when no answer came in time, though the peer's WebSocket lives."""


class ConnectionLost(CallFailed):
    """Raised when the connection went before the answer came; whether the CALL arrived is not known."""


class InvalidAnswer(CallFailed):
    """Raised when the answer was not one that the schema allows."""


class Refusal(Exception):
    """Raised by a handler to answer with CALLERROR; the description goes to the Central System."""

    def __init__(self, code: ErrorCode, description: str = "") -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class Silence(Exception):
    """Raised by a handler to answer nothing at all; the CALL may come again."""


Then = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A handler's answer.

    Attributes:
        conf: a dataclass of `call_result`.
        then: what is done once it has been sent, or could not be because the link went. It is cancelled with the
            exchange (rpc.HANDLER_GRACE), so what must outlive the connection is handed to somebody else here.
    """

    conf: "DataclassInstance"
    then: Then | None = None


Serve = Callable[[Any, str], Awaitable[Reply]]
"""``await serve(request, action)`` handles one valid request; raises Refusal or Silence."""
