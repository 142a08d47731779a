"""An upload: one file to one location, carried out in a thread.

- FTP, FTPS and SFTP continue what an earlier try has left on the server, where the caller says that it is the same
  file. A file there that is longer is none of ours, and is written anew; so is one that has another size than ours
  after it was continued by FTP, which appends wherever the file ends by then. HTTP begins anew each time.
- HTTP sends the file by PUT, or by POST as a form (RFC 7578); only a status of 2xx is success.
- The file is read in large pieces as libcurl asks for them, never as a whole.

Not done here: when and how often an upload is tried (logs/uploader.py).
"""

import os
import secrets
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from chargepoint.transfer_easy import Easy, Way
from chargepoint.transfer_fault import Direction, Family, TransferFailed, TransferFault
from chargepoint.transfer_location import Location
from chargepoint.transfer_settings import TransferSettings
from chargepoint.transfer_trust import Trust
from chargepoint.transfer_watch import Watch
from chargepoint.transfer_way import redirected, too_many, try_ways, ways_of

WHERE_IT_ENDS: Final = -1  #: code; libcurl asks the server how much it has
BOUNDARY_BYTES: Final = 16  #: bytes of chance between the parts of a form; no file holds them
OCTETS: Final = "application/octet-stream"

SUCCESS: Final = range(200, 300)
PUT_REDIRECTS: Final = frozenset({301, 302, 307, 308})
"""What a file is sent anew for; 303 would have us fetch something instead (RFC 9110, section 15.4.4)."""
FORM_REDIRECTS: Final = frozenset({307, 308})
"""The same for a form, which clients do not send anew after 301 and 302 (RFC 9110, sections 15.4.2 and 15.4.3)."""


class NotOurs(Exception):
    """Raised inside an upload: what is on the server cannot be continued, or was spoilt by it; it is sent anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is to be sent where.

    Attributes:
        source: the file.
        location: where to, as the Central System names it.
        file_name: the name that it gets where the location names a directory.
        resume: an earlier try has sent a part of the same file.
    """

    source: Path
    location: Location
    file_name: str
    resume: bool
    settings: TransferSettings
    trust: Trust
    watch: Watch

    def run(self) -> None:
        """Send the file.

        Raises:
            Stopped: the watch says so; what was sent stays on the server.
            TransferFailed: why it is not there.
        """
        try:
            with FileIO(self.source) as file:
                size_bytes = os.fstat(file.fileno()).st_size
                if self.location.family is Family.HTTP:
                    self._by_http(file, size_bytes)
                else:
                    self._by_files(file, size_bytes)
                self.watch.note(size_bytes, size_bytes, last=True)
        except OSError as error:
            raise TransferFailed(TransferFault.LOCAL_DISK, f"{self.source}: {error.strerror or error}") from error
        finally:
            self.watch.flush()  # whether the server has taken anything decides where the next try begins

    @property
    def target(self) -> Location:
        """Where the file goes."""
        always = self.settings.append_file_name == "always"
        named = self.location.names_directory or always
        return self.location.with_file(self.file_name) if named else self.location

    def _by_files(self, file: FileIO, size_bytes: int) -> None:
        target = self.target
        ways = ways_of(target, ftp_demands_tls=self.settings.ftp_demands_tls)

        def attempt(way: Way) -> None:
            try:
                self._to_file(target, way, file, size_bytes, resume=self.resume)
            except NotOurs:
                self._to_file(target, way, file, size_bytes, resume=False)

        try_ways(target, ways, attempt)

    def _to_file(self, target: Location, way: Way, file: FileIO, size_bytes: int, *, resume: bool) -> None:
        body = Body(file, size_bytes)
        with self._easy(target, way) as easy:

            def seek(offset: int) -> None:
                if offset > size_bytes:
                    raise NotOurs
                body.seek(offset)

            def read(most: int) -> bytes:
                # libcurl asks once the file is open there: from now on what lies there is ours. How much of it has got
                # there libcurl may not know yet when the connection breaks, since TLS holds some.
                self.watch.note(max(body.done_bytes, min(1, size_bytes)), size_bytes)
                return body.read(most)

            def note(*amounts: int) -> None:
                body.done_bytes = body.begun_at + amounts[-1]
                self.watch.note(body.done_bytes, size_bytes)

            easy.set_source(read, seek, size_bytes)
            easy.drop_answer()
            if resume:
                easy.set("RESUME_FROM_LARGE", WHERE_IT_ENDS)
            easy.set_progress(note)
            easy.perform()
            if body.begun_at and target.family is Family.FTP and easy.ask_size() not in (None, size_bytes):
                raise NotOurs  # what the server had not put away yet, of the try before, has come between

    def _by_http(self, file: FileIO, size_bytes: int) -> None:
        is_form = self.settings.http_upload == "post"
        target = self.location if is_form else self.target  # a form names the file itself
        follows = FORM_REDIRECTS if is_form else PUT_REDIRECTS
        for _ in range(self.settings.max_redirects + 1):
            body = self._form(file, size_bytes) if is_form else Body(file, size_bytes)
            onward = self._by_request(target, body, "POST" if is_form else "PUT", follows)
            if onward is None:
                return
            target = onward
        raise too_many(target, self.settings.max_redirects)

    def _by_request(self, target: Location, body: "Body", method: str, follows: frozenset[int]) -> Location | None:
        """Send one request; returns where the server redirects to, None where it has taken the file."""
        with self._easy(target, Way(target.scheme, target.port)) as easy:
            easy.set_source(body.read, body.seek, body.whole_bytes)
            easy.set("CUSTOMREQUEST", method)
            easy.set_headers([f"Content-Type: {body.content_type}"])
            easy.drop_answer()
            easy.set_progress(lambda _a, _b, _c, sent: self.watch.note(body.of_file(sent), body.size_bytes))
            easy.perform()
            if easy.reply in follows:
                return redirected(target, easy)
            if easy.reply not in SUCCESS:
                raise TransferFailed(
                    TransferFault.BAD_ANSWER,
                    f"{target}: the server answered {easy.reply} to {method}, which does not say that it took the file",
                )
            return None

    def _form(self, file: FileIO, size_bytes: int) -> "Body":
        boundary = secrets.token_hex(BOUNDARY_BYTES)
        name = self.file_name.translate({ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"})  # as browsers write it
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{self.settings.http_form_field}"; filename="{name}"\r\n'
            f"Content-Type: {OCTETS}\r\n\r\n"
        )
        tail = f"\r\n--{boundary}--\r\n"
        return Body(file, size_bytes, head.encode(), tail.encode(), f"multipart/form-data; boundary={boundary}")

    def _easy(self, target: Location, way: Way) -> Easy:
        return Easy(target, way, Direction.UPLOAD, settings=self.settings, trust=self.trust, watch=self.watch)


class Body:
    """What is sent: the file, perhaps with something before and after it.

    Attributes:
        begun_at: where in the file libcurl has begun.
        done_bytes: of the file, as libcurl has told last.
        size_bytes: of the file.
        whole_bytes: of all.
        content_type: what it is for HTTP.
    """

    def __init__(
        self, file: FileIO, size_bytes: int, head: bytes = b"", tail: bytes = b"", content_type: str = OCTETS
    ) -> None:
        self._file = file
        self._head = head
        self._tail = tail
        self._file_end = len(head) + size_bytes
        self._at = 0
        self.begun_at = 0
        self.done_bytes = 0
        self.size_bytes = size_bytes
        self.whole_bytes = len(head) + size_bytes + len(tail)
        self.content_type = content_type
        file.seek(0)

    def of_file(self, sent_bytes: int) -> int:
        """Return how much of the file is among so many bytes."""
        return min(max(sent_bytes - len(self._head), 0), self.size_bytes)

    def seek(self, offset: int) -> None:
        """Go to a place in all that is sent."""
        self._at = offset
        self.begun_at = min(max(offset - len(self._head), 0), self.size_bytes)
        self._file.seek(self.begun_at)

    def read(self, most: int) -> bytes:
        """Return the next bytes, none at the end.

        Raises:
            TransferFailed: LOCAL_DISK: the file has become shorter, and a server would wait for the rest.
        """
        if self._at < len(self._head):
            data = self._head[self._at : self._at + most]
        elif self._at < self._file_end:
            data = self._file.read(min(most, self._file_end - self._at))
            if not data:
                raise TransferFailed(TransferFault.LOCAL_DISK, "the file was cut while it was sent")
        else:
            begin = self._at - self._file_end
            data = self._tail[begin : begin + most]
        self._at += len(data)
        return data
