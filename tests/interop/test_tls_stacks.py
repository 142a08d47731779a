"""TLS as the standard has it: stacks that nobody here wrote shake hands with the Charge Point, and it connects."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import gnutls
from tests.connecting import PKI, Notebook, attempt_in, running
from tests.openssl import OPENSSL
from tests.peer import PATIENCE_S, Peer, Visit, upgrading

both_profiles = pytest.mark.parametrize(
    "profile",
    [
        pytest.param(2, marks=pytest.mark.requirement("A00.FR.316"), id="profile 2"),
        pytest.param(3, marks=pytest.mark.requirement("A00.FR.420"), id="profile 3"),
    ],
)


@pytest.mark.skipif(gnutls.LIBRARY is None, reason="this machine has no GnuTLS")
@both_profiles
@pytest.mark.parametrize("key", ["ec", "rsa"])
@pytest.mark.parametrize(
    ("priority", "version"), [("NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS1.2"), ("NORMAL:-VERS-ALL:+VERS-TLS1.3", "TLS1.3")]
)
async def test_gnutls(profile: int, key: str, priority: str, version: str, tmp_path: Path) -> None:
    versions: list[str] = []
    talk = gnutls.over_gnutls(
        PKI.server_certificate(key=key),  # type: ignore[arg-type]
        upgrading,
        priority=priority,
        client_roots=PKI.root_pem if profile == 3 else None,
        versions=versions,
    )
    with Peer(talk) as peer:
        notebook = Notebook([attempt_in(profile, peer.port, tmp_path)])
        async with running(notebook):
            await notebook.until(lambda: len(notebook.links) == 1)
    assert versions[0] == version
    assert not notebook.events


@pytest.mark.skipif(OPENSSL is None, reason="this machine has no openssl program")
@both_profiles
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_the_openssl_program(profile: int, version: str, tmp_path: Path) -> None:
    with s_server(tmp_path, version, demands_certificate=profile == 3) as port:
        notebook = Notebook([attempt_in(profile, port, tmp_path)])
        async with running(notebook):
            await notebook.until(lambda: len(notebook.links) == 1)
    assert not notebook.events


class Pipes:
    """The plain side of `openssl s_server`, as a socket."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._write, self._read = process.stdin, process.stdout

    def recv(self, limit: int) -> bytes:
        return self._read.read1(limit)  # type: ignore[attr-defined,no-any-return]

    def sendall(self, data: bytes) -> None:
        self._write.write(data)
        self._write.flush()


@contextmanager
def s_server(directory: Path, version: str, *, demands_certificate: bool) -> Iterator[int]:
    """Run `openssl s_server` and be the Central System behind it; yields the port."""
    shown = PKI.server_certificate()
    (directory / "shown.pem").write_bytes(shown.chain_pem)
    (directory / "shown.key").write_bytes(shown.key_pem)
    (directory / "roots.pem").write_bytes(PKI.root_pem)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asks = ["-Verify", "3", "-verify_return_error", "-CAfile", "roots.pem"] if demands_certificate else []
    command = [
        str(OPENSSL), "s_server", "-accept", f"127.0.0.1:{port}", "-cert", "shown.pem", "-key", "shown.key", "-quiet",
        version, *asks,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    serving = threading.Thread(target=upgrading, args=(Visit(), Pipes(process)), daemon=True)
    serving.start()
    try:
        yield port
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)
        serving.join(PATIENCE_S)
