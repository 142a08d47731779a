"""TriggerMessage.req and ExtendedTriggerMessage.req: the Central System asks to be told something now."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from chargepoint.handlers.domain import Domain
from chargepoint.payload import call_result, enums
from chargepoint.rpc import Reply, Then

MakeRequest = Callable[[], Awaitable[Any]]
"""Makes the message that tells how something is getting on at this moment."""

_TRIGGERABLE: Final = frozenset({"BootNotification", "Heartbeat", "StatusNotification"})
_SIGN: Final = "SignChargePointCertificate"
_PER_CONNECTOR: Final = frozenset({"StatusNotification"})


async def trigger_message(domain: Domain, request: Any) -> Reply:
    """Answer first, send then; it asks for the messages of OCPP 1.6, the extended one for those of the white paper."""
    of_1_6 = {"FirmwareStatusNotification": domain.firmware_updates.plain_status}  # docs/decisions/0134
    status, then = _judge(domain, request, _statuses(domain) | of_1_6)
    return Reply(call_result.TriggerMessage(status=status), then=then)


async def extended_trigger_message(domain: Domain, request: Any) -> Reply:
    """Answer first, send then; the same rules as for TriggerMessage.req, which cannot ask for a certificate request."""
    if request.requested_message == _SIGN:
        return await _sign(domain)
    status, then = _judge(domain, request, _statuses(domain))
    return Reply(call_result.ExtendedTriggerMessage(status=status), then=then)


async def _sign(domain: Domain) -> Reply:
    """Take the order for a certificate request (A02); the key pair is made once the answer is out (A02.FR.02)."""
    status = enums.TriggerMessageStatus.rejected
    if not domain.session.can_trigger(_SIGN) or not await domain.renewal.trigger():
        return Reply(call_result.ExtendedTriggerMessage(status=status))

    async def make_request() -> None:
        domain.renewal.notice()

    return Reply(call_result.ExtendedTriggerMessage(status=enums.TriggerMessageStatus.accepted), then=make_request)


def _statuses(domain: Domain) -> dict[str, MakeRequest]:
    """Return the messages that tell how a long job is getting on, each with what makes the one of this moment."""
    return {
        "DiagnosticsStatusNotification": domain.log_uploads.diagnostics_status,
        "FirmwareStatusNotification": domain.firmware_updates.signed_status,  # L01.FR.28, L01.FR.29
        "LogStatusNotification": domain.log_uploads.log_status,  # N01.FR.12
    }


def _judge(
    domain: Domain, request: Any, statuses: dict[str, MakeRequest]
) -> tuple[enums.TriggerMessageStatus, Then | None]:
    message, connector = request.requested_message, request.connector_id
    make_request = statuses.get(message)
    if message not in _TRIGGERABLE and make_request is None:
        return enums.TriggerMessageStatus.not_implemented, None
    # A connectorId is above zero here; where the message has no connector it is beside the point and not looked at.
    if message in _PER_CONNECTOR and connector is not None and (connector < 1 or connector not in domain.connectors):
        return enums.TriggerMessageStatus.rejected, None
    if not domain.session.can_trigger(message):
        return enums.TriggerMessageStatus.rejected, None

    async def send() -> None:
        if make_request is not None:
            async with domain.status_delivery.between_reports():
                await domain.session.trigger_with(make_request)
            return
        await domain.session.trigger(message, connector if message in _PER_CONNECTOR else None)

    return enums.TriggerMessageStatus.accepted, send
