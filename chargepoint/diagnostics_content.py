"""What the diagnostics hold (logs/diagnostics.py packs it), and what of it is masked.

Guaranteed: nothing that is handed over is a key, a password or a private certificate: the configuration is what
GetConfiguration.conf shows, certificates are listed and not copied, and every text passes the masks of the log once
more. Id tags are masked unless `[logs] mask_id_tags` says otherwise. What has times is cut to the window: the agent's
log by its lines, the histories by their entries; the rest tells how things are now.

Not done here: what the parts say of themselves.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any, BinaryIO, Final

from chargepoint import __version__, log
from chargepoint.date_time import write_date_time
from chargepoint.foundation import Foundation
from chargepoint.free_space import MIB
from chargepoint.history import History
from chargepoint.id_tag_mask import mask_id_tags, mask_id_tags_in_text
from chargepoint.log_file import LOG_NAME, MAX_LINE_BYTES, LogFile
from logs.diagnostics import Content, Diagnostics, Member
from logs.spool import to_its_end

PIECE_BYTES: Final = 65_536  #: bytes; of the log, handed over at once
LIBRARIES: Final = ("aiofiles", "cryptography", "fastjsonschema", "jeepney", "ocpp", "pycurl", "websockets")

_TIME: Final = re.compile(rb'(?:\{"time": ")?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)')
"""What a line of the log begins with in either form; a line of a traceback does not."""

Read = Callable[[datetime | None, datetime | None], Awaitable[Any]]
"""Returns plain JSON, of a window where it has times."""


def diagnostics(
    foundation: Foundation,
    *,
    status: Callable[[], Awaitable[dict[str, Any]]],
    running_version: Callable[[], str | None],
    log_file: LogFile | None,
    connections: History,
    transfers: History,
) -> Diagnostics:
    """Put the diagnostics together.

    Args:
        foundation: the state directory and what was opened from it.
        status: says what the agent is doing, as the control socket does.
        running_version: says which firmware runs.
        log_file: the log as it is kept; None where it is not.
        connections: what became of the connection lately.
        transfers: what was transferred lately.
    """
    settings = foundation.settings
    masks_id_tags = settings.logs.mask_id_tags

    def redact(text: str) -> str:
        text = log.mask(text)
        return mask_id_tags_in_text(text) if masks_id_tags else text

    async def show_configuration(_oldest: datetime | None, _latest: datetime | None) -> Any:
        known = foundation.configuration.listing().known
        return [{"key": each.key, "readonly": each.readonly, "value": each.value} for each in known]

    async def show_status(_oldest: datetime | None, _latest: datetime | None) -> Any:
        shown = await status()
        return mask_id_tags(shown) if masks_id_tags else shown

    async def show_certificates(_oldest: datetime | None, _latest: datetime | None) -> Any:
        return foundation.certificates.listing()

    async def show_counts(_oldest: datetime | None, _latest: datetime | None) -> Any:
        return await foundation.security_log.counts()

    async def show_versions(_oldest: datetime | None, _latest: datetime | None) -> Any:
        return await asyncio.to_thread(_versions, foundation, running_version())

    async def show_connections(oldest: datetime | None, latest: datetime | None) -> Any:
        return connections.entries(oldest, latest)

    async def show_transfers(oldest: datetime | None, latest: datetime | None) -> Any:
        return transfers.entries(oldest, latest)

    reads: dict[str, Read] = {
        "versions": show_versions,
        "status": show_status,
        "configuration": show_configuration,
        "certificates": show_certificates,
        "security-events": show_counts,
        "connections": show_connections,
        "transfers": show_transfers,
    }
    members: Sequence[Member] = [_JsonMember(f"{name}.json", read, redact) for name, read in reads.items()]
    if log_file is not None:
        members = [*members, _LogMember(log_file, redact)]
    return Diagnostics(
        members,
        identity=settings.charge_point.identity,
        now=foundation.clock.now,
        redact=redact,
        min_free_bytes=settings.state.min_free_mib * MIB,
    )


class _JsonMember:
    """A part that is plain JSON and small."""

    def __init__(self, name: str, read: Read, redact: Callable[[str], str]) -> None:
        self.name = name
        self._read = read
        self._redact = redact

    async def read(self, oldest: datetime | None, latest: datetime | None) -> Content:
        text = json.dumps(await self._read(oldest, latest), indent=2, ensure_ascii=False)
        data = f"{self._redact(text)}\n".encode("utf-8", "backslashreplace")
        return Content(len(data), iter((data,)))


class _LogMember:
    """The agent's log, all its files as one, cut to the window."""

    name = LOG_NAME

    def __init__(self, file: LogFile, redact: Callable[[str], str]) -> None:
        self._file = file
        self._redact = redact

    async def read(self, oldest: datetime | None, latest: datetime | None) -> Content:
        first = write_date_time(oldest).encode() if oldest else b""
        last = write_date_time(latest).encode() if latest else b"~"  # which no time of this calendar reaches
        stack = ExitStack()

        def measure() -> tuple[int, list[tuple[BinaryIO, int]]]:
            files = stack.enter_context(self._file.opened())
            return sum(map(len, self._pieces(files, first, last))), files

        try:
            size_bytes, files = await to_its_end(asyncio.to_thread(measure))
        except BaseException:
            stack.close()
            raise
        return Content(size_bytes, self._pieces(files, first, last), stack.close)

    def _pieces(self, files: Sequence[tuple[BinaryIO, int]], first: bytes, last: bytes) -> Iterator[bytes]:
        piece = bytearray()
        for line in _window(files, first, last):
            piece += self._redact(line.decode("utf-8", "backslashreplace")).encode("utf-8", "backslashreplace")
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)


def _window(files: Sequence[tuple[BinaryIO, int]], first: bytes, last: bytes) -> Iterator[bytes]:
    """Yield the lines from one time to another; a line without a time goes with the one before it."""
    is_inside = not first
    for file, size_bytes in files:
        file.seek(0)
        while size_bytes > 0 and (line := file.readline(min(size_bytes, MAX_LINE_BYTES))):
            size_bytes -= len(line)
            if time := _TIME.match(line):
                is_inside = first <= time[1] <= last
            if is_inside:
                yield line


def _versions(foundation: Foundation, running_version: str | None) -> dict[str, Any]:
    import platform
    import sqlite3
    import ssl
    from importlib.metadata import PackageNotFoundError, version

    from cryptography.hazmat.backends.openssl import backend

    libraries: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            libraries[name] = None
    about = foundation.settings.charge_point
    return {
        "charge_point": {
            "vendor": about.vendor,
            "model": about.model,
            "serial_number": about.serial_number,
            "firmware": running_version,
        },
        "agent": __version__,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "openssl_of_cryptography": backend.openssl_version_text(),
        "sqlite": sqlite3.sqlite_version,
        "libraries": libraries,
        "system": {"name": platform.system(), "kernel": platform.release(), "machine": platform.machine()},
    }
