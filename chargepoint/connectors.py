"""The connectors as data: what is so at each of them, the status that follows, and whether it has been told.

What happens at a connector (a plug, a card, a fault, a transaction, an order to take it out of service) is kept as
plain facts, and one table, `STATUSES`, says which status of OCPP 1.6 they make. A new fact is a field and a row.

- In use is a connector with a transaction. A plug alone does not keep one from being Unavailable: its cable may stay
  for days (docs/decisions/0161).
- A fault shows over everything and takes nothing away: when it is cleared, the status is what it would be without it.
- Connector 0 is the whole Charge Point: Available, Unavailable or Faulted, and Unavailable only once nothing is in use.
- Held are all connectors while a firmware update wants to install (L01.FR.07, L01.FR.19): each is Unavailable as soon
  as it is not in use.

Reporting follows the state, not the change: what differs from the last confirmed StatusNotification.req is owed, so a
status that came and went while the connection was down costs no message, and none is ever lost. Pure: no clock, no
input or output.
"""

from collections.abc import Callable, Collection
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


@dataclass(slots=True)
class Facts:
    """What is so at one connector.

    Attributes:
        error_code: of the fault, NoError where there is none.
        info: free text about the fault.
        operative: what ChangeAvailability.req said last.
        held: a firmware update keeps new transactions away.
        plugged_in: a cable is plugged in.
        expected: somebody who may charge here is to plug in.
        in_use: a transaction runs.
        ev_suspended: the vehicle takes no energy, or has gone and the transaction goes on.
        evse_suspended: the Charge Point offers none.
        finishing: the transaction is over, its cable still there.
    """

    error_code: str = NO_ERROR
    info: str | None = None
    operative: bool = True
    held: bool = False
    plugged_in: bool = False
    expected: bool = False
    in_use: bool = False
    ev_suspended: bool = False
    evse_suspended: bool = False
    finishing: bool = False


STATUSES: Final[tuple[tuple[str, Callable[[Facts], bool]], ...]] = (
    ("Faulted", lambda facts: facts.error_code != NO_ERROR),
    ("SuspendedEVSE", lambda facts: facts.in_use and facts.evse_suspended),
    ("SuspendedEV", lambda facts: facts.in_use and facts.ev_suspended),
    ("Charging", lambda facts: facts.in_use),
    ("Unavailable", lambda facts: facts.held or not facts.operative),  # L01.FR.07, L01.FR.19
    ("Finishing", lambda facts: facts.plugged_in and facts.finishing),
    ("Preparing", lambda facts: facts.plugged_in or facts.expected),
    ("Available", lambda facts: True),
)
"""Status -> whether the facts make it; the first that fits holds (OCPP 1.6, 4.9 and 7.7)."""


class Connectors:
    """All connectors of the Charge Point, 0 (the Charge Point itself) included.

    Every change names its time, aware UTC, and raises KeyError where there is no such connector.

    Args:
        count: how many connectors there are, not counting 0.
        now: since when they are available, aware UTC.
    """

    def __init__(self, count: int, now: datetime) -> None:
        self._facts = {number: Facts() for number in range(count + 1)}
        self._states = {number: ConnectorState("Available", NO_ERROR, now) for number in self._facts}
        self._reported: dict[int, ConnectorState] = {}

    def __getitem__(self, connector: int) -> ConnectorState:
        return self._states[connector]

    def __contains__(self, connector: object) -> bool:
        return connector in self._states

    @property
    def numbers(self) -> tuple[int, ...]:
        """0 and the number of every connector, ascending."""
        return tuple(self._states)

    @property
    def in_use(self) -> tuple[int, ...]:
        """The connectors on which a transaction runs, ascending."""
        return tuple(number for number, facts in self._facts.items() if facts.in_use)

    @property
    def held(self) -> bool:
        """Whether a firmware update keeps new transactions away."""
        return self._facts[0].held

    def is_operative(self, connector: int) -> bool:
        """Whether ChangeAvailability.req leaves it in service; where it does not, a transaction may still run."""
        return self._facts[connector].operative

    def is_plugged_in(self, connector: int) -> bool:
        """Whether a cable is plugged in."""
        return self._facts[connector].plugged_in

    def obstacle(self, connector: int) -> str | None:
        """Say why no transaction may start on a connector, in words; None where one may."""
        facts, whole = self._facts[connector], self._facts[0]
        if connector == 0:
            return "connector 0 is the whole Charge Point"
        if facts.in_use:
            return "a transaction runs there"
        if facts.held:
            return "it is held for a firmware update"  # L01.FR.07, L01.FR.19
        if not facts.operative:
            return "it is out of service"
        if facts.error_code != NO_ERROR or whole.error_code != NO_ERROR:
            return "it is faulted"
        return None

    def set_fault(self, connector: int, error_code: str, info: str | None, now: datetime) -> None:
        """Mark a connector as Faulted."""
        facts = self._facts[connector]
        facts.error_code, facts.info = error_code, info and info[:MAX_INFO_LENGTH]
        self._settle(now)

    def clear_fault(self, connector: int, now: datetime) -> None:
        """Take the fault of a connector away."""
        facts = self._facts[connector]
        facts.error_code, facts.info = NO_ERROR, None
        self._settle(now)

    def plug_in(self, connector: int, now: datetime) -> None:
        """A cable was plugged in, and the vehicle takes energy."""
        facts = self._facts[connector]
        facts.plugged_in, facts.ev_suspended = True, False
        self._settle(now)

    def plug_out(self, connector: int, now: datetime, *, goes_on: bool = False) -> None:
        """The cable was taken out; a transaction that `goes_on` all the same waits for the vehicle."""
        facts = self._facts[connector]
        facts.plugged_in = facts.finishing = False
        facts.ev_suspended = goes_on and facts.in_use
        self._settle(now)

    def set_ev_suspended(self, connector: int, suspended: bool, now: datetime) -> None:
        """The vehicle takes no energy, or takes it again."""
        self._facts[connector].ev_suspended = suspended
        self._settle(now)

    def suspend_evse(self, connector: int, now: datetime) -> None:
        """The Charge Point offers no more energy to the transaction that runs."""
        self._facts[connector].evse_suspended = True
        self._settle(now)

    def set_expected(self, connector: int, expected: bool, now: datetime) -> None:
        """Somebody who may charge here is to plug in, or is not waited for any longer."""
        self._facts[connector].expected = expected
        self._settle(now)

    def begin_use(self, connector: int, now: datetime) -> None:
        """A transaction begins."""
        facts = self._facts[connector]
        facts.in_use = True
        facts.expected = facts.finishing = facts.evse_suspended = False
        self._settle(now)

    def end_use(self, connector: int, now: datetime, *, was_charging: bool = True) -> None:
        """The transaction is over; one that never came about (not `was_charging`) has nothing to finish."""
        facts = self._facts[connector]
        facts.in_use = facts.evse_suspended = False
        facts.ev_suspended = facts.ev_suspended and facts.plugged_in
        facts.finishing = was_charging and facts.plugged_in
        self._settle(now)

    def meant_by(self, connector: int) -> tuple[int, ...]:
        """Return what ChangeAvailability.req means by a number: 0 is the Charge Point and all connectors (5.2)."""
        return self.numbers if connector == 0 else (connector,)

    def set_operative(self, connectors: Collection[int], operative: bool, now: datetime) -> None:
        """Put connectors into service or out of it."""
        for number in connectors:
            self._facts[number].operative = operative
        self._settle(now)

    def hold(self, now: datetime) -> None:
        """Let no transaction start: what is not in use is Unavailable, the rest as it falls free (L01.FR.07)."""
        self._set_held(True, now)

    def release(self, now: datetime) -> None:
        """Let transactions start again; each connector is what its availability and plug say."""
        self._set_held(False, now)

    def _set_held(self, held: bool, now: datetime) -> None:
        for facts in self._facts.values():
            facts.held = held
        self._settle(now)

    def _settle(self, now: datetime) -> None:
        for number, facts in self._facts.items():
            status = next(status for status, fits in STATUSES if fits(facts))
            if number == 0 and status == "Unavailable" and self.in_use:
                status = "Available"  # as long as somebody charges, the Charge Point serves
            state = ConnectorState(status, facts.error_code, now, facts.info)
            if not state.tells_the_same_as(self._states[number]):
                self._states[number] = state

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
