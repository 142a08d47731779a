"""A run of a program: bounded in everything it says, alone with what it is told, and ended with its whole group."""

import asyncio
import os
import signal
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from firmware import program
from firmware.program import MAX_LINE_BYTES, MAX_LINES, MAX_LOGGED_LINES, Ended, ProgramFailed, run_program
from tests.shell_script import make_script, wait_for_end


class Lines(list[str]):
    """The lines of a program, and a wait for some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.append(line)
        self.changed.set()

    async def until(self, line: str) -> None:
        while line not in self:
            self.changed.clear()
            await self.changed.wait()


async def run(
    directory: Path,
    script: str,
    *,
    lines: Lines | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: timedelta | None = None,
    end_when_cancelled: bool = True,
) -> Ended:
    return await run_program(
        [str(make_script(directory / "program", script)), "an argument; rm -rf $HOME"],
        environment or {},
        on_line=Lines() if lines is None else lines,
        timeout=timeout,
        end_when_cancelled=end_when_cancelled,
    )


async def test_tells_each_line_and_how_it_ended(tmp_path: Path) -> None:
    lines = Lines()
    ended = await run(tmp_path, "echo one; printf two; exit 3", lines=lines)
    assert lines == ["one", "two"]
    assert ended == Ended(status=3, complaint="")
    assert str(ended) == "ended with status 3"


async def test_the_last_complaint_is_the_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ended = await run(tmp_path, "echo first >&2; echo no space >&2; echo >&2; kill -9 $$")
    assert str(ended) == "was ended by signal 9: no space"
    assert "program: first" in caplog.text


async def test_it_knows_what_it_is_told_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHORIZATION_KEY", "0011223344")
    lines = Lines()
    await run(tmp_path, 'env; pwd; echo "$1"; cat', lines=lines, environment={"CHARGEPOINT_IMAGE": "/x"})
    # dash adds PWD by itself
    variables = {line.partition("=")[0] for line in lines if "=" in line} - {"PWD", "OLDPWD", "SHLVL", "_"}
    assert variables == {"PATH", "LANG", "CHARGEPOINT_IMAGE"}
    assert lines[-2:] == ["/", "an argument; rm -rf $HOME"], "no shell has read it, and nothing stands on its input"


async def test_output_without_measure_is_cut_in_length_and_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = Lines()
    many = MAX_LINES + 100
    await run(
        tmp_path,
        f"head -c 3000000 /dev/zero | tr '\\0' x; echo; yes short | head -n {many}; yes bad | head -n {many} >&2",
        lines=lines,
    )
    assert lines[0] == "x" * MAX_LINE_BYTES
    assert lines[1] == "short"
    assert len(lines) == MAX_LINES
    assert caplog.text.count(": bad") == MAX_LOGGED_LINES
    assert caplog.text.count("the rest is dropped") == 1


async def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    lines = Lines()
    await run(tmp_path, "printf '\\377\\n'", lines=lines)
    assert lines == ["\N{REPLACEMENT CHARACTER}"]


async def test_a_process_that_is_left_behind_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    lines = Lines()
    try:
        ended = await run(tmp_path, "sleep 600 & echo $!; exit 0", lines=lines)
        assert ended.status == 0
    finally:
        os.kill(int(lines[0]), signal.SIGKILL)


@pytest.mark.parametrize("program", ["/no/such/program", "program"])
async def test_a_program_that_cannot_be_started_is_said(tmp_path: Path, program: str) -> None:
    (tmp_path / "program").write_text("not executable")
    with pytest.raises(ProgramFailed, match=r"cannot be started: .*(No such file|denied)"):
        await run_program([str(tmp_path / program)], {}, on_line=Lines(), timeout=None)


async def test_after_its_time_it_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"did not end within 0:00:00\.000001 and was ended"):
        await run(tmp_path, "exec tail -f /dev/null", timeout=timedelta(microseconds=1))


@pytest.mark.parametrize("trap", [":", "trap '' TERM"])
async def test_a_cancelled_run_is_ended_with_its_whole_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr(program, "GRACE", timedelta())
    lines = Lines()
    running = asyncio.create_task(run(tmp_path, f"{trap}; tail -f /dev/null & echo $!; echo $$; wait", lines=lines))
    while len(lines) < 2:
        lines.changed.clear()
        await lines.changed.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for pid in lines:
        await wait_for_end(int(pid))


async def test_a_run_that_must_not_be_interrupted_is_left_to_itself(tmp_path: Path) -> None:
    lines = Lines()
    script = f"echo started; read -r _ < {tmp_path}/go-on; echo done > {tmp_path}/done"
    os.mkfifo(tmp_path / "go-on")
    os.mkfifo(tmp_path / "done")
    running = asyncio.create_task(run(tmp_path, script, lines=lines, end_when_cancelled=False))
    await lines.until("started")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.to_thread((tmp_path / "go-on").write_text, "go on\n")
    assert await asyncio.to_thread((tmp_path / "done").read_text) == "done\n"
