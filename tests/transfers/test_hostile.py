"""File servers that mean harm: each upload ends with a fault by its name, in bounded time and memory, and in no lie."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.file_account import WRITER
from chargepoint.simulation.ftp_server import FtpServer
from chargepoint.simulation.ftp_session import FtpSession
from chargepoint.transfer import TransferFault
from tests.transfers.conftest import Make
from tests.transfers.stage import CONTENT, failure_to_send, inbox, send

GIFT = 0.3  #: seconds; between two crumbs: often enough that libcurl does not take it for a stall
TWO_SECONDS = timedelta(seconds=2)
MAX_PIECES = 100_000  #: pieces of an answer; the client is gone long before

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    """A server on loopback that talks so to whoever comes; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def says(*first: bytes, then: bytes = b"", slowly: bool = False, reads: bool = True) -> Talk:
    """Say something, and something else again and again until the other end has gone.

    Args:
        first: said at once.
        then: said for ever.
        slowly: with a pause before each time.
        reads: what is sent is read, and the first words come after the head of a request.
    """

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def swallow() -> None:
            while await reader.read(65_536):
                pass

        if first and first[0].startswith(b"HTTP/"):
            await reader.readuntil(b"\r\n\r\n")
        gone = asyncio.create_task(swallow()) if reads else None
        try:
            writer.write(b"".join(first))
            await writer.drain()
            for _ in range(MAX_PIECES if then else 0):
                if slowly and gone is not None:
                    await asyncio.wait([gone], timeout=GIFT)
                if gone is not None and gone.done():
                    return
                writer.write(then)
                await writer.drain()
            if gone is not None:
                writer.write_eof()
                await asyncio.wait([gone])  # a close with unread input would be a RST, and take the answer away
        finally:
            if gone is not None:
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)

    return talk


OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = b"Content-Length: 900000000\r\n\r\n"


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (says(b"HTTP/1.1 100 Continue\r\n\r\n", then=b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"), "BAD_ANSWER"),
        (says(OK, then=b"X-Again: and again\r\n"), "BAD_ANSWER"),
        (says(OK, then=b"X-Again: and again\r\n", slowly=True), "STALLED"),
        (says(OK, ENDLESS, then=b"more " * 1000), "BAD_ANSWER"),
        (says(OK, ENDLESS, then=b"more ", slowly=True), "STALLED"),
        (says(b"HTTP/1.1 \xb2\xb3\xb9 OK\r\n\r\n"), "BAD_ANSWER"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", reads=False), "INTERRUPTED"),
    ],
    ids=[
        "1xx storm",
        "endless head",
        "slow head",
        "endless answer",
        "slow answer",
        "digits",
        "success before the file",
    ],
)
async def test_no_answer_of_http_holds_an_upload(
    make: Make, source: Path, talk: Talk, expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with listening(talk) as port:
        failed = await failure_to_send(make(stall_timeout=TWO_SECONDS), source, f"http://127.0.0.1:{port}/inbox/")
    assert failed.fault is TransferFault[expected], failed
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (says(then=b"220-welcome\r\n"), {"BAD_ANSWER"}),
        (says(then=b"220-welcome\r\n", slowly=True), {"STALLED", "UNREACHABLE"}),
        (says(b"\xb2\xb3\xb9 welcome\r\n" * 3, b"220 welcome\r\n", then=b"331-name\r\n", slowly=True), {"STALLED"}),
    ],
    ids=["flood", "slow flood", "digits"],
)
async def test_no_reply_of_ftp_holds_an_upload(
    make: Make, source: Path, talk: Talk, expected: Iterable[str], capfd: pytest.CaptureFixture[str]
) -> None:
    impatient = make(stall_timeout=TWO_SECONDS, connect_timeout=TWO_SECONDS)
    async with listening(talk) as port:
        failed = await failure_to_send(impatient, source, f"ftp://127.0.0.1:{port}/inbox/")
    assert failed.fault in {TransferFault[name] for name in expected}, failed
    assert "Traceback" not in capfd.readouterr().err


class _LateSession(FtpSession):
    """A session that meets what the server had not put away yet of the one before, once it has told the size."""

    late: ClassVar[list[bytes]]

    def process_command(self, command: str, *arguments: str, **options: Any) -> None:
        if command == "APPE" and self.late:
            with Path(arguments[0]).open("ab") as file:
                file.write(self.late.pop())
        super().process_command(command, *arguments, **options)


async def test_a_file_that_was_spoilt_by_what_came_late_is_sent_anew(
    make: Make, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_LateSession, "late", [b"late bytes"], raising=False)
    monkeypatch.setattr(FtpServer, "_session_kind", _LateSession)
    transfers = make()
    async with FtpServer(tmp_path / "ftp") as server:
        server.add_fault(fault.CutAfter(bytes=500_000))
        location = server.url("inbox/", account=WRITER)
        await failure_to_send(transfers, source, location)
        await send(transfers, source, location, resume=True)
        assert _LateSession.late == []
        assert inbox(server) == {"security.log": CONTENT}


class _MisleadingSession(FtpSession):
    """A session whose data connections are to go to another machine (192.0.2.0/24 is nobody's, RFC 5737)."""

    masquerade_address = "192.0.2.1"

    def ftp_EPSV(self, _line: str) -> None:  # noqa: N802 - pyftpdlib finds it by this name
        self.respond("502 Command not implemented.")


async def test_ftp_does_not_follow_to_another_machine(
    make: Make, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FtpServer, "_session_kind", _MisleadingSession)
    transfers = make(connect_timeout=TWO_SECONDS)
    async with FtpServer(tmp_path / "ftp") as server:
        await send(transfers, source, server.url("inbox/", account=WRITER))
        assert inbox(server) == {"security.log": CONTENT}
