"""The methods of the control socket: what local commands and other processes may ask of the running agent.

Each method checks what it is given and then calls the part of the agent whose business it is. The names and parameters
are a contract with other programs; they only ever grow.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from chargepoint.charging_side import ChargingSide
from chargepoint.configuration import ChangeStatus, Configuration, Origin
from chargepoint.connection import Connection
from chargepoint.connectors import Connectors
from chargepoint.control import INVALID_PARAMS, ControlError, Method
from chargepoint.date_time import read_date_time, write_date_time
from chargepoint.event_delivery import EventDelivery
from chargepoint.firmware_update import FirmwareUpdates
from chargepoint.foundation import Foundation
from chargepoint.installation import Use
from chargepoint.log_upload import LogUploads
from chargepoint.outbox import OutboxFull
from chargepoint.payload import call
from chargepoint.renewal import Renewal
from chargepoint.rpc import CallFailed
from chargepoint.session import NotAccepted, Session
from logs.security_log import MAX_READ_EVENTS
from security.event import MAX_TYPE_LENGTH
from security.secret import Secret

MAX_VENDOR_ID_LENGTH: Final = 255  #: characters; DataTransfer.req, field vendorId
MAX_MESSAGE_ID_LENGTH: Final = 50  #: characters; DataTransfer.req, field messageId


class ControlMethods:
    """The agent as the control socket sees it.

    Args:
        foundation: the state directory and what was opened from it.
        connection: asked for its status, and to go and come.
        session: asked for its status, and to say something.
        connectors: asked for their status.
        charging_side: asked for what goes on at them.
        event_delivery: asked whether it rests.
        renewal: asked for its status, and told of a new certificate.
        log_uploads: asked for their status.
        firmware_updates: asked for their status.
    """

    def __init__(
        self,
        foundation: Foundation,
        *,
        connection: Connection,
        session: Session,
        connectors: Connectors,
        charging_side: ChargingSide,
        event_delivery: EventDelivery,
        renewal: Renewal,
        log_uploads: LogUploads,
        firmware_updates: FirmwareUpdates,
    ) -> None:
        self._foundation = foundation
        self._connection = connection
        self._session = session
        self._connectors = connectors
        self._charging_side = charging_side
        self._event_delivery = event_delivery
        self._renewal = renewal
        self._log_uploads = log_uploads
        self._firmware_updates = firmware_updates

    def table(self) -> Mapping[str, Method]:
        """Return every method under its name."""
        methods = {
            "status": Method(self.status, for_group=True),
            "connection.down": Method(self.connection_down),
            "connection.up": Method(self.connection_up),
            "security.raise_event": Method(self.raise_event),
            "security.events": Method(self.events),
            "security.clear_log": Method(self.clear_log),
            "certificates.list": Method(self.list_certificates, for_group=True),
            "certificates.install": Method(self.install_certificate),
            "configuration.set": Method(self.set_configuration),
            "data_transfer": Method(self.data_transfer),
        }
        # A vendor's driver has a board to be touched; only the simulated one is moved from here.
        simulated = getattr(self._foundation.hardware, "control_methods", None)
        return methods | (simulated() if simulated else {})

    async def status(self) -> dict[str, Any]:
        """Say what the agent is doing."""
        foundation = self._foundation
        return {
            "identity": foundation.settings.charge_point.identity,
            "connection": self._connection.status(),
            "registration_status": self._session.registration,
            "connectors": {str(number): self._connector_status(number) for number in self._connectors.numbers},
            "connectors_held": self._connectors.held,
            "clock": {"now": write_date_time(foundation.clock.now()), "is_set": foundation.clock.is_set},
            "certificates": {
                **{domain: len(certificates) for domain, certificates in foundation.certificates.listing().items()},
                "notes": [*foundation.installer.notes(), *self._renewal.notes()],
            },
            "charge_point_certificate": self._renewal.status(),
            **self._log_uploads.status(),
            "firmware": self._firmware_updates.status(),
            "queued_messages": self._session.waiting,
            "queued_transaction_messages": await self._charging_side.store.count(),
            "queued_events": await foundation.event_queue.count(),
            "event_delivery": self._event_delivery_status(),
            "security_events": await foundation.security_log.count(),
        }

    def _connector_status(self, number: int) -> dict[str, Any]:
        state = self._connectors[number]
        return {
            "status": state.status,
            "error_code": state.error_code,
            "info": state.info,
            "availability": "Operative" if self._connectors.is_operative(number) else "Inoperative",
            "transaction": self._transaction_status(number),
        }

    def _transaction_status(self, number: int) -> dict[str, Any] | None:
        transaction = self._charging_side.charging.transaction(number)
        if transaction is None:
            return None
        return {  # without the id tag: members of the group see this, and it is a person's
            "number": transaction.number,
            "transaction_id": transaction.transaction_id,
            "started_at": write_date_time(transaction.started_at),
            "meter_start_wh": transaction.meter_start_wh,
        }

    def _event_delivery_status(self) -> str:
        if not self._foundation.settings.security.send_events:
            return "off"
        return "rests until the next accepted boot" if self._event_delivery.resting else "on"

    async def connection_down(self) -> None:
        """Close the WebSocket and stay away until `connection_up` or a restart."""
        self._connection.down()
        await self._connection.wait_unlinked()

    async def connection_up(self) -> None:
        """Come back."""
        self._connection.up()

    async def raise_event(self, type: str, tech_info: str | None = None) -> None:  # noqa: A002 - the contract's name
        """Record a security event of the charge point's other processes."""
        await self._foundation.events.raise_event(
            _text("type", type, MAX_TYPE_LENGTH), _optional_text("tech_info", tech_info)
        )

    async def events(
        self, since: str | None = None, until: str | None = None, limit: int = MAX_READ_EVENTS
    ) -> list[dict[str, Any]]:
        """List events from the security log, oldest first; `since` and `until` belong to the window."""
        last = _instant("until", until)
        logged = await self._foundation.security_log.read(
            _instant("since", since),
            # Times are shown in milliseconds and kept in microseconds: what was shown must find what it stood for.
            last and last.replace(microsecond=last.microsecond // 1000 * 1000 + 999),
            _whole("limit", limit, 1, MAX_READ_EVENTS),
        )
        return [
            {
                "timestamp": write_date_time(each.event.occurred_at),
                "type": each.event.type,
                "tech_info": each.event.tech_info,
                "critical": each.event.entry.critical,
                "delivered": each.delivered,
            }
            for each in logged
        ]

    async def clear_log(self) -> dict[str, int]:
        """Clear the security log; what the Central System is still to hear of stays until it has."""
        return {"removed": await self._foundation.events.clear_log("a local command")}

    async def list_certificates(self) -> dict[str, list[dict[str, object]]]:
        """List all that is installed, by domain."""
        return self._foundation.certificates.listing()

    async def install_certificate(self, pem: str, use: str, key: str | None = None) -> dict[str, str]:
        """Install a certificate; `use` is one of `Use`, `key` comes with a Charge Point certificate only."""
        if use not in tuple(Use):
            raise ControlError(f"use is one of {', '.join(Use)}", code=INVALID_PARAMS)
        secret = None if key is None else Secret(_text("key", key).encode())
        try:
            outcome = await self._foundation.installer.install(Use(use), _text("pem", pem), secret)
        except ValueError as error:
            raise ControlError(str(error), code=INVALID_PARAMS) from error
        if not outcome.accepted:
            raise ControlError(f"{outcome.result}: {outcome.reason}", data={"result": outcome.result})
        self._renewal.notice()
        return {"result": outcome.result}

    async def set_configuration(self, values: dict[str, str]) -> dict[str, str]:
        """Set OCPP keys with local rights; each one that is refused is named, the others are set."""
        if not isinstance(values, dict):
            raise ControlError("values is an object of keys and values", code=INVALID_PARAMS)
        for name, value in values.items():  # before the first is set: what is set may have to end the connection
            _text(name, value, empty=True)
        configuration: Configuration = self._foundation.configuration
        done, problems, reconnects = {}, [], False
        for name, value in values.items():
            change = await configuration.change(name, value, Origin.LOCAL)
            done[change.key] = str(change.status)
            if change.status not in (ChangeStatus.ACCEPTED, ChangeStatus.REBOOT_REQUIRED):
                problems.append(f"{change.key}: {change.reason}")
            reconnects = reconnects or configuration.ends_connection(change)
        if reconnects:
            self._connection.reconnect("the configuration was changed by a local command")
        if problems:
            raise ControlError("\n".join(problems), data=done)
        return done

    async def data_transfer(
        self, vendor_id: str, message_id: str | None = None, data: str | None = None
    ) -> dict[str, Any]:
        """Send a DataTransfer.req and return the answer."""
        request = call.DataTransfer(
            vendor_id=_text("vendor_id", vendor_id, MAX_VENDOR_ID_LENGTH),
            message_id=_optional_text("message_id", message_id, MAX_MESSAGE_ID_LENGTH),
            data=_optional_text("data", data),
        )
        try:
            conf = await self._session.send(request)
        except (NotAccepted, CallFailed, OutboxFull) as error:
            raise ControlError(f"DataTransfer.req has no answer: {error}") from error
        return {"status": conf.status, "data": conf.data}


def _text(name: str, value: object, longest: int | None = None, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise ControlError(f"{name} is a text", code=INVALID_PARAMS)
    if not value and not empty:
        raise ControlError(f"{name} must not be empty", code=INVALID_PARAMS)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ControlError(f"{name} holds half a surrogate pair, which has no UTF-8 form", code=INVALID_PARAMS)
    if longest is not None and len(value) > longest:
        raise ControlError(f"{name} has at most {longest} characters", code=INVALID_PARAMS)
    return value


def _optional_text(name: str, value: object, longest: int | None = None) -> str | None:
    return None if value is None else _text(name, value, longest, empty=True)


def _whole(name: str, value: object, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ControlError(f"{name} is a whole number from {lowest} to {highest}", code=INVALID_PARAMS)
    return value


def _instant(name: str, value: object) -> datetime | None:
    if value is None:
        return None
    try:
        return read_date_time(_text(name, value))
    except ValueError as error:
        raise ControlError(f"{name} is a date-time such as 2026-01-31T12:00:00Z", code=INVALID_PARAMS) from error
