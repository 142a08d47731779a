"""The log in files, of an agent that is stopped, reset, killed, or whose disk takes nothing for it."""

import signal
import stat
from pathlib import Path
from typing import Any

from tests.agent_process import Agent, agent, booted


def kept(running: Agent) -> list[str]:
    """Return the lines of the newest file, none where there is no file."""
    file = running.state / "log" / "agent.log"
    return file.read_text().splitlines() if file.exists() else []


def told(running: Agent) -> list[str]:
    """Return what standard error got of the levels that are kept."""
    return [line for line in running.log if line.split()[1] != "debug"]


async def test_an_orderly_end_leaves_in_the_file_what_standard_error_got(tmp_path: Path) -> None:
    async with booted(tmp_path) as (_, running):
        assert kept(running) == []
        assert await running.stop() == 0
        lines = kept(running)
        assert lines == [line for line in told(running) if line in lines]
        assert "state in" in lines[0]
        assert "SIGTERM: the agent ends" in "\n".join(lines)
        mode = (running.state / "log" / "agent.log").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


async def test_a_reset_goes_on_in_the_same_file(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        await central_system.call("Reset", {"type": "Soft"})
        await running.ready(times=2)
        assert any("Soft reset" in line for line in kept(running))
        assert await running.stop() == 0
        assert sum("state in" in line for line in kept(running)) == 2


async def test_a_killed_agent_leaves_whole_lines_and_the_next_one_goes_on(tmp_path: Path) -> None:
    tables = {"logs": {"agent_log_write_after_s": 1}}
    async with booted(tmp_path, tables) as (central_system, running):
        await running.call("hardware.tamper")
        # Killed in the middle of a second in which lines wait, or are being written: both are legal.
        await running.stop(signal.SIGKILL)
        before = kept(running)
        assert all(line[:4].isdigit() for line in before)
        async with agent(tmp_path, central_system.url, tables) as again:
            assert await again.stop() == 0
            assert kept(again)[: len(before)] == before
            assert "SIGTERM: the agent ends" in "\n".join(kept(again)[len(before) :])


async def test_a_second_agent_does_not_write_into_the_log_of_the_first(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        async with agent(tmp_path, central_system.url, waits=False) as second:
            assert await second.ended() == 3
            assert "another agent uses it" in second.said()
        assert await running.stop() == 0
        assert not any("another agent uses it" in line for line in kept(running))


async def test_a_log_that_cannot_be_written_does_not_disturb_the_agent(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "log").touch()  # a file where the directory should be
    async with booted(tmp_path, {"logs": {"agent_log_write_after_s": 1}}) as (central_system, running):
        await running.logged("the log file cannot be written, lines are lost: File exists")
        await central_system.call("GetConfiguration")
        assert await running.stop() == 0


async def test_no_files_are_made_where_none_are_wanted(tmp_path: Path) -> None:
    async with booted(tmp_path, {"logs": {"agent_log_max_kib": 0}}) as (_, running):
        assert await running.stop() == 0
        assert not (running.state / "log").exists()


async def test_the_files_have_the_form_of_standard_error_and_a_level_of_their_own(tmp_path: Path) -> None:
    levels: dict[str, Any] = {"logs": {"agent_log_level": "warning"}}
    async with booted(tmp_path, levels) as (central_system, running):
        await running.call("hardware.tamper")
        await central_system.expect("SecurityEventNotification", match={"type": "TamperDetectionActivated"})
        assert await running.stop() == 0
        lines = kept(running)
        assert lines == [line for line in running.log if line.split()[1] in ("warning", "error")]
        assert any("TamperDetectionActivated" in line for line in lines)
