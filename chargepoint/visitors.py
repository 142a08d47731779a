"""Those who want to charge and have not begun: cards that are asked about, and people who are to plug in.

- A card that names no connector means the one in which a cable waits, else the only one that is free, else whichever is
  plugged in next.
- Who may charge has ConnectionTimeOut to plug in; then the card has to be shown again.
- One card is asked about at a time and connector; any other is refused until the answer is there. So nothing grows,
  however many cards are shown.

Nothing is on the disk: who has not plugged in when the agent ends shows the card again. Id tags stand in no log line.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from chargepoint.clock import Clock
from chargepoint.configuration import Configuration
from chargepoint.connectors import Connectors

ANY_CONNECTOR: Final = 0  #: code; stands for whichever connector is plugged in next

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Visitor:
    id_tag: str = field(repr=False)
    until: float


class Visitors:
    """Who is asked about, and who is expected where.

    Args:
        connectors: where there is room; they show who is expected.
        configuration: says how long somebody is expected.
        clock: measures that.
        allows: asks whether an id tag may charge; raises nothing.
        tell: told when somebody is expected, or no longer.
    """

    def __init__(
        self,
        connectors: Connectors,
        *,
        configuration: Configuration,
        clock: Clock,
        allows: Callable[[str], Awaitable[bool]],
        tell: Callable[[], None],
    ) -> None:
        self._connectors = connectors
        self._configuration = configuration
        self._clock = clock
        self._allows = allows
        self._tell = tell
        self._expected: dict[int, _Visitor] = {}
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._closed = False

    def take_card(self, id_tag: str, connector: int | None) -> None:
        """Ask whether a card may charge, and expect its owner if it may."""
        target, obstacle = self._place(connector)
        if obstacle is None and target in self._asking:
            obstacle = "another card is being asked about"
        if obstacle is not None:
            _log.info("a card is refused%s: %s", f" at connector {target}" if target else "", obstacle)
            return
        self._ask(target, id_tag)

    def take_order(self, id_tag: str, connector: int | None) -> bool:
        """Expect somebody whom the Central System sends; false where no transaction may start there."""
        target, obstacle = self._place(connector)
        if obstacle is not None or target in self._asking:
            _log.warning("RemoteStartTransaction.req is refused: %s", obstacle or "a card is being asked about")
            return False
        if self._configuration.boolean("AuthorizeRemoteTxRequests"):
            self._ask(target, id_tag)
        else:
            self._expect(target, id_tag)
        return True

    def take_arrived(self) -> tuple[int, str] | None:
        """Return somebody who has plugged in, connector and id tag, who is expected no longer; None: nobody has."""
        now = self._clock.monotonic()
        for target, visitor in tuple(self._expected.items()):
            connector = self._plugged_in(target)
            if connector is not None:
                self._forget(target)
                return connector, visitor.id_tag
            if now >= visitor.until or (target and self._connectors.obstacle(target)):
                _log.info("whoever was to plug in%s is expected no longer", f" at connector {target}" if target else "")
                self._forget(target)
        return None

    def next_lapse_in(self) -> float | None:
        """Return the seconds until somebody is expected no longer; None where nobody is."""
        waits = [visitor.until - self._clock.monotonic() for visitor in self._expected.values()]
        return max(min(waits), 0.0) if waits else None

    def send_away(self) -> None:
        """Expect nobody: no transaction may start for now."""
        for target in tuple(self._expected):
            self._forget(target)

    async def close(self) -> None:
        """Take nobody in any longer."""
        self._closed = True
        asking = tuple(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _place(self, connector: int | None) -> tuple[int, str | None]:
        """Return where somebody means to charge, and what stands in the way."""
        if self._closed:
            return connector or ANY_CONNECTOR, "the Charge Point stops"
        if connector is not None:
            known = connector in self._connectors
            return connector, self._connectors.obstacle(connector) if known else "there is no such connector"
        free = [each for each in self._connectors.numbers if self._connectors.obstacle(each) is None]
        if not free:
            return ANY_CONNECTOR, "no connector is free"
        waiting = [each for each in free if self._is_waiting(each)]
        if waiting:
            return waiting[0], None
        return (free[0] if len(free) == 1 else ANY_CONNECTOR), None

    def _is_waiting(self, connector: int) -> bool:
        """Whether a cable was plugged in for which nobody has been here yet."""
        is_new = self._connectors[connector].status == "Preparing"  # and not Finishing: that vehicle has had its turn
        return is_new and self._connectors.is_plugged_in(connector)

    def _plugged_in(self, target: int) -> int | None:
        """Return the connector at which an expected visitor has plugged in."""
        if target != ANY_CONNECTOR:
            is_there = self._connectors.is_plugged_in(target) and self._connectors.obstacle(target) is None
            return target if is_there else None
        others = [each for each in self._connectors.numbers if each not in self._expected and self._is_waiting(each)]
        return others[0] if others else None

    def _ask(self, target: int, id_tag: str) -> None:
        async def ask() -> None:
            allowed = await self._allows(id_tag)
            _, obstacle = self._place(target or None)  # the world has moved on meanwhile
            if allowed and obstacle is None:
                self._expect(target, id_tag)
            elif allowed:
                _log.info("a card that was accepted is too late: %s", obstacle)

        task = self._asking[target] = asyncio.create_task(ask(), name="authorize")
        task.add_done_callback(lambda _: self._asking.pop(target))

    def _expect(self, target: int, id_tag: str) -> None:
        patience_s = self._configuration.integer("ConnectionTimeOut")
        self._expected[target] = _Visitor(id_tag, self._clock.monotonic() + patience_s)
        if target != ANY_CONNECTOR:
            self._connectors.set_expected(target, True, self._clock.now())
        self._tell()

    def _forget(self, target: int) -> None:
        del self._expected[target]
        if target != ANY_CONNECTOR:
            self._connectors.set_expected(target, False, self._clock.now())
