"""The blocking client of the control socket, for commands that ask one thing and end.

One call is one connection. Who may call what is decided by the other end (control.py).
"""

import json
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

MAX_ANSWER_BYTES: Final = 16_777_216  #: bytes; the whole security log, asked for at once
CALL_TIMEOUT: Final = timedelta(seconds=90)  #: time; a data_transfer waits for its answer and a probe of the link
READ_BYTES: Final = 65_536  #: bytes; what a Unix socket hands over at once


class NoAgent(Exception):
    """Raised when nobody listens at the socket; the text says so for people."""


class NotAnswered(Exception):
    """Raised when somebody listens, but does not let us in, or does not answer as a control socket does."""


class MethodFailed(Exception):
    """Raised when the method answered an error.

    Attributes:
        code: the code of JSON-RPC.
        data: details for a program, or None.
    """

    def __init__(self, message: str, *, code: int, data: object) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


def call(path: Path, method: str, params: dict[str, Any] | None = None, *, timeout: timedelta = CALL_TIMEOUT) -> Any:
    """Call one method of the agent that listens at `path` and return its result.

    Args:
        path: the socket.
        method: a name of the control socket's table.
        params: its parameters by name; they must fit JSON.
        timeout: how long connecting, sending, and each wait for more of the answer may take.

    Raises:
        NoAgent: nobody listens there.
        NotAnswered: the answer is refused, too late, cut off, too long, or no answer.
        MethodFailed: the method answered an error.
    """
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout.total_seconds())
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            line = _read_line(connection)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
            raise NoAgent(f"no agent answers at {path}") from error
        except PermissionError as error:
            raise NotAnswered(f"{path}: you may not talk to this agent; try as its user or as root") from error
        except TimeoutError as error:
            raise NotAnswered(f"{path}: no answer within {timeout.total_seconds():g} s") from error
        except OSError as error:
            raise NotAnswered(f"{path}: {error.strerror or error}") from error
    return _result_of(line, path)


def _read_line(connection: socket.socket) -> bytes:
    """Read up to the end of the first line, or of the connection."""
    parts = []
    size = 0
    while size <= MAX_ANSWER_BYTES:
        part = connection.recv(READ_BYTES)
        parts.append(part)
        size += len(part)
        if not part or part.endswith(b"\n"):
            break
    return b"".join(parts)


def _result_of(line: bytes, path: Path) -> Any:
    if not line:
        raise NotAnswered(f"{path}: the agent closed the connection without an answer")
    if len(line) > MAX_ANSWER_BYTES:
        raise NotAnswered(f"{path}: the answer is larger than {MAX_ANSWER_BYTES} bytes")
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotAnswered(f"{path}: what came is not JSON, or was cut off") from error
    match answer:
        case {"id": 1, "result": result}:
            return result
        case {"error": {"code": int(code), "message": str(message), **more}}:
            raise MethodFailed(message, code=code, data=more.get("data"))
        case _:
            raise NotAnswered(f"{path}: what came is no answer of a control socket")
