"""An agent that installs by RAUC, is killed in the middle, and is started anew on what is on its disk."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from firmware.installer import Image, Outcome
from firmware.rauc_installer import RECORD_NAME, RaucInstaller, load_record
from tests.firmware_image import Told
from tests.rauc_service import RaucService


class Agent:
    """An agent that installs, and is started anew."""

    def __init__(self, state: Path, address: str) -> None:
        self.state = state
        self.address = address
        self.told = Told()
        self.installer = self.start()
        self.installing: asyncio.Task[Outcome]

    def start(self, timeout: timedelta | None = None) -> RaucInstaller:
        self.installer = RaucInstaller(self.state, load_record(self.state), timeout=timeout, address=self.address)
        return self.installer

    async def begin(self, image: Image, rauc: RaucService) -> None:
        """Begin to install, and return when RAUC has begun."""
        self.installing = asyncio.create_task(self.installer.install(image, self.told))
        begun = asyncio.create_task(rauc.begun())
        await asyncio.wait((begun, self.installing), return_when=asyncio.FIRST_COMPLETED)
        assert begun.done(), self.installing
        assert image.sha256 in (self.state / RECORD_NAME).read_text(), "noted before RAUC has begun"

    async def be_killed(self) -> RaucInstaller:
        """Wait no longer, and start anew with what is on the disk."""
        self.installing.cancel()
        with suppress(asyncio.CancelledError):
            await self.installing
        return self.start()

    async def install(self, image: Image, rauc: RaucService, version: str = "1.1.0") -> Outcome:
        await self.begin(image, rauc)
        await rauc.complete(version)
        return await self.installing
