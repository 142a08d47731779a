"""What the handlers may touch: the parts of the agent, and the two acts that end a connection."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from chargepoint.availability import Availability
from chargepoint.charging import Charging
from chargepoint.configuration import Configuration
from chargepoint.connectors import Connectors
from chargepoint.firmware_update import FirmwareUpdates
from chargepoint.hardware.port import ResetKind
from chargepoint.installation import Installer
from chargepoint.log_upload import LogUploads
from chargepoint.registration import RegistrationStatus
from chargepoint.renewal import Renewal
from chargepoint.rpc import Reply
from chargepoint.status_delivery import StatusDelivery
from chargepoint.transfer import Transfers


class Trigger(Protocol):
    """Knows what may be said, and says what the Central System asked for; the session does."""

    @property
    def registration(self) -> RegistrationStatus | None:
        """What the last BootNotification.conf said."""

    def can_trigger(self, message: str) -> bool:
        """Whether the registration lets this message go now."""

    async def trigger(self, message: str, connector: int | None) -> None:
        """Send it once, for one connector or for all."""

    async def trigger_with(self, make_request: Callable[[], Awaitable[Any]]) -> None:
        """Send once what is made here, when its turn has come."""

    def notice_change(self) -> None:
        """Something that the Central System may have to hear of has changed."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The parts that handlers call.

    Attributes:
        configuration: the OCPP configuration keys.
        connectors: the connectors and their status.
        availability: puts them into service and out of it.
        charging: starts and stops transactions.
        session: knows what may be said, and sends triggered messages.
        installer: installs and deletes certificates.
        renewal: asks for the Charge Point certificate and takes it in.
        transfers: uploads and downloads.
        log_uploads: uploads logs and diagnostics.
        firmware_updates: takes orders for firmware updates.
        status_delivery: sends the statuses of uploads and updates.
        root_in_use: the installed root that the open connection rests on, DER; None without TLS.
        reset: begins an orderly end of the agent and a reboot of the device; returns at once.
        reconnect: closes the connection and opens it anew with what is configured now; returns at once.
    """

    configuration: Configuration
    connectors: Connectors
    availability: Availability
    charging: Charging
    session: Trigger
    installer: Installer
    renewal: Renewal
    transfers: Transfers
    log_uploads: LogUploads
    firmware_updates: FirmwareUpdates
    status_delivery: StatusDelivery
    root_in_use: Callable[[], bytes | None]
    reset: Callable[[ResetKind], None]
    reconnect: Callable[[str], None]


Handler = Callable[[Domain, Any], Awaitable[Reply]]
