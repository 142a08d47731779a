"""A TCP proxy between a Charge Point and a Central System that breaks connections on order.

    async with FaultProxy(central_system.port) as proxy:
        proxy.fault = Fault(cut_after_bytes=200, reset=True, times=3)

A fault strikes the connections that are accepted while it stands, each at most once, `times` connections long; the
rest pass unharmed, so that the invariant "the next attempt succeeds" can be shown. `stall` and `resume` hold back and
release what flows on all connections.

Tasks: one a connection and direction, ended with the `async with` block.
"""

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from datetime import timedelta
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Final, Literal

CHUNK_BYTES: Final = 16_384  #: bytes forwarded at once; one TLS record

_LOOPBACK: Final = "127.0.0.1"
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: the close becomes a RST

Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a connection.

    Attributes:
        cut_after_bytes: cut both ends once so many bytes were forwarded in `direction`; 0 cuts at once.
        stall_after_bytes: forward no more in `direction` after so many bytes, until `FaultProxy.resume`.
        direction: "up" to the Central System, "down" to the Charge Point.
        reset: cut with a RST; without it with a FIN, which the kernel turns into a RST where bytes lie unread.
        bytes_per_second: forward no faster than this in either direction, None for no limit.
        delay: hold back every chunk for so long.
        times: how many connections are struck, None for all.
    """

    cut_after_bytes: int | None = None
    stall_after_bytes: int | None = None
    direction: Direction = "up"
    reset: bool = False
    bytes_per_second: int | None = None
    delay: timedelta = timedelta(0)
    times: int | None = None


class FaultProxy:
    """Forwards TCP connections to a port on loopback.

    Args:
        target_port: the Central System's port.
        port: the port to listen at, 0 for any.

    Attributes:
        port: the port it listens at.
        fault: what strikes the next connections, None for nothing.
        connections: how many were accepted.
        struck: how many a fault was laid on.
    """

    def __init__(self, target_port: int, *, port: int = 0) -> None:
        self.port = port
        self.connections = 0
        self.struck = 0
        self._target_port = target_port
        self._fault: Fault | None = None
        self._left: int | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._release = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def fault(self) -> Fault | None:
        """What strikes the next connections."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._fault = fault
        self._left = None if fault is None else fault.times

    async def __aenter__(self) -> "FaultProxy":
        self._server = await asyncio.start_server(self._accept, _LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, *, reset: bool = False) -> None:
        """Cut all connections at both ends."""
        for writer in list(self._writers):
            _cut(writer, reset=reset)

    def stall(self) -> None:
        """Forward nothing more, on any connection: the network is gone without a word."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward again what was held back, by `stall` or by a fault."""
        self._flowing.set()
        self._release.set()
        self._release = asyncio.Event()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer, self._take_fault()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take_fault(self) -> Fault:
        if self._fault is None or self._left == 0:
            return Fault()
        if self._left is not None:
            self._left -= 1
        self.struck += 1
        return self._fault

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault) -> None:
        pair = {writer}
        try:
            if fault.cut_after_bytes == 0:
                return
            far_reader, far_writer = await asyncio.open_connection(_LOOPBACK, self._target_port)
            pair.add(far_writer)
            self._writers |= pair
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, far_writer, fault, "up", pair))
                group.create_task(self._forward(far_reader, writer, fault, "down", pair))
        except OSError:
            pass  # the Central System is not there: the Charge Point sees its connection closed
        finally:
            self._writers -= pair
            for each in pair:
                _cut(each, reset=fault.reset and fault.cut_after_bytes is not None)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        fault: Fault,
        direction: Direction,
        pair: set[asyncio.StreamWriter],
    ) -> None:
        is_struck = fault.direction == direction
        cut_after = fault.cut_after_bytes if is_struck else None
        stall_after = fault.stall_after_bytes if is_struck else None
        forwarded = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if cut_after is not None:
                    data = data[: cut_after - forwarded]
                await self._hold(len(data), fault)
                writer.write(data)
                await writer.drain()
                forwarded += len(data)
                if cut_after is not None and forwarded >= cut_after:
                    break
                if stall_after is not None and forwarded >= stall_after:
                    stall_after = None
                    await self._release.wait()
            else:
                writer.write_eof()
                return
        for each in pair:
            _cut(each, reset=fault.reset and cut_after is not None)

    async def _hold(self, count: int, fault: Fault) -> None:
        wait = fault.delay.total_seconds()
        if fault.bytes_per_second:
            wait += count / fault.bytes_per_second
        if wait:
            await asyncio.sleep(wait)
        await self._flowing.wait()


def _cut(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    socket = writer.get_extra_info("socket")
    if reset and socket is not None:
        with contextlib.suppress(OSError):
            socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
        writer.transport.abort()
    else:
        writer.close()
