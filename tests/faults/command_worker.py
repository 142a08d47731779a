"""A program that installs an image by a command and tells how far it is, to be killed in the middle.

python command_worker.py DIRECTORY COMMAND IMAGE SHA256
"""

import asyncio
import sys
from pathlib import Path

from firmware.command_installer import CommandInstaller, Commands, load_record
from firmware.installer import Image, Progress


def tell(progress: Progress) -> None:
    sys.stdout.write(f"{progress.percent}\n")
    sys.stdout.flush()


async def main(directory: Path, command: str, path: Path, sha256: str) -> None:
    installer = CommandInstaller(
        Commands(install=(command,)),
        directory,
        load_record(directory),
        boot_id="boot-0",
        board_version=lambda: "1.0.0",
    )
    await installer.install(Image(path=path, request_id=1, sha256=sha256), tell)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
