"""The simulated Central System's book of transactions."""

from typing import Any

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.finding import Rule
from chargepoint.simulation.transactions import MAX_TRANSACTIONS, Transactions
from tests.bare_charge_point import BOOT, charge_point

START = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
STOP = {"transactionId": 7, "meterStop": 10, "timestamp": "2026-01-01T01:00:00Z"}


def rules(book: Transactions, action: str, request: dict[str, Any], identity: str = "CP001") -> list[Rule]:
    return [rule for rule, _ in book.breaches(identity, action, request)]


def test_a_start_that_comes_again_keeps_its_number() -> None:
    book = Transactions()
    assert [book.number_of("CP001", START) for _ in range(2)] == [1, 1]
    assert book.number_of("CP002", START) == 2
    assert book.number_of("CP001", {**START, "timestamp": STOP["timestamp"]}) == 3
    assert book.last == 3


async def test_the_central_system_numbers_transactions() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await client.call("BootNotification", BOOT)
        answers = [await client.call("StartTransaction", {**START, "idTag": tag}) for tag in ("A", "B", "A")]
        assert [answer[2]["transactionId"] for answer in answers] == [1, 2, 1]
        assert central_system.findings == []


def test_a_number_belongs_to_one_charge_point() -> None:
    book = Transactions()
    book.remember("CP001", 7)
    assert rules(book, "MeterValues", {"transactionId": 7}) == []
    assert rules(book, "MeterValues", {"transactionId": 7}, "CP002") == [Rule.UNKNOWN_TRANSACTION]
    assert rules(book, "MeterValues", {"connectorId": 1}) == []
    assert rules(book, "Heartbeat", {}) == []


def test_a_stop_may_come_again_but_not_differ() -> None:
    book = Transactions()
    book.remember("CP001", 7)
    assert [rules(book, "StopTransaction", STOP) for _ in range(2)] == [[], []]
    book.remember("CP001", 7)
    assert rules(book, "StopTransaction", {**STOP, "meterStop": 11}) == [Rule.SECOND_STOP]


def test_the_memory_is_bounded() -> None:
    book = Transactions()
    for number in range(MAX_TRANSACTIONS + 1):
        book.remember("CP001", number)
    assert rules(book, "StopTransaction", {**STOP, "transactionId": 0}) == [Rule.UNKNOWN_TRANSACTION]
    assert rules(book, "StopTransaction", {**STOP, "transactionId": MAX_TRANSACTIONS}) == []
