import asyncio
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from chargepoint import systemd

PATIENCE = 10.0


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A service manager's socket, once in the file system and once in the abstract name space."""
    name = f"chargepoint-{uuid.uuid4()}"
    bound, told = (str(tmp_path / "notify"),) * 2 if request.param == "path" else ("\0" + name, "@" + name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(bound)
        receiver.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", told)
        yield receiver


@pytest.fixture
def watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))


def test_sends_all_assignments_in_one_message(manager: socket.socket) -> None:
    systemd.notify("READY=1", "STATUS=connected")
    assert manager.recv(1000) == b"READY=1\nSTATUS=connected"


def test_a_line_break_adds_no_assignment(manager: socket.socket) -> None:
    systemd.notify("STATUS=refused by peer\nMAINPID=1\r\nERRNO=2")
    assert manager.recv(1000) == b"STATUS=refused by peer MAINPID=1 ERRNO=2"


def test_is_silent_without_a_service_manager(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")
    assert not caplog.records


def test_a_vanished_service_manager_is_logged_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    systemd.notify("READY=1")
    assert "was not told READY" in caplog.text


@pytest.mark.usefixtures("watchdog")
async def test_feeds_the_watchdog_again_and_again(manager: socket.socket) -> None:
    manager.setblocking(False)
    feeding = asyncio.create_task(systemd.feed_watchdog())
    async with asyncio.timeout(PATIENCE):
        for _ in range(3):
            assert await asyncio.get_running_loop().sock_recv(manager, 1000) == b"WATCHDOG=1"
    feeding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await feeding


@pytest.mark.usefixtures("watchdog")
async def test_a_stalled_loop_starves_the_watchdog(manager: socket.socket) -> None:
    feeding = asyncio.create_task(systemd.feed_watchdog())
    await asyncio.sleep(0)
    assert manager.recv(1000) == b"WATCHDOG=1"
    manager.settimeout(0.1)
    with pytest.raises(TimeoutError):  # blocks the loop for five time-outs of the watchdog
        manager.recv(1000)
    feeding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await feeding


@pytest.mark.parametrize(
    ("microseconds", "owner"),
    [(None, None), ("0", None), ("-1", None), ("soon", None), ("20000", "1"), ("20000", "me")],
    ids=["unset", "zero", "negative", "no number", "another process", "owner no number"],
)
async def test_no_watchdog_is_fed_that_does_not_wait_for_us(
    microseconds: str | None, owner: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", owner)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    async with asyncio.timeout(PATIENCE):
        await systemd.feed_watchdog()


def test_a_watchdog_without_owner_waits_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    timeout = systemd.watchdog_timeout()
    assert timeout is not None
    assert timeout.total_seconds() == 30
