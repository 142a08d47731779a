"""A00 at the Central System's end: TLS and certificates, in profile 2 and in profile 3."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from websockets.exceptions import InvalidStatus

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.pki import Pki
from tests.bare_charge_point import IDENTITY, PASSWORD, SERIAL_NUMBER, charge_point, client_context

SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)


class Site:
    """A Central System that knows one Charge Point, and what that Charge Point needs to connect."""

    def __init__(self, central_system: CentralSystem, profile: int) -> None:
        self.central_system = central_system
        self.profile = profile
        self.certificate = central_system.pki.charge_point_certificate(SERIAL_NUMBER)
        central_system.passwords[IDENTITY] = PASSWORD
        central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER

    @property
    def password(self) -> bytes | None:
        return PASSWORD if self.profile == 2 else None

    def context(self, suites: str | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        certificate = self.certificate if self.profile == 3 else None
        return client_context(self.central_system, certificate, suites=suites, version=version)

    async def connects(self, context: ssl.SSLContext) -> None:
        async with charge_point(self.central_system, context=context, password=self.password) as client:
            assert (await client.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}))[0] == 3

    def handshake(self, context: ssl.SSLContext) -> tuple[str, bytes]:
        """Shake hands blockingly; return what OpenSSL complains of and what the server sent after that."""
        with socket.create_connection(("127.0.0.1", self.central_system.port), timeout=5) as raw:
            try:
                with context.wrap_socket(raw, server_hostname="localhost") as tls:
                    return "none", tls.read(1)
            except OSError as error:
                return str(error), b""


@pytest.fixture(params=[2, 3])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    async with CentralSystem(profile=request.param) as central_system:
        yield Site(central_system, request.param)


@pytest.mark.requirement("A00.FR.305", "A00.FR.409")
async def test_the_central_system_is_the_tls_server(site: Site) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        site.context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.central_system.port)
    writer.write(outgoing.read())
    record = await reader.readexactly(6)
    assert (record[0], record[5]) == (22, 2)  # a handshake record with a ServerHello
    writer.close()
    await writer.wait_closed()


@pytest.mark.requirement("A00.FR.306", "A00.FR.410", "A00.FR.510")
async def test_the_first_certificate_shown_is_the_central_systems(site: Site) -> None:
    for suite in (SUITES[0], SUITES[2]):
        context = site.context(suite, ssl.TLSVersion.TLSv1_2)
        async with charge_point(site.central_system, context=context, password=site.password) as client:
            tls = client.websocket.transport.get_extra_info("ssl_object")
            subject = dict(pair for name in tls.getpeercert()["subject"] for pair in name)
            assert subject == {"organizationName": "Example CPO", "commonName": "localhost"}


@pytest.mark.requirement("A00.FR.317", "A00.FR.421")
@pytest.mark.parametrize("suite", SUITES)
async def test_each_of_the_four_suites_offered_alone_connects(site: Site, suite: str) -> None:
    await site.connects(site.context(suite, ssl.TLSVersion.TLSv1_2))


@pytest.mark.requirement("A00.FR.314", "A00.FR.418")
async def test_a_client_limited_to_tls_1_1_is_shut_out(site: Site) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old TLS is what this test is about
        context = site.context("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    complaint, received = await asyncio.to_thread(site.handshake, context)
    assert "ALERT_PROTOCOL_VERSION" in complaint
    assert received == b""
    refusal = await site.central_system.refused()
    assert (refusal.stage, refusal.reason) == ("tls", "unsupported protocol")


@pytest.mark.requirement("A00.FR.321", "A00.FR.425")
@pytest.mark.parametrize("suites", ["NULL-SHA256", "ADH-AES128-GCM-SHA256"])
async def test_a_client_that_offers_only_forbidden_suites_is_shut_out(site: Site, suites: str) -> None:
    context = site.context(f"{suites}:@SECLEVEL=0", ssl.TLSVersion.TLSv1_2)
    complaint, received = await asyncio.to_thread(site.handshake, context)
    assert "HANDSHAKE_FAILURE" in complaint
    assert received == b""
    refusal = await site.central_system.refused()
    assert (refusal.stage, refusal.reason) == ("tls", "no shared cipher")


@pytest.fixture
async def mutual() -> AsyncIterator[Site]:
    async with CentralSystem(profile=3) as central_system:
        yield Site(central_system, 3)


def bad_certificates(pki: Pki) -> dict[str, Issued | None]:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return {
        "peer did not return a certificate": None,
        "certificate has expired": pki.charge_point_certificate(SERIAL_NUMBER, not_after=yesterday),
        "certificate is not yet valid": pki.charge_point_certificate(SERIAL_NUMBER, not_before=tomorrow),
        "unable to get local issuer certificate": Pki.create().charge_point_certificate(SERIAL_NUMBER),
        "self-signed certificate": pki.charge_point_certificate(SERIAL_NUMBER, self_signed=True),
        "certificate key too weak": pki.charge_point_certificate(SERIAL_NUMBER, key="rsa", weak_key=True),
        "unsuitable certificate purpose": pki.server_certificate(SERIAL_NUMBER),
    }


@pytest.mark.requirement("A00.FR.403", "A00.FR.407", "A00.FR.408", "A00.FR.323")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_bad_client_certificate_closes_the_socket_and_is_recorded(
    mutual: Site, version: ssl.TLSVersion
) -> None:
    pki = mutual.central_system.pki
    for reason, certificate in bad_certificates(pki).items():
        context = client_context(
            mutual.central_system, certificate, version=version, suites=f"{SUITES[0]}:{SUITES[1]}:@SECLEVEL=0"
        )
        complaint, received = await asyncio.to_thread(mutual.handshake, context)
        assert complaint != "none", reason
        assert received == b""
        refusal = await mutual.central_system.refused()
        assert refusal.stage == "tls"
        assert reason in refusal.reason
    assert mutual.central_system.connections == {}


@pytest.mark.requirement("A00.FR.404", "A00.FR.405", "A00.FR.408", "A00.FR.323")
@pytest.mark.parametrize(
    ("serial_number", "organisation", "reason"),
    [(SERIAL_NUMBER, "Other CPO", "O of the client certificate"), ("SN-0002", None, "CN of the client certificate")],
)
async def test_a_certificate_of_somebody_else_gets_no_101(
    mutual: Site, serial_number: str, organisation: str | None, reason: str
) -> None:
    certificate = mutual.central_system.pki.charge_point_certificate(serial_number, organisation)
    with pytest.raises(InvalidStatus, match="403"):
        await mutual.connects(client_context(mutual.central_system, certificate))
    refusal = await mutual.central_system.refused()
    assert (refusal.identity, refusal.status) == (IDENTITY, 403)
    assert refusal.reason.startswith(reason)
    await mutual.connects(mutual.context())


@pytest.mark.requirement("A00.FR.421")
async def test_client_certificates_of_either_kind_are_taken(mutual: Site) -> None:
    certificate = mutual.central_system.pki.charge_point_certificate(SERIAL_NUMBER, key="rsa")
    await mutual.connects(client_context(mutual.central_system, certificate))
    await mutual.connects(mutual.context())
