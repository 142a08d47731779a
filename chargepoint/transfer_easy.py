"""One exchange with a file server by libcurl: the handle, its options, and what the server said.

Guaranteed, for every exchange:

- No other protocol than the one that was asked for; no redirect is followed by libcurl itself.
- No proxy, no ``.netrc``, no key of a user, whatever the environment says. User and password go to libcurl apart from
  the URL, so that it cannot put them into a message; what it says is scrubbed all the same.
- TLS 1.2 at least, the certificate verified against `Trust`; host keys of sftp as well. FTP is passive.
- Connecting and standing still have time-outs; an order to stop is obeyed within a second; what a server says beside
  the file is bounded.

A distribution's build of pycurl may lack options: those that only tune are left out then.

Not done here: what is sent and where a file goes (transfer_upload.py, transfer_download.py).
"""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Self

from chargepoint.transfer_fault import Direction, Family, TransferFailed, TransferFault
from chargepoint.transfer_location import Location
from chargepoint.transfer_settings import TransferSettings
from chargepoint.transfer_trust import Trust, lent_file
from chargepoint.transfer_verdict import CurlCode, Ending, fault_of
from chargepoint.transfer_watch import Stopped, Watch

MAX_HEAD_BYTES: Final = 262_144  #: bytes of headers or replies of one exchange; servers send some 1 KB
MAX_ANSWER_BYTES: Final = 1_048_576  #: bytes of an answer that is no file; pages about errors are smaller
MAX_MESSAGE_CHARACTERS: Final = 200  #: characters of libcurl's message; it says more than that in no case seen
RECEIVE_BYTES: Final = 524_288  #: bytes taken in at a time; more gains nothing on loopback
SEND_BYTES: Final = 524_288  #: bytes handed out at a time; more was slower, for it leaves the cache of the processor
LEAST_BYTES_PER_S: Final = 1  #: bytes a second, averaged by libcurl; below it nothing moves
KIB: Final = 1024  #: code; bytes in a KiB

_CODE: Final = re.compile(r"[0-9]{3}")  # `isdigit` would also take superscripts, and `int` would not
_NOTHING: Final = 0
_ABORT: Final = 1


@dataclass(frozen=True, slots=True)
class Way:
    """How libcurl is told to reach a location.

    Attributes:
        scheme: as libcurl calls it.
        port: None for the protocol's own.
        explicit_tls: AUTH TLS is demanded.
    """

    scheme: str
    port: int | None = None
    explicit_tls: bool = False


class CurlFailed(TransferFailed):
    """Raised when libcurl, or a status of HTTP, says that an exchange failed.

    Attributes:
        code: libcurl's.
    """

    def __init__(self, fault: TransferFault, detail: str, code: int) -> None:
        super().__init__(fault, detail)
        self.code = code


class Easy:
    """A handle of libcurl, used by one thread and closed by it.

    Args:
        location: whom to talk to.
        way: how.
        direction: what for.
        settings: [transfers].
        trust: whom to trust.
        watch: told to stop by the event loop.

    Attributes:
        reply: the last status of HTTP or reply of FTP, 0 before there is one.
        headers: of the last answer of HTTP, names in lower case; a name that comes twice has its last value.
    """

    def __init__(
        self,
        location: Location,
        way: Way,
        direction: Direction,
        *,
        settings: TransferSettings,
        trust: Trust,
        watch: Watch,
    ) -> None:
        import pycurl as curl  # takes 8 MiB, and few boards transfer files often

        self._curl: Any = curl
        self._handle: Any = curl.Curl()
        self._location = location
        self._direction = direction
        self._watch = watch
        self._trust = trust
        self._raised: Exception | None = None
        self._head_bytes = 0
        self._stall_s = settings.stall_timeout.total_seconds()
        self._sent = 0
        self._sent_at = 0.0
        self._said = ""
        self._on_progress: Callable[[int, int, int, int], None] = lambda *_: None
        self._stack = ExitStack()
        self.reply = 0
        self.headers: dict[str, str] = {}
        with ExitStack() as opening:
            opening.callback(self.close)
            self._set_address(way, settings)
            self._set_patience(settings)
            self._set_trust(way)
            self._set_credentials()
            opening.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the handle with its connection."""
        self._handle.close()
        self._stack.close()

    def set(self, name: str, value: Any) -> None:
        """Set an option by its name; one that this build lacks is left out."""
        number = getattr(self._curl, name, None)
        if number is not None:
            self._handle.setopt(number, value)

    def set_headers(self, headers: Sequence[str]) -> None:
        """Send further headers of HTTP."""
        self._handle.setopt(self._curl.HTTPHEADER, list(headers))

    def set_source(self, read: Callable[[int], bytes], seek: Callable[[int], None], size_bytes: int) -> None:
        """Send a body.

        Args:
            read: returns at most so many of its bytes, none at its end.
            seek: goes to a place in it.
            size_bytes: its size.
        """

        def on_seek(offset: int, _whence: int) -> Any:
            return self._guarded(lambda: seek(offset), self._curl.SEEKFUNC_FAIL)

        def on_read(size: int) -> Any:
            return self._guarded(lambda: read(size), self._curl.READFUNC_ABORT)

        self._handle.setopt(self._curl.UPLOAD, 1)
        self._handle.setopt(self._curl.INFILESIZE_LARGE, size_bytes)
        self._handle.setopt(self._curl.READFUNCTION, on_read)
        self._handle.setopt(self._curl.SEEKFUNCTION, on_seek)
        self.set("UPLOAD_BUFFERSIZE", SEND_BYTES)

    def set_sink(self, write: Callable[[bytes], None]) -> None:
        """Hand the body of the answer to somebody, who is called with up to 16 KiB each time."""

        def on_write(data: bytes) -> int | None:
            try:
                write(data)
            except Exception as error:  # noqa: BLE001 - libcurl would swallow it; `perform` raises it
                self._raised = error
                return _NOTHING  # of the bytes: libcurl gives up
            return None

        self._handle.setopt(self._curl.WRITEFUNCTION, on_write)
        self.set("BUFFERSIZE", RECEIVE_BYTES)

    def drop_answer(self) -> None:
        """Take in a body of the answer, bounded in bytes and time, and forget it."""
        dropped, begun_at = 0, 0.0

        def drop(data: bytes) -> None:
            nonlocal dropped, begun_at
            now = time.monotonic()
            begun_at = begun_at or now
            dropped += len(data)
            if dropped > MAX_ANSWER_BYTES:
                raise TransferFailed(TransferFault.BAD_ANSWER, f"{self._location}: the answer has no end")
            if now - max(begun_at, self._sent_at) > self._stall_s:  # for libcurl a byte a second is no stall
                raise TransferFailed(TransferFault.STALLED, f"{self._location}: the answer comes to no end")

        self.set_sink(drop)

    def set_progress(self, note: Callable[[int, int, int, int], None]) -> None:
        """Call with what is to be and was received, to be and was sent, in bytes; often, and at least once a second."""
        self._on_progress = note

    def perform(self) -> None:
        """Carry the exchange out.

        Raises:
            Stopped: the watch says so.
            TransferFailed: it failed, or HTTP has answered with a status of 400 or more.
            Exception: what a callback has raised.
        """
        self.reply, self.headers, self._said, self._head_bytes, self._raised = 0, {}, "", 0, None
        handle = self._handle
        handle.setopt(self._curl.HEADERFUNCTION, self._on_header)
        handle.setopt(self._curl.NOPROGRESS, 0)
        handle.setopt(self._curl.XFERINFOFUNCTION, self._on_xferinfo)
        code, message = int(CurlCode.OK), ""
        try:
            handle.perform()
        except self._curl.error as error:
            code, message = error.args[0], str(error.args[1])
        if self._watch.stopped:
            raise Stopped
        if self._raised is not None:
            raise self._raised
        is_refused = self._location.family is Family.HTTP and self.reply >= 400
        if code != CurlCode.OK or is_refused:
            raise self._failure(code, message)

    def ask_size(self) -> int | None:
        """Ask FTP or SFTP for the size of the file, on the connection that it went by; None where nobody tells.

        Raises:
            Stopped, TransferFailed: as `perform`.
        """
        self._handle.setopt(self._curl.RESUME_FROM_LARGE, 0)
        self._handle.setopt(self._curl.UPLOAD, 0)
        self._handle.setopt(self._curl.NOBODY, 1)
        self._on_progress = lambda *_: None
        self.perform()
        return self.length_bytes if self.length_bytes >= 0 else None

    @property
    def length_bytes(self) -> int:
        """The size of the file that the server has named in the last exchange, -1 where it has not."""
        number = getattr(self._curl, "CONTENT_LENGTH_DOWNLOAD_T", None)
        return int(self._handle.getinfo(self._curl.CONTENT_LENGTH_DOWNLOAD if number is None else number))

    @property
    def age(self) -> int:
        """When the file was changed, as the server has named it: seconds of Unix time, -1 where it has not."""
        return int(self._handle.getinfo(self._curl.INFO_FILETIME))

    def _failure(self, code: int, message: str) -> TransferFailed:
        connected = float(self._handle.getinfo(self._curl.CONNECT_TIME)) > 0
        ending = Ending(
            family=self._location.family,
            direction=self._direction,
            code=code,
            reply=self.reply,
            said=self._said,
            connected=connected,
        )
        return CurlFailed(fault_of(ending), self._words(code, message), code)

    def _words(self, code: int, message: str) -> str:
        parts = [str(self._location)]
        if self.reply:
            parts.append(f"the server answered {self.reply}")
        if code == CurlCode.SSH:  # libcurl says no more of it
            parts.append("the connection was lost, or the server would not go on, perhaps for want of room")
        if code != CurlCode.OK:
            shown = self._location.scrub(message)[:MAX_MESSAGE_CHARACTERS]
            parts.append(f"{shown if shown.isprintable() else ascii(shown)} (libcurl {code})")
        if code == CurlCode.PEER_FAILED_VERIFICATION and self._location.family is not Family.SFTP:
            parts.append("trusted are the installed Central System roots, or those of [transfers] ca_file")
        return ": ".join(parts)

    def _set_address(self, way: Way, settings: TransferSettings) -> None:
        curl, handle = self._curl, self._handle
        masks = {"http": curl.PROTO_HTTP, "https": curl.PROTO_HTTPS, "ftp": curl.PROTO_FTP, "ftps": curl.PROTO_FTPS}
        mask = masks.get(way.scheme, curl.PROTO_SFTP)
        handle.setopt(curl.URL, self._location.url(way.scheme, way.port))
        handle.setopt(curl.PROTOCOLS, mask)
        handle.setopt(curl.REDIR_PROTOCOLS, mask)
        handle.setopt(curl.FOLLOWLOCATION, 0)
        handle.setopt(curl.NETRC, curl.NETRC_IGNORED)
        handle.setopt(curl.HTTP_VERSION, curl.CURL_HTTP_VERSION_1_1)
        self.set("HTTP09_ALLOWED", 0)
        if settings.proxy != "environment":
            handle.setopt(curl.PROXY, settings.proxy)  # "" is none at all
        if way.scheme != "http":
            handle.setopt(curl.HTTPPROXYTUNNEL, 1)  # else a proxy would be asked to speak FTP, and see everything
        if way.explicit_tls:
            handle.setopt(curl.USE_SSL, curl.USESSL_ALL)
            handle.setopt(curl.FTPSSLAUTH, curl.FTPAUTH_TLS)
        handle.setopt(curl.FTP_USE_EPSV, 1)  # passive; PASV where the server does not know EPSV
        handle.setopt(curl.FTP_SKIP_PASV_IP, 1)  # a server does not send us to another machine

    def _set_patience(self, settings: TransferSettings) -> None:
        curl, handle = self._curl, self._handle
        stall_s = round(self._stall_s)
        handle.setopt(curl.NOSIGNAL, 1)  # we are in a thread
        handle.setopt(curl.CONNECTTIMEOUT_MS, round(settings.connect_timeout.total_seconds() * 1000))
        handle.setopt(curl.LOW_SPEED_LIMIT, LEAST_BYTES_PER_S)
        handle.setopt(curl.LOW_SPEED_TIME, stall_s)
        handle.setopt(curl.FTP_RESPONSE_TIMEOUT, stall_s)
        handle.setopt(curl.TCP_KEEPALIVE, 1)  # the control connection of FTP is silent for long
        handle.setopt(curl.MAX_SEND_SPEED_LARGE, settings.max_upload_kib_s * KIB)
        handle.setopt(curl.MAX_RECV_SPEED_LARGE, settings.max_download_kib_s * KIB)

    def _set_trust(self, way: Way) -> None:
        curl, handle = self._curl, self._handle
        if way.scheme in {"https", "ftps"} or way.explicit_tls:
            handle.setopt(curl.SSLVERSION, curl.SSLVERSION_TLSv1_2)
            handle.setopt(curl.SSL_VERIFYPEER, 1)
            handle.setopt(curl.SSL_VERIFYHOST, 2)
            handle.unsetopt(curl.CAPATH)  # what libcurl was built to trust is not what we trust
            self._set_authorities(self._trust.authorities())
        elif way.scheme == "sftp":
            # Not the keys of whoever runs the agent: a server is told who we are by the location alone.
            handle.setopt(curl.SSH_AUTH_TYPES, curl.SSH_AUTH_PASSWORD | curl.SSH_AUTH_KEYBOARD)
            known = self._stack.enter_context(lent_file(self._trust.host_keys()))
            handle.setopt(curl.SSH_KNOWNHOSTS, known)
            handle.setopt(curl.SSH_KEYFUNCTION, self._on_host_key)

    def _set_authorities(self, pem: bytes) -> None:
        try:
            self._handle.setopt(self._curl.CAINFO_BLOB, pem)
        except (AttributeError, self._curl.error):  # older than 7.77, or built with GnuTLS
            self._handle.setopt(self._curl.CAINFO, self._stack.enter_context(lent_file(pem)))

    def _set_credentials(self) -> None:
        curl, location = self._curl, self._location
        if location.user is not None or location.password is not None:
            self._handle.setopt(curl.HTTPAUTH, curl.HTTPAUTH_BASIC)
            self._handle.setopt(curl.USERNAME, location.user.reveal() if location.user else b"")
            self._handle.setopt(curl.PASSWORD, location.password.reveal() if location.password else b"")

    def _on_header(self, line: bytes) -> int | None:
        self._head_bytes += len(line)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._raised = TransferFailed(TransferFault.BAD_ANSWER, f"{self._location}: its head has no end")
            return _NOTHING
        text = line.decode("latin-1").strip()
        if self._location.family is Family.HTTP:
            self._take_http(text)
        elif _CODE.match(text) and text[3:4] in {" ", ""}:
            self.reply, self._said = int(text[:3]), text[4:]
        return None

    def _take_http(self, text: str) -> None:
        if text.startswith("HTTP/"):
            _, _, status = text.partition(" ")
            self.reply, self.headers = int(status[:3]) if _CODE.match(status) else 0, {}
        else:
            name, colon, value = text.partition(":")
            if colon:
                self.headers[name.strip().lower()] = value.strip()

    def _on_xferinfo(self, *amounts: int) -> int:
        if self._watch.stopped or self._raised is not None:
            return _ABORT
        if amounts[-1] != self._sent:
            self._sent, self._sent_at = amounts[-1], time.monotonic()
        try:
            self._on_progress(*amounts)
        except Exception as error:  # noqa: BLE001 - libcurl would swallow it; `perform` raises it
            self._raised = error
            return _ABORT
        return _NOTHING

    def _on_host_key(self, _known: Any, found: Any, match: int) -> int:
        curl = self._curl
        if match == curl.KHMATCH_OK:
            return int(curl.KHSTAT_FINE)

        def take() -> int:
            if match != curl.KHMATCH_MISSING:
                raise self._trust.refuse_changed(self._location, found.key)
            self._trust.take_first(self._location, found.key)
            return int(curl.KHSTAT_FINE)

        return int(self._guarded(take, curl.KHSTAT_REJECT))

    def _guarded(self, work: Callable[[], Any], failed: Any) -> Any:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - libcurl would swallow it; `perform` raises it
            self._raised = error
            return failed
