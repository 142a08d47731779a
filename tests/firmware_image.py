"""Firmware images of the tests, and what is told while one is installed."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from firmware.installer import Image, Progress


def make_image(path: Path, content: bytes = b"version=1.1.0\n", *, request_id: int = 1) -> Image:
    """Write an image that passes for one whose signature was found good."""
    path.write_bytes(content)
    return Image(path=path, request_id=request_id, sha256=hashlib.sha256(content).hexdigest(), file_name=path.name)


class Told:
    """Notes the progress that an installer tells, and lets a test wait for some of it."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self._changed = asyncio.Event()

    def __call__(self, progress: Progress) -> None:
        self.progress.append(progress)
        self._changed.set()

    async def until(self, enough: Callable[[Progress], bool]) -> None:
        while not any(map(enough, self.progress)):
            self._changed.clear()
            await self._changed.wait()
