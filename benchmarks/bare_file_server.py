"""A file server that costs as little as Python can: HTTP and FTP on loopback; what is sent there is dropped.

Run as ``bare_file_server.py FILE``; it prints its two ports and serves until its input ends. Every path of a GET or
RETR is FILE, and goes out by sendfile; every PUT or STOR is taken in. Nobody logs in, one request a connection.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

BUFFER_BYTES: Final = 1_048_576
LINE_BYTES: Final = 65_536


def main() -> None:
    """Serve."""
    file = Path(sys.argv[1])
    ports = [_listen(lambda peer: _talk_http(peer, file)), _listen(lambda peer: _talk_ftp(peer, file))]
    print(*ports, flush=True)
    sys.stdin.read()


def _listen(talk: Callable[[socket.socket], None]) -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=talk, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def _talk_http(peer: socket.socket, file: Path) -> None:
    with peer:
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(LINE_BYTES)
        head, _, body = head.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if head.startswith(b"GET"):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % file.stat().st_size)
            _send(peer, file)
            return
        if b"expect" in fields:
            peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        _drop(peer, int(fields[b"content-length"]) - len(body))
        peer.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def _talk_ftp(peer: socket.socket, file: Path) -> None:
    with peer, peer.makefile("rb") as lines, socket.create_server(("127.0.0.1", 0)) as passive:
        peer.sendall(b"220 here\r\n")
        for line in lines:
            command = line.split()[0].upper()
            if command in {b"STOR", b"RETR"}:
                peer.sendall(b"150 now\r\n")
                data, _ = passive.accept()
                with data:
                    if command == b"STOR":
                        _drop(data, None)
                    else:
                        _send(data, file)
            peer.sendall(_answer(command, passive.getsockname()[1], file))
            if command == b"QUIT":
                return


def _answer(command: bytes, port: int, file: Path) -> bytes:
    answers = {
        b"EPSV": f"229 (|||{port}|)",
        b"SIZE": f"213 {file.stat().st_size}",
        b"MDTM": "213 20300101000000",
        b"PWD": '257 "/"',
        b"USER": "230 in",
        b"STOR": "226 taken",
        b"RETR": "226 sent",
        b"REST": "350 there",
        b"QUIT": "221 bye",
    }
    return f"{answers.get(command, '200 fine')}\r\n".encode()


def _drop(peer: socket.socket, most: int | None) -> None:
    buffer = bytearray(BUFFER_BYTES)
    left = sys.maxsize if most is None else most
    while left > 0 and (taken := peer.recv_into(buffer, min(left, BUFFER_BYTES))):
        left -= taken


def _send(peer: socket.socket, file: Path) -> None:
    with file.open("rb") as content:
        while os.sendfile(peer.fileno(), content.fileno(), None, BUFFER_BYTES):
            pass


if __name__ == "__main__":
    main()
