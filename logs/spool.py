"""The spool file: what is to be uploaded, written piece by piece as it is made, so that memory stays flat.

Guaranteed: the file is private (0600) and bears its name only when it is whole and on the disk. When the writing fails
or is cancelled, nothing of it is left; a power cut or a kill leaves a temporary file, which `durable.sweep` of the
directory collects at the next start. No spool file takes the room that is kept free for what must survive: the writing
ends with `StorageFull` first.

Not done here: what is in the file, and when it is removed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

from security import durable
from security.errors import StorageFull

CHUNK_BYTES: Final = 262_144  #: bytes; written at once: in smaller pieces the threads cost more than the disk

T = TypeVar("T")


class _AsyncFile(Protocol):
    async def write(self, data: bytes, /) -> int: ...


class Spool:
    """A spool file that is being written; made by `spool`.

    Attributes:
        size_bytes: how much was handed in so far.
    """

    def __init__(self, target: Path, file: _AsyncFile, min_free_bytes: int) -> None:
        self.size_bytes = 0
        self._target = target
        self._file = file
        self._min_free_bytes = min_free_bytes
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        """Append; what is small waits for more of it.

        Raises:
            DurableError: the disk did not take it, or is to be kept free.
        """
        self.size_bytes += len(data)
        self._waiting += data
        if len(self._waiting) >= CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; raises DurableError as `write`."""
        if not self._waiting:
            return
        chunk = bytes(self._waiting)
        self._waiting.clear()
        if self._min_free_bytes:
            await self._keep_room(len(chunk))
        await to_its_end(self._file.write(chunk))

    async def _keep_room(self, more_bytes: int) -> None:
        from aiofiles import os

        found = await os.statvfs(self._target.parent)
        if found.f_bavail * found.f_frsize - more_bytes < self._min_free_bytes:
            what = f"cannot be written: {self._min_free_bytes} bytes are to stay free there ([state] min_free_mib)"
            raise StorageFull(str(self._target), what)


@asynccontextmanager
async def spool(target: Path, *, min_free_bytes: int) -> AsyncIterator[Spool]:
    """Write a spool file: it is there, whole and on the disk, once the block was left without an error.

    Args:
        target: its name; its directory exists.
        min_free_bytes: the room that is left on its disk in any case; 0 leaves it to the disk to say that it is full.

    Raises:
        DurableError: the disk did not take it; nothing of it is left.
    """
    from aiofiles.threadpool import wrap  # nothing else of the agent needs it

    draft = durable.Draft(target)
    try:
        being_written = Spool(target, wrap(draft), min_free_bytes)
        yield being_written
        await being_written.flush()
        await to_its_end(asyncio.to_thread(draft.finish))
    except BaseException:
        await to_its_end(asyncio.to_thread(_give_up, draft, target))
        raise


def _give_up(draft: durable.Draft, target: Path) -> None:
    draft.discard()
    if draft.is_finished:  # cancelled while it was given its name: whoever cancels finds no file
        durable.remove(target)


async def to_its_end(work: Awaitable[T]) -> T:
    """Await work of a thread; cancelled, wait for its end all the same: it uses what its owner closes next."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue
        raise
