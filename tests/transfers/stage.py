"""What the tests of transfers do again and again."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from chargepoint.simulation.file_server import FileServer
from chargepoint.transfer import Download, Progress, TransferFailed, Transfers

CONTENT = bytes(range(256)) * 10_000  # 2.5 MB: more than what all buffers of a connection hold
MAX_BYTES = 10_000_000
PATIENCE_S = 20


def ignore(_: Progress) -> None:
    """Show nobody how far it is."""


async def send(transfers: Transfers, source: Path, location: str, *, resume: bool = False) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await transfers.upload(source, location, file_name="security.log", resume=resume, progress=ignore)


async def fetch(transfers: Transfers, location: str, target: Path, *, max_bytes: int = MAX_BYTES) -> Download:
    async with asyncio.timeout(PATIENCE_S):
        return await transfers.download(location, target, max_bytes=max_bytes, progress=ignore)


async def failure_to_send(transfers: Transfers, source: Path, location: str, *, resume: bool = False) -> TransferFailed:
    with pytest.raises(TransferFailed) as caught:
        await send(transfers, source, location, resume=resume)
    return caught.value


async def failure_to_fetch(
    transfers: Transfers, location: str, target: Path, *, max_bytes: int = MAX_BYTES
) -> TransferFailed:
    with pytest.raises(TransferFailed) as caught:
        await fetch(transfers, location, target, max_bytes=max_bytes)
    return caught.value


async def begun(transfers: Transfers, location: str, target: Path) -> asyncio.Task[Download]:
    """Return a download of which some bytes are here."""
    here = asyncio.Event()

    def look(progress: Progress) -> None:
        if progress.done_bytes:
            here.set()

    task = asyncio.create_task(transfers.download(location, target, max_bytes=MAX_BYTES, progress=look))
    async with asyncio.timeout(PATIENCE_S):
        await here.wait()
    return task


async def cancel(task: asyncio.Task[None] | asyncio.Task[Download]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def inbox(server: FileServer) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (server.directory / "inbox").iterdir()}
