"""The file server for sftp, visited by `curl` (libssh2) and by an asyncssh client; both ends are asserted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.file_account import NOBODY, READER, WRITER, Account
from chargepoint.simulation.sftp_server import SftpServer
from tests.curl import Done, Exit, curl, needs_curl

CONTENT = bytes(range(256)) * 4_000  # above what the buffers of a connection hold
LOST = (Exit.SSH_ERROR, Exit.SEND_FAILED, Exit.RECEIVE_FAILED, Exit.PARTIAL_FILE, Exit.EMPTY_ANSWER)

pytestmark = needs_curl


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SftpServer]:
    async with SftpServer(tmp_path / "files") as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        yield server


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "security.log"
    file.write_bytes(CONTENT)
    return file


async def get(server: SftpServer, path: str, *options: str | Path, account: Account | None = READER) -> Done:
    return await curl("--hostpubsha256", server.host_key_sha256, *options, server.url(path, account=account))


async def put(server: SftpServer, log: Path, *options: str | Path, account: Account | None = WRITER) -> Done:
    return await get(server, "inbox/a b%.log", "--upload-file", log, *options, account=account)


def inbox(server: SftpServer) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (server.directory / "inbox").iterdir()}


@contextlib.asynccontextmanager
async def client(server: SftpServer, account: Account, known_hosts: Path) -> AsyncIterator[asyncssh.SFTPClient]:
    known_hosts.write_text(f"{server.host_key_line}\n")
    connection = asyncssh.connect(
        server.host,
        server.port,
        config=[],
        username=account.user,
        password=account.password,
        client_keys=None,
        known_hosts=str(known_hosts),
    )
    async with connection as opened, opened.start_sftp_client() as sftp:
        yield sftp


async def test_a_file_is_left_and_recorded(server: SftpServer, log: Path) -> None:
    assert ((await put(server, log)).code, inbox(server)) == (0, {"a b%.log": CONTENT})
    await server.arrived("write")
    login, written = server.record.arrivals
    assert (login.command, login.user, login.over) == ("login", "writer", True)
    assert (written.path, written.user, written.status) == ("/inbox/a b%.log", "writer", 0)
    assert (written.offset, written.bytes) == (0, len(CONTENT))


async def test_a_file_is_fetched(server: SftpServer) -> None:
    assert (await get(server, "image.bin")).content == CONTENT
    fetched = await server.arrived("read")
    assert (fetched.path, fetched.user, fetched.bytes, fetched.status) == ("/image.bin", "reader", len(CONTENT), 0)


async def test_transfers_continue(server: SftpServer, log: Path, tmp_path: Path) -> None:
    target = tmp_path / "image.bin"
    target.write_bytes(CONTENT[:1_000])
    assert (await get(server, "image.bin", "--continue-at", "-", "--output", target)).code == 0
    assert target.read_bytes() == CONTENT
    fetched = await server.arrived("read")
    assert (fetched.offset, fetched.bytes) == (1_000, len(CONTENT) - 1_000)
    (server.directory / "inbox" / "a b%.log").write_bytes(CONTENT[:2_000])
    assert (await put(server, log, "--continue-at", "-")).code == 0
    assert inbox(server) == {"a b%.log": CONTENT}
    left = await server.arrived("write")
    assert (left.offset, left.bytes) == (2_000, len(CONTENT) - 2_000)


async def test_a_file_may_be_opened_to_append(server: SftpServer, tmp_path: Path) -> None:
    (server.directory / "inbox" / "a.log").write_bytes(b"first ")
    async with client(server, WRITER, tmp_path / "known") as sftp, sftp.open("/inbox/a.log", "ab") as file:
        await file.write(b"second")
    assert inbox(server) == {"a.log": b"first second"}
    assert (await server.arrived("write")).offset == 6


@pytest.mark.parametrize("reset", [False, True])
async def test_an_upload_that_is_cut_continues_where_it_ended(server: SftpServer, log: Path, reset: bool) -> None:
    server.add_fault(fault.CutAfter(bytes=100_000, times=2, reset=reset))
    codes = [(await put(server, log, "--continue-at", "-")).code for _ in range(3)]
    assert (codes[0] in LOST, codes[1] in LOST, codes[2]) == (True, True, 0)
    assert inbox(server) == {"a b%.log": CONTENT}
    await server.arrived("write", fits=lambda arrival: arrival.status == 0)
    assert [(each.offset, each.bytes, each.status) for each in server.record.of("write")] == [
        (0, 100_000, None),
        (100_000, 100_000, None),
        (200_000, len(CONTENT) - 200_000, 0),
    ]


async def test_a_download_is_cut(server: SftpServer) -> None:
    server.add_fault(fault.CutAfter(bytes=300_000))
    cut = await get(server, "image.bin")
    assert cut.code in LOST
    assert len(cut.content) <= 300_000
    assert (await server.arrived("read")).bytes == 300_000
    assert (await get(server, "image.bin")).content == CONTENT


@pytest.mark.parametrize(
    ("account", "read", "write"),
    [
        (None, Exit.LOGIN_REFUSED, Exit.LOGIN_REFUSED),
        (WRITER, 0, 0),
        (READER, 0, Exit.ACCESS_DENIED),
        (NOBODY, Exit.ACCESS_DENIED, Exit.ACCESS_DENIED),
        (Account(WRITER.user, "guessed"), Exit.LOGIN_REFUSED, Exit.LOGIN_REFUSED),
        (Account("anonymous", ""), Exit.LOGIN_REFUSED, Exit.LOGIN_REFUSED),
    ],
)
async def test_an_account_opens_what_it_may(
    server: SftpServer, log: Path, account: Account | None, read: int, write: int
) -> None:
    assert (await get(server, "image.bin", account=account)).code == read
    assert (await put(server, log, account=account)).code == write
    assert inbox(server) == ({"a b%.log": CONTENT} if write == 0 else {})


@pytest.mark.parametrize(
    ("struck", "code"),
    [
        (fault.RefuseLogin(), Exit.LOGIN_REFUSED),
        (fault.MissingDirectory(), Exit.NOT_FOUND),
        (fault.NoPermission(), Exit.ACCESS_DENIED),
        (fault.DiskFull(), Exit.SSH_ERROR),
        (fault.DiskFull(bytes=100_000), Exit.SSH_ERROR),
    ],
)
async def test_a_fault_refuses_one_upload(server: SftpServer, log: Path, struck: fault.Fault, code: int) -> None:
    server.add_fault(struck)
    assert (await put(server, log)).code == code
    stored = {name: len(content) for name, content in inbox(server).items()}
    assert stored == ({"a b%.log": 100_000} if struck == fault.DiskFull(bytes=100_000) else {})
    assert (await put(server, log)).code == 0
    assert inbox(server) == {"a b%.log": CONTENT}


async def test_a_client_that_knows_the_server_is_not_fooled(server: SftpServer, log: Path) -> None:
    server.add_fault(fault.OtherHostKey())
    server.add_fault(fault.Malformed())
    assert (await put(server, log)).code == Exit.NOT_THE_HOST
    assert (await put(server, log)).code == Exit.CONNECTION_FAILED
    assert server.record.arrivals == []
    assert (await put(server, log)).code == 0


async def test_the_host_key_outlives_the_server(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "sftp_host_key"
    first = SftpServer(tmp_path / "files", host_key=key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert SftpServer(tmp_path / "files", host_key=key).host_key_sha256 == first.host_key_sha256
    assert SftpServer(tmp_path / "files").host_key_sha256 != first.host_key_sha256


async def test_the_file_may_be_another_one_than_before(server: SftpServer) -> None:
    server.add_fault(fault.Changed(content=b"another"))
    assert (await get(server, "image.bin")).content == b"another"


async def test_the_length_may_be_wrong(server: SftpServer, tmp_path: Path) -> None:
    server.add_fault(fault.WrongLength(by=10))
    async with client(server, READER, tmp_path / "known") as sftp:
        assert (await sftp.stat("/image.bin")).size == len(CONTENT) + 10


async def leave(client: asyncio.Task[Done]) -> None:
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client


@pytest.mark.parametrize("command", ["read", "write"])
@pytest.mark.parametrize("struck", [fault.StallAfter(bytes=100_000), fault.Slow(bytes_per_second=1_000)])
async def test_a_transfer_that_hardly_moves_ends_when_the_client_leaves(
    server: SftpServer, log: Path, command: str, struck: fault.Fault
) -> None:
    server.add_fault(struck)
    running = asyncio.create_task(get(server, "image.bin") if command == "read" else put(server, log))
    seen = await server.arrived(command, fits=lambda arrival: 0 < arrival.bytes < len(CONTENT))
    assert not seen.over
    await leave(running)
    assert (await server.arrived(command)).status is None


async def test_a_stop_ends_a_stalled_transfer(tmp_path: Path) -> None:
    async with SftpServer(tmp_path / "files") as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        server.add_fault(fault.StallAfter(bytes=1))
        running = asyncio.create_task(get(server, "image.bin"))
        await server.arrived("read", fits=lambda arrival: arrival.bytes == 1)
    assert (await running).code in LOST
    assert (await server.arrived("read")).over


async def test_nobody_gets_out_of_the_directory(server: SftpServer, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("not for the net")
    assert (await get(server, "../secret.txt", "--path-as-is")).code == Exit.NOT_FOUND
    async with client(server, WRITER, tmp_path / "known") as sftp:
        with pytest.raises(asyncssh.SFTPOpUnsupported):
            await sftp.symlink("/etc/passwd", "/link")
        with pytest.raises(asyncssh.SFTPOpUnsupported):
            await sftp.link("/image.bin", "/link")


async def test_files_are_put_in_order(server: SftpServer, tmp_path: Path) -> None:
    async with client(server, WRITER, tmp_path / "known") as sftp:
        await sftp.mkdir("/inbox/new")
        await sftp.put(str(server.directory / "image.bin"), "/inbox/new/a.part", preserve=True)
        await sftp.rename("/inbox/new/a.part", "/inbox/new/a.log")
        assert await sftp.listdir("/inbox/new") == [".", "..", "a.log"]
        await sftp.posix_rename("/inbox/new/a.log", "/inbox/new/b.log")
        await sftp.remove("/inbox/new/b.log")
        await sftp.rmdir("/inbox/new")
    assert inbox(server) == {}
    async with client(server, READER, tmp_path / "known") as sftp:
        for change in (sftp.mkdir("/inbox/x"), sftp.remove("/image.bin"), sftp.rename("/image.bin", "/x")):
            with pytest.raises(asyncssh.SFTPPermissionDenied):
                await change
