"""The transactions and their messages on the disk: what runs, and what the Central System is still to hear, in order.

Guaranteed: a transaction and its StartTransaction.req begin in one write, it ends with its StopTransaction.req in one
write, and the transactionId that the Central System gave it is kept in the write that takes the StartTransaction.req
out of the queue. So no power cut leaves a transaction without its message, a message without its transaction, or a
connector that seems to be in use for ever.

- A transaction has a number of ours from the first moment. The Central System's transactionId comes when it comes; a
  StopTransaction.req stands behind its StartTransaction.req and is read with the id.
- What happened while the clock was not set has a provisional time, the boot and its monotonic time; `settle_times`
  gives it the true one.
- A message that was refused too often is given up. With a StartTransaction.req goes the whole transaction: the Central
  System knows none to which a StopTransaction.req could belong (docs/decisions/0164).
- The queue is bounded by refusing new transactions, never by dropping messages.

Not done here: sending (transaction_delivery.py), and what starts or ends a transaction (charging.py).
"""

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chargepoint.clock import Clock
from chargepoint.database import Database
from logs.event_table import MICROSECOND, to_instant, to_us

MAX_OWED_MESSAGES: Final = 10_000  #: messages; about 2 MB: years of a Charge Point that nobody connects

SCHEMA: Final = (
    # Numbers are never used again, or a confirmation that comes late would take a message that it does not belong to.
    """
    CREATE TABLE IF NOT EXISTS charging_transaction (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- ours, in the order in which they began
        connector INTEGER NOT NULL,
        id_tag TEXT NOT NULL,
        meter_start_wh INTEGER NOT NULL,
        started_us INTEGER NOT NULL,  -- microseconds since 1970, UTC; for people
        boot_id TEXT NOT NULL,        -- of the boot in which it began
        transaction_id INTEGER,       -- the Central System's, NULL until StartTransaction.conf
        ended INTEGER NOT NULL DEFAULT 0,
        given_up INTEGER NOT NULL DEFAULT 0  -- 1: the Central System refused its start too often
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS transaction_message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order in which they are sent
        transaction_number INTEGER NOT NULL,
        kind TEXT NOT NULL,            -- a MessageKind
        meter_wh INTEGER NOT NULL,
        occurred_us INTEGER NOT NULL,  -- microseconds since 1970, UTC; provisional where time_known is 0
        time_known INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        monotonic_us INTEGER NOT NULL,
        reason TEXT,                   -- of a stop: a Reason of OCPP 1.6
        id_tag TEXT,                   -- of a stop: whose card ended it
        refusals INTEGER NOT NULL DEFAULT 0  -- how often the Central System refused it
    )
    """,
)


class TransactionsFull(Exception):
    """Raised when so many messages wait that no transaction may start until some have gone."""


class MessageKind(StrEnum):
    """The messages of a transaction."""

    START = "start"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction that runs.

    Attributes:
        number: ours.
        connector: where it runs.
        id_tag: who started it.
        meter_start_wh: what the meter showed then.
        started_at: aware UTC; provisional where the clock was not set.
        boot_id: the boot in which it began.
        transaction_id: the Central System's, None until it has answered.
    """

    number: int
    connector: int
    id_tag: str = field(repr=False)
    meter_start_wh: int
    started_at: datetime
    boot_id: str
    transaction_id: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is owed.

    Attributes:
        id: its place in the order.
        kind: what it tells.
        number: ours, of its transaction.
        connector: where that runs or ran.
        start_id_tag: who started it.
        transaction_id: the Central System's; -1 where it has not answered the start, as long as that is owed.
        meter_wh: what the meter showed.
        occurred_at: aware UTC.
        reason: of a stop, a Reason of OCPP 1.6; empty where there is none.
        stop_id_tag: of a stop that a card ordered.
        refusals: how often the Central System has refused it.
    """

    id: int
    kind: MessageKind
    number: int
    connector: int
    start_id_tag: str = field(repr=False)
    transaction_id: int
    meter_wh: int
    occurred_at: datetime
    reason: str
    stop_id_tag: str | None = field(repr=False)
    refusals: int


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened, as far as it is known.

    Attributes:
        at: aware UTC, provisional where the clock was not set.
        known: whether the clock was set.
        monotonic: seconds of this boot.
    """

    at: datetime
    known: bool
    monotonic: float

    @classmethod
    def now(cls, clock: Clock) -> "Moment":
        """Return this moment."""
        return cls(clock.now(), clock.is_set, clock.monotonic())


class TransactionStore:
    """The transactions of one Charge Point.

    Args:
        database: it has the tables of `SCHEMA`.
        boot_id: of the boot that runs, as the hardware port names it.
        max_owed: how many messages may wait before no transaction may start.
    """

    def __init__(self, database: Database, boot_id: str, *, max_owed: int = MAX_OWED_MESSAGES) -> None:
        self._database = database
        self._boot_id = boot_id
        self._max_owed = max_owed

    @property
    def boot_id(self) -> str:
        """The boot that runs."""
        return self._boot_id

    async def begin(self, connector: int, id_tag: str, meter_wh: int, moment: Moment) -> Transaction:
        """Begin a transaction and owe its StartTransaction.req, in one write.

        Raises:
            TransactionsFull: too many messages wait; nothing has begun.
            DatabaseError: nothing has begun.
        """

        def work(connection: sqlite3.Connection) -> int:
            if _count(connection) >= self._max_owed:
                raise TransactionsFull(f"{self._max_owed} messages about transactions wait for the Central System")
            row = (connector, id_tag, meter_wh, to_us(moment.at), self._boot_id)
            number = connection.execute(
                "INSERT INTO charging_transaction (connector, id_tag, meter_start_wh, started_us, boot_id) "
                "VALUES (?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            self._owe(connection, number or 0, MessageKind.START, meter_wh, moment)
            return number or 0

        number = await self._database.write(work)
        return Transaction(number, connector, id_tag, meter_wh, moment.at, self._boot_id)

    async def end(self, number: int, meter_wh: int, moment: Moment, reason: str, *, id_tag: str | None = None) -> None:
        """End a transaction and owe its StopTransaction.req, in one write; harmless when repeated.

        Args:
            number: ours.
            meter_wh: what the meter shows.
            moment: when it ended.
            reason: a Reason of OCPP 1.6.
            id_tag: of the card that ordered it, if one did.

        Raises:
            DatabaseError: it has not ended.
        """

        def work(connection: sqlite3.Connection) -> None:
            ended = connection.execute(
                "UPDATE charging_transaction SET ended = 1 WHERE number = ? AND ended = 0 RETURNING given_up", (number,)
            ).fetchone()
            if ended is None:
                return
            if ended[0]:
                _forget(connection, number)
            else:
                self._owe(connection, number, MessageKind.STOP, meter_wh, moment, reason, id_tag)

        await self._database.write(work)

    async def running(self) -> list[Transaction]:
        """Return the transactions that have not ended, oldest first."""
        return await self._database.read(_select_running)

    async def first(self) -> Message | None:
        """Return the message that is to go next."""
        return await self._database.read(_select_first)

    async def count(self) -> int:
        """Return how many messages wait."""
        return await self._database.read(_count)

    async def confirm_start(self, message: Message, transaction_id: int) -> None:
        """Keep the transactionId and take the StartTransaction.req out of the queue, in one write; repeatable."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE charging_transaction SET transaction_id = ? WHERE number = ?", (transaction_id, message.number)
            )
            connection.execute("DELETE FROM transaction_message WHERE id = ?", (message.id,))

        await self._database.write(work)

    async def confirm_stop(self, message: Message) -> None:
        """Forget a transaction all of which has been told; repeatable."""
        await self._database.write(lambda connection: _forget(connection, message.number))

    async def note_refusal(self, message: Message, max_refusals: int) -> bool:
        """Count a refusal durably; a message that was refused too often is given up.

        Returns:
            Whether it was given up, and with a StartTransaction.req all that will follow of its transaction.
        """

        def work(connection: sqlite3.Connection) -> bool:
            counted = connection.execute(
                "UPDATE transaction_message SET refusals = refusals + 1 WHERE id = ? RETURNING refusals", (message.id,)
            ).fetchone()
            if counted is not None and counted[0] < max_refusals:
                return False
            runs = "SELECT 1 FROM charging_transaction WHERE number = ? AND ended = 0"
            if connection.execute(runs, (message.number,)).fetchone() is None:
                _forget(connection, message.number)
            else:
                connection.execute("DELETE FROM transaction_message WHERE id = ?", (message.id,))
                connection.execute("UPDATE charging_transaction SET given_up = 1 WHERE number = ?", (message.number,))
            return True

        return await self._database.write(work)

    async def settle_times(self, boot_zero: datetime) -> None:
        """Give their true time to the messages of this boot from before the clock was set.

        Args:
            boot_zero: the instant at which the monotonic time of this boot was zero.
        """
        row = (to_us(boot_zero), self._boot_id)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE transaction_message SET occurred_us = ? + monotonic_us, time_known = 1 "
                "WHERE boot_id = ? AND time_known = 0",
                row,
            )

        await self._database.write(work)

    def _owe(
        self,
        connection: sqlite3.Connection,
        number: int,
        kind: MessageKind,
        meter_wh: int,
        moment: Moment,
        reason: str | None = None,
        id_tag: str | None = None,
    ) -> None:
        monotonic_us = timedelta(seconds=moment.monotonic) // MICROSECOND
        row = (
            number,
            kind.value,
            meter_wh,
            to_us(moment.at),
            moment.known,
            self._boot_id,
            monotonic_us,
            reason,
            id_tag,
        )
        connection.execute(
            "INSERT INTO transaction_message (transaction_number, kind, meter_wh, occurred_us, time_known, boot_id, "
            "monotonic_us, reason, id_tag) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )


def _forget(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM transaction_message WHERE transaction_number = ?", (number,))
    connection.execute("DELETE FROM charging_transaction WHERE number = ?", (number,))


def _count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM transaction_message").fetchone()
    return int(count)


def _select_running(connection: sqlite3.Connection) -> list[Transaction]:
    rows = connection.execute(
        "SELECT number, connector, id_tag, meter_start_wh, started_us, boot_id, transaction_id "
        "FROM charging_transaction WHERE ended = 0 ORDER BY number"
    )
    return [
        Transaction(number, connector, id_tag, meter_wh, to_instant(started_us), boot_id, transaction_id)
        for number, connector, id_tag, meter_wh, started_us, boot_id, transaction_id in rows
    ]


def _select_first(connection: sqlite3.Connection) -> Message | None:
    # The kinds are named: before a roll-back a later release may have left some that this one cannot send.
    row = connection.execute(
        "SELECT id, kind, number, connector, charging_transaction.id_tag, coalesce(transaction_id, -1), meter_wh, "
        "occurred_us, coalesce(reason, ''), transaction_message.id_tag, refusals FROM transaction_message "
        # Before a roll-back a later release may have left kinds of messages that this one cannot send.
        "JOIN charging_transaction ON number = transaction_number WHERE kind IN ('start', 'stop') ORDER BY id LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    message_id, kind, number, connector, start_id_tag, transaction_id, meter_wh, occurred_us, *of_a_stop, refusals = row
    reason, stop_id_tag = of_a_stop
    occurred_at = to_instant(occurred_us)
    return Message(
        id=message_id,
        kind=MessageKind(kind),
        number=number,
        connector=connector,
        start_id_tag=start_id_tag,
        transaction_id=transaction_id,
        meter_wh=meter_wh,
        occurred_at=occurred_at,
        reason=reason,
        stop_id_tag=stop_id_tag,
        refusals=refusals,
    )
