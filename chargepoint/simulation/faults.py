"""The servers that a Charge Point may meet and has to survive: each one misbehaves in one way.

    with faults.tls_1_1_only(pki.server_certificate(), port=central_system.port) as server:
        visit = await server.visited()
        assert visit.received == b""

What each of them received after its handshake is kept: from a Charge Point that refused, nothing.
"""

import base64
import hashlib
import re
import socket
import ssl
import struct
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.fault_server import (
    Behaviour,
    FaultServer,
    Visit,
    drain,
    part,
    reset,
    shake_hands,
    tls_context,
)
from chargepoint.simulation.pki import Pki

FORBIDDEN_SUITES: Final = "NULL-SHA256:ECDHE-ECDSA-NULL-SHA:ADH-AES128-GCM-SHA256"  # no secrecy or no identity

_LEGACY_VERSION: Final = 0x0302  # TLS 1.1
_UNOFFERED_SUITE: Final = 0xC013  # ECDHE-RSA-AES128-SHA
_CLOSE_FRAME: Final = 0x88  # FIN and opcode 8
_WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_PHRASES: Final = {
    101: "Switching Protocols",
    301: "Moved Permanently",
    302: "Found",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    503: "Service Unavailable",
}


def bad_server_certificates(pki: Pki, host: str = "localhost") -> dict[str, Issued]:
    """Return a certificate for each way to be refused that OCTT TC_078 knows, and for the ways of A00.FR.501 and 307.

    A wildcard needs a host with a parent domain and is left out for a bare name.
    """
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    certificates = {
        "expired": pki.server_certificate(host, not_after=now - hour),
        "not yet valid": pki.server_certificate(host, not_before=now + hour),
        "unknown root": Pki.create(organisation=pki.organisation).server_certificate(host),
        "wrong name": pki.server_certificate(host, common_name="other.example.test"),
        "self-signed": pki.server_certificate(host, self_signed=True),
        "manufacturer root": pki.server_certificate(host, issuer=pki.manufacturer_root),
        "weak key": pki.server_certificate(host, key="rsa", weak_key=True),
        "for a client": pki.charge_point_certificate(host),
    }
    if "." in host:
        certificates["wildcard"] = pki.server_certificate(host, wildcard=True)
    return certificates


def certificate(shown: Issued, *, port: int = 0) -> FaultServer:
    """Show this certificate and keep what comes after the handshake: a hostile server, if the peer goes on."""
    return FaultServer(_record_in_tls(tls_context(shown)), port=port)


def tls_1_1_only(shown: Issued, *, port: int = 0) -> FaultServer:
    """Speak TLS 1.1 only; a newer client gets the alert protocol_version."""
    context = tls_context(shown, suites="ALL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an old server is the point
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return FaultServer(_record_in_tls(context), port=port)


def legacy_server_hello(*, port: int = 0) -> FaultServer:
    """Answer every ClientHello with a ServerHello of TLS 1.1, as a very old server does."""
    return FaultServer(_server_hello(_LEGACY_VERSION, 0x002F), port=port)


def unoffered_suite(*, port: int = 0) -> FaultServer:
    """Pick a suite that the client did not offer."""
    return FaultServer(_server_hello(0x0303, _UNOFFERED_SUITE), port=port)


def forbidden_suites(shown: Issued, *, port: int = 0) -> FaultServer:
    """Speak TLS 1.2 with suites without encryption or without identity only (A00.FR.319, A00.FR.322)."""
    context = tls_context(shown, suites=FORBIDDEN_SUITES)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return FaultServer(_record_in_tls(context), port=port)


def client_certificate_refused(
    shown: Issued, roots: bytes, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, port: int = 0
) -> FaultServer:
    """Demand a client certificate under these roots, so that any other (or none) is refused with an alert."""
    context = tls_context(shown)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(cadata=roots.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return FaultServer(_record_in_tls(context), port=port)


def plain_http(*, port: int = 0) -> FaultServer:
    """Answer with HTTP in clear whatever comes, a ClientHello too."""
    return FaultServer(_plain_http, port=port)


def silent(*, port: int = 0, tls: bool = True) -> FaultServer:
    """Take the connection and never say a word."""
    return FaultServer(drain, port=port, tls=tls)


def reset_at_accept(*, port: int = 0, tls: bool = True) -> FaultServer:
    """Answer the connection with a RST."""
    return FaultServer(lambda connection, _: reset(connection), port=port, tls=tls)


def reset_in_handshake(*, port: int = 0, tls: bool = True) -> FaultServer:
    """Answer the first bytes with a RST."""
    return FaultServer(_after_first_bytes(reset), port=port, tls=tls)


def end_at_accept(*, port: int = 0, tls: bool = True) -> FaultServer:
    """Close every connection at once."""
    return FaultServer(lambda connection, _: part(connection), port=port, tls=tls)


def end_in_handshake(*, port: int = 0, tls: bool = True) -> FaultServer:
    """Close after the first bytes."""
    return FaultServer(_after_first_bytes(part), port=port, tls=tls)


def http_status(
    status: int, headers: Mapping[str, str] | None = None, *, shown: Issued | None = None, port: int = 0
) -> FaultServer:
    """Answer the upgrade request with an HTTP status (301, 401, 403, 404, 503 ...), inside TLS if `shown` is given."""
    fields = {"Connection": "close", "Content-Length": "0", **(headers or {})}
    return FaultServer(_http(status, fields, shown), port=port, tls=shown is not None)


def subprotocol(name: str | None, *, shown: Issued | None = None, port: int = 0) -> FaultServer:
    """Upgrade well, but with another subprotocol, or with none."""
    fields = {} if name is None else {"Sec-WebSocket-Protocol": name}
    return FaultServer(_http(101, fields, shown), port=port, tls=shown is not None)


def _record_in_tls(context: ssl.SSLContext) -> Behaviour:
    def behave(connection: socket.socket, visit: Visit) -> None:
        if (tls := shake_hands(connection, visit, context)) is not None:
            with tls:
                drain(tls, visit)

    return behave


def _plain_http(connection: socket.socket, visit: Visit) -> None:
    visit.received += connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    part(connection)


def _after_first_bytes(end: Callable[[socket.socket], None]) -> Behaviour:
    def behave(connection: socket.socket, visit: Visit) -> None:
        visit.received += connection.recv(65_536)
        end(connection)

    return behave


def _server_hello(version: int, suite: int) -> Behaviour:
    body = struct.pack(">H32sBHB", version, bytes(32), 0, suite, 0)  # no session id, no compression
    handshake = struct.pack(">B", 2) + len(body).to_bytes(3) + body
    record = struct.pack(">BHH", 22, min(version, 0x0303), len(handshake)) + handshake

    def behave(connection: socket.socket, visit: Visit) -> None:
        visit.received += connection.recv(65_536)
        connection.sendall(record)
        drain(connection, visit)

    return behave


def _http(status: int, fields: Mapping[str, str], shown: Issued | None) -> Behaviour:
    context = None if shown is None else tls_context(shown)

    def behave(connection: socket.socket, visit: Visit) -> None:
        stream = connection if context is None else shake_hands(connection, visit, context)
        if stream is None:
            return
        with stream:
            while b"\r\n\r\n" not in visit.received:
                if not (data := stream.recv(65_536)):
                    return
                visit.received += data
            stream.sendall(_response(status, fields, bytes(visit.received)))
            if status == 101:
                _converse(stream, visit)
            part(stream)

    return behave


def _converse(stream: socket.socket, visit: Visit) -> None:
    while data := stream.recv(65_536):
        visit.received += data
        if data[0] == _CLOSE_FRAME:
            stream.sendall(bytes((_CLOSE_FRAME, 0)))
            return


def _response(status: int, fields: Mapping[str, str], request: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} {_PHRASES[status]}", *(f"{name}: {value}" for name, value in fields.items())]
    if status == 101:
        key = re.search(rb"(?im)^sec-websocket-key:\s*(\S+)", request)
        digest = hashlib.sha1((key[1] if key else b"") + _WEBSOCKET_GUID, usedforsecurity=False).digest()
        accept = base64.b64encode(digest).decode()
        lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"]
    return "\r\n".join([*lines, "", ""]).encode()
