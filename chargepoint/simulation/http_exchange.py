"""One HTTP connection to a simulated file server: its requests answered, or spoilt by a fault."""

import contextlib
import errno
import os
import select
import socket
import struct
import threading
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from email.message import Message
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseServer
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit

from chargepoint.simulation import file_fault as faults
from chargepoint.simulation.byte_range import Unsatisfiable, byte_span
from chargepoint.simulation.file_account import ANONYMOUS, Account
from chargepoint.simulation.file_fault import AfterBytes, Fault
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.http_body import HttpBody, Refused
from chargepoint.simulation.multipart import BadMultipart, Multipart

CHUNK_BYTES: Final = 65_536  #: bytes moved at once; memory a connection costs, and steps in which its record grows

REQUEST_FAULTS: Final = (
    faults.Changed,
    faults.Chunked,
    faults.CutAfter,
    faults.DiskFull,
    faults.HttpError,
    faults.Malformed,
    faults.MissingDirectory,
    faults.Moved,
    faults.NoPermission,
    faults.NoResume,
    faults.RefuseLogin,
    faults.Slow,
    faults.StallAfter,
    faults.WrongLength,
)

_ASKS_PASSWORD: Final = {"WWW-Authenticate": 'Basic realm="files", charset="UTF-8"'}
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: the close becomes a RST
LOOK_SECONDS: Final = 0.05  #: seconds between two looks whether a stalled client has left; nobody waits for it


class HttpExchange(BaseHTTPRequestHandler):
    """Serves a connection when it is constructed, as its base class wants it.

    Args:
        owner: whose directory, accounts, faults and record it uses.
        handle: a second handle of the socket, below TLS.
        stopping: set when the server ends.
        request: the stream to serve.
        client_address: who came.
        server: the listener.
    """

    protocol_version = "HTTP/1.1"
    server_version = "SimulatedFileServer"
    sys_version = ""
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"

    def __init__(
        self,
        owner: FileServer,
        handle: socket.socket,
        stopping: threading.Event,
        request: Any,
        client_address: Any,
        server: BaseServer,
    ) -> None:
        self._owner = owner
        self._handle = handle
        self._stopping = stopping
        self._waits_for_continue = False
        super().__init__(request, client_address, server)

    def do_GET(self) -> None:
        """Send a file."""
        self._serve(self._send_file)

    def do_HEAD(self) -> None:
        """Say what a file is."""
        self._serve(self._send_file)

    def do_PUT(self) -> None:
        """Take a file."""
        self._serve(self._take_file)

    def do_POST(self) -> None:
        """Take the files of a form."""
        self._serve(self._take_form)

    def handle_expect_100(self) -> bool:
        """Ask for the body when it is about to be read: who is refused need not send it."""
        self._waits_for_continue = True
        return True

    def log_message(self, *_: Any) -> None:
        """Say nothing: the requests are recorded."""

    def _serve(self, act: Callable[[Fault | None], None]) -> None:
        path = unquote(urlsplit(self.path).path)
        self._arrival = self._owner.record.begin(self.command, path, headers=tuple(self.headers.items()))
        self._body = HttpBody(self.headers, self.rfile, self._continue)
        try:
            account = self._account()
            self._arrival.user = account.user
            if not (account.may_read if self.command in ("GET", "HEAD") else account.may_write):
                raise Refused(401, _ASKS_PASSWORD) if account is ANONYMOUS else Refused(403)
            fault = self._owner.faults.take(*REQUEST_FAULTS)
            self._arrival.fault = fault
            self._strike(fault)
            act(fault)
        except Refused as refused:
            self._refuse(refused)
        except _Cut as cut:
            self._cut(reset=cut.reset)
        except OSError:
            self.close_connection = True  # the client has left, or the server is being stopped
        finally:
            self._waits_for_continue = False
            self._owner.record.end(self._arrival)

    def _account(self) -> Account:
        header = self.headers.get("Authorization")
        if header is None:
            return ANONYMOUS
        kind, _, credentials = header.partition(" ")
        account = None
        if kind.lower() == "basic":
            with contextlib.suppress(Base64Error, UnicodeDecodeError):
                user, _, password = b64decode(credentials.strip(), validate=True).decode().partition(":")
                account = self._owner.log_in(user, password)
        if account is None:
            raise Refused(401, _ASKS_PASSWORD)
        return account

    def _strike(self, fault: Fault | None) -> None:
        match fault:
            case faults.RefuseLogin():
                raise Refused(401, _ASKS_PASSWORD)
            case faults.NoPermission():
                raise Refused(403)
            case faults.MissingDirectory():
                raise Refused(404)
            case faults.Moved(to=to, status=status):
                raise Refused(status, {"Location": to})
            case faults.HttpError(status=status, retry_after=None):
                raise Refused(status)
            case faults.HttpError(status=status, retry_after=seconds):
                raise Refused(status, {"Retry-After": str(seconds)})
            case faults.Malformed():
                self.wfile.write(b"220 this is no HTTP server\r\n\r\n")
                self._part()
                raise _Cut
            case faults.Changed(content=content):
                self._file().write_bytes(content)

    def _file(self) -> Path:
        file = self._owner.locate(self._arrival.path)
        if file is None:
            raise Refused(404)
        return file

    def _send_file(self, fault: Fault | None) -> None:
        try:
            stream = self._file().open("rb")
        except OSError as error:  # missing, or a directory
            raise Refused(404) from error
        with stream:
            facts = os.fstat(stream.fileno())
            etag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
            changed_at = formatdate(facts.st_mtime, usegmt=True)
            resumes = not isinstance(fault, faults.NoResume)
            first, last = self._span(facts.st_size, etag, changed_at) if resumes else (0, facts.st_size - 1)
            is_part = (first, last) != (0, facts.st_size - 1)
            self._arrival.offset = first
            self._begin_answer(206 if is_part else 200)
            self.send_header("Content-Type", "application/octet-stream")
            if resumes:
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", etag)
                self.send_header("Last-Modified", changed_at)
            if is_part:
                self.send_header("Content-Range", f"bytes {first}-{last}/{facts.st_size}")
            self._send_content(stream, fault, first, last - first + 1)

    def _send_content(self, stream: IO[bytes], fault: Fault | None, first: int, length: int) -> None:
        write: Callable[[bytes], object] = self.wfile.write
        in_chunks = isinstance(fault, faults.Chunked) and self.request_version == "HTTP/1.1"
        if in_chunks:
            self.send_header("Transfer-Encoding", "chunked")
            write = self._write_chunk
        else:
            told = length + fault.by if isinstance(fault, faults.WrongLength) else length
            self.send_header("Content-Length", str(max(0, told)))
            self.close_connection = self.close_connection or told != length
        self.end_headers()
        if self.command == "HEAD":
            return
        stream.seek(first)
        left = length

        def read(size: int) -> bytes:
            nonlocal left
            data = stream.read(min(size, left))
            left -= len(data)
            return data

        self._move(read, write, fault)
        if in_chunks:
            self.wfile.write(b"0\r\n\r\n")

    def _span(self, size: int, *validators: str) -> tuple[int, int]:
        if self.headers.get("If-Range", validators[0]) not in validators:
            return 0, size - 1  # the file is another one than the client has begun with
        try:
            return byte_span(self.headers.get("Range", ""), size)
        except Unsatisfiable as error:
            raise Refused(416, {"Content-Range": f"bytes */{size}"}) from error

    def _take_file(self, fault: Fault | None) -> None:
        if "Content-Range" in self.headers:  # RFC 9110 section 14.4: no part of a file may pass for the whole
            raise Refused(400)
        if self._arrival.path.endswith("/"):
            raise Refused(409)
        self._answer(self._store(self._file(), self._body.read, fault))

    def _take_form(self, fault: Fault | None) -> None:
        kind = Message()
        kind["Content-Type"] = self.headers.get("Content-Type", "")
        if kind.get_content_type() != "multipart/form-data" or not kind.get_boundary():
            raise Refused(415)
        directory = self._file()
        form = Multipart(str(kind.get_boundary()), self._body.read)
        base = self._arrival.path.rstrip("/")
        status = 400
        try:
            while name := form.next_file_name():
                if "/" in name or name in (".", ".."):
                    raise Refused(400)
                self._arrival.path = f"{base}/{name}"
                self._store(directory / name, form.read, fault)
                status = 201
        except BadMultipart as error:
            raise Refused(400) from error
        while self._body.read(CHUNK_BYTES):
            pass
        self._answer(status)

    def _store(self, file: Path, read: Callable[[int], bytes], fault: Fault | None) -> int:
        if not file.parent.is_dir():
            raise Refused(404)
        if file.is_dir():
            raise Refused(409)
        incoming = file.with_name(f".{file.name}.incoming-{self._arrival.number}")
        try:
            with incoming.open("wb") as stream:
                self._move(read, stream.write, fault)
            is_new = not file.exists()
            incoming.replace(file)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise Refused(507) from error
            raise
        finally:
            incoming.unlink(missing_ok=True)
        return 201 if is_new else 204

    def _move(self, read: Callable[[int], bytes], write: Callable[[bytes], object], fault: Fault | None) -> None:
        """Move bytes until there are no more or the fault strikes."""
        done = 0
        while True:
            size = faults.room(fault, done, CHUNK_BYTES)
            if isinstance(fault, faults.Slow):
                size = max(1, min(size, fault.bytes_per_second // 10))
            if size == 0 and isinstance(fault, AfterBytes):
                self._strike_within(fault)
            if not (data := read(size)):
                return
            write(data)
            done += len(data)
            self._owner.record.count(self._arrival, len(data))
            if isinstance(fault, faults.Slow) and self._stopping.wait(len(data) / fault.bytes_per_second):
                raise _Cut

    def _strike_within(self, fault: AfterBytes) -> None:
        match fault:
            case faults.DiskFull():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case faults.StallAfter():
                self._await_leaving()
                raise _Cut
            case faults.CutAfter(reset=reset):
                raise _Cut(reset=reset)

    def _await_leaving(self) -> None:
        watch = select.poll()
        watch.register(self._handle, select.POLLRDHUP)
        while not watch.poll(0) and not self._stopping.wait(LOOK_SECONDS):
            pass

    def _continue(self) -> None:
        if self._waits_for_continue:
            self._waits_for_continue = False
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()

    def _begin_answer(self, status: int) -> None:
        self._arrival.status = status
        self.send_response(status)

    def _answer(self, status: int) -> None:
        self._begin_answer(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, refused: Refused) -> None:
        leaves_body = self.command in ("PUT", "POST") and not self._body.is_read
        self._begin_answer(refused.status)
        for name, value in {**refused.headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        if leaves_body:
            self.send_header("Connection", "close")  # what is still coming is no request
        self.end_headers()
        if leaves_body:
            self._part()

    def _part(self) -> None:
        """Close so that the client can read the answer: a close with unread input would be a RST."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(CHUNK_BYTES):
                pass

    def _cut(self, *, reset: bool) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            if reset:
                self._handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            else:
                self._handle.shutdown(socket.SHUT_RDWR)

    def _write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


class _Cut(Exception):
    """Raised to end a connection without an answer."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__(reset)
        self.reset = reset
