"""A firmware update on its own: real journal, slots, certificates and signatures; world and time as the test says.

The test is the file server, the drivers who charge, the clock and the power switch. `killed` drops everything that is
in memory, as a SIGKILL does, and starts anew on the same disk; `booted` lets the boot loader have its say as well.
"""

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chargepoint.clock import Clock
from chargepoint.database import Database
from chargepoint.firmware_trust import FirmwareTrust
from chargepoint.job_journal import FIRMWARE_UPDATE, JobJournal, WingJournal
from chargepoint.state_schema import MIGRATIONS
from firmware.installer import Image, InstallerUnavailable, Outcome, Slots, Tell
from firmware.port import Fetched, FetchProgress, FetchRefused, JournalFailed
from firmware.record import Policy
from firmware.request import FirmwareRequest
from firmware.simulated_slots import SimulatedSlots
from firmware.state import ENDS, State
from firmware.status import Answer
from firmware.updater import Accepted, Updater
from firmware.worker import Worker
from security.event import SecurityEventType
from security.store import CaDomain, CertificateStore
from tests.pki import NOW, Made, make, make_root

PATIENCE_S = 20
TURNS = 20  # of the event loop, more than orders in memory take
HOUR = timedelta(hours=1)
ROOT = make_root("Example Manufacturer Root", organisation="Example Manufacturer")
SIGNER = make(
    "Firmware Signing", organisation="Example Manufacturer", issuer=ROOT, key=ec.generate_private_key(ec.SECP256R1())
)
IMAGE = b"version=1.1.0\n" + b"new firmware " * 1000
FORGED = b"version=6.6.6\n" + b"not what was signed"


def sign(image: bytes, signer: Made = SIGNER) -> str:
    """The signature over an image, as a manufacturer writes it into a request."""
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    return base64.b64encode(signer.key.sign(image, ec.ECDSA(hashes.SHA256()))).decode()


@dataclass
class Progress:
    """How far a download is."""

    done_bytes: int
    total_bytes: int | None
    bytes_per_s: float = 1000.0
    seconds_left: float | None = None


@dataclass
class World:
    """Everything outside of the update.

    Attributes:
        served: what the next downloads bring, in order: an image, or why there is none; the last one for ever.
        gate: downloads wait until it is set.
        fetched: the locations that were asked for.
        events: the security events that were recorded.
        recording: set once one was raised.
        disk: security events are recorded while it is set.
        reboots: how often a reboot was ordered.
        reboot_ordered: set once one was.
        told: set where the Central System has heard of everything.
        healthy: set where the agent is.
        versions_told: how often the version was to be told anew.
    """

    served: deque[bytes | FetchRefused | Exception] = field(default_factory=lambda: deque([IMAGE]))
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    fetched: list[str] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    recording: asyncio.Event = field(default_factory=asyncio.Event)
    disk: asyncio.Event = field(default_factory=asyncio.Event)
    reboots: int = 0
    reboot_ordered: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    healthy: asyncio.Event = field(default_factory=asyncio.Event)
    versions_told: int = 0
    held: bool = False
    transactions: int = 0
    _now: datetime = NOW
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.gate.set()
        self.disk.set()
        self.told.set()
        self.healthy.set()

    # Agent

    def now(self) -> datetime:
        return self._now

    async def wait_until(self, moment: datetime) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._now >= moment)

    async def record(self, event_type: SecurityEventType, tech_info: str) -> None:
        self.recording.set()
        await self.disk.wait()
        self.events.append((event_type.value, tech_info))

    async def wait_until_told(self, longest: timedelta) -> bool:
        if longest > timedelta():
            await self.told.wait()
        return self.told.is_set()

    async def wait_until_healthy(self) -> None:
        await self.healthy.wait()

    async def note_new_firmware(self) -> None:
        self.versions_told += 1

    def reboot(self) -> None:
        self.reboots += 1
        self.reboot_ordered.set()

    # Charging

    def transactions_running(self) -> int:
        return self.transactions

    def hold_connectors(self) -> None:
        self.held = True

    def release_connectors(self) -> None:
        self.held = False

    async def wait_until_idle(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.transactions == 0)

    # Fetcher

    async def fetch(self, location: str, target: Path, progress: Callable[[FetchProgress], None]) -> Fetched:
        self.fetched.append(location)
        await self._note()
        progress(Progress(1, None))
        await self.gate.wait()
        brings = self.served.popleft() if len(self.served) > 1 else self.served[0]
        if isinstance(brings, Exception):
            raise brings
        await asyncio.to_thread(target.write_bytes, brings)
        progress(Progress(len(brings), len(brings)))
        return Fetched(hashlib.sha256(brings).hexdigest(), len(brings))

    # the test

    async def pass_time(self, duration: timedelta) -> None:
        self._now += duration
        await self._note()

    async def charge(self, transactions: int) -> None:
        self.transactions = transactions
        await self._note()

    async def fetched_times(self, times: int) -> None:
        """Wait until so many downloads have begun."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.fetched) >= times)

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Slow:
    """An installer that waits where the test says, and may refuse what the slots below it would do.

    Attributes:
        cancellable: whether an installation can be stopped.
        gate: installations wait until it is set, before the slots hear of them.
        begun: set once one has begun.
        completed: the images that were installed, by SHA-256.
        unavailable: how often it does not answer a question or an order.
        busy: how often it says that an installation is under way.
        can_withdraw: whether an image can be taken back.
    """

    def __init__(self, slots: SimulatedSlots) -> None:
        self.slots = slots
        self.cancellable = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.completed: list[str] = []
        self.unavailable = self.busy = 0
        self.can_withdraw = True

    async def install(self, image: Image, tell: Tell) -> Outcome:
        self.begun.set()
        await self.gate.wait()
        outcome = await self.slots.install(image, tell)
        self.completed.append(image.sha256)
        return outcome

    async def inspect(self) -> Slots:
        self._answer()
        slots = await self.slots.inspect()
        if not self.busy:
            return slots
        self.busy -= 1
        return replace(slots, installing=True)

    async def mark_good(self) -> None:
        self._answer()
        await self.slots.mark_good()

    async def withdraw(self) -> bool:
        self._answer()
        return self.can_withdraw and await self.slots.withdraw()

    async def running_version(self) -> str | None:
        return await self.slots.running_version()

    def _answer(self) -> None:
        if self.unavailable:
            self.unavailable -= 1
            raise InstallerUnavailable("the daemon is away")


class Stage:
    """An updater and what it stands on.

    Attributes:
        world: everything outside.
        installer: the slots, and a hand on them.
        updater: the updater of the present process.
        policy: what config.toml says, from the next start on.
        pause_while_charging, report_wait: likewise.
    """

    def __init__(self, database: Database, directory: Path) -> None:
        self.world = World()
        self.policy = Policy()
        self.report_wait = timedelta(seconds=1)
        self.pause_while_charging = False
        self.directory = directory
        self.journal = JobJournal(database, FIRMWARE_UPDATE)
        self.certificates = CertificateStore.open(directory / "certificates")
        assert self.certificates.install_root(CaDomain.MANUFACTURER, ROOT.pem, NOW).accepted
        self.trust = FirmwareTrust(
            self.certificates,
            Clock(system=self.world.now, monotonic=lambda: self.world.now().timestamp()),
            _never,
            policy="off",
            accept_pkcs1=False,
        )
        self._boot = 1
        self.installer = Slow(self._slots())
        self.updater = self._updater()

    @property
    def image(self) -> Path:
        """The file that is downloaded."""
        return self.directory / "firmware" / "image"

    @property
    def state(self) -> State | None:
        """Where the last update is."""
        return None if self.updater.update is None else self.updater.update.state

    def request(self, image: bytes = IMAGE, **changes: Any) -> FirmwareRequest:
        """A request for an image, good unless a keyword changes it."""
        values: dict[str, Any] = {
            "request_id": 1,
            "location": "https://files.example.com/firmware.bin",
            "retrieve_date_time": NOW - HOUR,
            "signing_certificate": SIGNER.pem,
            "signature": sign(image),
        }
        return FirmwareRequest.of(**(values | changes))

    async def ask(self, request: FirmwareRequest | None = None) -> Answer:
        """Send a request, and let it begin."""
        accepted = await self.hand_in(request)
        accepted.begin()
        return accepted.answer

    async def hand_in(self, request: FirmwareRequest | None = None) -> Accepted:
        """Send a request whose answer does not go out yet."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.updater.request(request or self.request())

    async def until(self, *states: State) -> None:
        """Wait until the update is in one of these states; an end, and a reboot, until all that it orders is done."""
        async with asyncio.timeout(PATIENCE_S):
            while self.state not in states:
                await self.updater.wait_for_change()
            if self.state is State.REBOOTING:
                await self.world.reboot_ordered.wait()
            elif self.state in ENDS and self.updater._job is not None:
                await asyncio.wait({self.updater._job})
        await self.turns()

    async def turns(self) -> None:
        """Let everything in memory happen that can."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def statuses(self) -> list[str]:
        """All that the Central System is to hear, in order; none of it has been sent."""
        return [f"{status} {request_id}" for status, request_id in await self.reports()]

    async def reports(self) -> list[tuple[str, int | None]]:
        """Take what is owed out of the queue, as a Central System that confirms everything."""
        taken = []
        while (report := await self.journal.next_report()) is not None:
            taken.append((report.status, report.request_id))
            await self.journal.note_sent(report)
        return taken

    async def running(self) -> tuple[str | None, bool]:
        """The version that runs, and whether it was marked good."""
        slots = await self.installer.slots.inspect()
        return slots.running_version, slots.confirmed

    async def killed(self) -> None:
        """Drop everything in memory, and start anew."""
        await kill(self.updater)
        gate, completed = self.installer.gate, self.installer.completed
        unavailable, busy = self.installer.unavailable, self.installer.busy
        self.installer = Slow(self._slots())
        self.installer.gate, self.installer.completed = gate, completed
        self.installer.unavailable, self.installer.busy = unavailable, busy
        self.world.held = False
        self.updater = self._updater()
        await self.updater.start()

    async def booted(self) -> None:
        """Let the device boot: the boot loader decides, and everything starts anew."""
        self._boot += 1
        self.world.reboot_ordered.clear()
        await self.killed()

    async def roll_back(self) -> None:
        """Have the boot loader go back to what was there before, although it was told to stay."""
        await self.installer.slots._order(lambda environment: environment.only(environment.running.other))

    def _slots(self) -> SimulatedSlots:
        return SimulatedSlots.open(self.directory / "slots", boot_id=f"boot-{self._boot}", factory_version="1.0.0")

    def _updater(self) -> Updater:
        worker = Worker(
            fetcher=self.world,
            verifier=self.trust,
            installer=self.installer,
            charging=self.world,
            agent=self.world,
            directory=self.directory / "firmware",
            pause_while_charging=self.pause_while_charging,
            report_wait=self.report_wait,
        )
        return Updater(WingJournal(self.journal, JournalFailed), worker, self.policy)


async def kill(updater: Updater) -> None:
    """End the tasks of an updater without a word to the disk."""
    tasks = [task for task in (updater._job, updater._settling) if task is not None]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _never() -> Any:
    raise AssertionError("nobody asks about revocation here")


@asynccontextmanager
async def on_update_stage(directory: Path) -> AsyncIterator[Stage]:
    """Make a stage; at the end nothing runs any more."""
    database = await Database.open(directory / "state.db", MIGRATIONS)
    try:
        stage = Stage(database, directory)
        await stage.updater.start()
        yield stage
        await kill(stage.updater)
    finally:
        await database.close()
