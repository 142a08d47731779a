"""The files of a multipart/form-data body (RFC 7578), read as they come: memory is flat whatever their size."""

from collections.abc import Callable
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

MAX_PART_HEADER_BYTES: Final = 16_384  #: bytes; the headers of a part name a file, nothing long

Read = Callable[[int], bytes]


class BadMultipart(Exception):
    """Raised when a body is no multipart body, or ends early; the text says why."""


class Multipart:
    """A body that is being read.

    Args:
        boundary: the boundary of the Content-Type header.
        read: reads at most so many bytes of the body, b"" at its end.
    """

    def __init__(self, boundary: str, read: Read) -> None:
        self._mark = b"\r\n--" + boundary.encode()
        self._read = read
        self._buffer = b"\r\n"  # the first boundary has no line end before it
        self._is_open = True  # what stands before the first boundary is read like a part, and thrown away

    def next_file_name(self) -> str | None:
        """Go to the next part that is a file and return its name, None behind the last part."""
        while True:
            while self.read(65_536):  # what the caller left of the part before, or the preamble
                pass
            if self._need(2) == b"--":
                return None
            header = self._header()
            self._is_open = True
            if name := header.get_param("filename", header="content-disposition"):
                return str(name)

    def read(self, size: int) -> bytes:
        """Return at most so many bytes of the part, b"" at its end."""
        while self._is_open:
            end = self._buffer.find(self._mark)
            ready = end if end >= 0 else len(self._buffer) - len(self._mark) + 1
            if ready > 0:
                data, self._buffer = self._buffer[: min(size, ready)], self._buffer[min(size, ready) :]
                return data
            if end == 0:
                self._buffer = self._buffer[len(self._mark) :]
                self._is_open = False
            else:
                self._fill()
        return b""

    def _header(self) -> Message:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_PART_HEADER_BYTES:
                raise BadMultipart("the header of a part is too long")
            self._fill()
        header, self._buffer = self._buffer[2:end], self._buffer[end + 4 :]
        return BytesHeaderParser().parsebytes(header + b"\r\n\r\n")

    def _need(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        return self._buffer[:size]

    def _fill(self) -> None:
        if not (data := self._read(65_536)):
            raise BadMultipart("the body ends within a part")
        self._buffer += data
