"""A connection to a D-Bus: methods are called and answered, signals are queued.

Guaranteed: every call is bounded in time and ends at once when the bus goes away; a call that is cancelled leaves
nothing behind; signals wait in bounded number.

Messages are written and read by `jeepney`, without its own router: that one loses its way when a call is cancelled as
the bus goes away. It is imported when a connection is opened, and need not be there before.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

CALL_TIMEOUT: Final = timedelta(seconds=30)  #: time; RAUC asks the boot loader's tools while it answers
CONNECT_TIMEOUT: Final = timedelta(seconds=10)  #: time; the bus is on this machine
MAX_WAITING_SIGNALS: Final = 1000  #: signals; the oldest are dropped then, what they told can be asked for
MAX_TEXT_CHARACTERS: Final = 200  #: characters; of a text that another process has sent

BUS: Final = "org.freedesktop.DBus"

_AUTHENTICATION_BYTES: Final = 1024  #: bytes; of an answer of the bus before the first message, a line


class BusLost(Exception):
    """Raised when there is no bus, nobody with this name on it, no leave to speak to it, or no answer in time."""


class BusRefused(Exception):
    """Raised when a method answers with an error of its own; the text is the other's, cut."""


class Bus:
    """A connection; made by `open_bus`, which alone may close it.

    Args:
        connection: of jeepney, authenticated.
    """

    # Any, because jeepney has no types.
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._signals: deque[Any] = deque(maxlen=MAX_WAITING_SIGNALS)
        self._stirred = asyncio.Event()
        self._lost: str | None = None
        self._reading = asyncio.create_task(self._read(), name="D-Bus")

    async def call(
        self, name: str, path: str, interface: str, method: str, signature: str | None = None, *body: object
    ) -> Any:
        """Call a method and return the body of its answer.

        Raises:
            BusRefused: the method answers with an error.
            BusLost: there is no answer.
        """
        from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call

        if self._lost is not None:
            raise BusLost(self._lost)
        message = new_method_call(DBusAddress(path, bus_name=name, interface=interface), method, signature, body)
        serial = next(self._connection.outgoing_serial)
        answer = self._replies[serial] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
                await self._connection.send(message, serial=serial)
                reply = await answer
        except TimeoutError as error:
            raise BusLost(f"{name} is silent on D-Bus") from error
        except OSError as error:
            raise BusLost(f"the D-Bus went away: {error}") from error
        finally:
            del self._replies[serial]
        if reply.header.message_type is not MessageType.error:
            return reply.body
        words = reply.body[0][:MAX_TEXT_CHARACTERS] if reply.body and isinstance(reply.body[0], str) else ""
        kind = str(reply.header.fields.get(HeaderFields.error_name))
        if kind.startswith(f"{BUS}.Error."):
            raise BusLost(f"{name} does not answer on D-Bus: {words or kind}")
        raise BusRefused(words or kind)

    async def follow(self, rule: str) -> None:
        """Have the bus send the signals that a match rule describes."""
        await self.call(BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", rule)

    async def owner(self, name: str) -> str:
        """Return who has a name now: what the signals of its owner bear as their sender."""
        (owner,) = await self.call(BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", "s", name)
        return str(owner)

    async def wait(self, timeout: timedelta) -> None:
        """Wait until there are signals to take or the bus is lost, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()):
                await self._stirred.wait()

    def signals(self) -> list[Any]:
        """Take the signals that came since the last call, as jeepney's messages."""
        taken = list(self._signals)
        self._signals.clear()
        if self._lost is None:
            self._stirred.clear()
        return taken

    async def close(self) -> None:
        """Close it; what waits for an answer has none."""
        self._reading.cancel()
        await asyncio.wait([self._reading])
        with suppress(OSError):
            await self._connection.close()

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._connection.receive())
        except (EOFError, OSError, ValueError) as error:
            self._lost = f"the D-Bus went away: {str(error) or type(error).__name__}"
        finally:
            self._lost = self._lost or "the connection to the D-Bus is closed"
            self._stirred.set()
            for answer in self._replies.values():
                if not answer.done():
                    answer.set_exception(BusLost(self._lost))

    def _take(self, message: Any) -> None:
        from jeepney import HeaderFields, MessageType

        if message.header.message_type is MessageType.signal:
            self._signals.append(message)
            self._stirred.set()
            return
        answer = self._replies.get(message.header.fields.get(HeaderFields.reply_serial, 0))
        if answer is not None and not answer.done():
            answer.set_result(message)


@asynccontextmanager
async def open_bus(address: str) -> AsyncIterator[Bus]:
    """Connect to a bus for the time of the block.

    Args:
        address: ``SYSTEM``, or a D-Bus address of a Unix socket.

    Raises:
        BusLost: there is no bus.
    """
    bus = None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
            bus = Bus(await _authenticated(address))
            # The first message of every connection.
            await bus.call(BUS, "/org/freedesktop/DBus", BUS, "Hello")
    except BaseException as error:
        if bus is not None:
            await bus.close()
        if isinstance(error, TimeoutError):
            raise BusLost("the D-Bus is silent") from error
        raise
    try:
        yield bus
    finally:
        await bus.close()


async def _authenticated(address: str) -> Any:
    from jeepney.auth import BEGIN, Authenticator
    from jeepney.bus import get_bus
    from jeepney.io.asyncio import DBusConnection

    try:
        place = get_bus(address)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: of jeepney, about an address
        raise BusLost(f"there is no D-Bus: {error}") from error
    try:
        reader, writer = await asyncio.open_unix_connection(place)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BusLost(f"there is no D-Bus at {place}: {why}") from error
    try:
        authenticator = Authenticator()
        for line in authenticator:
            writer.write(line)
            answer = await reader.read(_AUTHENTICATION_BYTES)
            if not answer:
                raise BusLost("there is no D-Bus: it has closed the connection")
            authenticator.feed(answer)
        writer.write(BEGIN)
    except BaseException as error:
        writer.close()
        if isinstance(error, (OSError, ValueError)):
            raise BusLost(f"there is no D-Bus: {error}") from error
        raise
    return DBusConnection(reader, writer)
