"""The file servers for ftp, explicit and implicit FTPS, visited by `curl`; both ends are asserted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.faults import bad_server_certificates
from chargepoint.simulation.file_account import NOBODY, READER, WRITER, Account
from chargepoint.simulation.ftp_server import FtpesServer, FtpServer, FtpsServer
from chargepoint.simulation.pki import Pki
from tests.curl import Done, Exit, curl, needs_curl

CONTENT = bytes(range(256)) * 4_000  # above what the buffers of a connection hold
CUT = (Exit.PARTIAL_FILE, Exit.SEND_FAILED, Exit.RECEIVE_FAILED)

pytestmark = needs_curl


@dataclass
class Site:
    """A server and how curl has to be told to come."""

    server: FtpServer
    pki: Pki
    options: list[str | Path]
    log: Path

    def url(self, path: str, account: Account | None = None) -> str:
        url = self.server.url(path, account=account)
        return url.replace("ftpes://", "ftp://")  # curl has an option for it

    async def get(self, path: str, *options: str | Path, account: Account | None = None) -> Done:
        return await curl(*self.options, *options, self.url(path, account))

    async def put(self, path: str, *options: str | Path, account: Account | None = WRITER) -> Done:
        return await curl(*self.options, *options, "--upload-file", self.log, self.url(path, account))

    def inbox(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (self.server.directory / "inbox").iterdir()}


@pytest.fixture(params=["ftp", "ftpes", "ftps"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    pki = Pki.create()
    root, log, directory = tmp_path / "root.pem", tmp_path / "security.log", tmp_path / "files"
    root.write_bytes(pki.root_pem)
    log.write_bytes(CONTENT)
    options: list[str | Path] = []
    server = FtpServer(directory)
    if request.param != "ftp":
        server = FtpesServer(directory, pki) if request.param == "ftpes" else FtpsServer(directory, pki)
        options = ["--ssl-reqd", "--cacert", root]
    async with server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        yield Site(server, pki, options, log)


async def test_a_file_is_left_and_recorded(site: Site) -> None:
    done = await site.put("inbox/a b%.log")
    assert (done.code, site.inbox()) == (0, {"a b%.log": CONTENT})
    login, transfer = site.server.record.arrivals
    assert (login.command, login.user, login.status) == ("PASS", "writer", 230)
    assert (transfer.command, transfer.path, transfer.user) == ("STOR", "/inbox/a b%.log", "writer")
    assert (transfer.offset, transfer.bytes, transfer.status, transfer.over) == (0, len(CONTENT), 226, True)
    assert transfer.scheme == site.server.scheme


async def test_a_file_is_fetched_in_passive_mode(site: Site) -> None:
    for mode in ("--ftp-pasv", "--disable-epsv"):
        assert (await site.get("image.bin", mode)).content == CONTENT
    assert [each.user for each in site.server.record.of("RETR")] == ["anonymous"] * 2


async def test_a_file_is_fetched_in_active_mode(tmp_path: Path) -> None:
    async with FtpServer(tmp_path / "files") as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        assert (await curl("--ftp-port", "127.0.0.1", server.url("image.bin"))).content == CONTENT


async def test_transfers_continue(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "image.bin"
    target.write_bytes(CONTENT[:1_000])
    assert (await site.get("image.bin", "--continue-at", "-", "--output", target)).code == 0
    assert target.read_bytes() == CONTENT
    fetched = await site.server.arrived("RETR")
    assert (fetched.offset, fetched.bytes) == (1_000, len(CONTENT) - 1_000)
    (site.server.directory / "inbox" / "a.log").write_bytes(CONTENT[:2_000])
    assert (await site.put("inbox/a.log", "--continue-at", "-")).code == 0
    assert site.inbox() == {"a.log": CONTENT}
    left = await site.server.arrived("APPE")
    assert (left.offset, left.bytes) == (2_000, len(CONTENT) - 2_000)


async def test_an_upload_that_is_cut_continues_where_it_ended(site: Site) -> None:
    site.server.add_fault(fault.CutAfter(bytes=100_000, times=2))
    codes = [(await site.put("inbox/a.log", "--continue-at", "-")).code for _ in range(3)]
    assert (codes[0] in CUT, codes[1] in CUT, codes[2]) == (True, True, 0)
    assert site.inbox() == {"a.log": CONTENT}
    transfers = site.server.record.of("STOR", "APPE")
    assert [(each.offset, each.bytes, each.status) for each in transfers] == [
        (0, 100_000, None),
        (100_000, 100_000, None),
        (200_000, len(CONTENT) - 200_000, 226),
    ]


@pytest.mark.parametrize("reset", [False, True])
async def test_a_download_is_cut(site: Site, reset: bool) -> None:
    site.server.add_fault(fault.CutAfter(bytes=100_000, reset=reset))
    cut = await site.get("image.bin")
    assert cut.code in CUT
    assert len(cut.content) <= 100_000
    assert (await site.server.arrived("RETR")).bytes == 100_000
    assert (await site.get("image.bin")).content == CONTENT


@pytest.mark.parametrize(
    ("account", "read", "write"),
    [
        (None, 0, Exit.UPLOAD_FAILED),
        (WRITER, 0, 0),
        (READER, 0, Exit.UPLOAD_FAILED),
        (NOBODY, Exit.NOT_FOUND, Exit.ACCESS_DENIED),
        (Account(WRITER.user, "guessed"), Exit.LOGIN_REFUSED, Exit.LOGIN_REFUSED),
        (Account("stranger", ""), Exit.LOGIN_REFUSED, Exit.LOGIN_REFUSED),
    ],
)
async def test_an_account_opens_what_it_may(site: Site, account: Account | None, read: int, write: int) -> None:
    assert (await site.get("image.bin", account=account)).code == read
    assert (await site.put("inbox/a.log", account=account)).code == write
    assert site.inbox() == ({"a.log": CONTENT} if write == 0 else {})
    if read == Exit.LOGIN_REFUSED:
        assert [(each.command, each.user, each.status) for each in site.server.record.arrivals] == [
            ("PASS", None, 530)
        ] * 2


async def test_nobody_gets_out_of_the_directory(site: Site, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("not for the net")
    for path in ("../secret.txt", "inbox/../../secret.txt"):
        done = await site.get(path, "--path-as-is", "--ftp-method", "nocwd")
        assert (done.code, done.content) == (Exit.NOT_FOUND, b"")


@pytest.mark.parametrize(
    ("struck", "code", "status"),
    [
        (fault.RefuseLogin(), Exit.LOGIN_REFUSED, None),
        (fault.MissingDirectory(), Exit.ACCESS_DENIED, None),
        (fault.NoPermission(), Exit.UPLOAD_FAILED, 550),
        (fault.NoPermission(ftp_reply=553), Exit.UPLOAD_FAILED, 553),
        (fault.DiskFull(), Exit.UPLOAD_FAILED, 552),
        (fault.DiskFull(bytes=100_000), Exit.STORAGE_EXCEEDED, 552),
        (fault.Malformed(), Exit.RECEIVE_FAILED, None),
    ],
)
async def test_a_fault_refuses_one_upload(site: Site, struck: fault.Fault, code: int, status: int | None) -> None:
    site.server.add_fault(struck)
    assert (await site.put("inbox/a.log")).code == code
    assert [each.status for each in site.server.record.of("STOR")] == ([status] if status else [])
    stored = {name: len(content) for name, content in site.inbox().items()}
    assert stored == ({"a.log": 100_000} if struck == fault.DiskFull(bytes=100_000) else {})
    assert (await site.put("inbox/a.log")).code == 0
    assert site.inbox() == {"a.log": CONTENT}


async def test_the_file_may_be_another_one_than_before(site: Site) -> None:
    site.server.add_fault(fault.Changed(content=b"another"))
    assert (await site.get("image.bin")).content == b"another"


async def test_a_server_may_be_unable_to_begin_in_the_middle(site: Site, tmp_path: Path) -> None:
    site.server.add_fault(fault.NoResume())
    (site.server.directory / "inbox" / "a.log").write_bytes(CONTENT[:2_000])
    assert (await site.put("inbox/a.log", "--continue-at", "-")).code == Exit.UPLOAD_FAILED
    assert (await site.server.arrived("APPE")).status == 502


async def test_the_length_may_be_wrong(site: Site) -> None:
    site.server.add_fault(fault.WrongLength(by=10))
    done = await site.get("image.bin")
    assert (done.code, done.content) == (Exit.PARTIAL_FILE, CONTENT)


async def leave(client: asyncio.Task[Done]) -> None:
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client


@pytest.mark.parametrize("command", ["RETR", "STOR"])
async def test_a_stalled_transfer_ends_when_the_client_leaves(site: Site, command: str) -> None:
    site.server.add_fault(fault.StallAfter(bytes=100_000))
    client = asyncio.create_task(site.get("image.bin") if command == "RETR" else site.put("inbox/a.log"))
    stalled = await site.server.arrived(command, fits=lambda arrival: arrival.bytes == 100_000)
    assert not stalled.over
    await leave(client)
    ended = await site.server.arrived(command)
    assert ended.bytes == 100_000
    assert ended.status in (None, 426)  # which of the two connections is missed first is chance


@pytest.mark.parametrize("command", ["RETR", "STOR"])
async def test_a_slow_server_lets_the_middle_of_a_transfer_be_seen(site: Site, command: str) -> None:
    site.server.add_fault(fault.Slow(bytes_per_second=1_000))
    client = asyncio.create_task(site.get("image.bin") if command == "RETR" else site.put("inbox/a.log"))
    seen = await site.server.arrived(command, fits=lambda arrival: 0 < arrival.bytes < len(CONTENT))
    assert not seen.over
    await leave(client)


async def test_a_stop_ends_a_stalled_transfer(tmp_path: Path) -> None:
    pki = Pki.create()
    async with FtpsServer(tmp_path / "files", pki) as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        server.add_fault(fault.StallAfter(bytes=1))
        client = asyncio.create_task(curl("--insecure", server.url("image.bin")))
        await server.arrived("RETR", fits=lambda arrival: arrival.bytes == 1)
    assert (await client).code in CUT
    assert (await server.arrived("RETR")).over


@pytest.mark.parametrize("kind", [FtpesServer, FtpsServer])
async def test_another_certificate_is_shown_as_often_as_told(tmp_path: Path, kind: type[FtpesServer]) -> None:
    pki = Pki.create()
    root = tmp_path / "root.pem"
    root.write_bytes(pki.root_pem)
    bad = bad_server_certificates(pki)
    async with kind(tmp_path / "files", pki) as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        fetch = ("--ssl-reqd", "--cacert", root, server.url("image.bin").replace("ftpes:", "ftp:"))
        server.add_fault(fault.ShowCertificate(certificate=bad["unknown root"]))
        assert (await curl(*fetch)).code == Exit.NOT_TRUSTED
        assert server.record.arrivals == []
        assert (await curl(*fetch)).content == CONTENT
        server.present(bad["expired"])
        refused = await curl(*fetch)
        assert (refused.code, "expired" in refused.words) == (Exit.NOT_TRUSTED, True)
        server.present(pki.server_certificate(issuer=pki.intermediate()))
        assert (await curl(*fetch)).content == CONTENT


async def test_explicit_ftps_takes_no_password_in_clear(tmp_path: Path) -> None:
    async with FtpesServer(tmp_path / "files", Pki.create()) as server:
        done = await curl(server.url("image.bin", account=WRITER).replace("ftpes:", "ftp:"))
        assert done.code == Exit.LOGIN_REFUSED
        assert server.record.arrivals == []


async def test_ftp_offers_no_tls(tmp_path: Path) -> None:
    async with FtpServer(tmp_path / "files") as server:
        assert (await curl("--ssl-reqd", server.url("image.bin"))).code == Exit.TLS_REFUSED
        with pytest.raises(ValueError, match="ftp does not know ShowCertificate"):
            server.add_fault(fault.ShowCertificate(certificate=Pki.create().server_certificate()))


async def test_a_session_leaves_the_directory_of_the_program_alone(site: Site) -> None:
    before = Path.cwd()
    (site.server.directory / "inbox" / "deep" / "deeper").mkdir(parents=True)
    assert (await site.put("inbox/deep/deeper/a.log")).code == 0
    assert (await site.put("inbox/no/a.log")).code == Exit.ACCESS_DENIED
    assert (site.server.directory / "inbox" / "deep" / "deeper" / "a.log").read_bytes() == CONTENT
    assert Path.cwd() == before


async def test_directories_are_made_on_request(site: Site) -> None:
    assert (await site.put("inbox/new/a.log", "--ftp-create-dirs")).code == 0
    assert (site.server.directory / "inbox" / "new" / "a.log").read_bytes() == CONTENT
