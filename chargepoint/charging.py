"""The transactions at the connectors: begun, ended, cut off and found again, and kept away for a firmware update.

What happens is taken in at once, as facts and as orders; one task (`run`) then does what is due, one thing after the
other: it begins a transaction where somebody who may charge has plugged in, and ends one that was ordered to end.

Persist, then act, then tell: a transaction is on the disk before energy flows. Energy is stopped first and the end
written then, because the meter must have come to rest and safety does not wait for a disk; a power cut in between ends
the transaction at the next start.

- A card at a connector in use ends its transaction if it is the one that began it; any other is refused.
- A transaction that is found running at a start was cut off: PowerLoss after a boot of the device, else Reboot.
- A firmware update asks to hold the connectors (`hold_connectors`), waits until nothing runs and lets them go again. A
  hold lives in memory only: after a restart the update, which knows whether it still waits, holds again.

Not done here: who may charge (visitors.py), what is told (transaction_delivery.py). Id tags stand in no log line.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from chargepoint.clock import Clock
from chargepoint.configuration import Configuration
from chargepoint.connectors import Connectors
from chargepoint.hardware.port import (
    ConnectorCleared,
    ConnectorFaulted,
    ConnectorNotice,
    EvResumed,
    EvSuspended,
    Hardware,
    IdTagPresented,
    PluggedIn,
    PluggedOut,
)
from chargepoint.payload import enums
from chargepoint.state import StateUnusable
from chargepoint.transaction_delivery import Started
from chargepoint.transactions import Moment, Transaction, TransactionsFull, TransactionStore
from chargepoint.visitors import Visitors

DISK_RETRY: Final = timedelta(minutes=1)  #: time; until a failing disk is asked again to take the end of a transaction
ID_UNDER_WAY: Final = timedelta(seconds=1)  #: time; what has been read from the connection is taken in by then

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ending:
    """The order to end a transaction, and what is known of the end once the energy was stopped."""

    reason: enums.Reason
    id_tag: str | None = field(default=None, repr=False)
    meter_wh: int = 0
    moment: Moment | None = None
    retry_at: float = 0.0


class Charging:
    """The connectors at work.

    Args:
        connectors: their facts and status.
        store: the transactions, on the disk.
        hardware: the board.
        configuration: the OCPP configuration keys.
        clock: the agent's clock.
        allows: asks whether an id tag may charge.
        tell: told whenever a status may have changed.
    """

    def __init__(
        self,
        connectors: Connectors,
        *,
        store: TransactionStore,
        hardware: Hardware,
        configuration: Configuration,
        clock: Clock,
        allows: Callable[[str], Awaitable[bool]],
        tell: Callable[[], None],
    ) -> None:
        self._connectors = connectors
        self._store = store
        self._hardware = hardware
        self._configuration = configuration
        self._clock = clock
        self._tell = tell
        self._tell_owed: Callable[[], None] = lambda: None
        self._visitors = Visitors(
            connectors, configuration=configuration, clock=clock, allows=allows, tell=self._note_change
        )
        self._running: dict[int, Transaction] = {}
        self._endings: dict[int, _Ending] = {}
        self._refused: set[int] = set()
        self._wake = asyncio.Event()
        self._id_came = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def subscribe(self, tell_owed: Callable[[], None]) -> None:
        """Have somebody told whenever a message is owed."""
        self._tell_owed = tell_owed

    async def open(self) -> None:
        """End what was cut off; the board has been started.

        Raises:
            DatabaseError: the disk cannot be read or written.
        """
        for transaction in await self._store.running():
            same_boot = transaction.boot_id == self._store.boot_id
            reason = enums.Reason.reboot if same_boot else enums.Reason.power_loss
            meter_wh = await self._stop_energy(transaction)
            await self._store.end(transaction.number, meter_wh, Moment.now(self._clock), reason)
            _log.warning("transaction %d was cut off and has ended: %s", transaction.number, reason.value)

    async def run(self) -> None:
        """Begin and end transactions until cancelled."""
        while True:
            self._wake.clear()
            wait = await self._do_what_is_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def close(self) -> None:
        """Take nobody in any longer; what runs goes on."""
        await self._visitors.close()

    async def end_all(self, reason: enums.Reason) -> None:
        """Begin no transaction any more, end those that run, and wait until they have ended."""
        await self._visitors.close()
        for connector in self._connectors.in_use:
            self._order_end(connector, _Ending(reason))
        await self._idle.wait()

    def take_notice(self, notice: ConnectorNotice | IdTagPresented) -> None:
        """Take in what the board says."""
        now = self._clock.now()
        match notice:
            case IdTagPresented(connector=None):
                self._take_card(notice.id_tag, None)
            case _ if not self._is_known(notice):
                _log.error("the board speaks of connector %r, which there is not", notice.connector)
            case IdTagPresented(id_tag, connector):
                self._take_card(id_tag, connector)
            case ConnectorFaulted(connector, error_code, info):
                self._connectors.set_fault(connector, error_code, info, now)
            case ConnectorCleared(connector):
                self._connectors.clear_fault(connector, now)
            case PluggedIn(connector):
                self._connectors.plug_in(connector, now)
            case PluggedOut(connector):
                ends = self._configuration.boolean("StopTransactionOnEVSideDisconnect")
                self._connectors.plug_out(connector, now, goes_on=not ends)
                if ends:
                    self._order_end(connector, _Ending(enums.Reason.ev_disconnected))
            case EvSuspended(connector) | EvResumed(connector):
                self._connectors.set_ev_suspended(connector, isinstance(notice, EvSuspended), now)
        self._note_change()

    def remote_start(self, id_tag: str, connector: int | None) -> bool:
        """Expect somebody whom the Central System sends; false where no transaction may start there."""
        return self._visitors.take_order(id_tag, connector)

    async def remote_stop(self, transaction_id: int) -> bool:
        """End the transaction of this id of the Central System's; false where none runs.

        An order may come on the heels of the StartTransaction.conf that brought the id, so it waits for that a little.
        """
        if self._stop_remotely(transaction_id):
            return True
        if all(transaction.transaction_id is not None for transaction in self._running.values()):
            return False
        self._id_came.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ID_UNDER_WAY.total_seconds()):
                await self._id_came.wait()
        return self._stop_remotely(transaction_id)

    def _stop_remotely(self, transaction_id: int) -> bool:
        for connector, transaction in self._running.items():
            if transaction.transaction_id == transaction_id:
                self._order_end(connector, _Ending(enums.Reason.remote))
                return True
        return False

    def note_started(self, started: Started) -> None:
        """Take in what a StartTransaction.conf said of a transaction, which may have ended meanwhile."""
        for connector, transaction in self._running.items():
            if transaction.number != started.number:
                continue
            self._running[connector] = replace(transaction, transaction_id=started.transaction_id)
            self._id_came.set()
            if started.id_tag_status == enums.AuthorizationStatus.accepted:
                return
            _log.warning("transaction %d: the Central System says %s", started.number, started.id_tag_status)
            if self._configuration.boolean("StopTransactionOnInvalidId"):
                self._order_end(connector, _Ending(enums.Reason.de_authorized))
            else:
                self._refused.add(connector)
                self._wake.set()
            return

    def transaction(self, connector: int) -> Transaction | None:
        """Return the transaction that runs on a connector."""
        return self._running.get(connector)

    def transactions_running(self) -> int:
        """Return how many transactions run."""
        return len(self._connectors.in_use)

    def hold_connectors(self) -> None:
        """Let no transaction start; what is not in use is Unavailable, or when it falls free (L01.FR.07, L01.FR.19).

        Harmless when repeated. Nothing of it is on the disk: whoever holds holds again after a restart.
        """
        if not self._connectors.held:
            _log.info("the connectors are held for a firmware update, %d in use", self.transactions_running())
            self._visitors.send_away()
            self._connectors.hold(self._clock.now())
            self._note_change()

    def release_connectors(self) -> None:
        """Let transactions start again; harmless when repeated."""
        if self._connectors.held:
            _log.info("the connectors are free again after a firmware update")
            self._connectors.release(self._clock.now())
            self._note_change()

    async def wait_until_idle(self) -> None:
        """Wait until no transaction runs; hold the connectors first, or the next one may have started by then."""
        await self._idle.wait()

    def _is_known(self, notice: ConnectorNotice | IdTagPresented) -> bool:
        """Whether there is what a notice is about: only a fault can be one of the whole Charge Point."""
        may_be_whole = isinstance(notice, ConnectorFaulted | ConnectorCleared)
        return notice.connector in self._connectors and (notice.connector != 0 or may_be_whole)

    def _take_card(self, id_tag: str, connector: int | None) -> None:
        for number, transaction in self._running.items():
            is_same = transaction.id_tag.casefold() == id_tag.casefold()  # CiString20Type
            if is_same and connector in (None, number):
                self._order_end(number, _Ending(enums.Reason.local, transaction.id_tag))
                return
        self._visitors.take_card(id_tag, connector)

    def _order_end(self, connector: int, ending: _Ending) -> None:
        """End what runs on a connector, or has just begun to; the first order counts."""
        if connector in self._connectors.in_use:
            self._endings.setdefault(connector, ending)
            self._wake.set()

    def _note_change(self) -> None:
        if self._connectors.in_use:
            self._idle.clear()
        else:
            self._idle.set()
        self._wake.set()
        self._tell()

    async def _do_what_is_due(self) -> float | None:
        """Act, and return the seconds until something is due again; None: not before something happens."""
        now = self._clock.monotonic()
        for connector, ending in tuple(self._endings.items()):
            if ending.retry_at <= now:
                await self._end(connector, ending)
        for connector in tuple(self._refused):
            await self._suspend(connector)
        while (arrived := self._visitors.take_arrived()) is not None:
            await self._begin(*arrived)
        waits = [ending.retry_at - now for ending in self._endings.values()]
        lapse = self._visitors.next_lapse_in()
        waits += [] if lapse is None else [lapse]
        return max(min(waits), 0.0) if waits else None

    async def _begin(self, connector: int, id_tag: str) -> None:
        self._connectors.begin_use(connector, self._clock.now())
        self._note_change()
        try:
            meter_wh = await self._hardware.meter_wh(connector)
            transaction = await self._store.begin(connector, id_tag, meter_wh, Moment.now(self._clock))
        except (OSError, StateUnusable, TransactionsFull) as error:
            _log.error("no transaction can begin on connector %d: %s", connector, error)
            self._endings.pop(connector, None)
            self._connectors.end_use(connector, self._clock.now(), was_charging=False)
            self._note_change()
            return
        self._running[connector] = transaction
        _log.info("transaction %d begins on connector %d at %d Wh", transaction.number, connector, meter_wh)
        self._tell_owed()
        try:
            await self._hardware.start_energy(connector)
        except OSError as error:
            _log.error("transaction %d gets no energy: %s", transaction.number, error)
            self._order_end(connector, _Ending(enums.Reason.other))

    async def _end(self, connector: int, ending: _Ending) -> None:
        transaction = self._running[connector]
        if ending.moment is None:
            meter_wh = await self._stop_energy(transaction)
            ending = replace(ending, meter_wh=meter_wh, moment=Moment.now(self._clock))
        moment = ending.moment or Moment.now(self._clock)
        try:
            await self._store.end(
                transaction.number, ending.meter_wh, moment, ending.reason.value, id_tag=ending.id_tag
            )
        except StateUnusable as error:
            _log.error("transaction %d has ended, which cannot be kept yet: %s", transaction.number, error)
            retry_at = self._clock.monotonic() + DISK_RETRY.total_seconds()
            self._endings[connector] = replace(ending, retry_at=retry_at)
            return
        _log.info("transaction %d ends at %d Wh: %s", transaction.number, ending.meter_wh, ending.reason.value)
        del self._running[connector], self._endings[connector]
        self._refused.discard(connector)
        self._connectors.end_use(connector, self._clock.now())
        self._note_change()
        self._tell_owed()

    async def _suspend(self, connector: int) -> None:
        """Give no more energy to a transaction that goes on."""
        self._refused.discard(connector)
        if connector in self._running:
            self._connectors.suspend_evse(connector, self._clock.now())
            self._note_change()
            await self._stop_energy(self._running[connector])

    async def _stop_energy(self, transaction: Transaction) -> int:
        """Stop the energy and return what the meter shows then; what the board refuses is logged."""
        connector = transaction.connector
        if connector not in self._connectors:
            return transaction.meter_start_wh  # the board was larger when the transaction began
        try:
            await self._hardware.stop_energy(connector)
        except OSError as error:
            _log.error("the energy of connector %d cannot be stopped: %s", connector, error)
        try:
            return max(await self._hardware.meter_wh(connector), transaction.meter_start_wh)
        except OSError as error:
            _log.error("the meter of connector %d cannot be read: %s", connector, error)
            return transaction.meter_start_wh
