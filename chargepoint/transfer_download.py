"""A download: one file from one location, carried out in a thread.

- What an earlier try has left is continued where the server can tell that its file is still the same: HTTP by If-Range
  with a strong ETag or a date, FTP and SFTP by size and age, which are asked for before. Else it is fetched anew.
- A file that is larger than allowed, or than the disk has room for, is given up as soon as anybody says so.

Not done here: what becomes of the file (firmware/).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chargepoint.transfer_easy import MAX_ANSWER_BYTES, CurlFailed, Easy, Way
from chargepoint.transfer_fault import Direction, Family, TransferFailed, TransferFault
from chargepoint.transfer_location import Location
from chargepoint.transfer_partial import Partial
from chargepoint.transfer_settings import TransferSettings
from chargepoint.transfer_trust import Trust
from chargepoint.transfer_verdict import CurlCode
from chargepoint.transfer_watch import Download, Watch
from chargepoint.transfer_way import redirected, too_many, try_ways, ways_of

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
WHOLE: Final = 200  #: code; HTTP, the whole file comes
PART: Final = 206  #: code; HTTP, the part that was asked for comes
NO_SUCH_PART: Final = 416  #: code; HTTP, nothing is left to come, or the file is shorter now

FILE_STATUSES: Final = frozenset({WHOLE, PART, 203})  # 203: a proxy has changed it, as signatures will tell
MAX_LENGTH_DIGITS: Final = 18  #: digits; of a length; more than any disk holds, and every integer of libcurl has them
ROOM_STEP_BYTES: Final = 33_554_432  #: bytes of room; looked for again after so many, where no length is said

_LENGTH: Final = re.compile(r"[0-9]+")
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_CANNOT_RESUME: Final = frozenset({CurlCode.BAD_DOWNLOAD_RESUME, CurlCode.FTP_COULDNT_USE_REST, CurlCode.RANGE_ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What is to be fetched from where.

    Attributes:
        location: where from.
        target: the file that it goes to.
        max_bytes: a larger file is refused.
        reserve_bytes: how much room must be left on the disk.
    """

    location: Location
    target: Path
    max_bytes: int
    reserve_bytes: int
    settings: TransferSettings
    trust: Trust
    watch: Watch

    def run(self) -> Download:
        """Fetch the file.

        Raises:
            Stopped: the watch says so; what has come is kept to be continued.
            TransferFailed: why it is not here; what has come is kept, unless the file is too large.
        """
        partial = Partial(self.target, self.location.url(), self.reserve_bytes)
        try:
            offset = partial.prepare(self.watch)
            try:
                self._fetch(partial, offset)
            except Changed:
                self._fetch(partial, 0)
            sha256 = partial.finish()
        except TransferFailed as error:
            if error.fault is TransferFault.TOO_LARGE:
                partial.discard()
            raise
        finally:
            partial.keep()
        self.watch.note(partial.size_bytes, partial.size_bytes, last=True)
        return Download(partial.size_bytes, sha256)

    def _fetch(self, partial: Partial, offset: int) -> None:
        if self.location.family is Family.HTTP:
            self._by_http(partial, offset)
        else:
            ways = ways_of(self.location, ftp_demands_tls=self.settings.ftp_demands_tls)
            try_ways(self.location, ways, lambda way: self._by_files(way, partial, offset))

    def _by_http(self, partial: Partial, offset: int) -> None:
        target = self.location
        for _ in range(self.settings.max_redirects + 1):
            with self._easy(target, Way(target.scheme, target.port)) as easy:
                if offset:
                    easy.set_headers([f"Range: bytes={offset}-", f"If-Range: {partial.validator}"])
                arrival = HttpArrival(self, partial, offset, easy)
                arrival.carry_out()
                if easy.reply not in REDIRECTS:
                    return
                target = redirected(target, easy)
        raise too_many(target, self.settings.max_redirects)

    def _by_files(self, way: Way, partial: Partial, offset: int) -> None:
        with self._easy(self.location, way) as easy:
            total_bytes, age = _look(easy)
            arrival = Arrival(self, partial, offset, easy)
            arrival.expect(total_bytes)
            validator = "" if total_bytes is None else f"{total_bytes} {age}"
            resumed = offset > 0 and validator == partial.validator
            partial.begin(validator, resumed=resumed)
            if total_bytes is not None:
                partial.make_room(total_bytes)
            if resumed and offset == total_bytes:
                return
            if resumed:
                easy.set("RESUME_FROM_LARGE", offset)
            arrival.carry_out()

    def _easy(self, location: Location, way: Way) -> Easy:
        return Easy(location, way, Direction.DOWNLOAD, settings=self.settings, trust=self.trust, watch=self.watch)


class Changed(Exception):
    """Raised inside a download: what is here cannot be continued, the file is fetched anew."""


class Arrival:
    """The file as it comes in, held against the bounds.

    Args:
        fetch: whose it is.
        partial: where it goes; begun already.
        offset: how much of it is here.
        easy: who brings it.
    """

    def __init__(self, fetch: Fetch, partial: Partial, offset: int, easy: Easy) -> None:
        self._fetch = fetch
        self._partial = partial
        self._offset = offset
        self._easy = easy
        self._total_bytes: int | None = None
        self._room_bytes = 0

    def carry_out(self) -> None:
        """Have the file come in.

        Raises:
            Changed: what is here cannot be continued.
        """
        self._easy.set_sink(self.take)
        self._easy.set_progress(self.note)
        try:
            self._easy.perform()
        except CurlFailed as error:
            if self._offset and error.code in _CANNOT_RESUME:
                raise Changed from error
            raise
        self._check_whole()

    def expect(self, total_bytes: int | None) -> None:
        """Learn how large the whole file is.

        Raises:
            TransferFailed: TOO_LARGE.
        """
        if total_bytes is not None and total_bytes > self._fetch.max_bytes:
            raise self._too_large(f"{total_bytes} bytes")
        self._total_bytes = total_bytes

    def take(self, data: bytes) -> None:
        """Take in the next bytes."""
        partial = self._partial
        if partial.size_bytes + len(data) > self._fetch.max_bytes:
            raise self._too_large("more")
        if self._total_bytes is None and partial.size_bytes >= self._room_bytes:
            self._room_bytes = partial.size_bytes + ROOM_STEP_BYTES
            partial.make_room(self._room_bytes)
        partial.write(data)

    def note(self, _to_receive: int, _received: int, _to_send: int, _sent: int) -> None:
        """Tell how far it is."""
        self._fetch.watch.note(self._partial.size_bytes, self._total_bytes)

    def _check_whole(self) -> None:
        if self._total_bytes is not None and self._partial.size_bytes != self._total_bytes:
            raise TransferFailed(
                TransferFault.INTERRUPTED,
                f"{self._fetch.location}: {self._partial.size_bytes} of {self._total_bytes} bytes came",
            )

    def _too_large(self, found: str) -> TransferFailed:
        most = self._fetch.max_bytes
        return TransferFailed(TransferFault.TOO_LARGE, f"{self._fetch.location}: {found}, at most {most} are taken")


class HttpArrival(Arrival):
    """The same by HTTP: only with the first byte is it certain what comes, the file, its rest, or a page about it."""

    def __init__(self, fetch: Fetch, partial: Partial, offset: int, easy: Easy) -> None:
        super().__init__(fetch, partial, offset, easy)
        self._is_file: bool | None = None
        self._page_bytes = 0

    def carry_out(self) -> None:
        """Have the file come in, or a redirect."""
        try:
            super().carry_out()
        except CurlFailed:
            if not self._offset or self._easy.reply != NO_SUCH_PART:
                raise
            if self._easy.headers.get("content-range") != f"bytes */{self._offset}":
                raise Changed from None
            # If-Range held, or there would be the whole file; so nothing is left to come.
            self._partial.begin(self._partial.validator, resumed=True)

    def take(self, data: bytes) -> None:
        """Take in the next bytes of the file; those of a page are forgotten."""
        if self._is_file is None:
            self._begin()
        if self._is_file:
            super().take(data)
            return
        self._page_bytes += len(data)
        if self._page_bytes > MAX_ANSWER_BYTES:
            raise TransferFailed(TransferFault.BAD_ANSWER, f"{self._fetch.location}: the answer has no end")

    def note(self, to_receive: int, _received: int, _to_send: int, _sent: int) -> None:
        """Tell how far it is; a file that is too large is given up before its first byte."""
        if self._easy.reply == WHOLE and to_receive > self._fetch.max_bytes:
            raise self._too_large(f"{to_receive} bytes")
        if self._is_file:
            super().note(to_receive, _received, _to_send, _sent)

    def _begin(self) -> None:
        easy, partial = self._easy, self._partial
        self._is_file = easy.reply in FILE_STATUSES
        if not self._is_file:
            return
        validator = validator_of(easy.headers)
        if easy.reply == PART:
            total_bytes = self._rest(easy.headers.get("content-range", ""), validator)
            partial.begin(partial.validator, resumed=True)
        else:
            length = _LENGTH.fullmatch(easy.headers.get("content-length", ""))
            total_bytes = None if length is None else int(length[0][:MAX_LENGTH_DIGITS])  # cut, it is too large still
            partial.begin(validator, resumed=False)
        self.expect(total_bytes)
        if total_bytes is not None:
            partial.make_room(total_bytes)

    def _rest(self, content_range: str, validator: str) -> int | None:
        """Return the size of the whole file where the rest of it comes that was asked for."""
        found = _CONTENT_RANGE.fullmatch(content_range)
        if not self._offset or found is None:
            raise TransferFailed(TransferFault.BAD_ANSWER, f"{self._fetch.location}: a part comes, unasked")
        if int(found[1]) != self._offset or (validator and validator != self._partial.validator):
            raise Changed
        return None if found[2] == "*" else int(found[2])

    def _check_whole(self) -> None:
        if self._is_file is None:  # no byte came
            self._begin()
        if self._is_file:
            super()._check_whole()
        elif self._easy.reply not in REDIRECTS:
            raise TransferFailed(
                TransferFault.BAD_ANSWER, f"{self._fetch.location}: the server answered {self._easy.reply}, no file"
            )


def validator_of(headers: Mapping[str, str]) -> str:
    """Return by what HTTP tells this version of a file from others in If-Range, "" where it cannot be told."""
    etag = headers.get("etag", "")
    if etag.startswith('"') and etag.isprintable():
        return etag
    return headers.get("last-modified", "") if headers.get("last-modified", "").isprintable() else ""


def _look(easy: Easy) -> tuple[int | None, int]:
    """Ask FTP or SFTP for size and age of the file, on the connection that it will come by."""
    easy.set("NOBODY", 1)
    easy.set("OPT_FILETIME", 1)
    easy.drop_answer()
    easy.perform()
    easy.set("NOBODY", 0)
    size_bytes = easy.length_bytes
    return (size_bytes if size_bytes >= 0 else None), easy.age
