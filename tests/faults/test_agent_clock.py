"""A board whose clock is wrong: nothing is refused on its word, and what was recorded gets its true time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.clock import BUILT_AT, CEILING
from chargepoint.date_time import read_date_time
from chargepoint.simulation.central_system import CentralSystem
from tests.agent_process import PKI, Agent, agent

PASSWORD = bytes(range(16))
NEAR = timedelta(seconds=30)
STEP = "SettingSystemTime"


def offset_to(year: int) -> float:
    return (datetime(year, 1, 1, tzinfo=UTC) - datetime.now(UTC)).total_seconds()


def in_profile_2(directory: Path) -> dict[str, Any]:
    (directory / "root.pem").write_bytes(PKI.root_pem)
    return {
        "configuration": {"SecurityProfile": 2, "AuthorizationKey": PASSWORD.hex()},
        "provisioning": {"central_system_roots": ["root.pem"]},
    }


async def clock_of(running: Agent) -> tuple[datetime, bool]:
    clock = (await running.call("status"))["clock"]
    return read_date_time(clock["now"]), clock["is_set"]


async def heartbeat(central_system: CentralSystem, running: Agent, offset: timedelta) -> None:
    """Have the Central System tell a time that is off by so much."""
    central_system.duty.clock = lambda: datetime.now(UTC) + offset
    await central_system.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    await central_system.expect("Heartbeat")
    await central_system.call("GetConfiguration", {"key": ["CpoName"]})


@pytest.mark.parametrize("year", [1970, 2070])
async def test_wakes_up_in_another_age_and_still_connects_by_tls(tmp_path: Path, year: int) -> None:
    async with CentralSystem(pki=PKI, profile=2) as central_system:
        central_system.passwords["CP001"] = PASSWORD
        await central_system.suspend()
        async with agent(tmp_path, central_system.url, in_profile_2(tmp_path)) as running:
            await running.call("hardware.set_clock", offset_s=offset_to(year))
            now, is_set = await clock_of(running)
            assert not is_set
            assert BUILT_AT <= now <= CEILING
            await running.call("security.raise_event", type="MemoryExhaustion")
            happened_at = datetime.now(UTC)

            await central_system.resume()
            await central_system.expect("BootNotification")
            await central_system.expect("StatusNotification")
            now, is_set = await clock_of(running)
            assert is_set
            assert abs(now - datetime.now(UTC)) < NEAR
            [event] = await running.events("MemoryExhaustion")
            assert abs(read_date_time(event["timestamp"]) - happened_at) < NEAR
            assert len(await running.events(STEP)) == 1
            assert not await running.events("InvalidCentralSystemCertificate")


async def test_a_board_that_loses_its_time_while_it_runs_still_connects_and_is_told_it_again(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=2) as central_system:
        central_system.passwords["CP001"] = PASSWORD
        async with agent(tmp_path, central_system.url, in_profile_2(tmp_path)) as running:
            await central_system.expect("StatusNotification")
            before = await central_system.connected()
            await running.call("hardware.set_clock", offset_s=offset_to(1970))
            now, is_set = await clock_of(running)
            assert not is_set
            assert BUILT_AT <= now < datetime.now(UTC) + NEAR
            await central_system.drop()
            await central_system.connected(after=before)
            await heartbeat(central_system, running, timedelta())
            now, is_set = await clock_of(running)
            assert is_set
            assert abs(now - datetime.now(UTC)) < NEAR


async def test_only_a_step_above_the_setting_is_an_event(tmp_path: Path) -> None:
    async with (
        CentralSystem(pki=PKI) as central_system,
        agent(tmp_path, central_system.url, {"session": {"clock_step_s": 60}}) as running,
    ):
        await central_system.expect("StatusNotification")
        await heartbeat(central_system, running, timedelta(seconds=50))
        assert await running.events(STEP) == []
        await heartbeat(central_system, running, timedelta(seconds=-50))
        [event] = await running.events(STEP)
        assert event["tech_info"].startswith("moved by -1")  # 100 s, give or take what the messages took
        now, _ = await clock_of(running)
        assert abs(now - datetime.now(UTC) + timedelta(seconds=50)) < NEAR


@pytest.mark.parametrize("year", [1970, 2024, 2099])
async def test_a_central_system_with_an_impossible_time_is_not_believed(tmp_path: Path, year: int) -> None:
    central_system = CentralSystem(pki=PKI, clock=lambda: datetime(year, 1, 1, tzinfo=UTC))
    async with central_system, agent(tmp_path, central_system.url) as running:
        await central_system.expect("StatusNotification")
        now, is_set = await clock_of(running)
        assert is_set
        assert abs(now - datetime.now(UTC)) < NEAR
        assert await running.events(STEP) == []
