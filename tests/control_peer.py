"""The other end of the control socket for tests of the command line: a thread that answers what it is told to."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Answer = Callable[[dict[str, Any]], bytes]
"""Makes the bytes that answer a request."""


def result(value: object) -> Answer:
    """Answer with a result."""
    return lambda request: json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": value}).encode() + b"\n"


def error(code: int, message: str, data: object = None) -> Answer:
    """Answer with an error."""
    content = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return lambda request: json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": content}).encode() + b"\n"


@contextmanager
def control_peer(path: Path, answer: Answer) -> Iterator[list[dict[str, Any]]]:
    """Listen at the path, answer each request so, and give out the list of the requests."""
    requests: list[dict[str, Any]] = []

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                line = lines.readline()
                if not line:  # the test is over
                    return
                requests.append(json.loads(line))
                connection.sendall(answer(requests[-1]))

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, name="control peer")
        thread.start()
        try:
            yield requests
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
                last.connect(str(path))
            thread.join(10)
            path.unlink()
