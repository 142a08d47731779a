"""A session on its own: real configuration, log and handlers on a real database, a link in memory, and time at will.

The test is the Central System at the other end of the link. Time passes when the test says so.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from chargepoint.authorization import Authorization
from chargepoint.availability import Availability
from chargepoint.charging import Charging
from chargepoint.clock import Clock, Floor
from chargepoint.configuration import Configuration, device_values
from chargepoint.configuration_table import TRANSFER_PROTOCOLS
from chargepoint.connectors import Connectors
from chargepoint.database import Database
from chargepoint.date_time import write_date_time
from chargepoint.events import EventDoor
from chargepoint.firmware_host import Downloads, FirmwareHost
from chargepoint.firmware_trust import FirmwareTrust
from chargepoint.firmware_update import FirmwareUpdates
from chargepoint.handlers.domain import Domain
from chargepoint.handlers.table import serve_with
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.history import History
from chargepoint.installation import Installer
from chargepoint.log_upload import LogUploads
from chargepoint.outbox import Lane
from chargepoint.payload import call
from chargepoint.renewal import Renewal
from chargepoint.rpc import AnswerMemory, Exchange, Limits
from chargepoint.session import Session
from chargepoint.settings import ChargePointSettings, HardwareSettings, SessionSettings
from chargepoint.state_schema import MIGRATIONS
from chargepoint.status_delivery import StatusDelivery
from chargepoint.timekeeper import Timekeeper
from chargepoint.transactions import TransactionStore
from chargepoint.transfer import Transfers
from chargepoint.transfer_settings import TransferSettings
from firmware.no_installer import NoInstaller
from firmware.record import Policy
from firmware.worker import Worker
from logs.request import Retrying
from logs.security_log import SecurityLog
from logs.status import LogKind
from security.enrolment import Enrolment
from security.keys import FileKeys
from security.store import CertificateStore
from tests.exchange import Pipe
from tests.upload_bench import Server as FileServer
from tests.upload_bench import Text

if TYPE_CHECKING:
    from chargepoint.link import Link

BOOT_RETRY_S = 60
SETTINGS = SessionSettings(boot_retry=timedelta(seconds=BOOT_RETRY_S), clock_step=timedelta(seconds=10))
PATIENT = timedelta(seconds=30)
AT_ONCE = timedelta(milliseconds=5)
TURNS = 20  # of the event loop, more than a message takes from task to task


class LinkInMemory(Pipe):
    """A pipe with what a session asks of a link besides, which tells when all that was said has been taken in."""

    def __init__(self) -> None:
        super().__init__()
        self._idle = asyncio.Event()
        self._probed = asyncio.Event()

    async def settle(self) -> None:
        """Replaced by the session."""

    def say(self, message: Any) -> None:
        self._idle.clear()
        super().say(message)

    async def receive(self) -> str | bytes:
        if self._inbox.empty():
            self._idle.set()
        return await super().receive()

    async def ping(self, timeout: timedelta) -> bool:
        self._probed.set()
        return await super().ping(timeout)

    async def probed(self) -> None:
        """Wait until the deadline of a CALL has passed, after which the session probes the link."""
        await asyncio.wait_for(self._probed.wait(), 5)

    async def taken_in(self) -> None:
        """Wait until everything that was said has reached the session, and what that set off in memory is done."""
        if not self._gone:
            await asyncio.wait_for(self._idle.wait(), 5)
        for _ in range(TURNS):
            await asyncio.sleep(0)


class Stage:
    """The session, what it stands on, and the Central System's side of the present link.

    Attributes:
        content: what a BootNotification.req says.
        call_timeout: how long the next link's CALLs may take.
        did: the resets and reconnects that were ordered.
        link: the present link.
    """

    def __init__(self, database: Database, directory: Path, connectors: int) -> None:
        self.content = call.BootNotification(charge_point_vendor="Vendor", charge_point_model="Model")
        self.call_timeout = PATIENT
        self.did: list[str] = []
        self.link = LinkInMemory()
        self.passed = timedelta()
        self.clock = Clock(system=self._system, monotonic=lambda: time.monotonic() + self.passed.total_seconds())
        self.log = SecurityLog(database, max_events=1000, max_age=timedelta(days=365))
        self.events = EventDoor(self.log, self.clock, "boot-1")
        self.connectors = Connectors(connectors, self.clock.now())
        self.hardware = SimulatedHardware(HardwareSettings(), connectors, directory)
        self.memory = AnswerMemory()
        about = ChargePointSettings(identity="CP001", vendor="Vendor", model="Model", serial_number="SN-0001")
        certificates = CertificateStore.open(directory / "certificates")
        self.installer = Installer(certificates, self.events, self.clock, about)
        self.enrolment = Enrolment.open(certificates, FileKeys())
        self.transfers = Transfers(
            TransferSettings(), directory / "transfers", roots=tuple, allowed=lambda: TRANSFER_PROTOCOLS
        )
        self._database = database
        self._directory = directory
        self._keeping: asyncio.Task[None] | None = None

    async def set_up(self, connectors: int, settings: SessionSettings) -> None:
        self.configuration = await Configuration.load(
            self._database,
            given={},
            device=device_values(connectors),
            raise_event=self.events.raise_event,
            missing_prerequisite=lambda profile: None,
        )
        timekeeper = Timekeeper(self.clock, Floor(self._database), self.hardware, self.events, settings.clock_step)
        self.session = Session(
            settings=settings,
            boot_content=lambda: self.content,
            connectors=self.connectors,
            configuration=self.configuration,
            clock=self.clock,
            timekeeper=timekeeper,
            open_exchange=self._open_exchange,
        )
        self.renewal = Renewal(
            self.enrolment,
            installer=self.installer,
            events=self.events,
            configuration=self.configuration,
            clock=self.clock,
            serial_number="SN-0001",
            repeat=timedelta(),
        )
        for lane, source in self.renewal.sources.items():
            self.session.attach(lane, source)
        self.charging = Charging(
            self.connectors,
            store=TransactionStore(self._database, self.hardware.boot_id),
            hardware=self.hardware,
            configuration=self.configuration,
            clock=self.clock,
            allows=Authorization(self.session.send, self.configuration).allows,
            tell=self.session.notice_change,
        )
        self.delivery = StatusDelivery()
        self.session.attach(Lane.JOB, self.delivery)
        self.files = FileServer()
        self.log_uploads = LogUploads(
            self._database,
            transfers=self.files,
            contents={kind: Text() for kind in LogKind},
            directory=self._directory,
            retrying=Retrying(1, timedelta()),
            now=self.clock.now,
            history=History(self.clock.now),
            delivery=self.delivery,
            booted=self.session.wait_accepted,
        )
        await self.log_uploads.open()
        host = FirmwareHost(
            clock=self.clock,
            events=self.events,
            delivery=self.delivery,
            mark_good_after=timedelta(),
            note_new_firmware=_nothing,
            reboot=lambda: self.did.append("reboot"),
        )
        self.firmware_updates = FirmwareUpdates(
            self._database,
            worker=Worker(
                fetcher=Downloads(
                    self.transfers, max_bytes=1000, online=host.wait_until_connected, history=History(self.clock.now)
                ),
                verifier=FirmwareTrust(
                    CertificateStore.open(self._directory / "certificates"),
                    self.clock,
                    _never,
                    policy="off",
                    accept_pkcs1=False,
                ),
                installer=NoInstaller(),
                charging=self.charging,
                agent=host,
                directory=self._directory / "firmware",
                pause_while_charging=False,
                report_wait=timedelta(),
            ),
            host=host,
            policy=Policy(),
            delivery=self.delivery,
            can_install=False,
        )
        self.serve = serve_with(
            Domain(
                configuration=self.configuration,
                connectors=self.connectors,
                availability=Availability(self._database, self.connectors, self.clock),
                charging=self.charging,
                session=self.session,
                installer=self.installer,
                renewal=self.renewal,
                transfers=self.transfers,
                log_uploads=self.log_uploads,
                firmware_updates=self.firmware_updates,
                status_delivery=self.delivery,
                root_in_use=lambda: None,
                reset=self.did.append,
                reconnect=self.did.append,
            )
        )

    def connect(self) -> None:
        """Open a new link; the session converses over it."""
        self.link = LinkInMemory()
        self._keeping = asyncio.create_task(self.session.keep(cast("Link", self.link), self.serve))

    async def disconnect(self) -> None:
        """Cut the link; the session must let go of it."""
        self.link.cut()
        if self._keeping is not None:
            await asyncio.wait_for(self._keeping, 5)
        self._keeping = None

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, for every clock, once all that was said is taken in; then have the session look at them."""
        await self.link.taken_in()
        self.passed += timedelta(seconds=seconds)
        self.session.notice_change()

    async def asked(self, action: str) -> tuple[str, dict[str, Any]]:
        """Return id and payload of the CALL that comes next, which must be of this action."""
        frame = await self.link.hear()
        assert (frame[0], frame[2]) == (2, action), frame
        return frame[1], frame[3]

    async def answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer the CALL that comes next, which must be of this action, and return its payload."""
        unique_id, request = await self.asked(action)
        self.link.say([3, unique_id, payload])
        return request

    async def answer_boot(self, status: str, interval: int = 300) -> dict[str, Any]:
        return await self.answer("BootNotification", self.boot_conf(status, interval))

    def boot_conf(self, status: str, interval: int = 300) -> dict[str, Any]:
        return {"status": status, "currentTime": write_date_time(self._system()), "interval": interval}

    async def answer_heartbeat(self) -> None:
        await self.answer("Heartbeat", {"currentTime": write_date_time(self._system())})

    async def answer_status(self) -> tuple[int, str]:
        request = await self.answer("StatusNotification", {})
        return request["connectorId"], request["status"]

    async def boot(self) -> None:
        """Connect and accept the Charge Point; it tells the status of every connector."""
        self.connect()
        await self.answer_boot("Accepted")
        for number in self.connectors.numbers:
            assert await self.answer_status() == (number, "Available")

    async def lives(self, unique_id: str = "lives?") -> bool:
        """Tell whether a request is answered, and nothing else was said before."""
        return await self.link.ask([2, unique_id, "DataTransfer", {"vendorId": "x"}]) == [
            3,
            unique_id,
            {"status": "UnknownVendorId"},
        ]

    async def trigger(self, message: str, connector: int | None = None) -> str:
        """Send TriggerMessage.req and return the status of its answer."""
        payload = {"requestedMessage": message} | ({} if connector is None else {"connectorId": connector})
        frame = await self.link.ask([2, f"trigger {self.clock.monotonic()}", "TriggerMessage", payload])
        return str(frame[2]["status"])

    def _system(self) -> datetime:
        return datetime.now(UTC) + self.passed

    def _open_exchange(self, link: Any, serve: Any) -> Exchange:
        limits = Limits(call_timeout=self.call_timeout, ping_timeout=PATIENT, max_inbound_calls=16)
        return Exchange(link, serve, memory=self.memory, limits=limits, raise_event=self.events.raise_event)


async def _nothing() -> None:
    return


def _never() -> Any:
    raise AssertionError("nobody asks about revocation here")


@asynccontextmanager
async def on_stage(
    directory: Path, *, connectors: int = 1, settings: SessionSettings = SETTINGS
) -> AsyncIterator[Stage]:
    """Make a session; at the end its link is cut and it must let go."""
    database = await Database.open(directory / "state.db", MIGRATIONS)
    try:
        stage = Stage(database, directory, connectors)
        await stage.set_up(connectors, settings)
        yield stage
        await stage.disconnect()
        await stage.log_uploads.close()
        await stage.firmware_updates.close()
        await stage.events.close()
    finally:
        await database.close()
