"""The hardware port: all that the agent asks of a board, and all that a board may tell the agent.

A vendor's driver is a class with the methods of `Hardware`, registered under the entry point group
``chargepoint.hardware`` and named by ``[hardware] driver`` in config.toml. The agent calls it on the event loop, so a
driver moves slow work to a thread of its own. What happens on the board reaches the agent as a `Notice`, through the
function that `start` hands over; that function may be called from the event loop only.

Charging is divided like this: the board knows plugs, cards, vehicles, contactors and meters, and the agent knows
transactions. The agent says between `start_energy` and `stop_energy` that a vehicle may have energy; what else a
vehicle, a lock or a fault needs is the board's own business, and safety rests on no word of the agent. When the driver
is stopped, or its process dies, nobody watches any more: a board opens its contactors then.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from chargepoint.payload import enums

MAX_ID_TAG_LENGTH: Final = 20  #: characters; IdToken of OCPP 1.6

_ERROR_CODES: Final = frozenset(code.value for code in enums.ChargePointErrorCode)


class HardwareFailed(Exception):
    """Raised when the board does not answer; the agent ends, and whoever starts it may try again."""


class ResetKind(StrEnum):
    """The two resets of Reset.req."""

    HARD = "Hard"
    SOFT = "Soft"


@dataclass(frozen=True, slots=True)
class ConnectorFaulted:
    """A connector (0: the whole Charge Point) cannot be used.

    Attributes:
        connector: 0 to the number of connectors.
        error_code: a ChargePointErrorCode of OCPP 1.6, for instance ``GroundFailure``.
        info: free text for the operator, at most 50 characters go over the wire.
    """

    connector: int
    error_code: str
    info: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what no StatusNotification.req can say, to the driver that made it."""
        if not isinstance(self.error_code, str) or self.error_code not in _ERROR_CODES:
            raise ValueError(f"{self.error_code!r} is no ChargePointErrorCode")
        _check_info(self.info)


@dataclass(frozen=True, slots=True)
class ConnectorCleared:
    """The fault of a connector (0: the whole Charge Point) is gone."""

    connector: int


@dataclass(frozen=True, slots=True)
class PluggedIn:
    """A cable joins a connector and a vehicle. Told of each that is in place when the board starts, too."""

    connector: int


@dataclass(frozen=True, slots=True)
class PluggedOut:
    """The cable does not join them any more."""

    connector: int


@dataclass(frozen=True, slots=True)
class EvSuspended:
    """The vehicle takes no energy although it could have some."""

    connector: int


@dataclass(frozen=True, slots=True)
class EvResumed:
    """The vehicle takes energy again."""

    connector: int


@dataclass(frozen=True, slots=True)
class IdTagPresented:
    """A card was held to a reader.

    Attributes:
        id_tag: what it says, 1 to 20 characters.
        connector: to which the reader belongs; None where it serves them all.
    """

    id_tag: str = field(repr=False)
    connector: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what no Authorize.req can say; the text does not hold the id tag."""
        fits = isinstance(self.id_tag, str) and 1 <= len(self.id_tag) <= MAX_ID_TAG_LENGTH and self.id_tag.isprintable()
        if not fits:
            raise ValueError(f"an id tag is a text of 1 to {MAX_ID_TAG_LENGTH} printable characters")


@dataclass(frozen=True, slots=True)
class TamperDetected:
    """The tamper sensor fired (section 8: TamperDetectionActivated)."""

    info: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what no security event can say."""
        _check_info(self.info)


def _check_info(info: object) -> None:
    if info is not None and not isinstance(info, str):
        raise ValueError("info is a text")


ConnectorNotice = ConnectorFaulted | ConnectorCleared | PluggedIn | PluggedOut | EvSuspended | EvResumed
Notice = ConnectorNotice | IdTagPresented | TamperDetected
Notify = Callable[[Notice], None]


class Hardware(Protocol):
    """What a board can do for the agent."""

    @property
    def boot_id(self) -> str:
        """A text that stays the same until the device boots again: a crash of the agent does not change it."""

    @property
    def firmware_version(self) -> str | None:
        """The version that runs, or None where the board does not know (then config.toml says it)."""

    def system_time(self) -> datetime:
        """The board's clock, aware UTC; it may be wrong."""

    async def set_system_time(self, moment: datetime) -> bool:
        """Set the board's clock; False where it cannot be set (the agent then keeps an offset of its own)."""

    async def start(self, notify: Notify) -> None:
        """Begin to work: from now on `notify` is told what happens. Raises OSError where the board does not answer."""

    async def stop(self) -> None:
        """End orderly; nothing is notified afterwards."""

    async def start_energy(self, connector: int) -> None:
        """Let the vehicle at a connector have energy. Raises OSError where the board cannot."""

    async def stop_energy(self, connector: int) -> None:
        """Give the vehicle no more energy; harmless where none flows. Raises OSError where the board cannot."""

    async def meter_wh(self, connector: int) -> int:
        """Return the register of all energy that a connector ever gave, in Wh (Energy.Active.Import.Register).

        It never runs back, over a power cut neither. Raises OSError where it cannot be read.
        """

    def reboot(self, kind: ResetKind) -> None:
        """Restart the device. Called last, when everything of the agent is closed; it need not return."""
