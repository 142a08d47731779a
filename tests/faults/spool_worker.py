"""Writes spool files, for the fault tests: python spool_worker.py forever|once DIRECTORY.

forever: one file without end, with a word on standard output as soon as something of it is on the disk
once: one of 2 MB; prints the fault if there is one
"""

import asyncio
import sys
from pathlib import Path

from logs.spool import CHUNK_BYTES, spool
from security.errors import DurableError


async def write(directory: Path, chunks: int) -> None:
    async with spool(directory / "log.jsonl", min_free_bytes=0) as file:
        for number in range(chunks):
            await file.write(bytes(CHUNK_BYTES))
            if number == 2:
                print("begun", flush=True)  # noqa: T201 - the test waits for it


def main(what: str, directory: Path) -> int:
    try:
        asyncio.run(write(directory, 200 if what == "forever" else 8))
        while what == "forever":
            asyncio.run(write(directory, 200))  # each replaces the one before
    except DurableError as error:
        print(type(error).__name__, error, flush=True)  # noqa: T201 - as above
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
