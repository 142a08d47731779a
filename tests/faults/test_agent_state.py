"""A state directory, a disk or a configuration that is no good, as `chargepoint run` meets it."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.central_system import CentralSystem
from tests.agent_process import PKI, PROGRAM, Agent, Refused, Tables, agent, booted, process, write_config

NOWHERE = "ws://127.0.0.1:1/ocpp"


async def refuses(directory: Path, status: int, *said: str, tables: Tables | None = None) -> None:
    """`run` ends with this status and says all of this, each line of the log with the level error."""
    config = write_config(directory, NOWHERE, tables)
    async with process(directory, PROGRAM, "run", "--config", str(config)) as running:
        assert await running.ended() == status, running.said()
        for text in said:
            assert any(text in line for line in running.log if " error " in line), running.said()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


@pytest.fixture
async def stopped(tmp_path: Path) -> Agent:
    """An agent that has run once, so that its state directory is there."""
    async with agent(tmp_path, NOWHERE) as running:
        assert await running.stop() == 0
    return running


async def test_a_second_agent_on_the_directory_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await refuses(tmp_path, 3, f"another agent uses it (process {running.pid})")
        write_config(tmp_path, central_system.url)
        await running.call("status")
        await central_system.call("GetConfiguration")
        assert await running.stop() == 0


@pytest.mark.parametrize(
    ("directory", "why"),
    [
        ("config.toml", "it is not a directory"),
        ("config.toml/state", "it is not a directory"),
        ("no/state", "its parent"),
    ],
)
async def test_a_directory_that_cannot_be_is_said_in_words(tmp_path: Path, directory: str, why: str) -> None:
    await refuses(tmp_path, 3, why, tables={"state": {"directory": directory}})


@pytest.mark.parametrize("damage", [os.urandom(20_000), b"", b"SQLite format 3\0"], ids=["noise", "empty", "head"])
async def test_a_damaged_database_is_refused_and_left_byte_for_byte(
    tmp_path: Path, stopped: Agent, damage: bytes
) -> None:
    (stopped.state / "state.db").write_bytes(damage)
    if not damage:  # an empty file alone is a database that is still to be made
        (stopped.state / "state.db-wal").write_bytes(bytes(5000))
    before = contents(stopped.state)
    await refuses(tmp_path, 3, "state.db: ")
    after = contents(stopped.state)
    assert {name: after[name] for name in before if name != "lock"} == {
        name: content for name, content in before.items() if name != "lock"
    }


async def test_half_a_database_is_refused_and_left_byte_for_byte(tmp_path: Path, stopped: Agent) -> None:
    database = stopped.state / "state.db"
    os.truncate(database, database.stat().st_size // 2)
    before = database.read_bytes()
    await refuses(tmp_path, 3, "state.db: ")
    assert database.read_bytes() == before


async def test_what_a_power_cut_left_half_written_is_no_obstacle(tmp_path: Path, stopped: Agent) -> None:
    (stopped.state / "simulated-reboots").write_bytes(b"\xff\xfe half")
    (stopped.state / "lock").write_bytes(b"\xff" * 100)
    (stopped.state / "control.sock").write_bytes(b"no socket")
    async with agent(tmp_path, NOWHERE) as running:
        assert (await running.call("status"))["identity"] == "CP001"
        assert await running.stop() == 0


async def test_a_damaged_certificate_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(PKI.root_pem)
    tables = {"provisioning": {"central_system_roots": ["root.pem"]}}
    async with agent(tmp_path, NOWHERE, tables) as running:
        assert (await running.call("status"))["certificates"]["central_system"] == 1
        assert await running.stop() == 0
    for path in (running.state / "certificates").rglob("*.pem"):
        os.truncate(path, 100)
    async with agent(tmp_path, NOWHERE, tables) as running:
        await running.logged("a certificate or key is damaged, the rest goes on")
        assert (await running.call("status"))["certificates"]["central_system"] == 0


async def test_every_mistake_of_the_configuration_is_said(tmp_path: Path) -> None:
    tables: dict[str, dict[str, Any]] = {
        "charge_point": {"identity": "CP:1", "connectors": 0, "colour": "red"},
        "central_system": {"url": "http://localhost/ocpp"},
        "connection": {"open_timeout_s": "soon"},
        "configuration": {"SecurityProfile": 7},
    }
    places = ("identity", "connectors", "colour", "url", "open_timeout_s", "SecurityProfile")
    await refuses(tmp_path, 2, *places, tables=tables)
    assert not (tmp_path / "state").exists()


async def test_a_configuration_that_is_not_there_is_said(tmp_path: Path) -> None:
    async with process(tmp_path, PROGRAM, "run", "--config", str(tmp_path / "none.toml")) as running:
        assert await running.ended() == 2
        assert "none.toml" in running.said()


async def test_an_unknown_driver_is_said(tmp_path: Path) -> None:
    await refuses(
        tmp_path,
        2,
        "no installed package brings this driver",
        tables={"hardware": {"driver": "acme"}},
    )


async def test_a_control_socket_that_cannot_stand_is_said(tmp_path: Path) -> None:
    await refuses(tmp_path, 2, "socket", tables={"control": {"socket": "x" * 200}})
    await refuses(
        tmp_path, 3, "the control socket cannot be made", tables={"control": {"socket": "/no/such/control.sock"}}
    )
    await refuses(tmp_path, 2, "this machine has no such group", tables={"control": {"group": "no-such-group"}})
    (tmp_path / "folder").mkdir()
    await refuses(
        tmp_path, 3, "the control socket cannot be made", tables={"control": {"socket": str(tmp_path / "folder")}}
    )
    async with agent(tmp_path, NOWHERE) as running:  # and nothing of it stands in the way of a good one
        assert await running.stop() == 0


async def test_the_control_socket_stands_before_the_first_connection_and_tells_why_there_is_none(
    tmp_path: Path,
) -> None:
    async with agent(tmp_path, NOWHERE) as running:
        await running.logged("try 1 to connect")
        connection = (await running.call("status"))["connection"]
        assert connection["state"] in ("waiting", "connecting")
        assert "refused" in connection["last_failure"]["what"].lower()
        assert connection["last_failure"]["advice"]
        assert running.log.index(await running.logged("try 1")) > 0


async def test_a_control_socket_that_is_switched_off_is_not_missed(tmp_path: Path) -> None:
    tables = {"control": {"socket": ""}}
    async with CentralSystem(pki=PKI) as central_system, agent(tmp_path, central_system.url, tables) as running:
        await central_system.expect("BootNotification")
        assert not (running.state / "control.sock").exists()
        assert await running.stop() == 0


@asynccontextmanager
async def on_small_disk(directory: Path, url: str, prepare: str, *, waits: bool) -> AsyncIterator[Agent]:
    """Run an agent whose state lies on a disk of 2 MB, which only it sees; $DISK is where it is mounted.

    SQLite's log takes up to half of it, before a checkpoint brings it into the database.
    """
    disk = directory / "disk"
    disk.mkdir()
    script = f'set -e; mount -t tmpfs -o size=2m,mode=0700 tmpfs $DISK; {prepare}; exec "$@"'
    command = ("unshare", "--map-root-user", "--mount", "env", f"DISK={disk}", "sh", "-c", script, "sh")
    if not succeeds(*command, "true"):
        pytest.skip("this machine gives no mount namespace; the refusals are tested one by one in test_state.py")
    tables: dict[str, dict[str, Any]] = {
        "state": {"directory": str(disk / "state")},
        "control": {"socket": str(directory / "control.sock")},
        "session": {"boot_retry_s": 1},
    }
    async with agent(directory, url, tables, program=(*command, *PROGRAM), waits=waits) as running:
        yield running


async def test_a_disk_that_is_read_only_is_said(tmp_path: Path) -> None:
    prepare = "mkdir -m 700 $DISK/state; mount -o remount,ro $DISK"
    async with on_small_disk(tmp_path, NOWHERE, prepare, waits=False) as running:
        assert await running.ended() == 3
        assert "the file system is read-only; mount it writable" in running.said()


async def test_a_disk_that_is_full_at_the_start_is_said(tmp_path: Path) -> None:
    prepare = "mkdir -m 700 $DISK/state; head -c 4M /dev/zero > $DISK/ballast || true"
    async with on_small_disk(tmp_path, NOWHERE, prepare, waits=False) as running:
        assert await running.ended() == 3
        assert "the disk is full; make room on it" in running.said()


async def test_a_disk_that_fills_up_while_the_agent_runs_stops_neither_it_nor_the_connection(tmp_path: Path) -> None:
    async with (
        CentralSystem(pki=PKI) as central_system,
        on_small_disk(tmp_path, central_system.url, "true", waits=True) as running,
    ):
        await central_system.expect("BootNotification")
        ballast = Path(f"/proc/{running.pid}/root{tmp_path}/disk/ballast")
        fill(ballast)
        statuses = [await change(central_system, f"operator {number}") for number in range(100)]
        kept = statuses.index("Rejected")
        assert set(statuses[kept:]) == {"Rejected"}
        answer = await central_system.call("GetConfiguration", {"key": ["CpoName"]})
        assert answer["configurationKey"][0]["value"] == (f"operator {kept - 1}" if kept else "")
        with pytest.raises(Refused, match="No space left on device"):
            await running.call("certificates.install", pem=PKI.root_pem.decode(), use="central-system-root")
        await running.call("security.raise_event", type="MemoryExhaustion", tech_info="kept in memory")

        ballast.unlink()
        assert await change(central_system, "there is room") == "Accepted"
        told = [event["tech_info"] for event in await running.events("MemoryExhaustion")]
        assert told.count("kept in memory") == 1
        assert await running.stop() == 0


def succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except OSError:
        return False


def fill(ballast: Path) -> None:
    """Write a file until the disk is full."""
    try:
        file = ballast.open("wb", buffering=0)
    except PermissionError:
        pytest.skip("this user may not look into the mount namespace of its own process")
    with file, suppress(OSError):
        while True:
            file.write(bytes(4096))


async def change(central_system: CentralSystem, name: str) -> str:
    answer = await central_system.call("ChangeConfiguration", {"key": "CpoName", "value": name})
    return str(answer["status"])
