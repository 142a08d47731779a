"""Requests about the connectors: their availability, and transactions started and stopped from afar."""

import logging
from typing import Any

from chargepoint.handlers.domain import Domain
from chargepoint.payload import call_result, enums
from chargepoint.rpc import Reply

_log = logging.getLogger(__name__)


async def change_availability(domain: Domain, request: Any) -> Reply:
    """Put a connector into service or out of it; the status is told once the answer is out."""
    operative = request.type == enums.AvailabilityType.operative
    status = await domain.charging.change_availability(request.connector_id, operative=operative)

    async def tell() -> None:
        domain.session.notice_change()

    return Reply(call_result.ChangeAvailability(status=status), then=tell)


async def remote_start_transaction(domain: Domain, request: Any) -> Reply:
    """Refuse: this agent drives no charging."""
    _log.warning("RemoteStartTransaction.req refused: this agent drives no charging")
    return Reply(call_result.RemoteStartTransaction(status=enums.RemoteStartStopStatus.rejected))


async def remote_stop_transaction(domain: Domain, request: Any) -> Reply:
    """Refuse: there is no transaction to stop."""
    _log.warning("RemoteStopTransaction.req refused: there is no transaction %s", request.transaction_id)
    return Reply(call_result.RemoteStopTransaction(status=enums.RemoteStartStopStatus.rejected))
