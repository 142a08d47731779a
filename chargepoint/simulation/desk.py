"""The desk from which a developer plays Central System by hand: one command a line.

    call ACTION {json}         send a CALL and show the answer (call @IDENTITY ... where several are connected)
    answer ACTION {json}       answer an action like this from now on
    silence ACTION             do not answer an action from now on
    usual [ACTION]             answer as usual again
    profile 0..3               serve another security profile
    issue SERIAL_NUMBER        issue a Charge Point certificate and write it with its key
    upload [KIND] [SCHEME]     have a log sent: KIND is security (as by default) or diagnostics
    firmware VERSION [SCHEME]  publish a signed image of this version and order the update
    forgery VERSION [SCHEME]   the same with an image that was changed after it had been signed
                               SCHEME: http, https (as by default), ftp, ftpes, ftps, sftp
    drop                       cut the connection (drop IDENTITY where several are connected)
    list                       who is connected
    findings                   what Charge Points did wrong
    help                       this text
    quit                       the end

A mistake in a command is told and changes nothing.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from chargepoint.simulation.central_system import BadAnswer, CallRefused, CentralSystem, ConnectionGone
from chargepoint.simulation.file_desk import FileDesk
from chargepoint.simulation.script import Answer, Silence

CONNECT_TIMEOUT: Final = timedelta(seconds=1)  #: time that a command waits for a connection; a person can repeat it


class Desk:
    """Carries out commands.

    Args:
        central_system: the Central System that is played.
        directory: where certificates are written.
        say: shows a line.
        files: orders uploads and updates; None where there are no file servers.
    """

    def __init__(
        self, central_system: CentralSystem, directory: Path, say: Callable[[str], None], files: FileDesk | None = None
    ) -> None:
        self._central_system = central_system
        self._directory = directory
        self._say = say
        self._files = files

    async def obey(self, command: str) -> None:
        """Carry out a command other than quit, which is the caller's. Mistakes are said, not raised."""
        word, _, rest = command.strip().partition(" ")
        rest = rest.strip()
        try:
            match word:
                case "call":
                    await self._call(rest)
                case "answer":
                    action, payload = _action_and_payload(rest)
                    self._central_system.script(action, Answer(payload))
                case "silence":
                    self._central_system.script(rest, Silence())
                case "usual":
                    self._central_system.unscript(rest or None)
                case "profile":
                    await self._central_system.set_profile(int(rest))
                    self._say(f"serving security profile {rest} at {self._central_system.url}")
                case "issue":
                    self._issue(rest)
                case "upload" | "firmware" | "forgery":
                    await self._order(word, rest)
                case "drop":
                    (await self._central_system.connected(rest or None, timeout=CONNECT_TIMEOUT)).cut()
                case "list":
                    self._list()
                case "findings":
                    self._say("\n".join(map(str, self._central_system.findings)) or "no findings")
                case "help":
                    self._say(str(__doc__).partition("\n\n")[2].rpartition("\n\n")[0])
                case "":
                    pass
                case _:
                    self._say(f"unknown command {word!r}; help lists them all")
        except TimeoutError:
            self._say(f"{word}: nobody is connected, or nobody answers")
        except ConnectionGone as error:
            self._say(f"{word}: the Charge Point has gone before it answered ({str(error).strip()})")
        except (ValueError, CallRefused, BadAnswer, OSError) as error:
            self._say(f"{word}: {error}")

    async def _call(self, rest: str) -> None:
        identity, rest = _whom(rest)
        action, payload = _action_and_payload(rest)
        connection = await self._central_system.connected(identity, timeout=CONNECT_TIMEOUT)
        await self._central_system.call(action, payload, identity=connection.identity)

    async def _order(self, word: str, rest: str) -> None:
        if self._files is None:
            raise ValueError("there are no file servers")
        identity, rest = _whom(rest)
        connection = await self._central_system.connected(identity, timeout=CONNECT_TIMEOUT)
        if word == "upload":
            await self._files.upload(rest.split(), connection.identity)
        else:
            await self._files.update(rest.split(), connection.identity, is_forged=word == "forgery")

    def _issue(self, serial_number: str) -> None:
        if not serial_number or not serial_number.replace("-", "").replace("_", "").isalnum():
            raise ValueError("a serial number of letters, digits, '-' and '_' is needed")
        issued = self._central_system.pki.charge_point_certificate(serial_number)
        for path in issued.write(self._directory, serial_number):
            self._say(f"written: {path.absolute()}")

    def _list(self) -> None:
        connections = self._central_system.connections
        for identity, connection in connections.items():
            registration = self._central_system.registrations[identity].status or "not booted"
            self._say(f"{identity}: security profile {connection.profile}, {registration}")
        if not connections:
            self._say("nobody is connected")


def _whom(text: str) -> tuple[str | None, str]:
    if not text.startswith("@"):
        return None, text
    identity, _, rest = text[1:].partition(" ")
    return identity, rest.strip()


def _action_and_payload(text: str) -> tuple[str, dict[str, Any]]:
    action, _, payload = text.strip().partition(" ")
    value = json.loads(payload or "{}")
    if not action or not isinstance(value, dict):
        raise ValueError("ACTION {json} is needed")
    return action, value
