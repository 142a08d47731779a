"""The names of the files that are uploaded: who, what, when; letters that every file system and server takes.

Pure: text in, text out.
"""

import re
from datetime import UTC, datetime
from typing import Final

MAX_FILE_NAME_CHARACTERS: Final = 255  #: characters; GetLog.conf and GetDiagnostics.conf, and most file systems
MAX_IDENTITY_CHARACTERS: Final = 64  #: characters; an identity has at most 48, the rest of the name is short

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


def file_name(identity: str, kind: str, now: datetime, extension: str) -> str:
    """Return a name such as ``CP001-security-log-20270301T120000Z.jsonl``.

    Args:
        identity: of the Charge Point; what is not a plain letter, digit, dot, dash or underscore becomes ``_``, and so
            does a dot or dash in front: the one would hide the file, the other look like an option.
        kind: what the file is, in safe letters.
        now: aware.
        extension: with its dots.
    """
    safe = _UNSAFE.sub("_", identity[:MAX_IDENTITY_CHARACTERS])
    if safe[:1] in (".", "-"):
        safe = f"_{safe[1:]}"
    return f"{safe}-{kind}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}{extension}"
