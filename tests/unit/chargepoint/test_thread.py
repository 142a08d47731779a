"""Threads that nobody waits for at the end."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from chargepoint.thread import NICENESS, DaemonThreads, stand_back

STUCK = """
import asyncio, sys, threading
from chargepoint.thread import DaemonThreads

async def main():
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    stuck = asyncio.ensure_future(asyncio.to_thread(threading.Event().wait))
    started = threading.Event()
    await asyncio.to_thread(started.set)
    stuck.cancel()

asyncio.run(main())
print("ended")
"""


async def test_brings_the_result_or_the_error_of_a_call() -> None:
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    assert await asyncio.to_thread(int, "42") == 42
    with pytest.raises(ValueError, match="invalid literal"):
        await asyncio.to_thread(int, "x")


async def test_a_call_that_hangs_delays_no_other() -> None:
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    release = threading.Event()
    hanging = [asyncio.create_task(asyncio.to_thread(release.wait)) for _ in range(50)]
    assert await asyncio.to_thread(int, "42") == 42
    release.set()
    await asyncio.gather(*hanging)


def test_a_call_that_never_returns_does_not_keep_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="only there has a thread a priority of its own")
async def test_a_thread_that_stands_back_does_so_alone_and_with_those_that_it_starts() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    found: list[int] = []

    def work() -> None:
        stand_back()
        found.append(priority())
        started = threading.Thread(target=lambda: found.append(priority()))
        started.start()
        started.join()

    before = priority()
    await asyncio.wrap_future(DaemonThreads().submit(work))
    assert found == [min(before + NICENESS, 19)] * 2
    assert priority() == before
