"""The proxy breaks connections exactly where and as often as it is told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from chargepoint.simulation.fault_proxy import Fault, FaultProxy


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()
    await server.wait_closed()


async def exchange(proxy: FaultProxy, data: bytes) -> bytes:
    """Send bytes and return all that comes back; a RST reads as b"RST"."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except ConnectionResetError:
        return b"RST"
    finally:
        writer.close()


async def test_without_a_fault_all_bytes_pass(proxy: FaultProxy) -> None:
    data = bytes(range(256)) * 1_000
    assert await exchange(proxy, data) == data
    assert (proxy.connections, proxy.struck) == (1, 0)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_cut_strikes_as_often_as_told(proxy: FaultProxy, reset: bool) -> None:
    proxy.fault = Fault(cut_after_bytes=0, reset=reset, times=2)
    first, second, third = [await exchange(proxy, b"abc") for _ in range(3)]
    assert {first, second} <= ({b"RST"} if reset else {b"", b"RST"})  # a close with unread bytes is a RST
    assert third == b"abc"
    assert (proxy.connections, proxy.struck) == (3, 2)


async def test_a_cut_lets_exactly_so_many_bytes_through(proxy: FaultProxy) -> None:
    proxy.fault = Fault(cut_after_bytes=5, direction="down", times=1)
    assert await exchange(proxy, b"0123456789") == b"01234"
    assert await exchange(proxy, b"0123456789") == b"0123456789"


async def test_a_stall_holds_bytes_back_until_it_is_lifted(proxy: FaultProxy) -> None:
    proxy.fault = Fault(stall_after_bytes=3, direction="down", times=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"abc")
    assert await reader.readexactly(3) == b"abc"
    writer.write(b"def")
    held = asyncio.create_task(reader.readexactly(3))
    assert await exchange(proxy, b"another connection") == b"another connection"
    assert not held.done()
    proxy.resume()
    assert await held == b"def"
    writer.close()


async def test_all_connections_can_be_stalled_and_cut(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"abc")
    assert await reader.readexactly(3) == b"abc"
    proxy.stall()
    writer.write(b"def")
    proxy.resume()
    assert await reader.readexactly(3) == b"def"
    proxy.cut()
    assert await reader.read() == b""
    writer.close()


async def test_delay_and_throttle_change_no_byte(proxy: FaultProxy) -> None:
    proxy.fault = Fault(delay=timedelta(milliseconds=1), bytes_per_second=1_000_000)
    assert await exchange(proxy, b"a" * 20_000) == b"a" * 20_000


async def test_a_central_system_that_is_away_looks_like_a_closed_connection(proxy: FaultProxy) -> None:
    async with FaultProxy(1) as dead:
        assert await exchange(dead, b"abc") in (b"", b"RST")
