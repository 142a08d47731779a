"""The connectors as the Central System sees them: their status, and whether it has been told.

Reporting follows the state, not the change: what differs from the last confirmed StatusNotification.req is owed, so a
status that came and went while the connection was down costs no message, and none is ever lost. Connector 0 is the
whole Charge Point. Pure: no clock, no input or output.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

MAX_INFO_LENGTH: Final = 50  #: characters; StatusNotification.req, field info

NO_ERROR: Final = "NoError"


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """What a StatusNotification.req says of one connector.

    Attributes:
        status: a ChargePointStatus of OCPP 1.6.
        error_code: a ChargePointErrorCode of OCPP 1.6.
        changed_at: since when, aware UTC.
        info: free text for the operator, cut at 50 characters.
    """

    status: str
    error_code: str
    changed_at: datetime
    info: str | None = None

    def tells_the_same_as(self, other: "ConnectorState | None") -> bool:
        """Whether the Central System would learn nothing new; a mere change of the time is nothing new."""
        return other is not None and (self.status, self.error_code, self.info) == (
            other.status,
            other.error_code,
            other.info,
        )


class Connectors:
    """All connectors of the Charge Point, 0 (the Charge Point itself) included.

    Args:
        count: how many connectors there are, not counting 0.
        now: since when they are available, aware UTC.
    """

    def __init__(self, count: int, now: datetime) -> None:
        self._states = {number: ConnectorState("Available", NO_ERROR, now) for number in range(count + 1)}
        self._reported: dict[int, ConnectorState] = {}

    def __getitem__(self, connector: int) -> ConnectorState:
        return self._states[connector]

    def __contains__(self, connector: object) -> bool:
        return connector in self._states

    @property
    def numbers(self) -> tuple[int, ...]:
        """0 and the number of every connector, ascending."""
        return tuple(self._states)

    def set_fault(self, connector: int, error_code: str, info: str | None, now: datetime) -> None:
        """Mark a connector as Faulted. Raises KeyError where there is no such connector."""
        self._change(connector, ConnectorState("Faulted", error_code, now, info and info[:MAX_INFO_LENGTH]))

    def clear_fault(self, connector: int, now: datetime) -> None:
        """Mark a connector as Available again. Raises KeyError where there is no such connector."""
        self._change(connector, ConnectorState("Available", NO_ERROR, now))

    def _change(self, connector: int, state: ConnectorState) -> None:
        if not state.tells_the_same_as(self._states[connector]):
            self._states[connector] = state

    def unreported(self) -> tuple[int, ...]:
        """The connectors of which the Central System does not know the present state, ascending."""
        return tuple(
            number for number, state in self._states.items() if not state.tells_the_same_as(self._reported.get(number))
        )

    def mark_reported(self, connector: int, state: ConnectorState) -> None:
        """Note that the Central System confirmed this state (which may be older than the present one)."""
        self._reported[connector] = state

    def forget_reports(self) -> None:
        """Owe every state anew, as after an accepted BootNotification.req."""
        self._reported.clear()
