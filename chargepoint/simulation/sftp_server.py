"""The file server for sftp (asyncssh), with a host key that it makes at first use.

There is no anonymous user. Clients know the server by `host_key_line`, as it stands in a file of known hosts, or by
`host_key_sha256`. With a file for the host key the server has the same one after a restart.

It runs in the event loop: one task accepts, one serves each connection; leaving the block ends them.

Not done here: what happens to files (sftp_session.py).
"""

import asyncio
import contextlib
import hashlib
import socket
import struct
from base64 import b64encode
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import asyncssh

from chargepoint.simulation.file_fault import Fault, Malformed, OtherHostKey, RefuseLogin
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.sftp_session import WORK_FAULTS, SftpSession

KEY_ALGORITHM: Final = "ssh-ed25519"

_NO_SSH: Final = b"220 this is no SSH server\r\n" * 64  # above what a client reads while it looks for a version
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: the close becomes a RST


class SftpServer(FileServer):
    """A file server for sftp.

    Args:
        directory: what it serves.
        host_key: the file that the host key is read from, or written to at first use; None: a key for this object.
        options: as for `FileServer`.
    """

    scheme = "sftp"
    knows: ClassVar[tuple[type[Fault], ...]] = (*WORK_FAULTS, Malformed, OtherHostKey, RefuseLogin)
    lets_in_anonymous = False

    def __init__(self, directory: Path, *, host_key: Path | None = None, **options: Any) -> None:
        super().__init__(directory, **options)
        self._key = _host_key(host_key)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def host_key_line(self) -> str:
        """The host key as it stands in a file of known hosts, without a line end."""
        return f"[{self.host}]:{self.port} {self._key.export_public_key().decode().strip()}"

    @property
    def host_key_sha256(self) -> str:
        """The fingerprint of the host key, base64 without padding, as `ssh-keygen -l` shows it behind "SHA256:"."""
        return b64encode(hashlib.sha256(self._key.public_data).digest()).decode().rstrip("=")

    async def _start(self) -> None:
        self._listener = socket.create_server((self.bind, self.port))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept())

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work, name=f"{self.scheme} server")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self._spawn(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        with connection:
            fault = self.faults.take(Malformed, OtherHostKey)
            if isinstance(fault, Malformed):
                with contextlib.suppress(OSError):
                    await asyncio.get_running_loop().sock_sendall(connection, _NO_SSH)
                return
            key = asyncssh.generate_private_key(KEY_ALGORITHM) if fault else self._key
            gone = asyncio.Event()
            try:
                ssh = await asyncssh.run_server(
                    connection,
                    config=[],
                    server_factory=lambda: _Door(self, gone),
                    server_host_keys=[key],
                    sftp_factory=lambda channel: SftpSession(channel, self, partial(_cut, connection), gone),
                    allow_scp=False,
                    kbdint_auth=False,
                )
            except (OSError, asyncssh.Error):
                return  # the client did not like what it saw, or was not let in
            try:
                await ssh.wait_closed()
            except asyncio.CancelledError:
                ssh.abort()
                await ssh.wait_closed()
                raise


class _Door(asyncssh.SSHServer):
    """Lets accounts in by their passwords."""

    def __init__(self, owner: SftpServer, gone: asyncio.Event) -> None:
        self._owner = owner
        self._gone = gone
        self._fault: Fault | None = None

    def connection_lost(self, _error: Exception | None) -> None:
        self._gone.set()

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        arrival = self._owner.record.begin("login", "")
        account = self._owner.log_in(username, password)
        if account is not None:
            self._fault = self._fault or self._owner.faults.take(RefuseLogin)  # whoever tries again is refused again
        let_in = account is not None and self._fault is None
        arrival.fault = self._fault
        arrival.user = username if let_in else None
        self._owner.record.end(arrival)
        return let_in


def _cut(connection: socket.socket, reset: bool) -> None:
    with contextlib.suppress(OSError):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)


def _host_key(file: Path | None) -> asyncssh.SSHKey:
    if file is not None and file.exists():
        return asyncssh.read_private_key(file)
    key = asyncssh.generate_private_key(KEY_ALGORITHM)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(key.export_private_key())
    return key
