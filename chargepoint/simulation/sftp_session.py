"""One session with the simulated SFTP server: what asyncssh does with files, watched, and spoilt by a fault.

A connection is struck by one fault, which it takes when it first names a file. What was cut leaves what has come so
far; a client continues there by seeking or appending. Links are not made: they could lead out of the directory.
"""

import asyncio
import contextlib
import os
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NoReturn, cast

import asyncssh
from asyncssh.constants import FX_FAILURE, FX_NO_SUCH_FILE, FX_OK, FX_PERMISSION_DENIED, FXF_APPEND, FXF_WRITE

from chargepoint.simulation import file_fault as faults
from chargepoint.simulation.file_fault import AfterBytes, Fault
from chargepoint.simulation.file_record import Arrival
from chargepoint.simulation.file_server import FileServer

WORK_FAULTS: Final = (
    faults.Changed,
    faults.CutAfter,
    faults.DiskFull,
    faults.MissingDirectory,
    faults.NoPermission,
    faults.Slow,
    faults.StallAfter,
    faults.WrongLength,
)


@dataclass(slots=True)
class _File:
    """An open file and the arrival that it is recorded as."""

    stream: IO[bytes]
    arrival: Arrival
    is_append: bool


class SftpSession(asyncssh.SFTPServer):
    """The files of one connection.

    Args:
        channel: the SSH channel.
        owner: whose directory, accounts, faults and record it uses.
        cut: cuts the connection, with a RST if it is told so.
        gone: set once the connection is lost: asyncssh serves one request after another, and sees no end meanwhile.
    """

    def __init__(
        self,
        channel: "asyncssh.SSHServerChannel[bytes]",
        owner: FileServer,
        cut: Callable[[bool], None],
        gone: asyncio.Event,
    ) -> None:
        super().__init__(channel, chroot=str(owner.directory).encode())
        self._owner = owner
        self._cut = cut
        self._account = owner.accounts[channel.get_extra_info("username")]
        self._fault: Fault | None = None
        self._has_taken = False
        self._gone = gone
        self._files: list[_File] = []

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Open a file."""
        writes = bool(pflags & (FXF_WRITE | FXF_APPEND))
        arrival = self._owner.record.begin("write" if writes else "read", self._name(path), user=self._account.user)
        try:
            arrival.fault = self._admit(path, writes=writes)
            stream = cast("IO[bytes]", super().open(path, pflags, attrs))
        except (asyncssh.SFTPError, OSError) as error:
            self._end(arrival, _code(error))
            raise
        file = _File(stream, arrival, is_append=bool(pflags & FXF_APPEND))
        self._files.append(file)
        return file

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Read, until the fault strikes."""
        file = cast("_File", file_obj)
        size = await self._room(file, offset, size)
        file.stream.seek(offset)
        data = file.stream.read(size)
        await self._count(file, len(data))
        return data

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Write, until the fault strikes; what is left of the data then goes the way of all that follows."""
        file = cast("_File", file_obj)
        left = data
        while left:
            size = await self._room(file, offset, len(left))
            if not file.is_append:
                file.stream.seek(offset)
            written = file.stream.write(left[:size])
            left, offset = left[written:], offset + written
            await self._count(file, written)
        return len(data)

    def close(self, file_obj: object) -> None:
        """Close a file or a directory."""
        if isinstance(file_obj, _File):
            file_obj.stream.close()
            self._files.remove(file_obj)
            self._end(file_obj.arrival, None if self._gone.is_set() else file_obj.arrival.status or FX_OK)

    def exit(self) -> None:
        """Take the end of the connection."""
        for file in list(self._files):
            self.close(file)

    def stat(self, path: bytes) -> Any:
        """Say what a file is."""
        return self._told(super().stat(path), self._admit(path))

    def lstat(self, path: bytes) -> Any:
        """Say what a file is."""
        return self._told(super().lstat(path), self._admit(path))

    def fstat(self, file_obj: object) -> Any:
        """Say what an open file is."""
        return self._told(super().fstat(cast("_File", file_obj).stream), self._fault)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        """Change what is said of an open file."""
        super().fsetstat(cast("_File", file_obj).stream, attrs)

    def fsync(self, file_obj: object) -> None:
        """Write an open file to the disk."""
        super().fsync(cast("_File", file_obj).stream)

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Change what is said of a file."""
        self._admit(path, writes=True)
        super().setstat(path, attrs)

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Make a directory."""
        self._admit(path, writes=True)
        super().mkdir(path, attrs)

    def rmdir(self, path: bytes) -> None:
        """Remove a directory."""
        self._admit(path, writes=True)
        super().rmdir(path)

    def remove(self, path: bytes) -> None:
        """Remove a file."""
        self._admit(path, writes=True)
        super().remove(path)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Rename a file."""
        self._admit(oldpath, writes=True)
        super().rename(oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Rename a file, over another one if need be."""
        self._admit(oldpath, writes=True)
        super().posix_rename(oldpath, newpath)

    def symlink(self, _oldpath: bytes, _newpath: bytes) -> None:
        """Refuse."""
        raise asyncssh.SFTPOpUnsupported("no links here")

    def link(self, _oldpath: bytes, _newpath: bytes) -> None:
        """Refuse."""
        raise asyncssh.SFTPOpUnsupported("no links here")

    def _admit(self, path: bytes, *, writes: bool = False) -> Fault | None:
        """Return the fault of this connection, unless it or the account forbids what is asked for."""
        if not self._has_taken:
            self._has_taken = True
            self._fault = self._owner.faults.take(*WORK_FAULTS)
        may = self._account.may_write if writes else self._account.may_read or self._account.may_write
        match self._fault:
            case faults.MissingDirectory():
                raise asyncssh.SFTPNoSuchFile("no such file")
            case faults.DiskFull(bytes=0) if writes:
                raise asyncssh.SFTPNoSpaceOnFilesystem("no space left on device")
            case faults.NoPermission():
                may = False
            case faults.Changed(content=content) if not writes:
                Path(self.map_path(path).decode()).write_bytes(content)
                self._fault = None
        if not may:
            raise asyncssh.SFTPPermissionDenied("permission denied")
        return self._fault

    def _told(self, facts: Any, fault: Fault | None) -> Any:
        if not isinstance(fault, faults.WrongLength):
            return facts
        told = asyncssh.SFTPAttrs.from_local(facts)
        told.size = (told.size or 0) + fault.by
        return told

    async def _room(self, file: _File, offset: int, size: int) -> int:
        arrival = file.arrival
        if self._gone.is_set():  # what was asked for before is of no use to anybody
            raise asyncssh.SFTPConnectionLost("gone")
        if arrival.bytes == 0:
            arrival.offset = file.stream.seek(0, os.SEEK_END) if file.is_append else offset
        size = faults.room(arrival.fault, arrival.bytes, size)
        if size == 0 and isinstance(arrival.fault, AfterBytes):
            await self._strike(arrival)
        return size

    async def _count(self, file: _File, size: int) -> None:
        self._owner.record.count(file.arrival, size)
        if isinstance(fault := file.arrival.fault, faults.Slow):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(size / fault.bytes_per_second):
                    await self._gone.wait()

    async def _strike(self, arrival: Arrival) -> NoReturn:
        match arrival.fault:
            case faults.DiskFull():
                arrival.status = FX_FAILURE  # version 3 of the protocol has no word for it
                raise asyncssh.SFTPNoSpaceOnFilesystem("no space left on device")
            case faults.CutAfter(reset=reset):
                self._cut(reset)
        await self._gone.wait()
        raise asyncssh.SFTPConnectionLost("cut")

    def _name(self, path: bytes) -> str:
        return posixpath.normpath(posixpath.join("/", path.decode(errors="replace")))

    def _end(self, arrival: Arrival, status: int | None) -> None:
        arrival.status = status
        self._owner.record.end(arrival)


def _code(error: asyncssh.SFTPError | OSError) -> int:
    match error:
        case asyncssh.SFTPNoSpaceOnFilesystem():
            return FX_FAILURE
        case asyncssh.SFTPError():
            return error.code
        case FileNotFoundError():
            return FX_NO_SUCH_FILE
        case PermissionError():
            return FX_PERMISSION_DENIED
    return FX_FAILURE
