"""The charging side of one process on a real database, with the simulated board and time at will.

The test is the person at the board and the Central System's word about id tags.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from chargepoint.charging import Charging
from chargepoint.clock import Clock, system_time
from chargepoint.configuration import Configuration, Origin, device_values
from chargepoint.connectors import Connectors
from chargepoint.database import Database
from chargepoint.hardware.port import ConnectorCleared, Notice, TamperDetected
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.settings import HardwareSettings
from chargepoint.state_schema import MIGRATIONS
from chargepoint.transactions import TransactionStore

PATIENCE_S = 20
MAX_OWED = 5
CARD = "04E1C2A3B4"


class Board(SimulatedHardware):
    """A simulated board whose contactors or meters may fail, and which a test boots at will.

    Attributes:
        fails: the methods that raise OSError.
        boot: the boot id.
        energised: the connectors whose contactor is closed.
    """

    def __init__(self, connectors: int, directory: Path, boot: str) -> None:
        super().__init__(HardwareSettings(on_reboot="exit"), connectors, directory)
        self.fails: set[str] = set()
        self.boot = boot
        self.energised: set[int] = set()

    @property
    def boot_id(self) -> str:
        return self.boot

    async def start_energy(self, connector: int) -> None:
        self._fail("start_energy")
        await super().start_energy(connector)
        self.energised.add(connector)

    async def stop_energy(self, connector: int) -> None:
        self._fail("stop_energy")
        await super().stop_energy(connector)
        self.energised.discard(connector)

    async def meter_wh(self, connector: int) -> int:
        self._fail("meter_wh")
        return await super().meter_wh(connector)

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise OSError(f"{what} failed")


class Bench:
    """One process.

    Attributes:
        allowed: what is said of the next id tags.
        asked: the id tags that were asked about.
        answer: cleared, nobody gets an answer.
        owed: how often it was told that a message is owed.
        passed: how much later it is than it is.
    """

    def __init__(self, database: Database, configuration: Configuration, board: Board, connectors: int) -> None:
        self.database = database
        self.configuration = configuration
        self.board = board
        self.allowed = True
        self.asked: list[str] = []
        self.answer = asyncio.Event()
        self.answer.set()
        self.owed = 0
        self.passed = timedelta()
        self.clock = Clock(
            system=lambda: system_time() + self.passed,
            monotonic=lambda: time.monotonic() + self.passed.total_seconds(),
        )
        self.connectors = Connectors(connectors, self.clock.now())
        self.store = TransactionStore(database, board.boot_id, max_owed=MAX_OWED)
        self._changed = asyncio.Event()
        self.charging = Charging(
            self.connectors,
            store=self.store,
            hardware=board,
            configuration=configuration,
            clock=self.clock,
            allows=self._allows,
            tell=self._changed.set,
        )
        self.charging.subscribe(self._note_owed)

    async def _allows(self, id_tag: str) -> bool:
        self.asked.append(id_tag)
        await self.answer.wait()
        return self.allowed

    def _take_notice(self, notice: Notice) -> None:
        assert not isinstance(notice, TamperDetected)
        self.charging.take_notice(notice)

    def _note_owed(self) -> None:
        self.owed += 1

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Start the board and the task, as the agent does."""
        await self.board.start(self._take_notice)
        await self.charging.open()
        task = asyncio.create_task(self.charging.run())
        try:
            yield
        finally:
            await self.charging.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.board.stop()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so that shows in a status."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def has_status(self, connector: int, status: str) -> None:
        await self.until(lambda: self.connectors[connector].status == status)

    def statuses(self) -> list[str]:
        return [self.connectors[number].status for number in self.connectors.numbers]

    async def charge(self, connector: int = 1, id_tag: str = CARD) -> None:
        """Plug in, show the card, and wait until a transaction runs."""
        await self.board.plug_in(connector)
        self.board.present_id_tag(id_tag, connector)
        await self.settled(lambda: self.charging.transaction(connector) is not None)

    async def settled(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so that no status tells: the database answers between two looks."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await self.store.count()

    async def set_key(self, name: str, value: str) -> None:
        await self.configuration.change(name, value, Origin.LOCAL)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for every clock, and something harmless happen, so that the clocks are looked at."""
        self.passed += timedelta(seconds=seconds)
        self.charging.take_notice(ConnectorCleared(0))

    async def owed_messages(self) -> list[tuple[object, ...]]:
        """All that is owed, oldest first: number, kind, Wh, reason, id tag."""
        return await self.database.read(
            lambda connection: connection.execute(
                "SELECT transaction_number, kind, meter_wh, reason, id_tag FROM transaction_message ORDER BY id"
            ).fetchall()
        )

    async def break_disk(self, table: str, change: str) -> None:
        """Have the disk refuse a change of a table until it is mended."""
        await self.database.write(
            lambda connection: (
                connection.execute(
                    f"CREATE TRIGGER full BEFORE {change} ON {table} BEGIN SELECT raise(FAIL, 'full'); END"
                ).rowcount
            )
        )

    async def mend_disk(self) -> None:
        await self.database.write(lambda connection: connection.execute("DROP TRIGGER full").rowcount)


class NewBench(Protocol):
    """Starts a process, in the boot that is named."""

    def __call__(self, boot: str = "boot-1") -> Bench:
        """Return it."""


@asynccontextmanager
async def on_bench(directory: Path, *, connectors: int = 2) -> AsyncIterator["NewBench"]:
    """Open the database, and hand out processes over it, each with the board as the one before has left it."""
    database = await Database.open(directory / "state.db", MIGRATIONS)

    async def record(event_type: str, tech_info: str | None = None) -> None:
        raise AssertionError("no key of the charging side is a security parameter")

    configuration = await Configuration.load(
        database,
        given={},
        device=device_values(connectors),
        raise_event=record,
        missing_prerequisite=lambda profile: None,
    )
    try:
        yield lambda boot="boot-1": Bench(database, configuration, Board(connectors, directory, boot), connectors)
    finally:
        await database.close()
