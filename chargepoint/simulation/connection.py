"""One Charge Point connected to the simulated Central System: its requests served, its breaches noted.

- A request is answered in the order given by the script, else as a content Central System would (duty.py).
- What breaks OCPP-J 1.6 is noted as a finding and then answered as a careful Central System would: a CALL with a
  CALLERROR, anything else not at all.
- A request is answered before whoever waits for it runs on, so that a test may send its own CALL at once.

Tasks: the Central System starts `run` and may cancel it; a delayed answer is a task that `run` cancels at its end.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from chargepoint.simulation import frame as frames
from chargepoint.simulation import schema, script
from chargepoint.simulation.caller import Caller, ConnectionGone
from chargepoint.simulation.duty import Duty
from chargepoint.simulation.finding import Rule
from chargepoint.simulation.frame import BadFrame, Call, CallError, CallResult, Frame, Payload
from chargepoint.simulation.orders import Orders
from chargepoint.simulation.recorder import Direction, FrameEntry, Gone, Recorder
from chargepoint.simulation.registration import BOOT, Registration
from chargepoint.simulation.script import Script
from chargepoint.simulation.websocket import WebSocket, WebSocketClosed
from chargepoint.simulation.wire import WireLost

CLOSE_TIMEOUT: Final = timedelta(
    seconds=2
)  #: time for the closing handshake; then the socket is cut, on loopback it takes milliseconds
MAX_SEEN_IDS: Final = 10_000  #: message ids per connection, to see repetitions; 1 MB at most
MAX_DESCRIPTION_LENGTH: Final = 255  #: characters; errorDescription of OCPP-J 1.6 section 4.2.3

Settled = Callable[["Connection", Call, Payload], None]


class Connection:
    """A Charge Point that was let in.

    Attributes:
        number: number of the connection, counted from 1.
        identity: the Charge Point.
        profile: the security profile in which it connected.
        websocket: the WebSocket below.
        caller: our CALLs.
    """

    def __init__(
        self,
        number: int,
        identity: str,
        profile: int,
        websocket: WebSocket,
        *,
        duty: Duty,
        script: Script,
        recorder: Recorder,
        registration: Registration,
        orders: Orders,
        settled: Settled,
    ) -> None:
        self.number = number
        self.identity = identity
        self.profile = profile
        self.websocket = websocket
        self.caller = Caller(self._send_call, self._find, self._note_answer)
        self._duty = duty
        self._script = script
        self._recorder = recorder
        self._registration = registration
        self._orders = orders
        self._settled = settled
        self._ended = asyncio.Event()
        self._seen_ids: OrderedDict[str, None] = OrderedDict()
        self._owed: dict[str, float] = {}
        self._last_call_read = -1
        self._delayed: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self.websocket.is_open and not self._ended.is_set()

    async def run(self) -> None:
        """Serve until the connection is gone; record its end."""
        end = WebSocketClosed(1006, "cut by the Central System")
        try:
            while True:
                self._receive(await self.websocket.receive())
                await self.websocket.wire.drain()
        except WebSocketClosed as closed:
            end = closed
        except WireLost as lost:
            end = WebSocketClosed(1006, str(lost))
        finally:
            await self._finish(end)

    def send_raw(self, data: str | bytes) -> None:
        """Send any WebSocket message: text, or binary for bytes. Raises `ConnectionGone`."""
        self._send(data)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes below the WebSocket, garbage for instance; they are not recorded."""
        self.websocket.wire.write(data)

    def cut(self, *, reset: bool = False) -> None:
        """Drop the TCP connection, with a RST if `reset`."""
        self.websocket.wire.cut(reset=reset)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order; cut where the Charge Point does not answer the close frame."""
        self.websocket.start_close(code, reason)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                await self._ended.wait()
        except TimeoutError:
            self.cut()
            await self._ended.wait()

    async def ended(self) -> None:
        """Wait until the connection is gone."""
        await self._ended.wait()

    def _receive(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._record("received", message)
            self._find(Rule.BINARY_FRAME, f"{len(message)} bytes")
            return
        try:
            frame = frames.parse(message)
        except BadFrame as bad:
            self._record("received", message)
            self._find(Rule.FRAME, bad.reason)
            if bad.is_call and bad.unique_id is not None:
                self._answer_error(bad.unique_id[: frames.MAX_ID_LENGTH], "FormationViolation", bad.reason)
            return
        if isinstance(frame, Call):
            self._record("received", message, frame, frame.action)
            self._serve(frame)
            return
        self._record("received", message, frame, self.caller.action_of(frame.unique_id))
        if fault := self._registration.fault_of_answer():
            self._find(fault, self.caller.action_of(frame.unique_id))
        self.caller.settle(frame)

    def _serve(self, call: Call) -> None:
        self._watch(call)
        if call.action not in schema.FROM_CHARGE_POINT:
            self._find(Rule.UNKNOWN_ACTION, f"{call.action:.50}")
            known = call.action in schema.FROM_CENTRAL_SYSTEM
            self._answer_error(call.unique_id, "NotSupported" if known else "NotImplemented")
            return
        if fault := self._registration.fault_of_call(call.action, time.monotonic()):
            self._find(fault, call.action)
        try:
            schema.check_request(call.action, call.payload)
        except schema.Violation as violation:
            self._find(Rule.SCHEMA, f"{call.action}.req: {violation.reason}")
            self._answer_error(call.unique_id, violation.code, violation.reason)
            return
        for rule, detail in (
            *self._orders.breaches(call.action, call.payload, self.number),
            *self._duty.transactions.breaches(self.identity, call.action, call.payload),
        ):
            self._find(rule, detail)
        self._perform(self._script.next(call.action), call)

    def _watch(self, call: Call) -> None:
        if call.unique_id in self._seen_ids:
            self._find(Rule.REPEATED_ID, call.action)
        self._seen_ids[call.unique_id] = None
        if len(self._seen_ids) > MAX_SEEN_IDS:
            self._seen_ids.popitem(last=False)
        # Two CALLs out of one read: the second was on its way before the answer to the first could be.
        if self._last_call_read == self.websocket.reads:
            self._find(Rule.OVERLAPPING_CALL, f"{call.action}, in one go with the CALL before")
        self._last_call_read = self.websocket.reads
        for since in self._owed.values():
            self._find(Rule.OVERLAPPING_CALL, f"{call.action}, {time.monotonic() - since:.1f} s after the CALL before")

    def _perform(self, step: script.Step, call: Call) -> None:
        match step:
            case script.Usual():
                self._answer(call, self._duty.answer(call.action, call.payload, self.identity))
            case script.Answer(payload):
                self._answer(call, dict(payload(call.payload) if callable(payload) else payload))
            case script.WrongId(unique_id):
                self._try_send(
                    CallResult(unique_id, self._duty.answer(call.action, call.payload, self.identity)), call.action
                )
            case script.Error(code, description, details):
                self._try_send(CallError(call.unique_id, code, description, details), call.action)
            case script.Raw(data):
                text = data.replace("{id}", call.unique_id) if isinstance(data, str) else data
                with contextlib.suppress(ConnectionGone):
                    self._send(text)
            case script.Cut(reset):
                self.cut(reset=reset)
            case script.Delayed(until, then):
                task = asyncio.create_task(self._perform_later(until, then, call))
                self._delayed.add(task)
                task.add_done_callback(self._delayed.discard)
            case script.Silence():
                pass  # when the Charge Point gives up is its own affair, so its next CALL overlaps nothing

    async def _perform_later(self, until: asyncio.Event, step: script.Step, call: Call) -> None:
        self._owed[call.unique_id] = time.monotonic()
        try:
            await until.wait()
        finally:
            del self._owed[call.unique_id]
        self._perform(step, call)

    def _answer(self, call: Call, payload: Payload) -> None:
        if call.action == BOOT:
            self._registration.note_boot(payload, time.monotonic())
        if call.action == "StartTransaction" and isinstance(number := payload.get("transactionId"), int):
            self._duty.transactions.remember(self.identity, number)
        self._try_send(CallResult(call.unique_id, payload), call.action)

    def _answer_error(self, unique_id: str, code: str, description: str = "") -> None:
        self._try_send(CallError(unique_id, code, description[:MAX_DESCRIPTION_LENGTH]), "")

    def _note_answer(self, call: Call, payload: Payload) -> None:
        if call.action in ("TriggerMessage", "ExtendedTriggerMessage") and payload.get("status") == "Accepted":
            self._registration.note_trigger(call.payload)
        self._orders.note_answer(call, payload, self.number)
        self._settled(self, call, payload)

    def _send_call(self, call: Call) -> None:
        self._orders.note_sent(call, self.number)
        self._send(frames.render(call), call, call.action)

    def _try_send(self, frame: Frame, action: str) -> None:
        with contextlib.suppress(ConnectionGone):  # the Charge Point left before its answer
            self._send(frames.render(frame), frame, action)

    def _send(self, data: str | bytes, frame: Frame | None = None, action: str = "") -> None:
        try:
            self.websocket.send(data)
        except WebSocketClosed as closed:
            raise ConnectionGone(str(closed)) from closed
        self._record("sent", data, frame, action)

    def _record(self, direction: Direction, data: str | bytes, frame: Frame | None = None, action: str = "") -> None:
        self._recorder.add(
            FrameEntry(
                connection=self.number,
                identity=self.identity,
                direction=direction,
                data=data,
                frame=frame,
                action=action,
            )
        )

    def _find(self, rule: Rule, detail: str) -> None:
        self._recorder.find(rule, detail, identity=self.identity, connection=self.number)

    async def _finish(self, end: WebSocketClosed) -> None:
        if self.websocket.fault:
            self._find(Rule.WEBSOCKET, self.websocket.fault)
        self.caller.fail(str(end))
        self._ended.set()
        self._recorder.add(Gone(connection=self.number, identity=self.identity, code=end.code, reason=end.reason))
        for task in self._delayed:
            task.cancel()
        await asyncio.gather(*self._delayed, return_exceptions=True)
        await self.websocket.wire.close()
