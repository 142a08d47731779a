"""The CALLs of the simulated Central System on one connection, and the answers to them.

One CALL is outstanding at a time unless a test asks for more. A late answer to a CALL that timed out is no breach, an
answer to an id that was never asked is one, and so are a second answer and a CALLERROR code that Table 7 does not have.
"""

import asyncio
import contextlib
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from chargepoint.simulation import schema
from chargepoint.simulation.finding import Rule
from chargepoint.simulation.frame import ERROR_CODES, Call, CallError, CallResult, Payload

CALL_TIMEOUT: Final = timedelta(seconds=30)  #: time for an answer; default of the `ocpp` package
MAX_CLOSED_IDS: Final = 10_000  #: ids of finished CALLs per connection, to judge late answers; 1 MB at most


class CallRefused(Exception):
    """Raised when the Charge Point answers a CALL with a CALLERROR."""

    def __init__(self, error: CallError) -> None:
        super().__init__(f"{error.code}: {error.description}")
        self.code = error.code
        self.description = error.description
        self.details = error.details


class BadAnswer(Exception):
    """Raised when the Charge Point's .conf breaks its schema; `payload` is what it sent."""

    def __init__(self, reason: str, payload: Payload) -> None:
        super().__init__(reason)
        self.payload = payload


class ConnectionGone(Exception):
    """Raised when the connection ended before the answer came."""


@dataclass(frozen=True, slots=True)
class _Pending:
    call: Call
    answer: "asyncio.Future[Payload]"


class Caller:
    """Sends CALLs and hands their answers to whoever waits.

    Args:
        send: puts a CALL on the wire; may raise `ConnectionGone`.
        find: notes a breach.
        settled: told of each CALL that was answered as its schema wants, before its waiter runs on.
    """

    def __init__(
        self,
        send: Callable[[Call], None],
        find: Callable[[Rule, str], None],
        settled: Callable[[Call, Payload], None],
    ) -> None:
        self._send = send
        self._find = find
        self._settled = settled
        self._turn = asyncio.Lock()
        self._pending: dict[str, _Pending] = {}
        self._closed: OrderedDict[str, bool] = OrderedDict()  # whether they were answered

    async def call(
        self, action: str, payload: Mapping[str, Any], *, timeout: timedelta, checked: bool, at_once: bool
    ) -> Payload:
        """Send a CALL and wait for its answer; see `CentralSystem.call`."""
        if checked:
            _check(action, payload)
        async with contextlib.nullcontext() if at_once else self._turn:
            call = Call(str(uuid.uuid4()), action, dict(payload))
            pending = _Pending(call, asyncio.get_running_loop().create_future())
            self._pending[call.unique_id] = pending
            try:
                self._send(call)
                async with asyncio.timeout(timeout.total_seconds()):
                    return await pending.answer
            finally:
                if self._pending.pop(call.unique_id, None) is not None:
                    self._close(call.unique_id, answered=False)

    def action_of(self, unique_id: str) -> str:
        """Return the action of the CALL that an answer belongs to, "" where it waits for none."""
        pending = self._pending.get(unique_id)
        return pending.call.action if pending else ""

    def settle(self, answer: CallResult | CallError) -> None:
        """Take an answer that has come."""
        if isinstance(answer, CallError) and answer.code not in ERROR_CODES:
            self._find(Rule.ERROR_CODE, f"{answer.code:.50}")
        pending = self._pending.pop(answer.unique_id, None)
        if pending is None:
            answered = self._closed.get(answer.unique_id)
            if answered is not False:
                self._find(Rule.UNKNOWN_ANSWER if answered is None else Rule.REPEATED_ANSWER, answer.unique_id)
            return
        self._close(answer.unique_id, answered=True)
        try:
            payload = self._judge(pending.call, answer)
        except (CallRefused, BadAnswer) as error:
            if not pending.answer.done():
                pending.answer.set_exception(error)
            return
        self._settled(pending.call, payload)
        if not pending.answer.done():
            pending.answer.set_result(payload)

    def fail(self, reason: str) -> None:
        """End all waiting: the connection is gone."""
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(ConnectionGone(reason))

    def _judge(self, call: Call, answer: CallResult | CallError) -> Payload:
        if isinstance(answer, CallError):
            raise CallRefused(answer)
        if call.action in schema.FROM_CENTRAL_SYSTEM:
            try:
                schema.check_response(call.action, answer.payload)
            except schema.Violation as violation:
                reason = f"{call.action}.conf: {violation.reason}"
                self._find(Rule.SCHEMA, reason)
                raise BadAnswer(reason, answer.payload) from violation
        return answer.payload

    def _close(self, unique_id: str, *, answered: bool) -> None:
        self._closed[unique_id] = answered
        if len(self._closed) > MAX_CLOSED_IDS:
            self._closed.popitem(last=False)


def _check(action: str, payload: Mapping[str, Any]) -> None:
    if action not in schema.FROM_CENTRAL_SYSTEM:
        raise ValueError(f"no Central System sends {action!r}")
    try:
        schema.check_request(action, dict(payload))
    except schema.Violation as violation:
        raise ValueError(f"this is no {action}.req: {violation.reason}") from violation
