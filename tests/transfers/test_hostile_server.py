"""A file server that answers what no honest one would: each time an error of ours, soon and in bounded memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from chargepoint.transfer import TransferFault, Transfers
from tests.transfers.stage import failure_to_fetch

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """A server on loopback; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):  # the other end has had enough, as it should
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def saying(answer: bytes) -> Serve:
    """Answer any request of HTTP so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("answer", "faults"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc", {TransferFault.TOO_LARGE}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\nabc", {TransferFault.TOO_LARGE}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc", {TransferFault.BAD_ANSWER, TransferFault.FAILED}),
        (b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\nabc", {TransferFault.BAD_ANSWER, TransferFault.FAILED}),
        (b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-7/8\r\n\r\nabc", {TransferFault.BAD_ANSWER}),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", set(TransferFault)),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\nabc", set(TransferFault)),
        (b"\x00\xff" * 1000, set(TransferFault)),
        (b"", {TransferFault.INTERRUPTED}),
    ],
    ids=["5000 digits", "30 digits", "less than nothing", "strange digits", "unasked", "file", "head", "noise", "none"],
)
async def test_an_answer_that_is_none(
    answer: bytes,
    faults: set[TransferFault],
    transfers: Transfers,
    target: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with serving(saying(answer)) as port:
        failure = await failure_to_fetch(transfers, f"http://127.0.0.1:{port}/image.bin", target)
    assert failure.fault in faults
    assert "Traceback" not in capfd.readouterr().err


async def test_replies_of_ftp_that_are_no_numbers(
    transfers: Transfers, target: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xb9\xb2\xb3 hello\r\n220 \xb9\xb9\xb9\r\n")
        await writer.drain()
        while await reader.readline():
            writer.write(b"\xb9\xb2\xb3 no\r\n530 no\r\n")
            await writer.drain()

    async with serving(serve) as port:
        failure = await failure_to_fetch(transfers, f"ftp://127.0.0.1:{port}/image.bin", target)
    assert failure.fault is TransferFault.LOGIN_REFUSED
    assert "Traceback" not in capfd.readouterr().err
