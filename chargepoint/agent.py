"""The composition root: builds the parts of the agent, starts them in order, ends them in the opposite one.

Tasks of the agent, all started by `Agent.live` and cancelled by it:

    connection   opens link after link and has the session converse over each; only a fault of ours ends it, and then
                 the agent, so that the service manager starts it anew
    certificate  asks for the next Charge Point certificate in time, and has it presented when its time has come
    charging     begins and ends transactions; only a fault of ours ends it, and then the agent
    free space   raises MemoryExhaustion when the disk of the state directory fills
    watchdog     tells the service manager that the event loop lives; ends at once where there is none

Everything else is a task of one link (session.py, rpc.py) or of one client of the control socket (control.py).
"""

import asyncio
import gc
import logging
import signal
from contextlib import suppress
from datetime import timedelta
from typing import Final

from chargepoint import __version__, systemd
from chargepoint.attempt import Attempt
from chargepoint.board_notice import BoardNotices
from chargepoint.boot import BootRecord
from chargepoint.boot_notification import boot_notification
from chargepoint.charging_side import build_charging_side
from chargepoint.connection import Connection
from chargepoint.connectors import Connectors
from chargepoint.control import ControlServer
from chargepoint.control_methods import ControlMethods
from chargepoint.diagnostics_content import diagnostics
from chargepoint.event_delivery import EventDelivery
from chargepoint.exchange_opener import ExchangeOpener
from chargepoint.firmware_update import build_firmware_updates
from chargepoint.foundation import Foundation, open_foundation
from chargepoint.free_space import FreeSpace
from chargepoint.handlers.domain import Domain
from chargepoint.handlers.table import serve_with
from chargepoint.hardware.port import HardwareFailed, ResetKind
from chargepoint.history import History
from chargepoint.link import Link
from chargepoint.log_file import LogFile, kept_log
from chargepoint.log_upload import log_uploads
from chargepoint.outbox import Lane
from chargepoint.renewal import Renewal
from chargepoint.running_version import RunningVersion
from chargepoint.session import Session
from chargepoint.settings import Settings
from chargepoint.state import StateUnusable
from chargepoint.status_delivery import StatusDelivery
from chargepoint.thread import DaemonThreads
from chargepoint.timekeeper import Timekeeper
from security.fallback import Outcome

ORDERLY_END: Final = timedelta(seconds=3)  #: time; of the 5 s after SIGTERM (the contract), 2 are left to a slow disk

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> int:
    """Run the agent until a signal or a reset ends it.

    Args:
        settings: config.toml, found good.

    Returns:
        0, the exit status of an orderly end.

    Raises:
        StateUnusable: the state directory or the control socket cannot be used.
        DriverUnusable: there is no such hardware driver.
        HardwareFailed: the board does not answer.
    """
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    with kept_log(settings) as log_file:
        async with open_foundation(settings) as foundation:
            if log_file is not None:
                log_file.start()  # not sooner: the directory may have been another agent's
            reset = await Agent(foundation, log_file).live()
    # Only now is everything on the disk and closed: the board may take the power away.
    if reset is not None:
        foundation.hardware.reboot(reset)
    return 0


class Agent:
    """The parts that live while the agent runs.

    Args:
        foundation: the state directory and what was opened from it; closed by whoever opened it.
        log_file: the log as it is kept; None where it is not.
    """

    def __init__(self, foundation: Foundation, log_file: LogFile | None = None) -> None:
        self.foundation = foundation
        settings, clock, events = foundation.settings, foundation.clock, foundation.events
        self.connectors = Connectors(settings.charge_point.connectors, clock.now())
        self.renewal = Renewal(
            foundation.enrolment,
            installer=foundation.installer,
            events=events,
            configuration=foundation.configuration,
            clock=clock,
            serial_number=settings.charge_point.serial_number,
            repeat=settings.security.renewal_repeat,
        )
        self.connection_history, self.transfer_history = History(clock.now), History(clock.now)
        self.connection = Connection(
            foundation.planner.plan,
            settings=settings.connection,
            static_rsa=settings.security.static_rsa,
            system_trust_store=settings.interop.system_trust_store,
            clock=clock,
            raise_event=events.raise_or_count,
            revocation=foundation.revocation,
            note_outcome=self._note_outcome,
            history=self.connection_history,
        )
        self._timekeeper = Timekeeper(clock, foundation.floor, foundation.hardware, events, settings.session.clock_step)
        self.running_version = RunningVersion(
            lambda: foundation.hardware.firmware_version,
            foundation.firmware_installer,
            settings.charge_point.firmware_version,
        )
        self.session = Session(
            settings=settings.session,
            boot_content=lambda: boot_notification(settings.charge_point, self.running_version.text),
            connectors=self.connectors,
            configuration=foundation.configuration,
            clock=clock,
            timekeeper=self._timekeeper,
            open_exchange=ExchangeOpener(
                settings.connection,
                settings.interop,
                # What a hostile peer can cause in floods is counted, across its connections too.
                raise_event=events.count_or_raise,
            ),
        )
        for lane, source in self.renewal.sources.items():
            self.session.attach(lane, source)
        self._charging_side = build_charging_side(foundation, self.connectors, self.session)
        self.charging = self._charging_side.charging
        self.event_delivery = self._event_delivery()
        self.status_delivery = StatusDelivery()
        self.session.attach(Lane.JOB, self.status_delivery)
        self.diagnostics = diagnostics(
            foundation,
            status=lambda: self._methods.status(),
            running_version=lambda: self.running_version.text,
            log_file=log_file,
            connections=self.connection_history,
            transfers=self.transfer_history,
        )
        self.log_uploads = log_uploads(
            foundation,
            diagnostics=self.diagnostics,
            history=self.transfer_history,
            delivery=self.status_delivery,
            booted=self.session.wait_accepted,
        )
        self.firmware_updates = build_firmware_updates(
            foundation,
            charging=self.charging,
            delivery=self.status_delivery,
            history=self.transfer_history,
            note_new_firmware=self._note_new_firmware,
            reboot=lambda: self.reset(ResetKind.SOFT),
        )
        self._free_space = FreeSpace(settings.state.directory, settings.state.min_free_mib, events.raise_event)
        foundation.database.subscribe_full(self._free_space.notice_full)
        self._serve = serve_with(
            Domain(
                configuration=foundation.configuration,
                connectors=self.connectors,
                availability=self._charging_side.availability,
                charging=self.charging,
                session=self.session,
                installer=foundation.installer,
                renewal=self.renewal,
                transfers=foundation.transfers,
                log_uploads=self.log_uploads,
                firmware_updates=self.firmware_updates,
                status_delivery=self.status_delivery,
                root_in_use=lambda: self.connection.root_in_use,
                reset=self.reset,
                reconnect=self.connection.reconnect,
            )
        )
        self._boot_record = BootRecord(foundation.database)
        self._methods = self._control_methods()
        self._control = self._control_server(self._methods)
        self._ended = asyncio.Event()
        self._reset: ResetKind | None = None
        self._board_notices = BoardNotices(self.charging.take_notice, events.raise_event)

    async def live(self) -> ResetKind | None:
        """Start everything, work until a signal or a reset, and end in order.

        Returns:
            The reset that the device is to carry out, None where the agent was merely told to end.
        """
        try:
            await self._begin()
            # Modules, tables and the agent itself never become garbage: the collector need not look at them again.
            gc.freeze()
            async with asyncio.TaskGroup() as tasks:
                connection = tasks.create_task(self.connection.run(self._converse), name="connection")
                certificate = tasks.create_task(
                    self.renewal.watch(lambda: self.connection.attempt_in_use, self.connection.reconnect),
                    name="certificate",
                )
                charging = tasks.create_task(self.charging.run(), name="charging")
                free_space = tasks.create_task(self._free_space.watch(), name="free space")
                watchdog = tasks.create_task(systemd.feed_watchdog(), name="watchdog")
                systemd.notify("READY=1")
                await self._ended.wait()
                await self._take_leave()
                for task in (connection, certificate, charging, free_space, watchdog):
                    task.cancel()
        finally:
            await self._end()
        return self._reset

    def reset(self, kind: ResetKind) -> None:
        """Begin an orderly end, after which the device reboots; returns at once."""
        _log.info("%s reset", kind)
        self._reset = self._reset or kind
        self._ended.set()

    def _stop(self, number: signal.Signals) -> None:
        _log.info("%s: the agent ends", number.name)
        self._ended.set()

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        foundation = self.foundation
        _log.info("chargepoint %s, state in %s", __version__, foundation.settings.state.directory)
        for key in foundation.configuration.overridden():
            _log.info("%s was set since: config.toml's value does not count", key)
        try:
            await foundation.hardware.start(self._board_notices.take)
        except OSError as error:
            driver = foundation.settings.hardware.driver
            raise HardwareFailed(f"[hardware] driver = {driver!r}: the board does not answer: {error}") from error
        await self._boot_record.take(foundation.hardware.boot_id, foundation.events.raise_event)
        await self._charging_side.availability.open()
        await self.charging.open()
        await self.log_uploads.open()
        await self.firmware_updates.open()
        self._follow_ping_interval()
        foundation.configuration.subscribe("WebSocketPingInterval", self._follow_ping_interval)
        if self._control is not None:
            try:
                await self._control.start()
            except (OSError, LookupError) as error:
                raise StateUnusable(
                    self._control.path, f"the control socket cannot be made: {error}", "correct the table [control]"
                ) from error

    async def _take_leave(self) -> None:
        """Close the link with its owed answers sent, in bounded time."""
        if self._reset is None:
            # Before a re-execution the service manager must not hear of an end: it would wait for that of the process.
            systemd.notify("STOPPING=1")
        else:
            await self._note_reset(self._reset)
        # Before the transactions: their end is no time to begin an installation or a reboot that waited for it.
        updates = asyncio.create_task(self.firmware_updates.close(), name="firmware update ends")
        await self._charging_side.end_in_order(self._reset)
        self.connection.down("the Charge Point resets" if self._reset else "the Charge Point stops")
        with suppress(TimeoutError):
            async with asyncio.timeout(ORDERLY_END.total_seconds()):
                await asyncio.gather(self.connection.wait_unlinked(), self.log_uploads.close(), updates)

    async def _note_new_firmware(self) -> None:
        """Another firmware runs without a boot: BootNotification.req says so."""
        await self.running_version.ask_again()
        await self.session.trigger("BootNotification", None)

    async def _note_reset(self, kind: ResetKind) -> None:
        try:
            await self._boot_record.order_reset(kind)
        except StateUnusable as error:
            _log.error("the reset will not be reported: %s", error)

    async def _end(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        if self._control is not None:
            await self._control.stop()
        await self.charging.close()
        await self.foundation.hardware.stop()
        await self._board_notices.close()
        await self.log_uploads.close()
        await self.firmware_updates.close()
        await self.renewal.close()
        await self._timekeeper.close()

    async def _note_outcome(self, attempt: Attempt, outcome: Outcome) -> bool:
        await self.renewal.note_outcome(attempt, outcome)
        return await self.foundation.fallback.note(attempt, outcome)

    async def _converse(self, link: Link) -> None:
        await self.foundation.installer.confirm_root(link.peer.root if link.peer else None)  # M05.FR.12
        await self.running_version.learn()
        self.firmware_updates.note_connected()
        await self.session.keep(link, self._serve)

    def _event_delivery(self) -> EventDelivery:
        foundation, security = self.foundation, self.foundation.settings.security
        delivery = EventDelivery(
            foundation.event_queue,
            foundation.events.settle_times,
            attempts=security.event_attempts,
            retry=security.event_retry,
        )
        foundation.events.subscribe(delivery.notice)
        self.session.attach(Lane.SECURITY_EVENT, delivery)
        return delivery

    def _control_methods(self) -> ControlMethods:
        return ControlMethods(
            self.foundation,
            connection=self.connection,
            session=self.session,
            connectors=self.connectors,
            charging_side=self._charging_side,
            event_delivery=self.event_delivery,
            renewal=self.renewal,
            log_uploads=self.log_uploads,
            firmware_updates=self.firmware_updates,
        )

    def _control_server(self, methods: ControlMethods) -> ControlServer | None:
        control = self.foundation.settings.control
        return None if control.socket is None else ControlServer(control.socket, control.group, methods.table())

    def _follow_ping_interval(self) -> None:
        seconds = self.foundation.configuration.integer("WebSocketPingInterval")
        self.connection.set_ping_interval(timedelta(seconds=seconds) if seconds else None)
