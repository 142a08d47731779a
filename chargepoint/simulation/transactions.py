"""The transactions of all Charge Points: their numbers, and what is said of a transaction that there is none of.

A StartTransaction.req that comes again word by word is the same transaction, whose answer was lost: it gets the same
number, so that nothing is billed twice. A number counts from the moment that an answer with it is sent, whoever chose
it.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from chargepoint.simulation.finding import Rule
from chargepoint.simulation.frame import Payload

MAX_TRANSACTIONS: Final = 10_000  #: transactions remembered; more than a soak run of a week has


class Transactions:
    """The transactions.

    Attributes:
        last: the number given out last.
    """

    def __init__(self) -> None:
        self.last = 0
        self._numbers: OrderedDict[tuple[Any, ...], int] = OrderedDict()
        self._stops: OrderedDict[tuple[str, int], Payload | None] = OrderedDict()

    def number_of(self, identity: str, request: Payload) -> int:
        """Return the number for a StartTransaction.req: a new one, or that of the same request before."""
        key = (identity, *(request[name] for name in ("connectorId", "idTag", "meterStart", "timestamp")))
        if key not in self._numbers:
            self.last += 1
            self._numbers[key] = self.last
            _bound(self._numbers)
        return self._numbers[key]

    def remember(self, identity: str, number: int) -> None:
        """Count a transaction as begun."""
        self._stops.setdefault((identity, number), None)
        _bound(self._stops)

    def breaches(self, identity: str, action: str, request: Payload) -> Iterator[tuple[Rule, str]]:
        """Yield what StopTransaction.req or MeterValues.req says that it must not, and take it over."""
        if action not in ("StopTransaction", "MeterValues") or "transactionId" not in request:
            return
        key = (identity, request["transactionId"])
        if key not in self._stops:
            yield Rule.UNKNOWN_TRANSACTION, f"{action} {request['transactionId']}"
        elif action == "StopTransaction":
            if self._stops[key] not in (None, request):
                yield Rule.SECOND_STOP, f"transaction {request['transactionId']}"
            self._stops[key] = request


def _bound(numbers: "OrderedDict[Any, Any]") -> None:
    if len(numbers) > MAX_TRANSACTIONS:
        numbers.popitem(last=False)
