"""The bytes between a Charge Point and the simulated Central System: plain TCP, or TLS through memory buffers.

TLS is driven here, on `ssl.MemoryBIO`, because asyncio's own TLS sends no alerts (cpython issue 98078): a Charge Point
whose certificate is refused must hear why, as it would from a real Central System (decision 0045). Whatever OpenSSL
wants to say is sent before an error is raised.

Raises: `WireLost` when the peer is gone or its TLS is broken; the end of the stream is an empty read, not an error.
"""

import asyncio
import contextlib
import ssl
import struct
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

from chargepoint.simulation import client_hello
from chargepoint.simulation.client_hello import ClientHello

READ_BYTES: Final = 65_536  #: bytes read at once; four TLS records
HELLO_BYTES: Final = 16_384  #: bytes kept of the start of a TLS stream; one record, so any ClientHello
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: the close becomes a RST


class WireLost(Exception):
    """Raised when the peer is gone or broke its TLS; the text says how it looked from here."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was agreed in a TLS handshake.

    Attributes:
        version: as OpenSSL calls it, e.g. ``TLSv1.3``.
        suite: the cipher suite agreed on.
        client_certificate: DER of the certificate that the Charge Point presented, None without one.
        hello: what the Charge Point offered.
    """

    version: str
    suite: str
    client_certificate: bytes | None
    hello: ClientHello | None


class Wire:
    """A plain byte stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.tls: TlsFacts | None = None

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte; empty at the end of the stream."""
        try:
            return await self._reader.read(READ_BYTES)
        except OSError as error:
            raise WireLost(str(error) or type(error).__name__) from error

    def write(self, data: bytes) -> None:
        """Queue bytes; on a connection that is gone they vanish."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the peer takes what was queued."""
        try:
            await self._writer.drain()
        except OSError as error:
            raise WireLost(str(error) or type(error).__name__) from error

    def end(self) -> None:
        """Say that nothing more will be written."""
        with contextlib.suppress(OSError):
            if not self._writer.is_closing():
                self._writer.write_eof()

    def cut(self, *, reset: bool = False) -> None:
        """Drop the connection at once, unsent bytes included: with a RST, else as a bare FIN."""
        if reset and (socket := self._writer.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                socket.setsockopt(SOL_SOCKET, SO_LINGER, RESET)
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close after what was queued has gone out; returns when the socket is closed."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class TlsWire(Wire):
    """A byte stream inside TLS, this end being the server (A00.FR.305, A00.FR.409)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        super().__init__(reader, writer)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._first_bytes = b""
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> TlsFacts:
        """Agree on TLS; an alert of ours has gone out before `WireLost` is raised."""
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                await self._feed()
            except ssl.SSLError as error:
                self._flush()
                raise WireLost(_words(error)) from error
            else:
                break
        self._flush()
        self.tls = self._facts()
        return self.tls

    async def read(self) -> bytes:
        """Return decrypted bytes, at least one; empty at the end, be it with or without close_notify."""
        while True:
            try:
                return self._object.read(READ_BYTES)
            except ssl.SSLWantReadError:
                await self._feed()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                self._flush()
                raise WireLost(_words(error)) from error

    def write(self, data: bytes) -> None:
        """Encrypt and queue bytes; on a connection that is gone they vanish."""
        with contextlib.suppress(ssl.SSLError):
            self._object.write(data)
        self._flush()

    def end(self) -> None:
        """Send close_notify and say that nothing more will be written."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        self._flush()
        super().end()

    async def _feed(self) -> None:
        self._flush()
        if data := await super().read():
            if len(self._first_bytes) < HELLO_BYTES:
                self._first_bytes += data
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            super().write(self._outgoing.read())

    def _facts(self) -> TlsFacts:
        cipher = self._object.cipher()
        return TlsFacts(
            version=self._object.version() or "unknown",
            suite=cipher[0] if cipher else "unknown",
            client_certificate=self._object.getpeercert(binary_form=True),
            hello=client_hello.parse(self._first_bytes),
        )


def _words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"Charge Point certificate refused: {error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()
