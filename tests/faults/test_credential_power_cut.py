"""Power cuts while a password or a profile is changed: at whatever commit the power goes, the Charge Point comes back.

The database is copied at each commit of a whole flow, as a power cut would leave it there, and an agent is started on
each copy. It meets the Central System as that was when the power went, and as it was when the next commit would have
come: an answer may have been on its way. Which commits there are is found out, not listed.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from chargepoint import database
from chargepoint.agent import Agent
from chargepoint.foundation import open_foundation
from chargepoint.settings import load
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import Refusal
from tests.agent_process import Tables, write_config
from tests.site import IDENTITY, PASSWORD, booted, central_system_in, change, provisioned, value_of

NEW: Final = b"another password"
TABLES: Final[Tables] = {
    "security": {"profile_trial_attempts": 2, "profile_trial_s": 0},
    "connection": {"retry_first_s": 0, "retry_initial_s": 0.1, "retry_max_s": 1, "close_timeout_s": 0.5},
    "control": {"socket": ""},
}
STATE: Final = "state"

Truth = tuple[int, bytes]
"""What the Central System takes: the profile and the password."""


@dataclass
class Cuts:
    """Copies of the state directory, each with what the Central System took when it was made."""

    home: Path
    central_system: CentralSystem
    copies: list[tuple[Path, Truth]] = field(default_factory=list)

    def make(self, truth: Truth) -> None:
        copy = self.home / f"cut-{len(self.copies)}"
        # Without the -shm file: it is memory, and SQLite makes it anew from the log.
        leave_out = shutil.ignore_patterns("*-shm", "lock", "*.sock")
        shutil.copytree(self.home / "running" / STATE, copy / STATE, ignore=leave_out)
        self.copies.append((copy, truth))

    @property
    def truth(self) -> Truth:
        return self.central_system.profile, self.central_system.passwords[IDENTITY]

    def cases(self) -> list[tuple[Path, Truth]]:
        """Each copy with the Central System as it was, and as it was at the next one where that differs."""
        following = [truth for _, truth in self.copies[1:]] + [self.truth]
        cases = []
        for (copy, truth), later in zip(self.copies, following, strict=True):
            cases += [(copy, each) for each in dict.fromkeys((truth, later))]
        return cases


@asynccontextmanager
async def living_agent(directory: Path, url: str) -> AsyncIterator[Agent]:
    """An agent in this process; at the end it is gone without having said good-bye."""
    directory.mkdir(exist_ok=True)
    settings = load(write_config(directory, url, provisioned(directory, 1, TABLES)))
    async with open_foundation(settings) as foundation:
        agent = Agent(foundation)
        living = asyncio.create_task(agent.live())
        try:
            yield agent
        finally:
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living


async def flow_of_password(central_system: CentralSystem, *, works: bool) -> None:
    before = await central_system.connected()
    assert await change(central_system, "AuthorizationKey", NEW.hex()) == "Accepted"
    if not works:
        central_system.passwords[IDENTITY] = PASSWORD
    await central_system.connected(after=before)
    await value_of(central_system, "SecurityProfile")


async def flow_of_profile(central_system: CentralSystem, *, works: bool) -> None:
    before = await central_system.connected()
    assert await change(central_system, "SecurityProfile", "2") == "Accepted"
    await before.ended()
    if works:
        await central_system.recorder.take(Refusal)  # a failed try is counted on the disk
        central_system.profile = 2
    await central_system.connected(after=before)
    assert await value_of(central_system, "SecurityProfile") == ("2" if works else "1")


async def flow_of_both(central_system: CentralSystem, *, works: bool) -> None:
    before = await central_system.connected()
    orders = [("AuthorizationKey", NEW.hex()), ("SecurityProfile", "2")]
    requests = [
        central_system.call("ChangeConfiguration", {"key": key, "value": value}, at_once=True) for key, value in orders
    ]
    assert [answer["status"] for answer in await asyncio.gather(*requests)] == ["Accepted", "Accepted"]
    if works:
        central_system.profile = 2
    else:
        central_system.passwords[IDENTITY] = PASSWORD
    await central_system.connected(after=before)
    await value_of(central_system, "SecurityProfile")


@pytest.mark.requirement("A05.FR.08", "A01.FR.01")
@pytest.mark.parametrize("works", [True, False], ids=["what works", "what does not work"])
@pytest.mark.parametrize("flow", [flow_of_password, flow_of_profile, flow_of_both])
async def test_comes_back_whenever_the_power_went(
    flow: Callable[..., Any], works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with central_system_in(1) as central_system:
        cuts, url = Cuts(tmp_path, central_system), central_system.url  # config.toml is never written again
        commit = database._commit

        def commit_and_copy(connection: sqlite3.Connection, *rest: Any) -> None:
            truth = cuts.truth  # before anybody hears of the commit
            commit(connection, *rest)
            cuts.make(truth)

        with monkeypatch.context() as recorded:
            async with living_agent(tmp_path / "running", url):
                await booted(central_system)
                recorded.setattr(database, "_commit", commit_and_copy)
                await flow(central_system, works=works)
        assert len(cuts.copies) >= 4
        for copy, (profile, password) in cuts.cases():
            central_system.register.highest_profiles.clear()
            central_system.profile = profile
            central_system.passwords[IDENTITY] = password
            async with living_agent(copy, url):
                connected = await central_system.connected(IDENTITY)
                assert connected.profile == profile
            await connected.ended()
