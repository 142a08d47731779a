"""Sends what is owed about transactions to the Central System, in order, each message at least once.

Guaranteed: a message leaves the queue only when it was confirmed, or refused too often, and a StopTransaction.req goes
with the transactionId of its StartTransaction.conf, which is on the disk before it goes. An answer that a failing disk
does not take is kept in memory, and nothing else is sent before it is on the disk.

- A CALLERROR, or an answer that no schema allows, is a refusal: it is counted durably, and the message goes again
  after TransactionMessageRetryInterval times the number of refusals, TransactionMessageAttempts times in all.
- A time-out or a lost connection says nothing about the message and is never counted (docs/decisions/0164).
- A message that was confirmed just before a power cut, or not answered in time, is sent twice: OCPP 1.6 gives a Charge
  Point no means to tell the Central System that it is the same.

Not done here: what may be sent when, and whose turn it is (session.py, outbox.py); what is owed (transactions.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from chargepoint.clock import Clock
from chargepoint.configuration import Configuration
from chargepoint.date_time import write_date_time
from chargepoint.payload import call, enums
from chargepoint.rpc_port import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from chargepoint.state import StateUnusable
from chargepoint.transactions import Message, MessageKind, TransactionStore

MAX_RETRY_WAIT: Final = timedelta(hours=1)  #: time; the wait that grows after time-outs and refusals is no longer
DISK_RETRY: Final = timedelta(minutes=1)  #: time; until a failing disk is tried again

_log = logging.getLogger(__name__)

Send = Callable[[Any], Awaitable[Any]]
"""Sends a request when its turn has come and returns the answer, or raises `CallFailed`."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a StartTransaction.conf says.

    Attributes:
        number: ours, of the transaction.
        transaction_id: the Central System's.
        id_tag_status: an AuthorizationStatus of OCPP 1.6.
    """

    number: int
    transaction_id: int
    id_tag_status: str


class TransactionDelivery:
    """Empties the queue of transaction messages, over as many connections as it takes.

    Args:
        store: what is to be sent.
        configuration: says how often a refused message is sent, and after which wait.
        clock: gives messages from before it was set their true time.
        note_started: told of each StartTransaction.conf at once.
    """

    def __init__(
        self,
        store: TransactionStore,
        *,
        configuration: Configuration,
        clock: Clock,
        note_started: Callable[[Started], None],
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._clock = clock
        self._note_started = note_started
        self._unrecorded: tuple[Message, Any] | None = None
        self._wake = asyncio.Event()
        self._delivered = asyncio.Event()

    def notice(self) -> None:
        """A message is owed."""
        self._delivered.clear()
        self._wake.set()

    def booted(self) -> None:
        """Nothing rests here: each connection tries what is owed."""

    async def wait_delivered(self) -> None:
        """Wait until nothing is owed; without a connection that may take for ever, with a failing disk not at all."""
        try:
            if await self._store.count():
                await self._delivered.wait()
        except StateUnusable as error:
            _log.warning("what is owed about transactions cannot be read: %s", error)

    async def deliver(self, send: Send) -> None:
        """Send what is owed and what comes, over one connection; returns when that is lost.

        Cancelled, it ends; an answer that is not on the disk yet is kept for the next connection.

        Args:
            send: raises `ConnectionLost` when the connection is gone.
        """
        try:
            while True:
                self._wake.clear()
                try:
                    await self._empty_queue(send)
                except StateUnusable as error:
                    _log.error("transaction messages wait, the queue cannot be read or written: %s", error)
                    await asyncio.sleep(DISK_RETRY.total_seconds())
                    continue
                await self._wake.wait()
        except ConnectionLost:
            return

    async def _empty_queue(self, send: Send) -> None:
        if self._clock.is_set:
            await self._store.settle_times(self._clock.boot_zero())
        while True:
            await self._record()
            message = await self._store.first()
            if message is None:
                self._delivered.set()
                return
            await self._send_message(send, message)

    async def _send_message(self, send: Send, message: Message) -> None:
        """Send one message until it is confirmed or given up."""
        request, name = _request(message), f"{message.kind} of transaction {message.number}"
        failures = message.refusals
        while True:
            try:
                answer = await send(request)
            except (CallErrorReceived, InvalidAnswer) as refusal:
                _log.warning("the %s was not taken: %s", name, refusal)
                attempts = max(self._configuration.integer("TransactionMessageAttempts"), 1)
                if await self._store.note_refusal(message, attempts):
                    _log.error(
                        "the %s is given up after %d refusals: connector %d, %d Wh at %s",
                        name,
                        attempts,
                        message.connector,
                        message.meter_wh,
                        request.timestamp,
                    )
                    return
            except CallTimedOut as silence:
                _log.warning("the %s is sent again: %s", name, silence)
            else:
                self._unrecorded = message, answer
                if message.kind is MessageKind.START:
                    # Before the disk has it: the next request of the Central System may be to stop this transaction.
                    status = str(answer.id_tag_info["status"])
                    self._note_started(Started(message.number, answer.transaction_id, status))
                await self._record()
                return
            failures += 1
            interval = timedelta(seconds=self._configuration.integer("TransactionMessageRetryInterval"))
            await asyncio.sleep(min(interval * failures, MAX_RETRY_WAIT).total_seconds())

    async def _record(self) -> None:
        """Put an answer on the disk; raises StateUnusable and keeps it where that fails."""
        if self._unrecorded is None:
            return
        message, answer = self._unrecorded
        if message.kind is MessageKind.START:
            await self._store.confirm_start(message, answer.transaction_id)
        else:
            await self._store.confirm_stop(message)
        self._unrecorded = None


def _request(message: Message) -> Any:
    timestamp = write_date_time(message.occurred_at)
    if message.kind is MessageKind.START:
        return call.StartTransaction(
            connector_id=message.connector,
            id_tag=message.start_id_tag,
            meter_start=message.meter_wh,
            timestamp=timestamp,
        )
    return call.StopTransaction(
        meter_stop=message.meter_wh,
        timestamp=timestamp,
        transaction_id=message.transaction_id,
        reason=enums.Reason(message.reason),
        id_tag=message.stop_id_tag,
    )
