"""The parts of the charging side, put together."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from chargepoint.authorization import Authorization
from chargepoint.availability import Availability
from chargepoint.charging import Charging
from chargepoint.connectors import Connectors
from chargepoint.foundation import Foundation
from chargepoint.hardware.port import ResetKind
from chargepoint.outbox import Lane
from chargepoint.payload import enums
from chargepoint.session import Session
from chargepoint.transaction_delivery import TransactionDelivery
from chargepoint.transactions import TransactionStore

MAX_END: Final = timedelta(seconds=1)  #: time; a write for each transaction, out of the 5 s after SIGTERM
MAX_LAST_MESSAGES: Final = timedelta(seconds=0.5)  #: time; of the same 5 s; what is not told then is told later
MAX_SOFT_LAST_MESSAGES: Final = timedelta(
    seconds=10
)  #: time; a soft reset is graceful, nobody ordered it to the second


@dataclass(frozen=True, slots=True)
class ChargingSide:
    """What the agent has of the charging side.

    Attributes:
        availability: which connectors are in service.
        charging: what goes on at them.
        store: the transactions on the disk.
        delivery: tells the Central System.
    """

    availability: Availability
    charging: Charging
    store: TransactionStore
    delivery: TransactionDelivery

    async def end_in_order(self, reset: ResetKind | None) -> None:
        """End what runs before the agent ends, and tell the Central System, in bounded time.

        What the disk or the Central System keeps waiting is ended, or told, after the next start.

        Args:
            reset: what the end of the agent is for, None where it was merely told to end.
        """
        if not self.charging.transactions_running():
            await self.charging.close()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_END.total_seconds()):
                await self.charging.end_all(_REASONS[reset])
        patience = MAX_SOFT_LAST_MESSAGES if reset is ResetKind.SOFT else MAX_LAST_MESSAGES
        with suppress(TimeoutError):
            async with asyncio.timeout(patience.total_seconds()):
                await self.delivery.wait_delivered()


_REASONS: Final = {
    None: enums.Reason.reboot,
    ResetKind.HARD: enums.Reason.hard_reset,
    ResetKind.SOFT: enums.Reason.soft_reset,
}


def build_charging_side(foundation: Foundation, connectors: Connectors, session: Session) -> ChargingSide:
    """Put the parts together and attach them to the session; nothing is read or started yet."""
    store = TransactionStore(foundation.database, foundation.hardware.boot_id)

    async def ask(request: Any) -> Any:
        return await session.send(request, Lane.AUTHORIZATION)

    charging = Charging(
        connectors,
        store=store,
        hardware=foundation.hardware,
        configuration=foundation.configuration,
        clock=foundation.clock,
        allows=Authorization(ask, foundation.configuration).allows,
        tell=session.notice_change,
    )
    delivery = TransactionDelivery(
        store, configuration=foundation.configuration, clock=foundation.clock, note_started=charging.note_started
    )
    charging.subscribe(delivery.notice)
    session.attach(Lane.TRANSACTION, delivery)
    availability = Availability(foundation.database, connectors, foundation.clock)
    return ChargingSide(availability, charging, store, delivery)
