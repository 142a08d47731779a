"""Heartbeat.req: when nothing else was said for the interval, which the Central System may change at any time."""

from datetime import timedelta
from pathlib import Path

from chargepoint.simulation.central_system import CentralSystem
from tests.agent_process import PKI, agent, booted


async def test_comes_at_the_interval_of_the_boot(tmp_path: Path) -> None:
    async with (
        CentralSystem(pki=PKI, heartbeat_interval=timedelta(seconds=1)) as central_system,
        agent(tmp_path, central_system.url),
    ):
        await central_system.expect("Heartbeat")
        await central_system.expect("Heartbeat")
        values = await central_system.call("GetConfiguration", {"key": ["HeartbeatInterval"]})
        assert values["configurationKey"] == [{"key": "HeartbeatInterval", "readonly": False, "value": "1"}]
        assert not central_system.findings


async def test_an_interval_of_zero_leaves_it_to_the_charge_point(tmp_path: Path) -> None:
    async with (
        CentralSystem(pki=PKI, heartbeat_interval=timedelta(0)) as central_system,
        agent(tmp_path, central_system.url, {"session": {"default_heartbeat_s": 1}}),
    ):
        await central_system.expect("Heartbeat")


async def test_the_interval_is_changed_live(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        change = {"key": "HeartbeatInterval", "value": "1"}
        assert await central_system.call("ChangeConfiguration", change) == {"status": "Accepted"}
        await central_system.expect("Heartbeat")


async def test_comes_no_sooner_for_a_new_connection(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        before = await central_system.connected()
        await central_system.drop()
        await central_system.connected(after=before)
        await central_system.call("GetConfiguration")
        assert not central_system.recorder.frames("received", "Heartbeat")
