"""TLS of the simulated Central System says its alerts aloud, and hears those of the Charge Point."""

import asyncio
import socket
import ssl

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.client_hello import ClientHello, parse
from chargepoint.simulation.pki import Pki
from tests.bare_charge_point import client_context


def blocking_handshake(port: int, context: ssl.SSLContext) -> str:
    """Shake hands as a device with a blocking TLS library does, and read; return what OpenSSL complains of."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.read(1)
        except ssl.SSLError as error:
            return str(error.reason)
    return "none"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("issuer", "alert"), [("stranger", "UNKNOWN_CA"), ("nobody", ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE"))]
)
async def test_a_refused_client_hears_an_alert(
    version: ssl.TLSVersion, issuer: str, alert: str | tuple[str, ...]
) -> None:
    async with CentralSystem(profile=3) as central_system:
        certificate = Pki.create().charge_point_certificate("SN-1") if issuer == "stranger" else None
        context = client_context(central_system, certificate, version=version)
        complaint = await asyncio.to_thread(blocking_handshake, central_system.port, context)
        assert any(each in complaint for each in ([alert] if isinstance(alert, str) else alert))
        assert (await central_system.refused()).stage == "tls"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_alert_of_a_client_is_recorded(version: ssl.TLSVersion) -> None:
    async with CentralSystem(profile=2) as central_system:
        central_system.present(Pki.create().server_certificate())
        context = client_context(central_system, version=version)
        complaint = await asyncio.to_thread(blocking_handshake, central_system.port, context)
        assert complaint == "CERTIFICATE_VERIFY_FAILED"
        refusal = await central_system.refused()
        assert (refusal.stage, refusal.reason) == ("tls", "tlsv1 alert unknown ca")


async def test_plain_http_at_a_tls_port_is_refused() -> None:
    async with CentralSystem(profile=2) as central_system:
        reader, writer = await asyncio.open_connection("127.0.0.1", central_system.port)
        writer.write(b"GET /ocpp/CP001 HTTP/1.1\r\n\r\n")
        assert b"HTTP/1.1 101" not in await reader.read()
        writer.close()
        assert (await central_system.refused()).reason == "http request"


def hello_of(context: ssl.SSLContext, server_name: str | None) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=server_name).do_handshake()
    return outgoing.read()


def test_a_client_hello_is_read() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    hello = parse(hello_of(context, "cs.example.test"))
    assert hello is not None
    assert hello.server_name == "cs.example.test"
    assert hello.versions == (0x0304, 0x0303)
    assert hello.faults() == []


def test_an_offer_is_judged_by_versions_and_pairs() -> None:
    assert ClientHello((0x0303,), (0x009C, 0x009D), None).faults() == []
    assert ClientHello((0x0304,), (0xC02B, 0xC02C), None).faults() == []
    assert ClientHello((0x0303, 0x0302), (0xC02B, 0x009D), None).faults() == [
        "offers TLS older than 1.2: 0x0302",
        "offers neither both ECDHE-ECDSA nor both static RSA suites of AES-GCM",
    ]


def test_what_is_no_client_hello_is_none() -> None:
    whole = hello_of(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "localhost")
    assert parse(whole) is not None
    assert all(parse(whole[:length]) is None for length in range(len(whole)))
    assert parse(b"GET / HTTP/1.1\r\n\r\n") is None
    assert parse(b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00") is None
