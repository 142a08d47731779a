"""Signals, kills and re-executions: an orderly end is quick whatever the Central System does, a kill loses nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import Gone
from chargepoint.simulation.script import Silence
from tests.agent_process import PKI, Agent, Refused, agent, booted, write_config
from tests.peer import Peer, Visit, listen, upgrading_then

ORDERLY_S = 5  # the contract
BOTH = [signal.SIGTERM, signal.SIGINT]


async def ends_in_order(running: Agent, number: signal.Signals = signal.SIGTERM) -> None:
    """A signal ends it within the time of the contract, its socket gone and the directory free."""
    began = time.monotonic()
    assert await running.stop(number) == 0, running.said()
    assert time.monotonic() - began < ORDERLY_S
    assert not (running.state / "control.sock").exists()
    assert not (running.state / "state.db-wal").exists()


@pytest.mark.parametrize("number", BOTH)
async def test_a_signal_closes_the_connection_and_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    async with booted(tmp_path) as (central_system, running):
        await ends_in_order(running, number)
        end = await central_system.recorder.wait(Gone)
        assert (end.code, end.reason) == (1000, "the Charge Point stops")


async def test_a_second_signal_does_no_harm(tmp_path: Path) -> None:
    async with booted(tmp_path) as (_, running):
        running.send_signal(signal.SIGTERM)
        await ends_in_order(running, signal.SIGINT)


async def test_a_close_that_nobody_answers_does_not_keep_it(tmp_path: Path) -> None:
    with Peer(upgrading_then(listen)) as peer:
        async with agent(
            tmp_path, f"ws://127.0.0.1:{peer.port}/ocpp", {"connection": {"close_timeout_s": 2}}
        ) as running:
            await running.logged("connected to")
            await running.logged("sent CALL")
            await ends_in_order(running)


async def test_a_close_timeout_of_a_minute_does_not_keep_it(tmp_path: Path) -> None:
    def hold(visit: Visit, connection: object) -> None:
        visit.over.wait(10)  # not even reading

    with Peer(upgrading_then(hold)) as peer:
        async with agent(
            tmp_path, f"ws://127.0.0.1:{peer.port}/ocpp", {"connection": {"close_timeout_s": 60}}
        ) as running:
            await running.logged("connected to")
            await ends_in_order(running)
        for visit in peer.visits:
            visit.over.set()


async def test_an_unanswered_call_does_not_keep_it(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        central_system.script("DataTransfer", Silence())
        asking = asyncio.create_task(running.call("data_transfer", vendor_id="x"))
        await central_system.expect("DataTransfer")
        await ends_in_order(running)
        with pytest.raises(Refused, match="the connection went before DataTransfer was answered"):
            await asking


async def test_a_peer_that_says_nothing_does_not_keep_it(tmp_path: Path) -> None:
    with Peer(listen) as peer:
        async with agent(tmp_path, f"ws://127.0.0.1:{peer.port}/ocpp") as running:
            status = (await running.call("status"))["connection"]
            assert status["state"] == "connecting"
            await ends_in_order(running)


async def test_back_off_does_not_keep_it(tmp_path: Path) -> None:
    tables = {"connection": {"retry_first_s": 300, "retry_initial_s": 300, "retry_max_s": 300}}
    async with agent(tmp_path, "ws://127.0.0.1:1/ocpp", tables) as running:
        await running.logged("try 1 to connect")
        await ends_in_order(running)


async def test_a_client_of_the_control_socket_does_not_keep_it(tmp_path: Path) -> None:
    async with booted(tmp_path) as (_, running):
        reader, writer = await asyncio.open_unix_connection(str(running.state / "control.sock"))
        await ends_in_order(running)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


DEAD_RESOLVER = """
import os, signal, socket, subprocess, sys, time
blackhole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
blackhole.bind(("127.0.0.1", 53))
agent = subprocess.Popen([sys.executable, "-m", "chargepoint", "run", "--config", sys.argv[1]])
blackhole.recv(512)
began = time.monotonic()
agent.send_signal(signal.SIGTERM)
print(agent.wait(30), time.monotonic() - began)
"""


def test_a_resolver_that_does_not_answer_does_not_keep_it(tmp_path: Path) -> None:
    config = write_config(tmp_path, "ws://central-system.example/ocpp")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
    script = 'set -e; ip link set lo up; mount --bind resolv.conf /etc/resolv.conf; exec "$@"'
    spaces = ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c", script, "sh"]
    try:
        subprocess.run([*spaces, "true"], check=True, capture_output=True, timeout=30, cwd=tmp_path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine gives no namespaces for mounts and networks; tests/unit/chargepoint/test_thread.py")
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [*spaces, sys.executable, "-c", DEAD_RESOLVER, str(config)],
        capture_output=True, text=True, timeout=50, cwd=tmp_path, env=environment, check=True,
    )  # fmt: skip
    status, seconds = done.stdout.split()
    assert status == "0", done.stderr
    assert float(seconds) < ORDERLY_S


async def test_a_kill_is_no_boot_of_the_device_and_loses_nothing(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        change = {"key": "CpoName", "value": "kept"}
        assert await central_system.call("ChangeConfiguration", change) == {"status": "Accepted"}
        await running.call("security.raise_event", type="MemoryExhaustion", tech_info="kept")
        assert await running.stop(signal.SIGKILL) == -signal.SIGKILL
        assert (running.state / "control.sock").exists()
        async with agent(tmp_path, central_system.url) as again:
            await central_system.expect("BootNotification")
            assert [event["type"] for event in await again.events()] == [
                "StartupOfTheDevice",
                "ReconfigurationOfSecurityParameters",
                "MemoryExhaustion",
            ]
            answer = await central_system.call("GetConfiguration", {"key": ["CpoName"]})
            assert answer["configurationKey"][0]["value"] == "kept"


async def test_a_kill_during_a_reset_leaves_an_agent_that_starts(tmp_path: Path) -> None:
    tables = {"hardware": {"on_reboot": "exit"}}
    async with booted(tmp_path, tables) as (central_system, running):
        await central_system.call("Reset", {"type": "Hard"})
        await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, tables) as again:
            events = [event["type"] for event in await again.events()]
            assert events.count("StartupOfTheDevice") <= 2
            assert events.count("ResetOrReboot") <= 1


async def test_an_ended_agent_can_be_started_again_at_once_and_often(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system:
        for _ in range(3):
            async with agent(tmp_path, central_system.url) as running:
                await ends_in_order(running)
        async with agent(tmp_path, central_system.url) as running:
            assert len(await running.events("StartupOfTheDevice")) == 1
