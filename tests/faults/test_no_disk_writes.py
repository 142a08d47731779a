"""What the flash is spared: no write while the agent idles and is connected, next to none while it is offline."""

import asyncio
from pathlib import Path

from chargepoint.simulation.central_system import CentralSystem
from tests.agent_process import Agent, agent, booted
from tests.peer import Peer, answering, saying

HEARTBEATS = 100


def files(running: Agent) -> dict[str, tuple[int, int]]:
    """Size and time of each file in the state directory."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(running.state.rglob("*"))
        if path.name != "control.sock"
    }


def written(running: Agent) -> int:
    """The bytes that the kernel was given to write to a disk by this process, its log to a pipe not counted."""
    lines = Path(f"/proc/{running.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


async def all_told(central_system: CentralSystem, running: Agent) -> None:
    """Wait until all is kept that is written once: the event of the start as confirmed, and what libcurl can do."""
    await central_system.call("GetConfiguration")  # is answered when that is known, and remembered
    await central_system.expect("SecurityEventNotification", match={"type": "StartupOfTheDevice"})
    async with asyncio.timeout(10):
        while not all(event["delivered"] for event in await running.events("StartupOfTheDevice")):
            await central_system.call("GetConfiguration", {"key": ["CpoName"]})


async def test_nothing_is_written_over_100_heartbeats(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await all_told(central_system, running)
        before, bytes_before = files(running), written(running)
        for _ in range(HEARTBEATS):
            await central_system.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
            await central_system.expect("Heartbeat")
        await central_system.call("GetConfiguration")
        assert files(running) == before
        assert written(running) == bytes_before


async def test_an_outage_costs_one_write_a_cause_and_none_a_try(tmp_path: Path) -> None:
    tables = {"connection": {"retry_initial_s": 0.1, "retry_max_s": 1, "retry_factor": 1, "retry_jitter": 0}}
    with Peer(answering("401 Unauthorized")) as peer:
        async with agent(tmp_path, f"ws://127.0.0.1:{peer.port}/ocpp", tables) as running:
            await running.logged("try 3 to connect")
            before, bytes_before = files(running), written(running)
            await running.logged("try 10 to connect")
            assert files(running) == before
            assert written(running) == bytes_before
            peer.talk = answering("403 Forbidden")  # another cause: told once more
            await running.logged("HTTP 403", times=3)
            peer.talk = saying(b"nonsense\r\n\r\n")  # and one that is no security event
            await running.logged("does not answer as a WebSocket server", times=2)
            peer.talk = answering("401 Unauthorized")
            await running.logged("HTTP 401", times=15)
            refused = await running.events("FailedToAuthenticateAtCentralSystem")
            assert len(refused) == 2, refused
            assert files(running).keys() == before.keys()
            status = (await running.call("status"))["connection"]
            assert status["attempts"] >= 15


async def test_a_reconnect_costs_no_write(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await all_told(central_system, running)
        before, bytes_before = files(running), written(running)
        for _ in range(10):
            connection = await central_system.connected()
            await central_system.drop()
            await asyncio.wait_for(connection.ended(), 10)
            await central_system.connected(after=connection)
            await central_system.call("GetConfiguration")
        assert files(running) == before
        assert written(running) == bytes_before
