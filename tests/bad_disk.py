"""`chargepoint` on a disk that takes nothing more as soon as the file that BAD_DISK names is there.

It is run as a program: ``python -m tests.bad_disk run --config ...``.
"""

import errno
import os
import sys
from pathlib import Path

from chargepoint.cli import main
from security import durable

PROGRAM = (sys.executable, "-m", "tests.bad_disk")
VARIABLE = "BAD_DISK"


class BadDisk(durable.Operations):
    """Refuses to create and to remove files, as a file system does that was mounted read-only after an error."""

    def create(self, path: Path, mode: int) -> int:
        self._refuse()
        return super().create(path, mode)

    def unlink(self, path: Path) -> None:
        self._refuse()
        super().unlink(path)

    def _refuse(self) -> None:
        if Path(os.environ[VARIABLE]).exists():
            raise OSError(errno.EROFS, "Read-only file system")


if __name__ == "__main__":
    durable.operations = BadDisk()
    sys.exit(main())
