"""The door to file servers: what is let through, what cannot be reached, whom is trusted, and what is told of it."""

import asyncio
import base64
import importlib.util
import json
import logging
import stat
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from chargepoint import transfer_protocols
from chargepoint.configuration_table import TRANSFER_PROTOCOLS
from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.file_account import READER, WRITER, Account
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.http_server import HttpServer, HttpsServer
from chargepoint.simulation.pki import Pki
from chargepoint.transfer import Progress, TransferFault, Transfers
from chargepoint.transfer_protocols import PROTOCOLS_NAME, Protocols
from tests.peer import Peer, saying
from tests.transfers.conftest import Make
from tests.transfers.stage import CONTENT, PATIENCE_S, failure_to_fetch, failure_to_send, fetch, inbox, send

SCHEMES = ["http", "https", "ftp", "ftpes", "ftps", "sftp"]

each_scheme = pytest.mark.parametrize("server", SCHEMES, indirect=True)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_host_without_an_address_is_named(transfers: Transfers, source: Path, scheme: str) -> None:
    failed = await failure_to_send(transfers, source, f"{scheme}://u:p@files.invalid/")
    assert failed.fault is TransferFault.NAME_UNKNOWN
    assert failed.worth_retrying


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_port_where_nobody_listens_is_named(transfers: Transfers, source: Path, scheme: str) -> None:
    with Peer(saying(b"")) as peer:
        port = peer.port
    failed = await failure_to_send(transfers, source, f"{scheme}://u:p@127.0.0.1:{port}/")
    assert failed.fault is TransferFault.UNREACHABLE


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("file:///etc/passwd", TransferFault.UNSUPPORTED_SCHEME),
        ("gopher://127.0.0.1/", TransferFault.UNSUPPORTED_SCHEME),
        ("http://user:secret@127.0.0.1:x/", TransferFault.BAD_URL),
        ("no url", TransferFault.BAD_URL),
    ],
)
async def test_what_is_no_location_of_a_file_server_is_refused(
    transfers: Transfers, source: Path, target: Path, location: str, expected: TransferFault
) -> None:
    sent = await failure_to_send(transfers, source, location)
    fetched = await failure_to_fetch(transfers, location, target)
    assert (sent.fault, fetched.fault) == (expected, expected)
    assert "secret" not in str(sent)
    assert not target.exists()


@each_scheme
async def test_a_protocol_that_is_switched_off_is_not_used(make: Make, server: FileServer, source: Path) -> None:
    others = tuple(each for each in TRANSFER_PROTOCOLS if each != server.scheme.upper().replace("FTPES", "FTPS"))
    transfers = make(allowed=others)
    assert transfers.protocols == others
    failed = await failure_to_send(transfers, source, server.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.UNSUPPORTED_SCHEME
    assert server.record.arrivals == []


async def test_a_file_that_cannot_be_read_is_not_sent(transfers: Transfers, http: HttpServer, tmp_path: Path) -> None:
    failed = await failure_to_send(transfers, tmp_path / "gone", http.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.LOCAL_DISK
    assert http.record.arrivals == []


async def test_a_directory_that_is_gone_takes_no_file(transfers: Transfers, http: HttpServer, tmp_path: Path) -> None:
    failed = await failure_to_fetch(transfers, http.url("image.bin"), tmp_path / "gone" / "image")
    assert failed.fault is TransferFault.LOCAL_DISK


async def test_no_proxy_of_the_environment_is_asked(
    transfers: Transfers, http: HttpServer, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Peer(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as peer:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{peer.port}")
        await send(transfers, source, http.url("inbox/", account=WRITER))
        assert peer.visits == []
    assert inbox(http) == {"security.log": CONTENT}


@pytest.mark.parametrize("by", ["environment", "url"])
async def test_a_proxy_is_asked_by_setting(make: Make, source: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    with Peer(saying(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")) as peer:
        url = f"http://127.0.0.1:{peer.port}"
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        failed = await failure_to_send(
            make(proxy="environment" if by == "environment" else url), source, "http://h.invalid/"
        )
        assert failed.fault is TransferFault.LOGIN_REFUSED
        assert len(peer.visits) == 1


async def test_without_a_root_nobody_is_trusted(make: Make, https: HttpsServer, source: Path) -> None:
    failed = await failure_to_send(make(roots=()), source, https.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.NOT_TRUSTED
    assert "[transfers] ca_file" in str(failed)
    assert https.record.arrivals == []


async def test_a_file_of_authorities_takes_the_place_of_the_roots(
    make: Make, https: HttpsServer, pki: Pki, source: Path, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(pki.root_pem)
    await send(make(roots=(), ca_file=ca_file), source, https.url("inbox/", account=WRITER))
    ca_file.write_bytes(Pki.create().root_pem)
    failed = await failure_to_send(make(ca_file=ca_file), source, https.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.NOT_TRUSTED
    assert "trusted are the installed Central System roots, or those of [transfers] ca_file" in str(failed)
    ca_file.unlink()
    failed = await failure_to_send(make(ca_file=ca_file), source, https.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.NOT_TRUSTED


@pytest.mark.parametrize("trusts_machine", [False, True])
async def test_the_authorities_of_the_machine_are_trusted_by_setting_only(
    make: Make,
    https: HttpsServer,
    pki: Pki,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    trusts_machine: bool,
) -> None:
    bundle = tmp_path / "machine.pem"
    bundle.write_bytes(pki.root_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    transfers = make(roots=(Pki.create().root_pem,), system_trust_store=trusts_machine)
    location = https.url("inbox/", account=WRITER)
    if trusts_machine:
        await send(transfers, source, location)
    else:
        assert (await failure_to_send(transfers, source, location)).fault is TransferFault.NOT_TRUSTED


@pytest.mark.parametrize("server", ["https", "sftp"], indirect=True)
async def test_a_build_without_options_of_newer_ones_does_as_well(
    transfers: Transfers, server: FileServer, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pycurl

    for name in ("CAINFO_BLOB", "UPLOAD_BUFFERSIZE", "HTTP09_ALLOWED"):
        monkeypatch.delattr(pycurl, name, raising=False)
    await fetch(transfers, server.url("image.bin", account=READER), target)
    await send(transfers, source, server.url("inbox/", account=WRITER))
    assert inbox(server) == {"security.log": CONTENT}


@each_scheme
async def test_no_credential_is_told(
    make: Make, server: FileServer, source: Path, target: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    secret = Account("wr:iter", "5ecret p@ss/wörd%?#:")
    forms = {
        *_forms(secret.user),
        *_forms(secret.password),
        *_forms(WRITER.password),
        base64.b64encode(f"{secret.user}:{secret.password}".encode()).decode(),
        base64.b64encode(f"{WRITER.user}:{WRITER.password}".encode()).decode(),
    }
    said: list[str] = []
    caplog.set_level(logging.DEBUG)
    transfers = make()
    door = f"{quote(secret.user, safe='')}:{quote(secret.password, safe='')}"

    def tell(progress: Progress) -> None:
        said.append(repr(progress))

    async with asyncio.timeout(PATIENCE_S):
        for location in (
            server.url("inbox/", account=secret),
            server.url("inbox/", account=WRITER).replace(quote(WRITER.user), quote(secret.user, safe="")),
            f"{server.scheme}://{door}@h.invalid/?{quote(secret.password)}",
            f"{server.scheme}://{secret.user}:{secret.password}@h.invalid/",
        ):
            for work in (
                transfers.upload(source, location, file_name="x", resume=True, progress=tell),
                transfers.download(location, target, max_bytes=1000, progress=tell),
            ):
                with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is, it tells no secret
                    await work
                said += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
        await transfers.upload(source, server.url("inbox/", account=WRITER), file_name="x", resume=False, progress=tell)
    said += [record.getMessage() for record in caplog.records if record.name.startswith("chargepoint.transfer")]
    said += [path.read_text(errors="replace") for path in (tmp_path / "transfers").iterdir()]
    said += [path.read_text() for path in target.parent.glob("image*")]
    said += [Path("/proc/self/cmdline").read_text()]
    shown = "\n".join(said)
    assert [form for form in forms if form in shown] == []


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        raw.hex(),
        raw.hex().upper(),
        base64.b64encode(raw).decode(),
    }


async def test_what_pycurl_can_do_is_asked_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocols = Protocols(tmp_path / "transfers")
    await protocols.learn()
    assert protocols.able == TRANSFER_PROTOCOLS
    remembered = tmp_path / "transfers" / PROTOCOLS_NAME
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600

    known = json.loads(remembered.read_text())
    remembered.write_text(json.dumps({**known, "able": ["FTP", "HTTP"]}))
    again = Protocols(tmp_path / "transfers")
    await again.learn()
    assert again.able == ("FTP", "HTTP")

    remembered.write_text(json.dumps({**known, "build": "of another day", "able": ["FTP"]}))
    anew = Protocols(tmp_path / "transfers")
    assert anew.able == TRANSFER_PROTOCOLS
    await anew.learn()
    assert anew.able == TRANSFER_PROTOCOLS
    assert json.loads(remembered.read_text()) == known


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"build": 1, "able": 2}', b"\xff"])
async def test_a_damaged_memory_of_it_is_asked_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / PROTOCOLS_NAME).write_bytes(damage)
    protocols = Protocols(tmp_path)
    await protocols.learn()
    assert protocols.able == TRANSFER_PROTOCOLS


async def test_without_pycurl_nothing_can_be_transferred_and_a_line_says_so(
    make: Make, source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    transfers = make()
    assert transfers.protocols == ()
    assert (await failure_to_send(transfers, source, "http://h/")).fault is TransferFault.UNSUPPORTED_SCHEME
    assert [record.getMessage() for record in caplog.records] == [
        "files cannot be transferred: pycurl is not installed (pip install chargepoint[transfers])"
    ]


async def test_a_pycurl_that_does_not_load_can_do_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transfer_protocols, "_QUESTION", "raise ImportError('libcurl link-time ssl backend')")
    protocols = Protocols(tmp_path)
    await protocols.learn()
    assert protocols.able == ()
    assert "libcurl link-time ssl backend" in caplog.text


async def test_transfers_leave_no_thread_and_no_open_file(
    transfers: Transfers, http: HttpServer, source: Path, target: Path
) -> None:
    await send(transfers, source, http.url("inbox/", account=WRITER))
    before = _open_files()
    for _ in range(3):
        http.add_fault(fault.CutAfter(bytes=100_000, times=2))
        await failure_to_send(transfers, source, http.url("inbox/", account=WRITER))
        await failure_to_fetch(transfers, http.url("image.bin", account=READER), target)
        await fetch(transfers, http.url("image.bin", account=READER), target)
    for thread in threading.enumerate():
        if thread.name in {"blocking call", "download writer"}:
            await asyncio.to_thread(thread.join, PATIENCE_S)
            assert not thread.is_alive()
    assert "pycurl" in sys.modules
    assert _open_files() <= before + 3  # what the server has not closed yet
