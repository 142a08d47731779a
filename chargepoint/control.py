"""The local control socket: JSON-RPC 2.0, one object a line, for the commands and other processes of the charge point.

Who may connect is decided by the file's mode and, once more, by the uid that the kernel tells of the peer: root and the
agent's own user reach every method, members of ``[control] group`` only the methods marked `for_group`. Requests of one
connection are answered in order; a slow method delays its own connection only. Lines, connections and the time to write
an answer are bounded.
"""

import asyncio
import grp
import json
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from chargepoint.state import StateUnusable

MAX_LINE_BYTES: Final = 262_144  #: bytes; a chain and a key for certificates.install are 20 000
MAX_CLIENTS: Final = 16  #: connections; an operator, a watchdog and a few processes of the charge point
MAX_GROUP_CLIENTS: Final = 8  #: connections; of the group, besides: it cannot lock the owner out
WRITE_TIMEOUT: Final = timedelta(seconds=10)  #: time; a client on the same machine reads at once, or never
MAX_ERROR_LENGTH: Final = 1_000  #: characters; an error message is a sentence, not a file

PARSE_ERROR: Final = -32700  #: code; JSON-RPC 2.0 section 5.1
INVALID_REQUEST: Final = -32600  #: code; JSON-RPC 2.0 section 5.1
METHOD_NOT_FOUND: Final = -32601  #: code; JSON-RPC 2.0 section 5.1
INVALID_PARAMS: Final = -32602  #: code; JSON-RPC 2.0 section 5.1
INTERNAL_ERROR: Final = -32603  #: code; JSON-RPC 2.0 section 5.1
REFUSED: Final = -32000  #: code; first of the range that JSON-RPC 2.0 leaves to the server
NOT_ALLOWED: Final = -32001  #: code; next of that range

_log = logging.getLogger(__name__)


class ControlError(Exception):
    """Raised by a method to answer an error that a person can act on.

    Attributes:
        code: a JSON-RPC code, `REFUSED` or `INVALID_PARAMS` as a rule.
        data: details for a program, or None.
    """

    def __init__(self, message: str, *, code: int = REFUSED, data: object = None) -> None:
        super().__init__(message[:MAX_ERROR_LENGTH])
        self.code = code
        self.data = data


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the socket.

    Attributes:
        call: takes the params as keyword arguments and returns something that JSON can hold.
        for_group: whether members of ``[control] group`` reach it.
    """

    call: Callable[..., Awaitable[Any]]
    for_group: bool = False


class ControlServer:
    """The listening socket.

    Args:
        path: where it stands; an old socket file there is replaced (the state directory's lock rules out a living one).
        group: name of a group that may connect too, "" for none.
        methods: what can be called, by name.
    """

    def __init__(self, path: Path, group: str, methods: Mapping[str, Method]) -> None:
        self.path: Final = path
        self._group = group
        self._methods = methods
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], bool] = {}  # whether it is the owner's

    async def start(self) -> None:
        """Listen. Raises OSError or LookupError (no such group) with the path in its text."""
        group_id = _group_id(self._group) if self._group else None
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old_mask = os.umask(0o177)
        try:
            listener.bind(str(self.path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(old_mask)
        if group_id is not None:
            os.chown(self.path, -1, group_id)
            self.path.chmod(0o660)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=MAX_LINE_BYTES)

    async def stop(self) -> None:
        """Stop listening, end every connection, and remove the socket file."""
        if self._server is None:
            return
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Started by asyncio for each connection; cancelled by stop(); its end ends nothing but the connection.
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        self._clients[task] = is_owner = _is_owner(writer)
        of_its_kind = sum(each is is_owner for each in self._clients.values())
        try:
            if of_its_kind <= (MAX_CLIENTS if is_owner else MAX_GROUP_CLIENTS):
                await self._serve(reader, writer, is_owner)
        except (ConnectionError, TimeoutError):
            writer.transport.abort()  # the client is gone, or reads nothing: what it was to be told is dropped
        except asyncio.CancelledError:
            pass  # stop() ends the connection; asyncio would log a cancelled callback as an error
        finally:
            del self._clients[task]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_owner: bool) -> None:
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await _send(writer, _error(None, INVALID_REQUEST, f"a line has at most {MAX_LINE_BYTES} bytes"))
                return
            answer = await self._answer(line, is_owner)
            if answer is not None:
                await _send(writer, answer)

    async def _answer(self, line: bytes, is_owner: bool) -> object:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _error(None, PARSE_ERROR, "this line is not JSON")
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(None, INVALID_REQUEST, "a request is an object with jsonrpc, id, method and params")
        if not isinstance(request.get("id"), str | int | float | None):  # JSON-RPC 2.0 section 4
            return _error(None, INVALID_REQUEST, "the id is a text or a number")
        answer = await self._call(request, is_owner)
        # A request without an id is a notification: it is carried out and not answered (JSON-RPC 2.0 section 4.1).
        return answer if "id" in request else None

    async def _call(self, request: dict[str, Any], is_owner: bool) -> object:
        request_id, name, params = request.get("id"), request["method"], request.get("params") or {}
        method = self._methods.get(name)
        if method is None:
            known = ", ".join(sorted(self._methods))
            return _error(request_id, METHOD_NOT_FOUND, f"there is no method {name[:80]!r}; there are {known}")
        if not (is_owner or method.for_group):
            return _error(request_id, NOT_ALLOWED, f"{name} is for root and the agent's own user")
        if not isinstance(params, dict):
            return _error(request_id, INVALID_PARAMS, "params is an object: the parameters have names")
        try:
            _check_arguments(method.call, params)
            return {"jsonrpc": "2.0", "id": request_id, "result": await method.call(**params)}
        except ControlError as error:
            return _error(request_id, error.code, str(error), error.data)
        except StateUnusable as error:
            return _error(request_id, REFUSED, str(error))
        except Exception:  # noqa: BLE001 - the top of a request: a broken method must not take the agent with it
            _log.exception("the control method %s broke", name)
            return _error(request_id, INTERNAL_ERROR, f"{name} broke; the agent's log says where")


def _check_arguments(call: Callable[..., Awaitable[Any]], params: dict[str, Any]) -> None:
    import inspect  # not needed before the first call

    try:
        inspect.signature(call).bind(**params)
    except TypeError as error:
        raise ControlError(f"params: {error}", code=INVALID_PARAMS) from error


async def _send(writer: asyncio.StreamWriter, answer: object) -> None:
    """Write an answer; raises TimeoutError where the client does not read."""
    writer.write(_line(answer))
    async with asyncio.timeout(WRITE_TIMEOUT.total_seconds()):
        await writer.drain()


def _line(answer: object) -> bytes:
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair, which somebody's JSON may have brought in, has no UTF-8 form; escaped it is JSON again.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _error(request_id: object, code: int, message: str, data: object = None) -> dict[str, object]:
    error: dict[str, object] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def _is_owner(writer: asyncio.StreamWriter) -> bool:
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", peer)
    return uid in (0, os.geteuid())


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise LookupError(f"[control] group = {name!r}: there is no such group on this machine") from error
