"""Programs of the board in the tests: scripts of the plain shell."""

import asyncio
import fcntl
import os
from pathlib import Path


def make_script(path: Path, script: str) -> Path:
    """Write an executable script of /bin/sh."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def wait_for_lock(path: Path) -> None:
    """Block until nobody holds the lock of a file any more; for a thread."""
    with path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


async def wait_for_end(pid: int) -> None:
    """Wait until a process has ended that may not be ours to wait for."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(20):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
