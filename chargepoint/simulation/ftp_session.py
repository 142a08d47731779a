"""One session with a simulated FTP server: what pyftpdlib does, watched, and spoilt by a fault.

A session is struck by one fault, which it takes with its first command about a file. Transfers that were cut leave
what has come so far, as with most FTP servers: a client continues there with REST or APPE.

All of this runs in the thread of the server's loop (ftp_server.py).
"""

import contextlib
import errno
import os
import socket
import struct
from pathlib import Path
from typing import Any, ClassVar, Final

from pyftpdlib.exceptions import AuthenticationFailed, _RetryError
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import DTPHandler, FTPHandler, TLS_DTPHandler, TLS_FTPHandler

from chargepoint.simulation import file_fault as faults
from chargepoint.simulation.file_account import ANONYMOUS, Account
from chargepoint.simulation.file_fault import Fault
from chargepoint.simulation.file_record import Arrival
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.ftp_tls import openssl_context

SLICES_PER_SECOND: Final = 10  #: pieces a second of a slow transfer; its record grows in these steps

WORK_FAULTS: Final = (
    faults.Changed,
    faults.CutAfter,
    faults.DiskFull,
    faults.MissingDirectory,
    faults.NoPermission,
    faults.NoResume,
    faults.Slow,
    faults.StallAfter,
    faults.WrongLength,
)
SESSION_FAULTS: Final = (*WORK_FAULTS, faults.Malformed, faults.RefuseLogin)

_TRANSFERS: Final = frozenset({"APPE", "RETR", "STOR"})
_CHANGES: Final = frozenset({"APPE", "DELE", "MKD", "RMD", "RNFR", "STOR", "STOU"})
_FILE_COMMANDS: Final = frozenset({"CDUP", "CWD", "LIST", "MDTM", "MLSD", "MLST", "NLST", "REST", "SIZE"}) | {
    *_TRANSFERS,
    *_CHANGES,
}
_READ_PERMISSIONS: Final = "elr"  # pyftpdlib's letters: enter, list, retrieve
_WRITE_PERMISSIONS: Final = "adfmw"  # append, delete, rename, make directories, store
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: the close becomes a RST


class Accounts:
    """Who may come, in the form that pyftpdlib asks for.

    Args:
        owner: whose accounts and directory these are.
    """

    def __init__(self, owner: FileServer) -> None:
        self._owner = owner

    def validate_authentication(self, user: str, password: str, session: "FtpSession") -> None:
        """Let a user in, and remember the account in the session.

        Raises:
            AuthenticationFailed: the password is wrong, or a fault says so.
        """
        arrival = self._owner.record.begin("PASS", "")
        account = self._owner.log_in(user, password)
        if account is not None:
            arrival.fault = self._owner.faults.take(faults.RefuseLogin)
        let_in = account is not None and arrival.fault is None
        arrival.status = 230 if let_in else 530
        arrival.user = user if let_in else None
        self._owner.record.end(arrival)
        if account is None or not let_in:
            raise AuthenticationFailed("Login incorrect.")
        session.account = account

    def get_home_dir(self, _user: str) -> str:
        """Return the directory that everyone sees as the root."""
        return str(self._owner.directory.resolve())

    def has_perm(self, user: str, permission: str, _path: str | None = None) -> bool:
        """Whether an account may do what this letter stands for."""
        return permission in self.get_perms(user)

    def get_perms(self, user: str) -> str:
        """Return the letters of an account; who may write must be able to enter the directory, too."""
        account = ANONYMOUS if user == ANONYMOUS.user else self._owner.accounts[user]
        read = _READ_PERMISSIONS if account.may_read else "e" if account.may_write else ""
        return read + (_WRITE_PERMISSIONS if account.may_write else "")

    def get_msg_login(self, _user: str) -> str:
        """Return the words of a login."""
        return "Login successful."

    def get_msg_quit(self, _user: str) -> str:
        """Return the words of a farewell."""
        return "Goodbye."

    def impersonate_user(self, user: str, password: str) -> None:
        """Do nothing: all files are the simulation's own."""

    def terminate_impersonation(self, user: str) -> None:
        """Do nothing, as above."""


class Directory(AbstractedFS):  # type: ignore[misc]  # pyftpdlib has no types
    """The files of a server; changing the directory leaves the program's own alone."""

    def chdir(self, path: str) -> None:
        """Change the directory of the session."""
        with os.scandir(path):  # the error that a change of directory would raise
            self.cwd = self.fs2ftp(path)


class PlainTransfer(DTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """The data connection of a transfer: counts its bytes and lets the fault strike among them."""

    _is_paused = False
    _is_full = False

    def recv(self, size: int) -> bytes:
        """Receive, until the fault strikes; what a full disk does not take is thrown away, so that the answer is read.

        Raises:
            _RetryError: nothing came, as pyftpdlib says it.
        """
        if self._is_full:
            super().recv(size)
            raise _RetryError
        data: bytes = super().recv(self._room(size))
        self._count(len(data))
        return data

    def send(self, data: bytes) -> int:
        """Send, until the fault strikes."""
        try:
            size = self._room(len(data))
        except _RetryError:
            return 0
        sent: int = super().send(data[:size])
        self._count(sent)
        return sent

    def close(self) -> None:
        """Close, with the answer of a full disk where it was one."""
        if self._is_full:
            self.transfer_finished = False
            self._resp = (f"552 {os.strerror(errno.ENOSPC)}.", self.log)
        super().close()

    def _room(self, size: int) -> int:
        session: FtpSession = self.cmd_channel
        if session.arrival is None:
            return size  # a listing
        fault = session.arrival.fault
        if self._is_paused:  # TLS has woken it up
            self.del_channel()
            raise _RetryError
        if isinstance(fault, faults.Slow):
            return max(1, min(size, fault.bytes_per_second // SLICES_PER_SECOND))
        size = faults.room(fault, session.arrival.bytes, size)
        if size == 0:
            self._strike(session, fault)
            raise _RetryError
        return size

    def _count(self, size: int) -> None:
        session: FtpSession = self.cmd_channel
        if session.arrival is None or size == 0:
            return
        session.owner.record.count(session.arrival, size)
        if isinstance(fault := session.arrival.fault, faults.Slow):
            self._pause(size / fault.bytes_per_second)

    def _pause(self, seconds: float) -> None:
        self._is_paused = True
        self.del_channel()
        self._tasks.append(self.ioloop.call_later(seconds, self._go_on))

    def _go_on(self) -> None:
        self._tasks.clear()
        self._is_paused = False
        self.add_channel(events=self._wanted_io_events)

    def _strike(self, session: "FtpSession", fault: Fault | None) -> None:
        match fault:
            case faults.DiskFull():
                self._is_full = True
            case faults.StallAfter():
                self.del_channel()
            case faults.CutAfter(reset=reset):
                session.abandon(reset=reset)


class TlsTransfer(PlainTransfer, TLS_DTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """The same in TLS."""


class FtpSession(FTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """A session in clear; `owner` is set by the server in a class of its own.

    Attributes:
        account: who was let in.
        fault: what strikes this session.
        arrival: the transfer that is running.
    """

    owner: ClassVar[FileServer]
    banner = "simulated file server"
    auth_failed_timeout = 0  # whoever guesses here is a test
    abstracted_fs = Directory
    dtp_handler: Any = PlainTransfer
    use_sendfile = False

    account: Account | None = None
    fault: Fault | None = None
    arrival: Arrival | None = None
    _has_taken = False

    def handle(self) -> None:
        """Greet."""
        if self.owner.faults.take(faults.Malformed):
            self.push("\x15\x03\x01 this is no FTP server\r\n\r\n")
            self.close_when_done()
        else:
            super().handle()

    def pre_process_command(self, line: str, command: str, argument: str) -> None:
        """Carry out a command, unless the fault forbids it."""
        is_watched = self.account is not None and command in _FILE_COMMANDS
        if is_watched and not self._has_taken:
            self._has_taken = True
            self.fault = self.owner.faults.take(*WORK_FAULTS)
        is_transfer = is_watched and command in _TRANSFERS and bool(argument)
        if is_transfer:
            self._begin(command, argument)
        refusal = self._refusal(command) if is_watched else None
        if refusal is None:
            super().pre_process_command(line, command, argument)
        else:
            self.respond(refusal)
        if is_transfer and self._last_code() >= 400:
            self._end(self._last_code())

    def process_command(self, command: str, *arguments: str, **options: Any) -> None:
        """Carry out a command whose path has been found good; a path is one of the disk now."""
        if command in ("MDTM", "RETR", "SIZE") and isinstance(self.fault, faults.Changed):
            Path(arguments[0]).write_bytes(self.fault.content)
            self.fault = None
        if command in _TRANSFERS and self.arrival is not None:
            self.arrival.offset = self._restart_position
            if command == "APPE":
                with contextlib.suppress(OSError):
                    self.arrival.offset = Path(arguments[0]).stat().st_size
        super().process_command(command, *arguments, **options)

    def ftp_SIZE(self, path: str) -> None:  # noqa: N802 - the name that pyftpdlib looks for
        """Say how long a file is, or something else."""
        if isinstance(self.fault, faults.WrongLength):
            with contextlib.suppress(OSError):
                self.respond(f"213 {Path(path).stat().st_size + self.fault.by}")
                return
        super().ftp_SIZE(path)

    def ftp_QUIT(self, line: str) -> None:  # noqa: N802 - the name that pyftpdlib looks for
        """Say goodbye, and go at once where a transfer stands still, whose end pyftpdlib would wait for."""
        super().ftp_QUIT(line)
        if isinstance(self.fault, faults.StallAfter):
            self.abandon()

    def log_transfer(self, *, completed: bool, **_: Any) -> None:
        """Take the end of a transfer."""
        self._end(226 if completed else self._last_code() if self._last_code() >= 400 else None)

    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing: what matters is recorded."""

    def logline(self, *_: Any, **__: Any) -> None:
        """Say nothing, as above."""

    def log_cmd(self, *_: Any, **__: Any) -> None:
        """Say nothing, as above."""

    def close(self) -> None:
        """Close, or begin to where TLS has to say farewell first."""
        super().close()
        if self._closed:
            self._end(None)

    def abandon(self, *, reset: bool = False) -> None:
        """Drop both connections without a word, with a RST if `reset`."""
        for each in (self, self.data_channel):
            if each is not None:
                each._error = True  # no farewell of TLS
                if reset:
                    with contextlib.suppress(OSError):
                        each.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()

    def _begin(self, command: str, argument: str) -> None:
        path = self.fs.ftpnorm(argument)
        user = self.account.user if self.account else None
        self.arrival = self.owner.record.begin(command, path, user=user)
        self.arrival.fault = self.fault

    def _end(self, status: int | None) -> None:
        if self.arrival is not None:
            self.arrival.status = status
            self.owner.record.end(self.arrival)
            self.arrival = None

    def _last_code(self) -> int:
        return int(self._last_response[:3] or 0)

    def _refusal(self, command: str) -> str | None:
        match self.fault:
            case faults.NoPermission(ftp_reply=reply) if command == "RETR" or command in _CHANGES:
                return f"{reply} {os.strerror(errno.EACCES)}."
            case faults.MissingDirectory() if command != "REST":
                return f"550 {os.strerror(errno.ENOENT)}."
            case faults.DiskFull(bytes=0) if command in ("APPE", "MKD", "STOR"):
                return f"552 {os.strerror(errno.ENOSPC)}."
            case faults.NoResume() if command in ("APPE", "REST"):
                return "502 Command not implemented."
        return None


class FtpesSession(FtpSession, TLS_FTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """A session that goes over to TLS before it begins (RFC 4217); the server gives the class `get_ssl_context`."""

    tls_control_required = True
    tls_data_required = True
    dtp_handler = TlsTransfer

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if fault := self.owner.faults.take(faults.ShowCertificate):
            self.ssl_context = openssl_context(fault.certificate)


class FtpsSession(FtpesSession):
    """A session in TLS from its first byte."""

    def handle(self) -> None:
        """Begin with TLS; the greeting waits."""
        self.secure_connection(self.ssl_context)

    def handle_ssl_established(self) -> None:
        """Greet, now that nobody else can read it."""
        super().handle()
