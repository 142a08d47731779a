"""The OCPP-J exchange over one connection: our CALLs out, the Central System's CALLs in, and their answers.

Guaranteed:

- One CALL of ours is outstanding at a time, in the order of asking; it ends by its answer, its deadline (monotonic) or
  the end of the connection, whichever is first. After a deadline the peer is probed by a ping; no pong closes the link.
- Any number of CALLs of theirs up to a bound is handled at once, each in its own task, so that a slow handler delays
  nobody and may itself `call`. Beyond the bound a CALL is refused, never queued: the reader must get at the answers
  that handlers wait for (docs/decisions/0028).
- Each array that begins with 2 and has a readable id is answered, exactly once; nothing else ever is.
- Nothing that comes in ends the exchange, and nothing it holds grows with what comes in.

Not done here: opening, closing and keeping up the connection (connection.py), what may be sent when (session.py), in
which order (outbox.py), sending again after a failure.

Tasks: whoever awaits `Exchange.run` is the reader, and may cancel it. The reader starts one task per CALL of theirs and
two that raise counted security events; it alone cancels them, and none is left when `run` has ended. `call` runs in
its caller's task and may be cancelled there: its answer, if one still comes, is dropped.

The words of the exchange (Transport, Reply, Refusal, CallFailed and its kind) stand in rpc_port.py and can be had from
here as well. The CALLs of ours are kept by own_call.py.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from chargepoint.answer_memory import AnswerMemory, Recall, digest_of
from chargepoint.event_tally import EventTally
from chargepoint.frame import Call, CallError, CallResult, ErrorCode, Frame, FrameError, decode, encode
from chargepoint.own_call import OwnCalls
from chargepoint.payload import Kind, from_wire, to_wire
from chargepoint.redact import redact_frame
from chargepoint.rpc_port import (
    CallErrorReceived,
    CallFailed,
    CallTimedOut,
    ConnectionLost,
    InvalidAnswer,
    LinkLost,
    Refusal,
    Reply,
    Serve,
    Silence,
    Then,
    Transport,
)
from chargepoint.schema import KNOWN_ACTIONS, PayloadError, Tolerance, validator
from security.event import RaiseEvent, SecurityEventType

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "AnswerMemory",
    "CallErrorReceived",
    "CallFailed",
    "CallTimedOut",
    "ConnectionLost",
    "ErrorCode",
    "Exchange",
    "InvalidAnswer",
    "Limits",
    "LinkLost",
    "Refusal",
    "Reply",
    "Serve",
    "Silence",
    "Then",
    "Transport",
]

HANDLER_GRACE: Final = timedelta(seconds=2)  #: time; what handlers get to finish when the connection has gone
MAX_MESSAGES_A_TURN: Final = 16  #: messages; taken in before other tasks have their turn: some milliseconds of a flood
MAX_PEER_TEXT: Final = 255  #: characters of a CALLERROR's code and description that are kept; OCPP-J 1.6

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of an exchange, from [connection] of config.toml.

    Attributes:
        call_timeout: how long the answer to a CALL of ours may take.
        ping_timeout: how long the pong may take when it did not come.
        max_inbound_calls: how many CALLs of theirs are handled at once, what follows their answers included.
    """

    call_timeout: timedelta
    ping_timeout: timedelta
    max_inbound_calls: int


class Exchange:
    """OCPP-J over one connection; a new connection gets a new exchange.

    Args:
        transport: the connection.
        serve: handles the Central System's requests.
        memory: what was answered before, on this and earlier connections.
        limits: times and counts.
        raise_event: records a security event.
        tolerance: what is forgiven in the Central System's messages.
    """

    def __init__(
        self,
        transport: Transport,
        serve: Serve,
        *,
        memory: AnswerMemory,
        limits: Limits,
        raise_event: RaiseEvent,
        tolerance: Tolerance | None = None,
    ) -> None:
        self.silent = False
        """While true no CALL of theirs is handled or answered in any way: the registration was Rejected."""
        self._transport = transport
        self._serve = serve
        self._memory = memory
        self._limits = limits
        self._invalid = EventTally(SecurityEventType.INVALID_MESSAGES, raise_event)
        self._replays = EventTally(SecurityEventType.ATTEMPTED_REPLAY_ATTACKS, raise_event)
        self._theirs = validator(tolerance or Tolerance())
        self._ours = validator(Tolerance())
        self._warned_zoneless = False
        self._own = OwnCalls(transport, self._send, limits.ping_timeout)
        self._handling: dict[str, bytes] = {}
        self._settled = asyncio.Event()
        self._settled.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Read until the connection has gone; returns normally then.

        A pending `call` fails at once, handlers get HANDLER_GRACE to finish. Cancelling it cancels the handlers too
        and leaves the connection open.
        """
        self._memory.begin_connection()
        tallies = (self._invalid, self._replays)
        reporters = [asyncio.create_task(tally.report(), name=tally.event_type) for tally in tallies]
        try:
            await self._read()
            self._own.end()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=HANDLER_GRACE.total_seconds())
        finally:
            self._own.end()
            tasks = [*reporters, *self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._settled.set()
            for tally in tallies:
                await tally.flush()

    async def settle(self) -> None:
        """Wait until each CALL of theirs that has come is answered; what follows the answers is not waited for."""
        await self._settled.wait()

    async def call(self, request: "DataclassInstance", timeout: timedelta | None = None) -> Any:
        """Send a CALL when its turn has come and return the dataclass of its answer.

        Args:
            request: a dataclass of `call`.
            timeout: how long the answer may take from sending on; the limit's by default. Waiting for the turn is not
                bounded here: each CALL before it is.

        Raises:
            CallFailed: there is no answer; see the tree above.
            RuntimeError: our own request breaks its schema.
        """
        action = type(request).__name__
        payload = to_wire(request)
        try:
            self._ours.validate_request(action, payload)
        except PayloadError as error:
            raise RuntimeError(f"our own {action}.req is invalid: {error}") from error
        answer = await self._own.ask(action, payload, timeout or self._limits.call_timeout)
        if isinstance(answer, CallError):
            raise CallErrorReceived(action, answer.code[:MAX_PEER_TEXT], answer.description[:MAX_PEER_TEXT])
        try:
            self._theirs.validate_response(action, answer.payload)
        except PayloadError as error:
            self._invalid.note(f"{action}.conf, {error}")
            raise InvalidAnswer(f"{action}.conf is invalid: {error}") from None
        self._warn_zoneless()
        return from_wire(action, answer.payload, Kind.RESPONSE)

    async def _read(self) -> None:
        try:
            while True:
                for _ in range(MAX_MESSAGES_A_TURN):
                    # Outside the net below: a transport that fails in other ways than LinkLost would be read for ever.
                    message = await self._transport.receive()
                    await self._take_in(message)
                await asyncio.sleep(0)  # messages that wait already are received without a turn of the event loop
        except LinkLost as lost:
            if lost.invalid_message:
                self._invalid.note(str(lost))

    async def _take_in(self, message: str | bytes) -> None:
        try:
            if not isinstance(message, str):
                self._invalid.note("a binary message")
                return
            frame = decode(message)
            if isinstance(frame, Call):
                await self._accept_call(frame, digest_of(message))
            else:
                self._accept_answer(frame)
                # Whoever waits for the answer goes first: after a Rejected, what came in the same read is not answered.
                await asyncio.sleep(0)
        except FrameError as error:
            await self._accept_malformed(error)
        except LinkLost:
            raise
        except Exception:  # noqa: BLE001 - a fault of ours in one message must not cost the connection
            _log.exception("a message could not be taken in")

    async def _accept_malformed(self, error: FrameError) -> None:
        self._invalid.note(error.reason)
        if error.unique_id is None:
            return
        if error.code is not None:
            await self._refuse(error.unique_id, error.code, error.reason)
        else:
            self._own.reject(error.unique_id, error.reason)

    def _accept_answer(self, answer: CallResult | CallError) -> None:
        self._trace("received", answer, self._own.action_of(answer.unique_id))
        if not self._own.accept(answer):
            self._invalid.note("an answer that nobody waits for")

    async def _accept_call(self, call: Call, digest: bytes) -> None:
        self._trace("received", call, call.action)
        if self.silent:
            return
        answer = self._memory.recall(call.unique_id, digest)
        if isinstance(answer, str):
            _log.info("%s was sent again and gets the same answer", call.action)
            await self._transport.send(answer)
            return
        try:
            if answer is Recall.OTHER_CONTENT:
                raise self._replay()
            request = self._admit(call, digest)
        except Refusal as refusal:
            await self._refuse(call.unique_id, refusal.code, refusal.description)
            return
        self._handling[call.unique_id] = digest
        self._settled.clear()
        self._tasks.add(asyncio.create_task(self._handle(call, request, digest), name=call.action))

    def _admit(self, call: Call, digest: bytes) -> Any:
        """Return the request of a CALL that may be handled now; raise Refusal for any other."""
        in_work = self._handling.get(call.unique_id)
        if in_work is not None:
            if in_work != digest:
                raise self._replay()
            raise Refusal(ErrorCode.GENERIC_ERROR, "this message id is being handled")
        if call.action not in KNOWN_ACTIONS:
            raise Refusal(ErrorCode.NOT_IMPLEMENTED, "this action is not known")
        if len(self._tasks) >= self._limits.max_inbound_calls:
            raise Refusal(ErrorCode.GENERIC_ERROR, "too many requests at once")
        try:
            self._theirs.validate_request(call.action, call.payload)
        except PayloadError as error:
            self._invalid.note(f"{call.action}.req, {error}")
            raise Refusal(error.code, str(error)) from None
        self._warn_zoneless()
        return from_wire(call.action, call.payload, Kind.REQUEST)

    def _replay(self) -> Refusal:
        self._replays.note("a message id came again with other content")
        return Refusal(ErrorCode.SECURITY_ERROR, "this message id was used before")

    async def _handle(self, call: Call, request: Any, digest: bytes) -> None:
        """Answer one CALL of theirs and do what follows, in its own task; raises nothing."""
        try:
            then = await self._serve_and_answer(call, request, digest)
            if then is not None:
                await self._follow_up(call.action, then)
        finally:
            # Not by a done callback: that would cost each request another turn of the event loop.
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _serve_and_answer(self, call: Call, request: Any, digest: bytes) -> Then | None:
        try:
            answer, then = await self._work(call, request)
            text = encode(answer)
            # Before it is sent: if the link goes now, the Central System may ask again over the next one.
            self._memory.remember(call.unique_id, digest, text)
            with suppress(LinkLost):
                await self._answer(answer, text, call.action)
        except Silence:
            return None
        finally:
            del self._handling[call.unique_id]
            if not self._handling:
                self._settled.set()
        return then

    async def _work(self, call: Call, request: Any) -> tuple[CallResult | CallError, Then | None]:
        try:
            reply = await self._serve(request, call.action)
            payload = to_wire(reply.conf)
            self._ours.validate_response(call.action, payload)
        except Silence:
            raise
        except Refusal as refusal:
            return CallError(call.unique_id, refusal.code, refusal.description), None
        except CallFailed as error:
            _log.warning("%s could not be handled: %s", call.action, error)
        except Exception:  # noqa: BLE001 - a fault of ours in one handler must not end the agent
            _log.exception("%s could not be handled", call.action)
        else:
            return CallResult(call.unique_id, payload), reply.then
        return CallError(call.unique_id, ErrorCode.INTERNAL_ERROR, "the request could not be handled"), None

    async def _follow_up(self, action: str, then: Then) -> None:
        try:
            await then()
        except CallFailed as error:
            _log.warning("what follows %s failed: %s", action, error)
        except Exception:  # noqa: BLE001 - as for a handler
            _log.exception("what follows %s failed", action)

    async def _refuse(self, unique_id: str, code: ErrorCode, description: str) -> None:
        refusal = CallError(unique_id, code, description)
        await self._answer(refusal, encode(refusal))

    async def _answer(self, answer: CallResult | CallError, text: str, action: str = "") -> None:
        if self.silent:
            return
        self._trace("sent", answer, action)
        await self._transport.send(text)

    async def _send(self, call: Call) -> None:
        self._trace("sent", call, call.action)
        await self._transport.send(encode(call))

    def _trace(self, way: str, frame: Frame, action: str) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s %s", way, redact_frame(frame, action))

    def _warn_zoneless(self) -> None:
        if self._theirs.take_zoneless() and not self._warned_zoneless:
            self._warned_zoneless = True
            _log.warning("the Central System sends a date-time without a zone; it is read as UTC")
