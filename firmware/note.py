"""A small file in which an installer keeps what it must know after a power cut.

Guaranteed: what `store` has written is there after a power cut, whole. A file that cannot be understood is set aside
and reported in the log, and counts as missing: an installer must come up again with whatever is left.

All functions read or write the disk: they are called in a thread.
"""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from security import durable

MAX_NOTE_BYTES: Final = 65_536  #: bytes; a hundred times what an installer notes

_Read = TypeVar("_Read")

_log = logging.getLogger(__name__)


def store(path: Path, values: Mapping[str, Any]) -> None:
    """Write the note, replacing the one before.

    Raises:
        DurableError: the one before is still there.
    """
    durable.write(path, json.dumps(values, indent=1).encode("ascii"))


def load(path: Path, read: Callable[[dict[str, Any]], _Read]) -> _Read | None:
    """Read the note.

    Args:
        path: the file.
        read: makes of the values what is wanted; raises ValueError for values that `store` was never given.

    Returns:
        What `read` made of it, None where there is no note or none that can be understood.

    Raises:
        DurableError: the disk fails.
    """
    if not path.exists():
        return None
    text = durable.read(path, limit_bytes=MAX_NOTE_BYTES + 1)
    try:
        values = json.loads(text) if len(text) <= MAX_NOTE_BYTES else None
        if not isinstance(values, dict):
            raise ValueError("it holds no object")
        return read(values)
    except (ValueError, RecursionError) as error:
        _log.error("%s is damaged (%s) and was set aside as %s", path, error, durable.set_aside(path))
        return None
