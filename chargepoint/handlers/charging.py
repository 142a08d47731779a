"""Requests about the connectors: their availability, and transactions started and stopped from afar."""

import logging
from typing import Any

from chargepoint.handlers.domain import Domain
from chargepoint.payload import call_result, enums
from chargepoint.registration import RegistrationStatus
from chargepoint.rpc import Reply

_log = logging.getLogger(__name__)


async def change_availability(domain: Domain, request: Any) -> Reply:
    """Put a connector into service or out of it; the status is told once the answer is out."""
    operative = request.type == enums.AvailabilityType.operative
    status = await domain.availability.change(request.connector_id, operative=operative)

    async def tell() -> None:
        domain.session.notice_change()

    return Reply(call_result.ChangeAvailability(status=status), then=tell)


async def remote_start_transaction(domain: Domain, request: Any) -> Reply:
    """Expect somebody at a connector, where a transaction may start.

    A charging profile is left aside: the profile SmartCharging is not supported.
    """
    # OCPP 1.6, 4.2: refused before the boot is accepted.
    accepted = domain.session.registration is RegistrationStatus.ACCEPTED and domain.charging.remote_start(
        request.id_tag, request.connector_id
    )
    return Reply(call_result.RemoteStartTransaction(status=_status(accepted=accepted)))


async def remote_stop_transaction(domain: Domain, request: Any) -> Reply:
    """End the transaction of this id, where it runs."""
    accepted = domain.session.registration is RegistrationStatus.ACCEPTED and await domain.charging.remote_stop(
        request.transaction_id
    )
    if not accepted:
        _log.warning("RemoteStopTransaction.req refused: there is no transaction %s", request.transaction_id)
    return Reply(call_result.RemoteStopTransaction(status=_status(accepted=accepted)))


def _status(*, accepted: bool) -> enums.RemoteStartStopStatus:
    return enums.RemoteStartStopStatus.accepted if accepted else enums.RemoteStartStopStatus.rejected
