"""Transfers by HTTP and HTTPS against the simulated file servers; both ends are asserted."""

import asyncio
import hashlib
import stat
import time
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.faults import bad_server_certificates
from chargepoint.simulation.file_account import NOBODY, READER, WRITER
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.http_server import HttpServer, HttpsServer
from chargepoint.simulation.pki import Pki
from chargepoint.transfer import Progress, TransferFault, Transfers
from tests.transfers.conftest import Make
from tests.transfers.stage import CONTENT, begun, cancel, failure_to_fetch, failure_to_send, fetch, ignore, inbox, send

DIGEST = hashlib.sha256(CONTENT).digest()
RATE_KIB_S = 1_000


each_scheme = pytest.mark.parametrize("server", ["http", "https"], indirect=True)


@each_scheme
async def test_a_file_is_sent_into_a_directory(transfers: Transfers, server: FileServer, source: Path) -> None:
    await send(transfers, source, server.url("inbox/", account=WRITER))
    assert inbox(server) == {"security.log": CONTENT}
    arrival = await server.arrived("PUT")
    assert (arrival.path, arrival.user, arrival.bytes) == ("/inbox/security.log", WRITER.user, len(CONTENT))


@each_scheme
async def test_a_file_is_sent_under_the_name_of_the_location(
    transfers: Transfers, server: FileServer, source: Path
) -> None:
    await send(transfers, source, server.url("inbox/as told.txt", account=WRITER))
    assert inbox(server) == {"as told.txt": CONTENT}


@each_scheme
async def test_by_setting_every_location_is_a_directory(make: Make, server: FileServer, source: Path) -> None:
    await send(make(append_file_name="always"), source, server.url("inbox", account=WRITER))
    assert inbox(server) == {"security.log": CONTENT}


@each_scheme
async def test_by_setting_a_form_is_sent(make: Make, server: FileServer, source: Path) -> None:
    await send(make(http_upload="post"), source, server.url("inbox/", account=WRITER))
    assert inbox(server) == {"security.log": CONTENT}
    assert (await server.arrived("POST")).path == "/inbox/security.log"  # the name stood in the form


@each_scheme
async def test_an_empty_file_is_sent(transfers: Transfers, server: FileServer, source: Path) -> None:
    source.write_bytes(b"")
    await send(transfers, source, server.url("inbox/", account=WRITER))
    assert inbox(server) == {"security.log": b""}


@each_scheme
async def test_a_file_is_fetched_and_hashed(transfers: Transfers, server: FileServer, target: Path) -> None:
    fetched = await fetch(transfers, server.url("image.bin", account=READER), target)
    assert (fetched.size_bytes, fetched.sha256) == (len(CONTENT), DIGEST)
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in target.parent.glob("image*")] == ["image"]


@each_scheme
async def test_an_empty_file_is_fetched(transfers: Transfers, server: FileServer, target: Path) -> None:
    (server.directory / "image.bin").write_bytes(b"")
    fetched = await fetch(transfers, server.url("image.bin"), target)
    assert (fetched.size_bytes, fetched.sha256) == (0, hashlib.sha256().digest())
    assert target.read_bytes() == b""


@each_scheme
async def test_a_file_of_unknown_length_is_fetched(transfers: Transfers, server: FileServer, target: Path) -> None:
    server.add_fault(fault.Chunked())
    assert (await fetch(transfers, server.url("image.bin"), target)).sha256 == DIGEST


@each_scheme
@pytest.mark.parametrize(
    ("struck_by", "expected"),
    [
        (fault.RefuseLogin(), TransferFault.LOGIN_REFUSED),
        (fault.NoPermission(), TransferFault.PERMISSION_DENIED),
        (fault.MissingDirectory(), TransferFault.NOT_FOUND),
        (fault.HttpError(status=405), TransferFault.NOT_SUPPORTED),
        (fault.HttpError(status=501), TransferFault.NOT_SUPPORTED),
        (fault.HttpError(status=413), TransferFault.TOO_LARGE),
        (fault.HttpError(status=503, retry_after=1), TransferFault.FAILED),
        (fault.DiskFull(bytes=100_000), TransferFault.REMOTE_FULL),
        (fault.Malformed(), TransferFault.BAD_ANSWER),
        (fault.CutAfter(bytes=100_000), TransferFault.INTERRUPTED),
        (fault.CutAfter(bytes=100_000, reset=True), TransferFault.INTERRUPTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, fault.Fault) else value.name,
)
async def test_an_upload_that_fails_says_why_and_the_next_one_succeeds(
    transfers: Transfers, server: FileServer, source: Path, struck_by: fault.Fault, expected: TransferFault
) -> None:
    server.add_fault(struck_by)
    failed = await failure_to_send(transfers, source, server.url("inbox/", account=WRITER))
    assert failed.fault is expected, failed
    assert inbox(server) == {}
    await send(transfers, source, server.url("inbox/", account=WRITER), resume=True)
    assert inbox(server) == {"security.log": CONTENT}


@each_scheme
@pytest.mark.parametrize(
    ("struck_by", "expected"),
    [
        (fault.RefuseLogin(), TransferFault.LOGIN_REFUSED),
        (fault.NoPermission(), TransferFault.PERMISSION_DENIED),
        (fault.MissingDirectory(), TransferFault.NOT_FOUND),
        (fault.HttpError(status=500), TransferFault.FAILED),
        (fault.Malformed(), TransferFault.BAD_ANSWER),
        (fault.CutAfter(bytes=100_000), TransferFault.INTERRUPTED),
        (fault.CutAfter(bytes=100_000, reset=True), TransferFault.INTERRUPTED),
        (fault.WrongLength(by=1000), TransferFault.INTERRUPTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, fault.Fault) else value.name,
)
async def test_a_download_that_fails_says_why_and_the_next_one_succeeds(
    transfers: Transfers, server: FileServer, target: Path, struck_by: fault.Fault, expected: TransferFault
) -> None:
    server.add_fault(struck_by)
    failed = await failure_to_fetch(transfers, server.url("image.bin", account=READER), target)
    assert failed.fault is expected, failed
    fetched = await fetch(transfers, server.url("image.bin", account=READER), target)
    assert (fetched.size_bytes, fetched.sha256) == (len(CONTENT), DIGEST)


@each_scheme
async def test_a_wrong_password_is_refused(transfers: Transfers, server: FileServer, source: Path) -> None:
    location = server.url("inbox/", account=WRITER).replace("writer", "stranger")
    assert (await failure_to_send(transfers, source, location)).fault is TransferFault.LOGIN_REFUSED


@each_scheme
async def test_an_account_without_rights_is_refused(
    transfers: Transfers, server: FileServer, source: Path, target: Path
) -> None:
    sent = await failure_to_send(transfers, source, server.url("inbox/", account=READER))
    fetched = await failure_to_fetch(transfers, server.url("image.bin", account=NOBODY), target)
    assert (sent.fault, fetched.fault) == (TransferFault.PERMISSION_DENIED, TransferFault.PERMISSION_DENIED)


@each_scheme
async def test_what_was_cut_is_continued(transfers: Transfers, server: FileServer, target: Path) -> None:
    server.add_fault(fault.CutAfter(bytes=1_000_000, times=3))
    for _ in range(2):
        assert (await failure_to_fetch(transfers, server.url("image.bin"), target)).worth_retrying
    had = target.stat().st_size
    server.faults.clear()
    assert (await fetch(transfers, server.url("image.bin"), target)).sha256 == DIGEST
    last = server.record.of("GET")[-1]
    assert (last.offset, last.status) == (had, 206)
    assert had == 2_000_000


@each_scheme
async def test_a_file_that_has_changed_meanwhile_is_fetched_anew(
    transfers: Transfers, server: FileServer, target: Path
) -> None:
    other = bytes(reversed(CONTENT))
    server.add_fault(fault.CutAfter(bytes=1_000_000))
    await failure_to_fetch(transfers, server.url("image.bin"), target)
    server.add_fault(fault.Changed(content=other))
    fetched = await fetch(transfers, server.url("image.bin"), target)
    assert fetched.sha256 == hashlib.sha256(other).digest()
    assert target.read_bytes() == other


@each_scheme
async def test_a_server_that_cannot_continue_sends_all_anew(
    transfers: Transfers, server: FileServer, target: Path
) -> None:
    server.add_fault(fault.CutAfter(bytes=1_000_000))
    await failure_to_fetch(transfers, server.url("image.bin"), target)
    server.add_fault(fault.NoResume())
    assert (await fetch(transfers, server.url("image.bin"), target)).sha256 == DIGEST
    assert target.read_bytes() == CONTENT


@each_scheme
async def test_another_location_does_not_continue_what_one_has_begun(
    transfers: Transfers, server: FileServer, target: Path
) -> None:
    (server.directory / "other.bin").write_bytes(CONTENT)
    server.add_fault(fault.CutAfter(bytes=1_000_000))
    await failure_to_fetch(transfers, server.url("image.bin"), target)
    await fetch(transfers, server.url("other.bin"), target)
    assert server.record.of("GET")[-1].offset == 0


@each_scheme
async def test_a_file_that_is_too_large_is_given_up_and_nothing_is_left(
    transfers: Transfers, server: FileServer, target: Path
) -> None:
    announced = await failure_to_fetch(transfers, server.url("image.bin"), target, max_bytes=len(CONTENT) - 1)
    server.add_fault(fault.Chunked())
    unannounced = await failure_to_fetch(transfers, server.url("image.bin"), target, max_bytes=len(CONTENT) - 1)
    assert (announced.fault, unannounced.fault) == (TransferFault.TOO_LARGE, TransferFault.TOO_LARGE)
    assert list(target.parent.glob("image*")) == []
    assert (await fetch(transfers, server.url("image.bin"), target, max_bytes=len(CONTENT))).sha256 == DIGEST


@each_scheme
async def test_a_file_for_which_there_is_no_room_is_not_begun(make: Make, server: FileServer, target: Path) -> None:
    failed = await failure_to_fetch(make(reserve_bytes=1 << 60), server.url("image.bin"), target)
    assert failed.fault is TransferFault.LOCAL_DISK
    assert target.stat().st_size == 0


async def test_a_stall_is_noticed(make: Make, http: HttpServer, https: HttpsServer, source: Path, target: Path) -> None:
    transfers = make(stall_timeout=timedelta(seconds=2))
    http.add_fault(fault.StallAfter(bytes=100_000))
    https.add_fault(fault.StallAfter(bytes=100_000))
    fetched, sent = await asyncio.gather(  # libcurl averages over 6 s before it counts
        failure_to_fetch(transfers, http.url("image.bin"), target),
        failure_to_send(transfers, source, https.url("inbox/", account=WRITER)),
    )
    assert (fetched.fault, sent.fault) == (TransferFault.STALLED, TransferFault.STALLED)


@each_scheme
async def test_cancelling_stops_a_download_and_leaves_what_has_come(
    transfers: Transfers, server: FileServer, target: Path
) -> None:
    server.add_fault(fault.StallAfter(bytes=1_000_000))
    await cancel(await begun(transfers, server.url("image.bin"), target))
    assert target.stat().st_size > 0
    assert (await fetch(transfers, server.url("image.bin"), target)).sha256 == DIGEST
    assert server.record.of("GET")[-1].offset > 0


@each_scheme
async def test_cancelling_stops_an_upload(transfers: Transfers, server: FileServer, source: Path) -> None:
    server.add_fault(fault.StallAfter(bytes=100_000))
    location = server.url("inbox/", account=WRITER)
    task = asyncio.create_task(
        transfers.upload(source, location, file_name="security.log", resume=False, progress=ignore)
    )
    await server.arrived("PUT", fits=lambda arrival: arrival.bytes >= 100_000)
    await cancel(task)
    assert "security.log" not in inbox(server)


@pytest.mark.parametrize("way", ["upload", "download"])
async def test_by_setting_the_link_is_shared(
    make: Make, http: HttpServer, source: Path, target: Path, way: str
) -> None:
    limited = make(**{f"max_{way}_kib_s": RATE_KIB_S})
    began = time.monotonic()
    if way == "upload":
        await send(limited, source, http.url("inbox/", account=WRITER))
        assert inbox(http) == {"security.log": CONTENT}
    else:
        await fetch(limited, http.url("image.bin", account=READER), target)
        assert target.read_bytes() == CONTENT
    # However busy the machine is, it cannot be sooner; the half is what libcurl lets through at once.
    assert time.monotonic() - began > len(CONTENT) / 1024 / RATE_KIB_S / 2


@each_scheme
async def test_the_progress_ends_at_the_whole(transfers: Transfers, server: FileServer, target: Path) -> None:
    seen: list[Progress] = []
    await transfers.download(server.url("image.bin"), target, max_bytes=1 << 30, progress=seen.append)
    assert (seen[-1].done_bytes, seen[-1].total_bytes) == (len(CONTENT), len(CONTENT))


@each_scheme
async def test_a_redirect_is_followed(transfers: Transfers, server: FileServer, source: Path, target: Path) -> None:
    server.add_fault(fault.Moved(to="/image.bin"))
    assert (await fetch(transfers, server.url("old.bin"), target)).sha256 == DIGEST
    server.add_fault(fault.Moved(to="/inbox/moved.log", status=307))
    await send(transfers, source, server.url("inbox/", account=WRITER))
    assert inbox(server) == {"moved.log": CONTENT}


@each_scheme
async def test_redirects_are_bounded(make: Make, server: FileServer, target: Path) -> None:
    server.add_fault(fault.Moved(to="/image.bin", times=None))
    failed = await failure_to_fetch(make(max_redirects=3), server.url("image.bin"), target)
    assert failed.fault is TransferFault.BAD_ANSWER
    assert len(server.record.of("GET")) == 4


@each_scheme
@pytest.mark.parametrize("to", ["file:///etc/passwd", "gopher://localhost/", "ftp://localhost/x", "http://["])
async def test_a_redirect_to_another_protocol_is_refused(
    transfers: Transfers, server: FileServer, target: Path, to: str
) -> None:
    server.add_fault(fault.Moved(to=to))
    failed = await failure_to_fetch(transfers, server.url("image.bin"), target)
    assert failed.fault is TransferFault.BAD_ANSWER
    assert not target.exists()


@each_scheme
@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_form_is_not_sent_anew_after_a_redirect_that_does_not_say_so(
    make: Make, server: FileServer, source: Path, status: int
) -> None:
    server.add_fault(fault.Moved(to="/inbox/", status=status))
    failed = await failure_to_send(make(http_upload="post"), source, server.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.BAD_ANSWER


async def test_a_redirect_from_tls_to_none_is_refused(
    transfers: Transfers, http: HttpServer, https: HttpsServer, source: Path, target: Path
) -> None:
    https.add_fault(fault.Moved(to=http.url("image.bin"), times=2, status=307))
    fetched = await failure_to_fetch(transfers, https.url("image.bin"), target)
    sent = await failure_to_send(transfers, source, https.url("inbox/", account=WRITER))
    assert (fetched.fault, sent.fault) == (TransferFault.BAD_ANSWER, TransferFault.BAD_ANSWER)
    assert http.record.arrivals == []


async def test_credentials_do_not_follow_to_another_server(
    transfers: Transfers, http: HttpServer, https: HttpsServer, target: Path
) -> None:
    http.add_fault(fault.Moved(to=https.url("image.bin")))
    await fetch(transfers, http.url("image.bin", account=READER), target)
    assert (await http.arrived("GET")).user == READER.user
    arrival = await https.arrived("GET")
    assert arrival.user == "anonymous"
    assert arrival.header("authorization") is None


@pytest.mark.parametrize("kind", ["unknown root", "expired", "self-signed", "wrong name"])
async def test_a_server_that_is_not_trusted_sees_nothing(
    transfers: Transfers, https: HttpsServer, pki: Pki, source: Path, kind: str
) -> None:
    certificate = bad_server_certificates(pki)[kind]
    https.add_fault(fault.ShowCertificate(certificate=certificate))
    failed = await failure_to_send(transfers, source, https.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.NOT_TRUSTED
    assert https.record.arrivals == []
