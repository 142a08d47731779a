"""A program that installs an image into the simulated slots and tells how far it is, to be killed in the middle.

python slots_worker.py DIRECTORY IMAGE SHA256
"""

import asyncio
import sys
from pathlib import Path

from firmware.installer import Image, Progress
from firmware.simulated_slots import SimulatedSlots


def tell(progress: Progress) -> None:
    sys.stdout.write(f"{progress.percent}\n")
    sys.stdout.flush()


async def main(directory: Path, path: Path, sha256: str) -> None:
    slots = SimulatedSlots.open(directory, boot_id="boot-0", factory_version="1.0.0")
    await slots.install(Image(path=path, request_id=1, sha256=sha256), tell)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
