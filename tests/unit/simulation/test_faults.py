"""Each fault server shows the client exactly the failure that it stands for, and ends by itself."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from chargepoint.simulation import faults
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.fault_server import FaultServer
from chargepoint.simulation.pki import Pki
from tests.bare_charge_point import charge_point


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki.create()


def complaint(server: FaultServer, pki: Pki, *, host: str = "localhost", reads: bool = True) -> str:
    """Connect as a blocking client, read if asked to, and return what went wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pki.root_pem.decode())
    try:
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname=host) as tls,
        ):
            if reads:
                tls.read(1)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except ssl.SSLError as error:
        return str(error.reason)
    except OSError as error:
        return type(error).__name__
    return "none"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda pki: faults.tls_1_1_only(pki.server_certificate()), "TLSV1_ALERT_PROTOCOL_VERSION"),
        (lambda _: faults.legacy_server_hello(), "UNSUPPORTED_PROTOCOL"),
        (lambda _: faults.unoffered_suite(), "WRONG_CIPHER_RETURNED"),
        (lambda pki: faults.forbidden_suites(pki.server_certificate(key="rsa")), "SSLV3_ALERT_HANDSHAKE_FAILURE"),
        (lambda _: faults.plain_http(), "WRONG_VERSION_NUMBER"),
        (lambda _: faults.reset_at_accept(), "ConnectionResetError"),
        (lambda _: faults.reset_in_handshake(), "ConnectionResetError"),
        (lambda _: faults.end_at_accept(), "UNEXPECTED_EOF_WHILE_READING"),
        (lambda _: faults.end_in_handshake(), "UNEXPECTED_EOF_WHILE_READING"),
        (
            lambda pki: faults.client_certificate_refused(
                pki.server_certificate(), pki.manufacturer_root_pem, version=ssl.TLSVersion.TLSv1_2
            ),
            "SSLV3_ALERT_HANDSHAKE_FAILURE",
        ),
        (
            lambda pki: faults.client_certificate_refused(pki.server_certificate(), pki.manufacturer_root_pem),
            "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        ),
    ],
)
def test_the_client_meets_the_failure(make: Callable[[Pki], FaultServer], expected: str, pki: Pki) -> None:
    with make(pki) as server:
        complaints = {complaint(server, pki) for _ in range(5)}
        assert "ConnectionResetError" in complaints or len(complaints) == 1
        assert complaints - {"ConnectionResetError", expected} == set()
        assert len(server.visits) == 5


def test_every_bad_certificate_is_refused_for_its_own_reason_and_receives_nothing(pki: Pki) -> None:
    host = "cs.example.test"
    complaints = {}
    for name, issued in faults.bad_server_certificates(pki, host).items():
        with faults.certificate(issued) as server:
            complaints[name] = complaint(server, pki, host=host, reads=False)
            visit = server.wait()
            assert visit.received == b""
            assert (visit.version is None) == ("ALERT" in str(visit.error))
    assert complaints == {
        "wildcard": "none",  # OpenSSL takes it; that a Charge Point must not (TC_078) is a rule of its own
        "expired": "certificate has expired",
        "not yet valid": "certificate is not yet valid",
        "unknown root": "unable to get local issuer certificate",
        "wrong name": "Hostname mismatch, certificate is not valid for 'cs.example.test'.",
        "self-signed": "self-signed certificate",
        "manufacturer root": "unable to get local issuer certificate",
        "weak key": "EE certificate key too weak",
        "for a client": "unsuitable certificate purpose",
    }


def test_a_bare_name_has_no_wildcard(pki: Pki) -> None:
    assert "wildcard" not in faults.bad_server_certificates(pki)


async def test_a_hostile_server_keeps_what_a_careless_client_sends(pki: Pki) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with faults.certificate(pki.server_certificate(self_signed=True)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        writer.write(b"secret")
        writer.close()
        await writer.wait_closed()
        visit = await server.visited()
        assert bytes(visit.received) == b"secret"
        assert visit.version == "TLSv1.3"
        assert await reader.read() == b""


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 503])
async def test_a_status_is_answered_to_the_upgrade(status: int) -> None:
    with faults.http_status(status, {"X-Field": "value"}) as server:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{server.url}/CP001", proxy=None, compression=None)
        assert caught.value.response.status_code == status
        assert caught.value.response.headers["X-Field"] == "value"
        assert (await server.visited()).received.startswith(b"GET /ocpp/CP001 HTTP/1.1\r\n")


@pytest.mark.parametrize("inside_tls", [False, True])
@pytest.mark.parametrize("name", [None, "ocpp2.0.1"])
async def test_an_upgrade_without_the_right_subprotocol(name: str | None, inside_tls: bool, pki: Pki) -> None:
    context = None
    if inside_tls:
        context = ssl.create_default_context(cadata=pki.root_pem.decode())
    with faults.subprotocol(name, shown=pki.server_certificate() if inside_tls else None) as server:
        offered = [Subprotocol(name)] if name else None
        async with connect(f"{server.url}/CP001", subprotocols=offered, proxy=None, ssl=context) as websocket:
            assert websocket.subprotocol == name


async def test_a_silent_server_says_nothing_and_ends_by_itself() -> None:
    with faults.silent(tls=False) as server:
        with pytest.raises((TimeoutError, InvalidMessage)):
            await connect(f"{server.url}/CP001", proxy=None, open_timeout=0.05)
        assert (await server.visited()).received.startswith(b"GET ")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with contextlib.suppress(ConnectionResetError):  # it was perhaps not accepted yet
        assert await reader.read() == b""
    writer.close()
    assert "fault server" not in {thread.name for thread in threading.enumerate()}


async def test_a_port_passes_between_a_fault_and_a_good_central_system(pki: Pki) -> None:
    async with CentralSystem(pki=pki) as central_system:
        await central_system.suspend()
        for _ in range(3):
            with faults.end_at_accept(port=central_system.port, tls=False) as server:
                with pytest.raises((InvalidMessage, OSError, EOFError)):
                    async with charge_point(central_system):
                        pass
                await server.visited()
            await central_system.resume()
            async with charge_point(central_system):
                await central_system.connected()
            await central_system.suspend()
