"""A01: the Central System sets another password for HTTP Basic; nobody else ever sees it."""

import base64
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import Upgrade
from tests.agent_process import PKI, Agent, agent

OLD, NEW = b"an old password: 16+", b"\x00\xff:\x80 new & rare \xfe!!"
TABLES = {"configuration": {"SecurityProfile": 1, "AuthorizationKey": OLD.hex()}}


def forms(secret: bytes) -> list[str]:
    """How a secret may look in a text."""
    return [
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode(),
        base64.b64encode(b"CP001:" + secret).decode(),
        quote_from_bytes(secret),
        secret.decode("latin-1"),
        repr(secret)[2:-1],
    ]


def assert_unseen(text: str) -> None:
    for secret in (OLD, NEW):
        for form in forms(secret):
            assert form not in text


async def order(central_system: CentralSystem, password: bytes) -> str:
    request = {"key": "AuthorizationKey", "value": password.hex()}
    return str((await central_system.call("ChangeConfiguration", request))["status"])


async def what_can_be_asked(central_system: CentralSystem, running: Agent) -> str:
    """Everything that the agent says to anybody who may ask."""
    said = [
        await running.call("status"),
        await running.call("security.events"),
        await running.call("certificates.list"),
        await central_system.call("GetConfiguration"),
        await central_system.call("GetConfiguration", {"key": ["AuthorizationKey"]}),
        Path(f"/proc/{running.pid}/cmdline").read_bytes(),
        Path(f"/proc/{running.pid}/environ").read_bytes(),
    ]
    return repr(said)


@pytest.mark.requirement("A01.FR.01", "A01.FR.02", "A01.FR.11", "A01.FR.12")
async def test_the_new_password_is_that_of_the_next_connection_and_of_the_next_start(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            assert await order(central_system, NEW) == "Accepted"
            await before.ended()
            after = await central_system.connected(after=before)
            changes = [event["tech_info"] for event in await running.events("ReconfigurationOfSecurityParameters")]
            assert changes == ["AuthorizationKey set by the Central System"]
            assert_unseen(await what_can_be_asked(central_system, running))
            assert await running.stop() == 0
            assert_unseen(running.said())
        async with agent(tmp_path, central_system.url, TABLES) as again:
            await central_system.connected(after=after)
            assert_unseen(again.said())
        basic = [dict(entry.headers)["Authorization"] for entry in central_system.recorder.entries
                 if isinstance(entry, Upgrade)]  # fmt: skip
        credentials = [base64.b64decode(header.removeprefix("Basic ")) for header in basic]
        assert credentials == [b"CP001:" + OLD, b"CP001:" + NEW, b"CP001:" + NEW]
        assert not central_system.findings


@pytest.mark.requirement("A01.FR.10", "A01.FR.12")
async def test_the_password_lies_in_files_of_its_owner_alone_and_in_no_log(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            assert await order(central_system, NEW) == "Accepted"
            await central_system.expect("StatusNotification")
            central_system.passwords["CP001"] = OLD  # so that the next try is refused, and said to be
            await running.call("connection.down")
            await running.call("connection.up")
            await running.logged("refuses this Charge Point")
            assert_unseen(repr(await running.call("status")))
            for path in [running.state, *running.state.rglob("*")]:
                mode = path.lstat().st_mode & 0o777
                assert mode & 0o077 == 0, f"{path} has mode {mode:o}"
            assert await running.stop() == 0
            assert_unseen(running.said())


async def test_a_refused_password_changes_nothing(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            for password in (b"fifteen bytes..", b"twenty-one bytes here"):
                assert await order(central_system, password) == "Rejected"
            assert await central_system.connected() is before
            await central_system.drop()
            await central_system.connected(after=before)
            assert await running.events("ReconfigurationOfSecurityParameters") == []
            assert b"fifteen bytes..".hex() not in running.said()


async def test_with_a_local_command_the_password_is_as_secret(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            central_system.passwords["CP001"] = NEW
            await running.call("configuration.set", values={"AuthorizationKey": NEW.hex()})
            await central_system.connected(after=before)
            assert await running.stop() == 0
            assert_unseen(running.said())
