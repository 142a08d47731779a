"""The `curl` program as a client that shares no line with us."""

import asyncio
import shutil
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

import pytest

CURL: Final = shutil.which("curl")
needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed")


class Exit(IntEnum):
    """Exit codes of curl, see its manual page."""

    UNSUPPORTED = 1
    CONNECTION_FAILED = 2
    UNREACHABLE = 7
    ACCESS_DENIED = 9
    PARTIAL_FILE = 18
    UPLOAD_FAILED = 25
    TOO_MANY_REDIRECTS = 47
    EMPTY_ANSWER = 52
    SEND_FAILED = 55
    RECEIVE_FAILED = 56
    NOT_THE_HOST = 60
    NOT_TRUSTED = 60
    TLS_REFUSED = 64
    LOGIN_REFUSED = 67
    STORAGE_EXCEEDED = 70
    NOT_FOUND = 78
    SSH_ERROR = 79


LIMIT_SECONDS: Final = 30  #: seconds that one run may take; loopback needs milliseconds


@dataclass(frozen=True)
class Done:
    """How a run of curl ended: its exit code, what it fetched, what it said."""

    code: int
    content: bytes
    words: str


async def curl(*arguments: str | Path) -> Done:
    """Run curl, without a user's own settings, and wait for its end; cancelling kills it."""
    assert CURL is not None
    command = [CURL, "-q", "--silent", "--show-error", "--max-time", str(LIMIT_SECONDS), *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        content, words = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return Done(process.returncode or 0, content, words.decode())
