"""The body of a request to a simulated file server, read as it comes."""

import re
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Any, Final

MAX_CHUNK_LINE_BYTES: Final = 1_024  #: bytes of a line between chunks; it holds a number


class Refused(Exception):
    """Raised when a request gets no more than a status.

    Attributes:
        status: the HTTP status.
        headers: headers that come with it.
    """

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.headers = dict(headers or {})


class HttpBody:
    """The body of a request, by Content-Length or in chunks.

    Args:
        headers: the headers of the request.
        stream: where the body comes from.
        begin: called before each reading: the client may still wait to be asked for the body.

    Attributes:
        is_read: whether all of it was read; a request without a body has it read.
    """

    def __init__(self, headers: Message, stream: Any, begin: Callable[[], None]) -> None:
        self._stream = stream
        self._begin = begin
        self._in_chunks = headers.get("Transfer-Encoding", "").lower() == "chunked"
        length = headers.get("Content-Length", "")
        self._left = 0 if self._in_chunks or not length.isdecimal() else int(length)
        self._is_known = self._in_chunks or length.isdecimal()
        self.is_read = not self._in_chunks and self._left == 0

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, b"" at the end.

        Raises:
            Refused: the body cannot be read by the rules of HTTP.
            ConnectionError: the client left in the middle.
        """
        if not self._is_known:
            raise Refused(411)
        self._begin()
        if self._left == 0 and self._in_chunks and not self.is_read:
            self._next_chunk()
        if self.is_read:
            return b""
        data: bytes = self._stream.read1(min(size, self._left))
        if not data:
            raise ConnectionError("the body ends early")
        self._left -= len(data)
        if self._left == 0 and self._in_chunks:
            self._line()
        self.is_read = self._left == 0 and not self._in_chunks
        return data

    def _next_chunk(self) -> None:
        size = self._line().partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", size):
            raise Refused(400)
        self._left = int(size, 16)
        if self._left == 0:
            while self._line().strip():  # trailers
                pass
            self.is_read = True

    def _line(self) -> bytes:
        line: bytes = self._stream.readline(MAX_CHUNK_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise ConnectionError("the body ends early")
        return line
