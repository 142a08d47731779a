"""Transfers of files: the one door to file servers, for uploads and downloads, over libcurl in threads.

Guaranteed: only what SupportedFileTransferProtocols lists is used; the event loop is never blocked; a transfer that is
cancelled touches the network no more within a second; no text that comes out of here holds a user, a password or the
query of a URL. Without pycurl the list is empty, and every transfer fails with UNSUPPORTED_SCHEME.

Not done here: how often a transfer is tried (logs/, firmware/), and the exchanges themselves (transfer_upload.py,
transfer_download.py).
"""

import asyncio
from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from chargepoint.thread import DaemonThreads, stand_back
from chargepoint.transfer_fault import TransferFailed, TransferFault
from chargepoint.transfer_protocols import Protocols
from chargepoint.transfer_settings import TransferSettings
from chargepoint.transfer_watch import Download, Progress, Tell, Watch

if TYPE_CHECKING:
    from chargepoint.transfer_location import Location
    from chargepoint.transfer_trust import Roots, Trust

__all__ = ["Download", "Progress", "TransferFailed", "TransferFault", "Transfers"]

END_SECONDS: Final = 3.0  #: seconds that a cancelled transfer is waited for; libcurl looks once a second

_T = TypeVar("_T")


class Transfers:
    """Uploads and downloads of this Charge Point.

    Args:
        settings: [transfers].
        directory: where host keys, and what libcurl can do, are remembered.
        roots: the installed Central System roots, asked for at each transfer.
        allowed: SupportedFileTransferProtocols as it is configured.
        reserve_bytes: how much room downloads leave on the disk.
    """

    def __init__(
        self,
        settings: TransferSettings,
        directory: Path,
        *,
        roots: "Roots",
        allowed: Callable[[], Collection[str]],
        reserve_bytes: int = 0,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._roots = roots
        self._build = Protocols(directory)
        self._allowed = allowed
        self._reserve_bytes = reserve_bytes
        self._threads = DaemonThreads()
        self._ends: dict[Path, asyncio.Future[object]] = {}

    @property
    def protocols(self) -> tuple[str, ...]:
        """What may be used: what libcurl can do here and is switched on; certain once `learn` has returned."""
        allowed = self._allowed()
        return tuple(name for name in self._build.able if name in allowed)

    @property
    def able(self) -> tuple[str, ...]:
        """What libcurl can do here, switched on or not."""
        return self._build.able

    async def learn(self) -> None:
        """Find out for certain what libcurl can do; at once where it is known."""
        await self._build.learn()

    async def upload(self, source: Path, location: str, *, file_name: str, resume: bool, progress: Tell) -> None:
        """Send a file; when it returns, the server has said that it has it.

        Cancelling stops it within a second and leaves on the server what was sent.

        Args:
            source: the file.
            location: a URL; where it ends in / or has no path, it names a directory.
            file_name: the name of the file there.
            resume: an earlier try may have left a part of this very file there, which is continued if the protocol can.
            progress: called in the event loop, a few times a second at most.

        Raises:
            TransferFailed: why the file is not there.
        """
        watch = Watch(progress)
        protocols = await self._usable()

        def work() -> None:
            from chargepoint.transfer_upload import Upload

            Upload(
                source=source,
                location=self._judge(location, protocols),
                file_name=file_name,
                resume=resume,
                settings=self._settings,
                trust=self._trust,
                watch=watch,
            ).run()

        await self._carry_out(work, watch)

    async def download(self, location: str, target: Path, *, max_bytes: int, progress: Tell) -> Download:
        """Fetch a file; when it returns, the file is whole on the disk, with mode 0600.

        What an earlier try has left in `target` is continued where that is certain to be the same file. Cancelling
        stops it within a second and leaves what has come to be continued.

        Args:
            location: a URL.
            target: the file; its directory exists.
            max_bytes: a larger file is refused, and nothing is left of it.
            progress: called in the event loop, a few times a second at most.

        Raises:
            TransferFailed: why the file is not here.
        """
        watch = Watch(progress)
        protocols = await self._usable()

        def work() -> Download:
            from chargepoint.transfer_download import Fetch

            return Fetch(
                location=self._judge(location, protocols),
                target=target,
                max_bytes=max_bytes,
                reserve_bytes=self._reserve_bytes,
                settings=self._settings,
                trust=self._trust,
                watch=watch,
            ).run()

        if (earlier := self._ends.get(target)) is not None:
            await asyncio.wait({earlier})  # one that was cancelled still brings to the disk what had come
        return await self._carry_out(work, watch, target)

    # What only a transfer needs is imported in its thread: most starts transfer nothing, and the event loop goes on.

    @cached_property
    def _trust(self) -> "Trust":
        from chargepoint.transfer_trust import Trust

        return Trust(self._settings, self._directory, self._roots)

    async def _usable(self) -> tuple[str, ...]:
        await self.learn()
        return self.protocols

    def _judge(self, location: str, protocols: Collection[str]) -> "Location":
        from chargepoint.transfer_location import Location

        place = Location.parse(location)
        if place.protocol not in protocols:
            names = ", ".join(protocols) or "none"
            raise TransferFailed(TransferFault.UNSUPPORTED_SCHEME, f"{place}: supported is {names}")
        return place

    async def _carry_out(self, work: Callable[[], _T], watch: Watch, target: Path | None = None) -> _T:
        def work_behind_the_event_loop() -> _T:
            stand_back()  # and with it the threads that it starts
            return work()

        future = asyncio.wrap_future(self._threads.submit(work_behind_the_event_loop))
        future.add_done_callback(_hear)
        if target is not None:
            self._ends[target] = future
            future.add_done_callback(lambda _: self._ends.pop(target, None))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            watch.stop()
            await asyncio.wait({future}, timeout=END_SECONDS)
            raise
        finally:
            watch.close()


def _hear(future: asyncio.Future[_T]) -> None:
    """Look at how a transfer ended, which asyncio demands also where it was cancelled and nobody waits any more."""
    if not future.cancelled():
        future.exception()
