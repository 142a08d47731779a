"""What a firmware update finds in the agent: the adapters behind the ports of the firmware wing.

Not done here: what an update does (firmware/), whom it trusts (firmware_trust.py), who installs
(firmware_installer.py), and putting it all together (firmware_update.py).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from chargepoint.clock import Clock
from chargepoint.events import EventDoor
from chargepoint.history import History
from chargepoint.job_journal import FIRMWARE_UPDATE
from chargepoint.status_delivery import StatusDelivery
from chargepoint.transfer import TransferFailed, TransferFault, Transfers
from firmware.port import Fetched, FetchProgress, FetchRefused
from security.event import SecurityEventType

LONGEST_SLEEP: Final = timedelta(seconds=5)  #: time; between two looks at the clock, which may be set meanwhile
DISK_RETRY: Final = timedelta(minutes=1)  #: time; until an event that the disk refused is recorded again
MAX_NETWORK_WAIT: Final = timedelta(minutes=10)  #: time; after a start; the network is there by then, or does not come


class Downloads:
    """Downloads of images.

    Args:
        transfers: fetches files.
        max_bytes: a larger image is refused.
        online: returns once there was a connection: before, a try would only find that the network is not there yet.
        history: told how each try ended.
    """

    def __init__(
        self, transfers: Transfers, *, max_bytes: int, online: Callable[[], Awaitable[object]], history: History
    ) -> None:
        self._transfers = transfers
        self._max_bytes = max_bytes
        self._online = online
        self._history = history

    async def fetch(self, location: str, target: Path, progress: Callable[[FetchProgress], None]) -> Fetched:
        """As the port says; the room on the disk is looked at before and while the file comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MAX_NETWORK_WAIT.total_seconds()):
                await self._online()
        try:
            done = await self._transfers.download(location, target, max_bytes=self._max_bytes, progress=progress)
        except TransferFailed as failure:
            self._history.note("firmware download", location=location, failed=failure.detail)
            # A file that is not there may be published in a moment: the order is often quicker than the image.
            again = failure.worth_retrying or failure.fault is TransferFault.NOT_FOUND
            raise FetchRefused(failure.detail, worth_retrying=again) from failure
        self._history.note("firmware download", location=location, size_bytes=done.size_bytes)
        return Fetched(done.sha256.hex(), done.size_bytes)


class FirmwareHost:
    """What only the whole agent can do for a firmware update.

    Args:
        clock: the agent's clock.
        events: the door of security events.
        delivery: tells the Central System.
        mark_good_after: how long a firmware that has no connection has to run to count as healthy.
        note_new_firmware: called when another firmware runs without a reboot.
        reboot: begins a reboot; returns at once.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        events: EventDoor,
        delivery: StatusDelivery,
        mark_good_after: timedelta,
        note_new_firmware: Callable[[], Awaitable[None]],
        reboot: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._events = events
        self._delivery = delivery
        self._mark_good_after = mark_good_after
        self._note_new_firmware = note_new_firmware
        self._reboot = reboot
        self._connected = asyncio.Event()

    def now(self) -> datetime:
        """Return the agent's time, or the one that it cannot be earlier than."""
        return self._clock.now()

    async def wait_until(self, moment: datetime) -> None:
        """Look at the clock until it shows a moment."""
        while True:
            left = moment - self._clock.now()
            if left <= timedelta():
                return
            await asyncio.sleep(min(left, LONGEST_SLEEP).total_seconds())

    async def record(self, event_type: SecurityEventType, tech_info: str) -> None:
        """Raise an event, and return when it is on the disk."""
        await self._events.raise_event(event_type, tech_info)
        while True:
            if await self._events.record_waiting():
                return
            await asyncio.sleep(DISK_RETRY.total_seconds())

    async def wait_until_told(self, longest: timedelta) -> bool:
        """Wait until the Central System has confirmed every status."""
        return await self._delivery.wait_until_sent(FIRMWARE_UPDATE, longest)

    async def wait_until_connected(self) -> None:
        """Wait until there was a good connection to the Central System."""
        await self._connected.wait()

    def note_connected(self) -> None:
        """A good connection to the Central System stands."""
        self._connected.set()

    async def wait_until_healthy(self) -> None:
        """Wait for one good connection, or until the agent has run for so long without.

        By then the state directory is open and the board answers: else there would be no agent that asks.
        """
        try:
            async with asyncio.timeout(self._mark_good_after.total_seconds()):
                await self._connected.wait()
        except TimeoutError:
            return

    async def note_new_firmware(self) -> None:
        """Have the version told that runs now."""
        await self._note_new_firmware()

    def reboot(self) -> None:
        """Begin an orderly end and a reboot."""
        self._reboot()
