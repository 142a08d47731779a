"""What a person at the desk orders about files: a log to be sent, an image to be fetched.

Not done here: the words of the commands (desk.py).
"""

import time
from itertools import count
from typing import Final

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.file_account import WRITER
from chargepoint.simulation.file_server import INBOX, FileServer
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.firmware_publisher import FirmwarePublisher
from chargepoint.simulation.log_inbox import LogInbox, LogKind

_KINDS: Final[dict[str, LogKind]] = {"security": "SecurityLog", "diagnostics": "DiagnosticsLog"}
_VERSION_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+")


class FileDesk:
    """Orders uploads and updates.

    Args:
        central_system: who orders them.
        servers: where files go to and come from.
    """

    def __init__(self, central_system: CentralSystem, servers: FileServers) -> None:
        self._central_system = central_system
        self._servers = servers
        self._publisher = FirmwarePublisher(servers, central_system.pki)
        self._request_ids = count(int(time.time()))  # a Charge Point that outlives this program sees none twice

    def greeting(self) -> list[str]:
        """Return what a person has to know to use the servers, in lines."""
        lines = [f"logs are taken at     {server.url(f'{INBOX}/', account=WRITER)}" for server in self._servers]
        lines += [f"no {scheme}: {library} is not installed" for scheme, library in self._servers.lacking.items()]
        if "sftp" not in self._servers.lacking:
            lines.append(f"host key of sftp:     {self._servers.sftp.host_key_line}")
        return lines

    async def upload(self, words: list[str], identity: str | None) -> None:
        """Order a log.

        Raises:
            ValueError: the words make no sense.
        """
        kinds = [_KINDS[word] for word in words if word in _KINDS]
        server = self._server([word for word in words if word not in _KINDS])
        request = LogInbox(server).log_request(*kinds[:1], request_id=next(self._request_ids))
        await self._central_system.call("GetLog", request, identity=identity)

    async def update(self, words: list[str], identity: str | None, *, is_forged: bool = False) -> None:
        """Publish an image and order the update.

        Raises:
            ValueError: the words make no sense.
        """
        if not words or not _VERSION_CHARACTERS.issuperset(words[0]):
            raise ValueError("VERSION of letters, digits, '.', '-', '_' and '+' is needed")
        release = self._publisher.publish(words[0], server=self._server(words[1:]))
        if is_forged:
            release.tamper()
        request = self._publisher.request(release, request_id=next(self._request_ids), checked=not is_forged)
        await self._central_system.call("SignedUpdateFirmware", request, identity=identity)

    def _server(self, words: list[str]) -> FileServer:
        match words:
            case []:
                return self._servers.https
            case [scheme] if scheme in (server.scheme for server in self._servers):
                return self._servers.of(scheme)
        raise ValueError(f"SCHEME is one of {', '.join(server.scheme for server in self._servers)}")
