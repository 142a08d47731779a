"""What a broken or hostile Central System can send, over a real WebSocket: the exchange lives and does not grow."""

import asyncio
import gc
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from chargepoint.payload import call
from chargepoint.rpc import AnswerMemory, CallTimedOut, ConnectionLost, Exchange, LinkLost
from tests.exchange import LIMITS, PATIENCE_S, accept

MAX_FRAME_BYTES = 65_536
HASTY = replace(LIMITS, call_timeout=timedelta(milliseconds=20), ping_timeout=timedelta(milliseconds=20))


class Wire:
    """The Transport over websockets, as far as these tests need it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes:
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            raise LinkLost("gone", invalid_message=error.sent is not None and error.sent.code == 1009) from None

    async def send(self, text: str) -> None:
        try:
            await self._socket.send(text)
        except ConnectionClosed:
            raise LinkLost("gone") from None

    async def ping(self, timeout: timedelta) -> bool:
        try:
            await asyncio.wait_for(await self._socket.ping(), timeout.total_seconds())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def close(self, code: int, reason: str) -> None:
        self._socket.transport.abort()


class Scene:
    """A Central System's end of a connection, and the exchange at the other end."""

    def __init__(self, socket: ServerConnection, exchange: Exchange, events: list[tuple[str, str | None]]) -> None:
        self.socket = socket
        self.exchange = exchange
        self.events = events

    async def ask(self, frame: Any) -> Any:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))
        return json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))

    async def lives(self) -> bool:
        return bool(await self.ask([2, "alive?", "ClearCache", {}]) == [3, "alive?", {"status": "Accepted"}])


@asynccontextmanager
async def scene(limits: Any = LIMITS) -> AsyncIterator[Scene]:
    arrived: asyncio.Queue[ServerConnection] = asyncio.Queue()
    events: list[tuple[str, str | None]] = []

    async def welcome(socket: ServerConnection) -> None:
        arrived.put_nowait(socket)
        await socket.wait_closed()

    async def raise_event(event_type: str, tech_info: str | None) -> None:
        events.append((event_type, tech_info))

    async with serve(welcome, "127.0.0.1", 0, compression=None, ping_interval=None, max_queue=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(
            f"ws://127.0.0.1:{port}", compression=None, ping_interval=None, max_size=MAX_FRAME_BYTES
        ) as client:
            exchange = Exchange(Wire(client), accept, memory=AnswerMemory(), limits=limits, raise_event=raise_event)
            running = asyncio.create_task(exchange.run())
            socket = await asyncio.wait_for(arrived.get(), PATIENCE_S)
            try:
                yield Scene(socket, exchange, events)
            finally:
                with suppress(ConnectionClosed):
                    await socket.close()
                await asyncio.wait_for(running, PATIENCE_S)


@pytest.mark.parametrize(
    "garbage",
    [
        "x", "{}", "[]", "[2]", '[2,5,"Reset",{}]', '[2.0,"1","Reset",{}]', '[true,"1","Reset",{}]', '[9,"1",{}]',
        '[3,"nobody",{}]', '[4,"nobody","GenericError","",{}]', '[3,"nobody"]', "[" * 60_000, '{"a":' * 10_000,
        "9" * 60_000, b'[2,"1","ClearCache",{}]', b"\xff\xfe", '"' + "\\ud800" * 1000 + '"',
    ],
)  # fmt: skip
async def test_garbage_is_not_answered_and_is_an_invalid_message(garbage: str | bytes) -> None:
    async with scene() as act:
        await act.socket.send(garbage)
        assert await act.lives()
    assert [event for event, _ in act.events] == ["InvalidMessages"]


@pytest.mark.parametrize(
    "frame",
    [
        '[2,"1","ClearCache",' + "[" * 60_000,
        '[2,"1",{},{}]',
        '[2,"1",["x"],{}]',
        '[2,"1","ClearCache",{"a":NaN}]',
        '[2,"1","ClearCache",{"a":' + "9" * 60_000 + "}]",
        '[2,"1","ClearCache",{"a":1,"a":1}]',
        '[2,"1","ClearCache",{"\\ud800":1}]',
        '[2,"1","Reset",{"type":{"a":[[[[[[[[[[[[]]]]]]]]]]]]}}]',
        f'[2,"1","Reset",{{"{"x" * 60_000}":1}}]',
    ],
)
async def test_a_bad_call_with_a_readable_id_is_refused_without_an_echo(frame: str) -> None:
    async with scene() as act:
        answer = await act.ask(frame)
        assert answer[:2] == [4, "1"]
        assert len(json.dumps(answer)) < 200
        assert await act.lives()
    assert [event for event, _ in act.events] == ["InvalidMessages"]


async def test_a_frame_too_large_ends_the_connection_and_is_an_invalid_message() -> None:
    async with scene() as act:
        await act.socket.send("x" * (MAX_FRAME_BYTES + 1))
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(act.socket.recv(), PATIENCE_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
    assert act.events == [("InvalidMessages", "gone")]


async def flood(act: Scene, frames: int) -> None:
    """Send every kind of garbage, unanswered all of it, and see that it was read to the end."""
    kinds: list[str | bytes] = [
        "x",
        '[3,"nobody",{}]',
        '[4,"nobody","GenericError",""]',
        '[9,"1"]',
        b"\x00" * 100,
        "[" * 2000,
    ]
    for number in range(frames):
        await act.socket.send(kinds[number % len(kinds)])
    assert await act.lives()


async def test_a_flood_of_garbage_leaves_memory_flat_and_is_summed_in_few_events() -> None:
    async with scene() as act:
        await flood(act, 600)
        gc.collect()
        tracemalloc.start()
        try:
            await flood(act, 6_000)
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert grown < 100_000, f"{grown} bytes were kept of 6,000 frames"
    counts = [int(text.split()[0]) for _, text in act.events if text is not None and "times" in text]
    assert len(act.events) == 2
    assert sum(counts) + len(act.events) - len(counts) == 6_600


async def test_a_flood_of_calls_with_ever_new_ids_leaves_memory_flat() -> None:
    async with scene() as act:
        for number in range(200):
            await act.ask([2, f"warm {number}", "ClearCache", {}])
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(1_000):
                await act.ask([2, f"call {number}", "ClearCache" if number % 2 else "Foo", {}])
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert grown < 100_000, f"{grown} bytes were kept of 1,000 calls"


async def test_a_peer_that_cuts_the_connection_fails_our_call_at_once() -> None:
    async with scene() as act:
        asking = asyncio.create_task(act.exchange.call(call.Heartbeat()))
        await asyncio.wait_for(act.socket.recv(), PATIENCE_S)
        act.socket.transport.abort()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(asking, PATIENCE_S)


async def test_a_peer_that_answers_pings_but_not_calls_keeps_its_connection() -> None:
    patient_ping = replace(HASTY, ping_timeout=timedelta(seconds=PATIENCE_S))
    async with scene(patient_ping) as act:
        with pytest.raises(CallTimedOut):
            await act.exchange.call(call.Heartbeat())
        assert json.loads(await act.socket.recv())[2] == "Heartbeat"
        assert await act.lives()


async def test_a_peer_that_answers_neither_loses_its_connection() -> None:
    async with scene(HASTY) as act:
        act.socket.transport.pause_reading()  # a host that hangs: its TCP lives
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(act.exchange.call(call.Heartbeat()), PATIENCE_S)
        act.socket.transport.resume_reading()
        await asyncio.wait_for(act.socket.wait_closed(), PATIENCE_S)
