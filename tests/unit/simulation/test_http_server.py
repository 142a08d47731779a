"""The file server for http and https, visited by `curl`; both ends are asserted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.faults import bad_server_certificates
from chargepoint.simulation.file_account import NOBODY, READER, WRITER, Account
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.http_server import HttpServer, HttpsServer
from chargepoint.simulation.pki import Pki
from tests.curl import Done, Exit, curl, needs_curl

CONTENT = bytes(range(256)) * 2_000  # above what the buffers of a connection hold

pytestmark = needs_curl


@pytest.fixture
def pki() -> Pki:
    return Pki.create()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HttpServer]:
    async with HttpServer(tmp_path / "files") as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        yield server


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    file = tmp_path / "security.log"
    file.write_bytes(CONTENT)
    return file


def inbox(server: FileServer) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (server.directory / "inbox").iterdir()}


async def status(*arguments: str | Path) -> int:
    """The HTTP status of the answer."""
    done = await curl("--output", "/dev/null", "--write-out", "%{http_code}", *arguments)
    assert done.code == 0, done.words
    return int(done.content)


async def test_a_file_is_fetched_and_recorded(server: HttpServer) -> None:
    done = await curl(server.url("image.bin"))
    assert (done.code, done.content) == (0, CONTENT)
    arrival = await server.arrived("GET")
    assert (arrival.path, arrival.user, arrival.status) == ("/image.bin", "anonymous", 200)
    assert (arrival.offset, arrival.bytes, arrival.fault) == (0, len(CONTENT), None)
    assert str(arrival.header("user-agent")).startswith("curl/")
    assert arrival.header("authorization") is None


async def test_https_shows_a_certificate_of_the_pki(tmp_path: Path, pki: Pki, upload: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(pki.root_pem)
    async with HttpsServer(tmp_path / "files", pki) as server:
        sent = await curl("--cacert", root, "--upload-file", upload, server.url("inbox/a.log", account=WRITER))
        fetched = await curl("--cacert", root, server.url("inbox/a.log"))
        assert (await curl(server.url("inbox/a.log"))).code == Exit.NOT_TRUSTED
    assert (sent.code, fetched.code, fetched.content) == (0, 0, CONTENT)
    assert [arrival.command for arrival in server.record.arrivals] == ["PUT", "GET"]


async def test_another_certificate_is_shown_as_often_as_told(tmp_path: Path, pki: Pki) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(pki.root_pem)
    async with HttpsServer(tmp_path / "files", pki) as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        server.add_fault(fault.ShowCertificate(certificate=bad_server_certificates(pki)["unknown root"]))
        assert (await curl("--cacert", root, server.url("image.bin"))).code == Exit.NOT_TRUSTED
        assert server.record.arrivals == []
        assert (await curl("--cacert", root, server.url("image.bin"))).content == CONTENT
        server.present(bad_server_certificates(pki)["expired"])
        refused = await curl("--cacert", root, server.url("image.bin"))
    assert (refused.code, "expired" in refused.words) == (Exit.NOT_TRUSTED, True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("image.bin", 200),
        ("no.bin", 404),
        ("inbox", 404),
        ("inbox/../image.bin", 404),
        ("%2e%2e/secret.txt", 404),
        ("..%2fsecret.txt", 404),
        ("%00", 404),
    ],
)
async def test_nothing_is_served_but_the_files_of_the_directory(
    server: HttpServer, tmp_path: Path, path: str, expected: int
) -> None:
    (tmp_path / "secret.txt").write_text("not for the net")
    assert await status("--path-as-is", f"http://localhost:{server.port}/{path}") == expected
    assert (await server.arrived()).status == expected


@pytest.mark.parametrize(
    ("account", "read", "write"),
    [
        (None, 200, 401),
        (WRITER, 200, 201),
        (READER, 200, 403),
        (NOBODY, 403, 403),
        (Account(WRITER.user, "guessed"), 401, 401),
        (Account("stranger", WRITER.password), 401, 401),
    ],
)
async def test_an_account_opens_what_it_may(
    server: HttpServer, upload: Path, account: Account | None, read: int, write: int
) -> None:
    assert await status(server.url("image.bin", account=account)) == read
    assert await status("--upload-file", upload, server.url("inbox/a.log", account=account)) == write
    assert inbox(server) == ({"a.log": CONTENT} if write == 201 else {})
    user = account.user if account and 401 not in (read, write) else None
    assert (await server.arrived("PUT")).user == ("anonymous" if account is None else user)


async def test_a_header_that_is_no_basic_header_opens_nothing(server: HttpServer) -> None:
    for value in ("Basic !", "Basic /w==", "Bearer abc", "Basic"):
        assert await status("--header", f"Authorization: {value}", server.url("image.bin")) == 401


async def test_a_file_is_put_once_and_replaced(server: HttpServer, upload: Path) -> None:
    url = server.url("inbox/a b%.log", account=WRITER)
    assert await status("--upload-file", upload, url) == 201
    upload.write_bytes(b"new")
    assert await status("--upload-file", upload, url) == 204
    assert inbox(server) == {"a b%.log": b"new"}
    assert [(each.path, each.bytes) for each in server.record.of("PUT")] == [
        ("/inbox/a b%.log", len(CONTENT)),
        ("/inbox/a b%.log", 3),
    ]


async def test_a_body_may_come_in_chunks(server: HttpServer, upload: Path) -> None:
    url = server.url("inbox/a.log", account=WRITER)
    assert await status("--header", "Transfer-Encoding: chunked", "--upload-file", upload, url) == 201
    assert inbox(server) == {"a.log": CONTENT}


async def test_a_form_is_stored_under_the_names_of_its_files(server: HttpServer, upload: Path) -> None:
    url = server.url("inbox/", account=WRITER)
    assert await status("--form", "note=text", "--form", f"file=@{upload}", url) == 201
    assert inbox(server) == {"security.log": CONTENT}
    arrival = await server.arrived("POST")
    assert (arrival.path, arrival.bytes) == ("/inbox/security.log", len(CONTENT))


async def test_what_cannot_be_stored_is_refused(server: HttpServer, upload: Path) -> None:
    def url(path: str) -> str:
        return server.url(path, account=WRITER)

    put = ("--upload-file", upload)
    assert await status(*put, url("no/such/directory/a.log")) == 404
    assert await status(*put, url("inbox")) == 409
    assert await status("--request", "PUT", "--data-binary", f"@{upload}", url("inbox/")) == 409
    assert await status("--header", "Content-Range: bytes 0-9/20", *put, url("inbox/a.log")) == 400
    assert await status("--request", "PUT", "--header", "Content-Length:", url("inbox/a.log")) == 411
    assert await status("--data", "no form", url("inbox/")) == 415
    assert await status("--form", f"file=@{upload};filename=../a.log", url("inbox/")) == 400
    assert await status("--form", "note=no file", url("inbox/")) == 400
    assert await status("--request", "DELETE", url("image.bin")) == 501
    assert inbox(server) == {}
    assert not (server.directory / "a.log").exists()


async def test_a_head_says_what_a_file_is_and_sends_nothing(server: HttpServer) -> None:
    done = await curl("--head", server.url("image.bin"))
    headers = done.content.decode().lower()
    assert f"content-length: {len(CONTENT)}\r\n" in headers
    assert "accept-ranges: bytes\r\n" in headers
    assert (await server.arrived("HEAD")).bytes == 0


async def test_a_download_continues(server: HttpServer, tmp_path: Path) -> None:
    target = tmp_path / "image.bin"
    target.write_bytes(CONTENT[:1_000])
    assert (await curl("--continue-at", "-", "--output", target, server.url("image.bin"))).code == 0
    assert target.read_bytes() == CONTENT
    arrival = await server.arrived("GET")
    assert (arrival.status, arrival.offset, arrival.bytes) == (206, 1_000, len(CONTENT) - 1_000)


async def test_a_range_behind_the_end_is_refused(server: HttpServer) -> None:
    assert await status("--range", f"{len(CONTENT)}-", server.url("image.bin")) == 416


async def test_if_range_sends_the_whole_of_a_file_that_has_changed(server: HttpServer, tmp_path: Path) -> None:
    tag = tmp_path / "tag"
    await curl("--output", "/dev/null", "--etag-save", tag, server.url("image.bin"))
    resume = ("--range", "100-", "--header", f"If-Range: {tag.read_text().strip()}", server.url("image.bin"))
    assert (await curl(*resume)).content == CONTENT[100:]
    server.add_fault(fault.Changed(content=b"another"))
    assert (await curl(*resume)).content == b"another"
    assert [each.status for each in server.record.of("GET")] == [200, 206, 200]


@pytest.mark.parametrize("reset", [False, True])
async def test_a_download_is_cut_as_often_as_told(server: HttpServer, tmp_path: Path, reset: bool) -> None:
    server.add_fault(fault.CutAfter(bytes=100_000, times=2, reset=reset))
    target = tmp_path / "image.bin"
    resume = ("--continue-at", "-", "--output", target, server.url("image.bin"))
    for _ in range(2):
        assert (await curl(*resume)).code in (Exit.PARTIAL_FILE, Exit.RECEIVE_FAILED)
    assert (await curl(*resume)).code == 0
    assert target.read_bytes() == CONTENT
    assert [each.bytes for each in server.record.of("GET")][:2] == [100_000, 100_000]


async def test_an_upload_that_is_cut_leaves_nothing_behind(server: HttpServer, upload: Path) -> None:
    server.add_fault(fault.CutAfter(bytes=100_000))
    url = server.url("inbox/a.log", account=WRITER)
    assert (await curl("--upload-file", upload, url)).code in (Exit.EMPTY_ANSWER, Exit.SEND_FAILED, Exit.RECEIVE_FAILED)
    arrival = await server.arrived("PUT")
    assert (arrival.bytes, arrival.status, inbox(server)) == (100_000, None, {})
    assert (await curl("--upload-file", upload, url)).code == 0
    assert inbox(server) == {"a.log": CONTENT}


async def test_an_upload_may_lose_only_its_answer(server: HttpServer, upload: Path) -> None:
    server.add_fault(fault.CutAfter(bytes=len(CONTENT)))
    done = await curl("--upload-file", upload, server.url("inbox/a.log", account=WRITER))
    assert done.code in (Exit.EMPTY_ANSWER, Exit.RECEIVE_FAILED)
    assert (await server.arrived("PUT")).bytes == len(CONTENT)


async def leave(client: asyncio.Task[Done]) -> None:
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client


async def test_a_stalled_download_stays_open_until_the_client_leaves(server: HttpServer) -> None:
    server.add_fault(fault.StallAfter(bytes=100_000))
    client = asyncio.create_task(curl(server.url("image.bin")))
    stalled = await server.arrived("GET", fits=lambda arrival: arrival.bytes == 100_000)
    assert not stalled.over
    await leave(client)
    assert (await server.arrived("GET")).bytes == 100_000


async def test_a_stalled_upload_takes_no_more(server: HttpServer, upload: Path) -> None:
    server.add_fault(fault.StallAfter(bytes=100_000))
    client = asyncio.create_task(curl("--upload-file", upload, server.url("inbox/a.log", account=WRITER)))
    stalled = await server.arrived("PUT", fits=lambda arrival: arrival.bytes == 100_000)
    await leave(client)
    assert (stalled.over, stalled.status) == (False, None)


async def test_a_stop_ends_a_stalled_transfer(tmp_path: Path) -> None:
    async with HttpServer(tmp_path / "files") as server:
        (server.directory / "image.bin").write_bytes(CONTENT)
        server.add_fault(fault.StallAfter(bytes=1))
        client = asyncio.create_task(curl(server.url("image.bin")))
        await server.arrived("GET", fits=lambda arrival: arrival.bytes == 1)
    assert (await client).code in (Exit.PARTIAL_FILE, Exit.RECEIVE_FAILED)
    assert (await server.arrived("GET")).over


@pytest.mark.parametrize(
    ("struck", "expected"),
    [
        (fault.RefuseLogin(), 401),
        (fault.NoPermission(), 403),
        (fault.MissingDirectory(), 404),
        (fault.DiskFull(), 507),
        (fault.DiskFull(bytes=100_000), 507),
        (fault.HttpError(status=503, retry_after=7), 503),
        (fault.HttpError(status=500), 500),
    ],
)
async def test_a_fault_refuses_one_upload(server: HttpServer, upload: Path, struck: fault.Fault, expected: int) -> None:
    server.add_fault(struck)
    put = ("--upload-file", upload, server.url("inbox/a.log", account=WRITER))
    assert await status(*put) == expected
    assert ((await server.arrived("PUT")).fault, inbox(server)) == (struck, {})
    assert await status(*put) == 201
    assert inbox(server) == {"a.log": CONTENT}


async def test_a_busy_server_may_say_when_to_come_again(server: HttpServer) -> None:
    server.add_fault(fault.HttpError(status=503, retry_after=7))
    assert "retry-after: 7\r\n" in (await curl("--head", server.url("image.bin"))).content.decode().lower()


async def test_a_file_that_has_moved_is_found(server: HttpServer, tmp_path: Path) -> None:
    async with HttpServer(tmp_path / "other") as other:
        (other.directory / "new.bin").write_bytes(CONTENT)
        server.add_fault(fault.Moved(to=other.url("new.bin"), status=301))
        assert (await curl("--location", server.url("image.bin", account=READER))).content == CONTENT
        assert (await other.arrived("GET")).header("Authorization") is None
    assert (await server.arrived("GET")).status == 301


async def test_a_loop_has_no_end(server: HttpServer) -> None:
    server.add_fault(fault.Moved(to="/image.bin", times=None))
    done = await curl("--location", "--max-redirs", "5", server.url("image.bin"))
    assert done.code == Exit.TOO_MANY_REDIRECTS
    assert len(server.record.of("GET")) == 6


@pytest.mark.parametrize(("by", "code"), [(10, Exit.PARTIAL_FILE), (-10, 0)])
async def test_the_length_may_be_wrong(server: HttpServer, by: int, code: int) -> None:
    server.add_fault(fault.WrongLength(by=by))
    done = await curl(server.url("image.bin"))
    assert (done.code, len(done.content)) == (code, min(len(CONTENT), len(CONTENT) + by))


async def test_a_file_may_come_in_chunks_and_without_ranges(server: HttpServer) -> None:
    server.add_fault(fault.Chunked())
    done = await curl("--include", server.url("image.bin"))
    head, _, body = done.content.partition(b"\r\n\r\n")
    assert b"content-length" not in head.lower()
    assert body == CONTENT
    server.add_fault(fault.NoResume())
    assert (await curl("--range", "5-", server.url("image.bin"))).content == CONTENT


async def test_an_answer_may_be_none(server: HttpServer) -> None:
    server.add_fault(fault.Malformed())
    assert (await curl(server.url("image.bin"))).code == Exit.UNSUPPORTED  # curl: "Received HTTP/0.9 when not allowed"


async def test_a_slow_server_lets_the_middle_of_a_transfer_be_seen(server: HttpServer) -> None:
    server.add_fault(fault.Slow(bytes_per_second=1_000))
    client = asyncio.create_task(curl(server.url("image.bin")))
    seen = await server.arrived("GET", fits=lambda arrival: 0 < arrival.bytes < len(CONTENT))
    assert not seen.over
    await leave(client)


async def test_one_connection_serves_many_requests(server: HttpServer) -> None:
    url = server.url("image.bin")
    done = await curl("--write-out", "%{num_connects}\n", "--output", "/dev/null", url, "--output", "/dev/null", url)
    assert done.content == b"1\n0\n"


async def test_a_standing_fault_comes_after_those_with_a_count(server: HttpServer) -> None:
    server.add_fault(fault.HttpError(status=500, times=None))
    server.add_fault(fault.HttpError(status=503))
    assert [await status(server.url("image.bin")) for _ in range(3)] == [503, 500, 500]
    server.faults.clear()
    assert await status(server.url("image.bin")) == 200


async def test_a_fault_of_another_protocol_is_refused(server: HttpServer) -> None:
    with pytest.raises(ValueError, match="http does not know OtherHostKey"):
        server.add_fault(fault.OtherHostKey())


async def test_waiting_for_what_does_not_come_ends(server: HttpServer) -> None:
    with pytest.raises(TimeoutError):
        await server.arrived("GET", timeout=timedelta(milliseconds=1))


async def test_a_server_comes_back_at_its_port(tmp_path: Path) -> None:
    server = HttpServer(tmp_path / "files")
    async with server:
        port = server.port
        (server.directory / "a").write_bytes(b"a")
    assert (await curl(server.url("a"))).code == Exit.UNREACHABLE
    async with server:
        assert server.port == port
        assert (await curl(server.url("a"))).content == b"a"
