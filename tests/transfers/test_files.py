"""Transfers by FTP, FTPS and SFTP against the simulated file servers; both ends are asserted."""

import asyncio
import hashlib
import stat
from pathlib import Path

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.faults import bad_server_certificates
from chargepoint.simulation.file_account import NOBODY, READER, WRITER
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.pki import Pki
from chargepoint.transfer import TransferFailed, TransferFault, Transfers
from tests.transfers.conftest import Make
from tests.transfers.stage import CONTENT, begun, cancel, failure_to_fetch, failure_to_send, fetch, ignore, inbox, send

DIGEST = hashlib.sha256(CONTENT).digest()
UPLOADS = ("STOR", "APPE", "write")
DOWNLOADS = ("RETR", "read")

each_scheme = pytest.mark.parametrize("server", ["ftp", "ftpes", "ftps", "sftp"], indirect=True)
by_tls = pytest.mark.parametrize("server", ["ftpes", "ftps"], indirect=True)


@each_scheme
async def test_a_file_is_sent_into_a_directory(transfers: Transfers, server: FileServer, source: Path) -> None:
    await send(transfers, source, server.url("inbox/", account=WRITER))
    assert inbox(server) == {"security.log": CONTENT}
    arrival = await server.arrived(*UPLOADS)
    assert (arrival.path, arrival.user, arrival.bytes) == ("/inbox/security.log", WRITER.user, len(CONTENT))


@each_scheme
async def test_a_file_is_sent_under_the_name_of_the_location(
    transfers: Transfers, server: FileServer, source: Path
) -> None:
    await send(transfers, source, server.url("inbox/as told?.txt", account=WRITER))
    assert inbox(server) == {"as told?.txt": CONTENT}


@each_scheme
async def test_an_empty_file_is_sent(transfers: Transfers, server: FileServer, source: Path) -> None:
    source.write_bytes(b"")
    await send(transfers, source, server.url("inbox/", account=WRITER), resume=True)
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
    fetched = await fetch(transfers, server.url("image.bin", account=READER), target)
    assert (fetched.size_bytes, fetched.sha256) == (0, hashlib.sha256().digest())


@each_scheme
@pytest.mark.parametrize(
    ("struck_by", "expected"),
    [
        (fault.RefuseLogin(), TransferFault.LOGIN_REFUSED),
        (fault.NoPermission(), TransferFault.PERMISSION_DENIED),
        (fault.MissingDirectory(), TransferFault.NOT_FOUND),
        (fault.DiskFull(bytes=100_000), TransferFault.REMOTE_FULL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, fault.Fault) else value.name,
)
async def test_an_upload_that_fails_says_why_and_the_next_one_succeeds(
    transfers: Transfers, server: FileServer, source: Path, struck_by: fault.Fault, expected: TransferFault
) -> None:
    server.add_fault(struck_by)
    failed = await failure_to_send(transfers, source, server.url("inbox/", account=WRITER))
    if server.scheme == "sftp" and isinstance(struck_by, fault.AfterBytes):
        expected = TransferFault.FAILED  # libcurl has one word for all that a transfer by SSH fails of
    assert failed.fault is expected, failed
    await send(transfers, source, server.url("inbox/", account=WRITER), resume=True)
    assert inbox(server) == {"security.log": CONTENT}


@each_scheme
@pytest.mark.parametrize("reset", [False, True])
async def test_an_upload_that_was_cut_is_continued(
    transfers: Transfers, server: FileServer, source: Path, *, reset: bool
) -> None:
    server.add_fault(fault.CutAfter(bytes=500_000, times=2, reset=reset))
    location = server.url("inbox/", account=WRITER)
    for _ in range(2):
        failed = await failure_to_send(transfers, source, location, resume=True)
        assert failed.fault is (TransferFault.FAILED if server.scheme == "sftp" else TransferFault.INTERRUPTED)
        assert failed.worth_retrying
    await send(transfers, source, location, resume=True)
    assert inbox(server) == {"security.log": CONTENT}
    assert [arrival.offset for arrival in server.record.of(*UPLOADS)] == [0, 500_000, 1_000_000]


@each_scheme
@pytest.mark.parametrize(
    ("struck_by", "took"),
    [(fault.RefuseLogin(), False), (fault.MissingDirectory(), False), (fault.CutAfter(bytes=1_000), True)],
    ids=["refused", "missing", "cut"],
)
async def test_whether_the_server_took_anything_is_told_before_the_upload_fails(
    transfers: Transfers, server: FileServer, source: Path, struck_by: fault.Fault, *, took: bool
) -> None:
    seen: list[int] = []
    server.add_fault(struck_by)
    with pytest.raises(TransferFailed):
        await transfers.upload(
            source,
            server.url("inbox/", account=WRITER),
            file_name="security.log",
            resume=False,
            progress=lambda progress: seen.append(progress.done_bytes),
        )
    assert any(seen) is took


@each_scheme
async def test_without_leave_to_continue_an_upload_begins_anew(
    transfers: Transfers, server: FileServer, source: Path
) -> None:
    (server.directory / "inbox" / "security.log").write_bytes(b"of another day")
    await send(transfers, source, server.url("inbox/", account=WRITER), resume=False)
    assert inbox(server) == {"security.log": CONTENT}


@each_scheme
async def test_a_longer_file_there_is_written_anew(transfers: Transfers, server: FileServer, source: Path) -> None:
    (server.directory / "inbox" / "security.log").write_bytes(CONTENT + b"of another day")
    await send(transfers, source, server.url("inbox/", account=WRITER), resume=True)
    assert inbox(server) == {"security.log": CONTENT}


@each_scheme
async def test_a_file_that_is_there_already_is_sent_no_more(
    transfers: Transfers, server: FileServer, source: Path
) -> None:
    (server.directory / "inbox" / "security.log").write_bytes(CONTENT)
    await send(transfers, source, server.url("inbox/", account=WRITER), resume=True)
    assert inbox(server) == {"security.log": CONTENT}
    assert sum(arrival.bytes for arrival in server.record.of(*UPLOADS)) == 0


@each_scheme
@pytest.mark.parametrize(
    ("struck_by", "expected"),
    [
        (fault.RefuseLogin(), TransferFault.LOGIN_REFUSED),
        (fault.NoPermission(), TransferFault.PERMISSION_DENIED),
        (fault.MissingDirectory(), TransferFault.NOT_FOUND),
        (fault.CutAfter(bytes=100_000), TransferFault.INTERRUPTED),
        (fault.CutAfter(bytes=100_000, reset=True), TransferFault.INTERRUPTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, fault.Fault) else value.name,
)
async def test_a_download_that_fails_says_why_and_the_next_one_succeeds(
    transfers: Transfers, server: FileServer, target: Path, struck_by: fault.Fault, expected: TransferFault
) -> None:
    server.add_fault(struck_by)
    failed = await failure_to_fetch(transfers, server.url("image.bin", account=READER), target)
    if server.scheme == "sftp" and isinstance(struck_by, fault.AfterBytes):
        expected = TransferFault.FAILED  # libcurl has one word for all that a transfer by SSH fails of
    assert failed.fault is expected, failed
    fetched = await fetch(transfers, server.url("image.bin", account=READER), target)
    assert (fetched.size_bytes, fetched.sha256) == (len(CONTENT), DIGEST)


@each_scheme
async def test_a_wrong_password_is_refused(transfers: Transfers, server: FileServer, source: Path) -> None:
    location = server.url("inbox/", account=WRITER).replace("writer", "stranger")
    failed = await failure_to_send(transfers, source, location)
    assert failed.fault is TransferFault.LOGIN_REFUSED
    assert "stranger" not in str(failed)


@each_scheme
async def test_an_account_without_rights_is_refused(
    transfers: Transfers, server: FileServer, source: Path, target: Path
) -> None:
    sent = await failure_to_send(transfers, source, server.url("inbox/", account=READER))
    fetched = await failure_to_fetch(transfers, server.url("image.bin", account=NOBODY), target)
    assert (sent.fault, fetched.fault) == (TransferFault.PERMISSION_DENIED, TransferFault.PERMISSION_DENIED)


@each_scheme
async def test_a_missing_directory_is_told_from_a_forbidden_one(
    transfers: Transfers, server: FileServer, source: Path
) -> None:
    failed = await failure_to_send(transfers, source, server.url("nowhere/", account=WRITER))
    assert failed.fault is TransferFault.NOT_FOUND


@each_scheme
async def test_what_was_cut_is_continued(transfers: Transfers, server: FileServer, target: Path) -> None:
    server.add_fault(fault.CutAfter(bytes=1_000_000, times=2))
    for _ in range(2):
        assert (await failure_to_fetch(transfers, server.url("image.bin", account=READER), target)).worth_retrying
    had = target.stat().st_size
    assert (await fetch(transfers, server.url("image.bin", account=READER), target)).sha256 == DIGEST
    assert server.record.of(*DOWNLOADS)[-1].offset == had > 0


@each_scheme
async def test_a_file_that_has_changed_meanwhile_is_fetched_anew(
    transfers: Transfers, server: FileServer, target: Path
) -> None:
    other = CONTENT[::-1] + b"longer"
    server.add_fault(fault.CutAfter(bytes=1_000_000))
    await failure_to_fetch(transfers, server.url("image.bin", account=READER), target)
    server.add_fault(fault.Changed(content=other))
    fetched = await fetch(transfers, server.url("image.bin", account=READER), target)
    assert fetched.sha256 == hashlib.sha256(other).digest()
    assert target.read_bytes() == other


@each_scheme
async def test_a_file_that_is_too_large_is_not_begun(transfers: Transfers, server: FileServer, target: Path) -> None:
    location = server.url("image.bin", account=READER)
    failed = await failure_to_fetch(transfers, location, target, max_bytes=len(CONTENT) - 1)
    assert failed.fault is TransferFault.TOO_LARGE
    assert sum(arrival.bytes for arrival in server.record.of(*DOWNLOADS)) == 0
    assert list(target.parent.glob("image*")) == []


@each_scheme
async def test_a_file_for_which_there_is_no_room_is_not_begun(make: Make, server: FileServer, target: Path) -> None:
    failed = await failure_to_fetch(make(reserve_bytes=1 << 60), server.url("image.bin", account=READER), target)
    assert failed.fault is TransferFault.LOCAL_DISK
    assert sum(arrival.bytes for arrival in server.record.of(*DOWNLOADS)) == 0


@each_scheme
async def test_cancelling_stops_an_upload_that_is_continued_later(
    transfers: Transfers, server: FileServer, source: Path
) -> None:
    server.add_fault(fault.StallAfter(bytes=500_000))
    location = server.url("inbox/", account=WRITER)
    task = asyncio.create_task(
        transfers.upload(source, location, file_name="security.log", resume=True, progress=ignore)
    )
    await server.arrived(*UPLOADS, fits=lambda arrival: arrival.bytes >= 500_000)
    await cancel(task)
    await send(transfers, source, location, resume=True)
    assert inbox(server) == {"security.log": CONTENT}


@each_scheme
async def test_cancelling_stops_a_download_that_is_continued_later(
    transfers: Transfers, server: FileServer, target: Path
) -> None:
    server.add_fault(fault.StallAfter(bytes=1_000_000))
    location = server.url("image.bin", account=READER)
    await cancel(await begun(transfers, location, target))
    assert (await fetch(transfers, location, target)).sha256 == DIGEST
    assert server.record.of(*DOWNLOADS)[-1].offset > 0


@by_tls
@pytest.mark.parametrize("kind", ["unknown root", "expired", "wrong name"])
async def test_a_server_that_is_not_trusted_sees_no_login(
    transfers: Transfers, server: FileServer, pki: Pki, source: Path, kind: str
) -> None:
    server.add_fault(fault.ShowCertificate(certificate=bad_server_certificates(pki)[kind], times=2))
    failed = await failure_to_send(transfers, source, server.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.NOT_TRUSTED
    assert server.record.arrivals == []


@pytest.mark.parametrize("server", ["ftpes"], indirect=True)
async def test_ftps_by_auth_tls_is_found(transfers: Transfers, server: FileServer, source: Path) -> None:
    location = server.url("inbox/", account=WRITER).replace("ftpes:", "ftps:")
    await send(transfers, source, location)
    assert inbox(server) == {"security.log": CONTENT}


@pytest.mark.parametrize("server", ["ftp"], indirect=True)
@pytest.mark.parametrize("scheme", ["ftps", "ftpes"])
async def test_a_server_without_tls_gets_no_password(
    transfers: Transfers, server: FileServer, source: Path, scheme: str
) -> None:
    location = server.url("inbox/", account=WRITER).replace("ftp:", f"{scheme}:")
    failed = await failure_to_send(transfers, source, location)
    assert failed.fault is TransferFault.NOT_TRUSTED
    assert server.record.arrivals == []


@pytest.mark.parametrize("server", ["ftp", "ftpes"], indirect=True)
async def test_by_setting_ftp_is_used_with_tls_only(make: Make, server: FileServer, source: Path) -> None:
    transfers = make(ftp_demands_tls=True)
    location = server.url("inbox/", account=WRITER).replace("ftpes:", "ftp:")
    if server.scheme == "ftp":
        assert (await failure_to_send(transfers, source, location)).fault is TransferFault.NOT_TRUSTED
        assert server.record.arrivals == []
    else:
        await send(transfers, source, location)
        assert inbox(server) == {"security.log": CONTENT}
