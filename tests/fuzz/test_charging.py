"""Whatever happens at the connectors and to the process, each transaction is whole, and none is there that is not."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargepoint.payload import enums
from chargepoint.transaction_delivery import Started
from tests.charging_bench import MAX_OWED, PATIENCE_S, NewBench, on_bench

CONNECTORS = (1, 2)
CARDS = ("FIRST", "SECOND")
LOOKS = 4  # at the database, each behind what was handed in before: longer than any event has consequences

HAPPENINGS = st.one_of(
    st.tuples(st.just("guest"), st.sampled_from(CARDS), st.sampled_from(CONNECTORS)),
    st.tuples(st.sampled_from(["plug_in", "plug_out", "fault", "clear_fault"]), st.sampled_from(CONNECTORS)),
    st.tuples(st.just("card"), st.sampled_from(CARDS), st.sampled_from([None, *CONNECTORS])),
    st.tuples(st.just("remote_start"), st.sampled_from(CARDS), st.sampled_from([None, *CONNECTORS])),
    st.tuples(st.just("answer_start"), st.sampled_from(["Accepted", "Invalid"])),
    st.tuples(st.sampled_from(["remote_stop", "answer_stop", "pass_time"])),
    st.tuples(st.sampled_from(["hold", "release", "killed", "booted"])),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HAPPENINGS, min_size=20, max_size=40), st.booleans(), st.booleans())
def test_no_transaction_is_lost_halved_or_invented(
    happenings: list[tuple[object, ...]], ends_without_cable: bool, ends_if_invalid: bool
) -> None:
    asyncio.run(_live_through(happenings, ends_without_cable, ends_if_invalid))


async def _live_through(happenings: list[tuple[object, ...]], ends_without_cable: bool, ends_if_invalid: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with on_bench(Path(directory)) as new_bench:
            world = World(new_bench)
            await world.bench.set_key("StopTransactionOnEVSideDisconnect", str(ends_without_cable).lower())
            await world.bench.set_key("StopTransactionOnInvalidId", str(ends_if_invalid).lower())
            await world.live(happenings)


class World:
    """The people, the Central System and the power of one Charge Point."""

    def __init__(self, new_bench: NewBench) -> None:
        self._new_bench = new_bench
        self._boots = 1
        self.bench = new_bench("boot-1")
        self._told: dict[int, list[tuple[str, int]]] = {}

    async def live(self, happenings: list[tuple[object, ...]]) -> None:
        """One process after the other, until all has happened; then everything ends and is told."""
        rest = list(happenings)
        while True:
            async with self.bench.at_work():
                while rest and rest[0][0] not in ("killed", "booted"):
                    running, held = await self._running(), self.bench.connectors.held
                    await self._happen(*rest.pop(0))
                    await self._judge(running, held=held)
                if not rest:
                    await self._end()
                    return
            self._boots += rest.pop(0)[0] == "booted"
            self.bench = self._new_bench(f"boot-{self._boots}")

    async def _happen(self, what: object, *how: object) -> None:
        bench, charging = self.bench, self.bench.charging
        match what, *how:
            case "plug_in" | "plug_out", int(connector):
                await (bench.board.plug_in if what == "plug_in" else bench.board.plug_out)(connector)
            case "guest", str(id_tag), int(connector):  # as most days go
                await bench.board.plug_in(connector)
                bench.board.present_id_tag(id_tag, connector)
            case "fault" | "clear_fault", int(connector):
                (bench.board.fault if what == "fault" else bench.board.clear_fault)(connector)
            case "card", str(id_tag), (int() | None) as place:
                bench.board.present_id_tag(id_tag, place)
            case "remote_start", str(id_tag), (int() | None) as place:
                charging.remote_start(id_tag, place)
            case "answer_start", str(status):
                await self._answer("start", status)
            case ("answer_stop",):
                await self._answer("stop", "Accepted")
            case ("remote_stop",):
                for transaction in await bench.store.running():
                    if transaction.transaction_id is not None:
                        await charging.remote_stop(transaction.transaction_id)
            case ("hold",):
                charging.hold_connectors()
            case ("release",):
                charging.release_connectors()
            case ("pass_time",):
                bench.pass_time(61)
        await self._settle()

    async def _answer(self, kind: str, status: str) -> None:
        """Answer the message that is next, if it is of this kind."""
        message = await self.bench.store.first()
        if message is None or message.kind.value != kind:
            return
        self._told.setdefault(message.number, []).append((message.kind.value, message.meter_wh))
        if kind == "start":
            await self.bench.store.confirm_start(message, 1000 + message.number)
            self.bench.charging.note_started(Started(message.number, 1000 + message.number, status))
        else:
            assert message.transaction_id == 1000 + message.number
            await self.bench.store.confirm_stop(message)

    async def _settle(self) -> None:
        for _ in range(LOOKS):
            await self.bench.store.count()

    async def _running(self) -> set[int]:
        return {transaction.number for transaction in await self.bench.store.running()}

    async def _judge(self, before: set[int], *, held: bool) -> None:
        bench = self.bench
        at_connectors = {number: bench.charging.transaction(number) for number in CONNECTORS}
        running = {number: transaction for number, transaction in at_connectors.items() if transaction is not None}
        assert await self._running() == {transaction.number for transaction in running.values()}
        assert bench.connectors.in_use == tuple(running)
        assert bench.board.energised <= set(running)
        if held and bench.connectors.held:
            assert await self._running() <= before, "nothing begins while the connectors are held (L01.FR.07)"
        for number in CONNECTORS:
            status = bench.connectors[number].status
            in_use = {"Charging", "SuspendedEV", "SuspendedEVSE", "Faulted"}
            assert (status in in_use) if number in running else (status not in in_use - {"Faulted"})
            if bench.connectors.held and number not in running:
                assert status in ("Unavailable", "Faulted")
        assert await bench.store.count() <= MAX_OWED + len(CONNECTORS)

    async def _end(self) -> None:
        """End what runs, tell all that is owed, and look at it as a whole."""
        await asyncio.wait_for(self.bench.charging.end_all(enums.Reason.hard_reset), PATIENCE_S)
        while (message := await self.bench.store.first()) is not None:
            await self._answer(message.kind.value, "Accepted")
        assert await self.bench.store.running() == []
        rows = "SELECT count(*) FROM charging_transaction"
        assert await self.bench.database.read(lambda connection: connection.execute(rows).fetchone()) == (0,)
        for told in self._told.values():
            assert [kind for kind, _ in told] == ["start", "stop"]
            assert told[0][1] <= told[1][1]
        assert list(self._told) == list(range(1, len(self._told) + 1)), "in the order in which they began"
