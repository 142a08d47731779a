"""Transactions and their messages on the disk: each change is one write, and none leaves half of a transaction."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.clock import Clock
from chargepoint.database import Database
from chargepoint.state_schema import MIGRATIONS
from chargepoint.transactions import Message, MessageKind, Moment, Transaction, TransactionsFull, TransactionStore

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
CARD = "04E1C2A3B4"
MAX_OWED = 4


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> TransactionStore:
    return TransactionStore(database, "boot-1", max_owed=MAX_OWED)


def at(seconds: float, *, known: bool = True) -> Moment:
    return Moment(NOON + timedelta(seconds=seconds), known, seconds)


async def begin(store: TransactionStore, seconds: float = 0, connector: int = 1) -> Transaction:
    return await store.begin(connector, CARD, 100, at(seconds))


async def first(store: TransactionStore) -> Message:
    message = await store.first()
    assert message is not None
    return message


async def rows(database: Database) -> int:
    """How many transactions there are, told or not."""
    query = "SELECT count(*) FROM charging_transaction"
    return int((await database.read(lambda connection: connection.execute(query).fetchone()))[0])


async def test_what_begins_runs_and_is_owed(store: TransactionStore) -> None:
    transaction = await begin(store)
    assert transaction == Transaction(1, 1, CARD, 100, NOON, "boot-1")
    assert await store.running() == [transaction]
    assert await first(store) == Message(1, MessageKind.START, 1, 1, CARD, -1, 100, NOON, "", None, 0)
    assert await store.count() == 1


async def test_messages_go_in_the_order_in_which_things_happened(store: TransactionStore) -> None:
    one, two = await begin(store, 0, 1), await begin(store, 1, 2)
    await store.end(two.number, 300, at(2), "Local", id_tag=CARD)
    await store.end(one.number, 400, at(3), "EVDisconnected")
    assert await store.running() == []
    told = []
    while (message := await store.first()) is not None:
        told.append((message.number, message.kind.value, message.meter_wh, message.reason, message.stop_id_tag))
        if message.kind is MessageKind.START:
            await store.confirm_start(message, 70 + message.number)
        else:
            assert message.transaction_id == 70 + message.number
            await store.confirm_stop(message)
    assert told == [
        (1, "start", 100, "", None),
        (2, "start", 100, "", None),
        (2, "stop", 300, "Local", CARD),
        (1, "stop", 400, "EVDisconnected", None),
    ]


async def test_the_id_of_the_central_system_is_kept_with_what_still_runs(
    store: TransactionStore, database: Database
) -> None:
    await begin(store)
    await store.confirm_start(await first(store), 77)
    assert [each.transaction_id for each in await TransactionStore(database, "boot-2").running()] == [77]
    assert await store.count() == 0


async def test_what_was_told_is_forgotten_and_its_numbers_never_come_again(
    store: TransactionStore, database: Database
) -> None:
    transaction = await begin(store)
    started = await first(store)
    await store.confirm_start(started, 77)
    await store.end(transaction.number, 300, at(1), "Local")
    await store.confirm_stop(await first(store))
    assert await rows(database) == 0
    assert (await begin(store)).number == 2
    # A confirmation that is recorded once more takes nothing that came later.
    await store.confirm_start(started, 77)
    assert (await first(store)).number == 2


async def test_an_end_counts_once(store: TransactionStore) -> None:
    transaction = await begin(store)
    await store.end(transaction.number, 300, at(1), "Local")
    await store.end(transaction.number, 900, at(2), "PowerLoss")
    await store.confirm_start(await first(store), 77)
    assert ((await first(store)).meter_wh, await store.count()) == (300, 1)


async def test_a_full_queue_lets_nothing_begin_and_everything_end(store: TransactionStore) -> None:
    running = [await begin(store, connector=connector) for connector in range(1, MAX_OWED + 1)]
    with pytest.raises(TransactionsFull, match="4 messages about transactions wait"):
        await begin(store)
    for transaction in running:
        await store.end(transaction.number, 300, at(1), "Local")
    assert await store.count() == 2 * MAX_OWED


class TestRefused:
    async def test_is_counted_and_given_up(self, store: TransactionStore, database: Database) -> None:
        transaction = await begin(store)
        await store.end(transaction.number, 300, at(1), "Local")
        await store.confirm_start(await first(store), 77)
        assert not await store.note_refusal(await first(store), 2)
        assert (await first(TransactionStore(database, "boot-2"))).refusals == 1
        assert await store.note_refusal(await first(store), 2)
        assert (await store.first(), await rows(database)) == (None, 0)

    async def test_a_start_takes_the_stop_with_it_that_waits(self, store: TransactionStore, database: Database) -> None:
        transaction = await begin(store)
        other = await begin(store)
        await store.end(transaction.number, 300, at(1), "Local")
        assert await store.note_refusal(await first(store), 1)
        assert (await first(store)).number == other.number
        assert (await store.count(), await rows(database)) == (1, 1)

    async def test_a_start_takes_the_stop_with_it_that_comes_later(
        self, store: TransactionStore, database: Database
    ) -> None:
        transaction = await begin(store)
        assert await store.note_refusal(await first(store), 1)
        assert [each.number for each in await store.running()] == [transaction.number]
        await store.end(transaction.number, 300, at(1), "Local")
        assert (await store.first(), await rows(database)) == (None, 0)


class TestTime:
    async def test_of_this_boot_is_settled_and_that_of_others_stays(
        self, store: TransactionStore, database: Database
    ) -> None:
        transaction = await store.begin(1, CARD, 100, at(10, known=False))
        later = TransactionStore(database, "boot-2")
        await later.end(transaction.number, 300, at(5, known=False), "PowerLoss")
        zero = datetime(2030, 1, 1, tzinfo=UTC)
        await later.settle_times(zero)
        assert (await first(later)).occurred_at == NOON + timedelta(seconds=10)
        await later.confirm_start(await first(later), 77)
        assert (await first(later)).occurred_at == zero + timedelta(seconds=5)

    async def test_that_was_known_stays(self, store: TransactionStore) -> None:
        await begin(store)
        await store.settle_times(datetime(2030, 1, 1, tzinfo=UTC))
        assert (await first(store)).occurred_at == NOON

    def test_of_a_moment_is_what_the_clock_knows(self) -> None:
        clock = Clock(system=lambda: datetime(1970, 1, 1, tzinfo=UTC), monotonic=lambda: 5.0)
        moment = Moment.now(clock)
        assert (moment.known, moment.monotonic) == (False, 5.0)
        assert moment.at == clock.now()


async def test_messages_of_a_later_release_are_left_alone(store: TransactionStore, database: Database) -> None:
    await begin(store)
    rename = "UPDATE transaction_message SET kind = 'meter values'"
    await database.write(lambda connection: connection.execute(rename).rowcount)
    assert await store.first() is None


def test_no_id_tag_shows_in_a_text() -> None:
    assert CARD not in repr(Transaction(1, 1, CARD, 100, NOON, "boot-1"))
    assert CARD not in repr(Message(1, MessageKind.STOP, 1, 1, CARD, 7, 100, NOON, "Local", CARD, 0))
