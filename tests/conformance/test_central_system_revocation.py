"""A00, section 2.6.3, at the Central System's end: Charge Point certificates that are taken back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from websockets.exceptions import InvalidStatus

from chargepoint.simulation.authority import Issued, KeyKind
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.responder import Fault, Responder
from tests.bare_charge_point import IDENTITY, SERIAL_NUMBER, charge_point, client_context


@dataclass
class Site:
    """A Central System in profile 3 whose certificate authority has a responder."""

    pki: Pki
    responder: Responder
    central_system: CentralSystem

    async def connects(self, certificate: Issued) -> None:
        context = client_context(self.central_system, certificate)
        async with charge_point(self.central_system, context=context):
            pass

    async def is_refused(self, certificate: Issued) -> None:
        with pytest.raises(InvalidStatus, match="403"):
            await self.connects(certificate)
        assert (await self.central_system.refused()).reason == "the client certificate is revoked"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    pki = Pki.create()
    with Responder() as responder:
        responder.serve(pki.central_system_root)
        async with CentralSystem(pki=pki, profile=3) as central_system:
            central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
            yield Site(pki, responder, central_system)


@pytest.mark.requirement("A00.FR.702")
async def test_the_authority_is_asked_about_each_certificate_that_connects(site: Site) -> None:
    for number, certificate in enumerate((site.pki.charge_point_certificate(SERIAL_NUMBER) for _ in range(2)), 1):
        await site.connects(certificate)
        assert site.responder.questions == ["/0/ocsp"] * number


@pytest.mark.requirement("A00.FR.704")
async def test_a_revoked_certificate_gets_no_101_at_the_next_connection(site: Site) -> None:
    certificate = site.pki.charge_point_certificate(SERIAL_NUMBER)
    await site.connects(certificate)
    site.pki.revoke(certificate)
    await site.is_refused(certificate)
    await site.connects(site.pki.charge_point_certificate(SERIAL_NUMBER))


@pytest.mark.parametrize("key", ["ec", "rsa"])
async def test_either_kind_of_key_of_the_authority(key: KeyKind) -> None:
    pki = Pki.create()
    if key == "rsa":
        pki.central_system_root = pki.central_system_rsa_root
    with Responder() as responder:
        responder.serve(pki.central_system_root)
        async with CentralSystem(pki=pki, profile=3) as central_system:
            central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
            certificate = pki.charge_point_certificate(SERIAL_NUMBER)
            pki.revoke(certificate)
            await Site(pki, responder, central_system).is_refused(certificate)


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.GARBAGE, Fault.TRY_LATER, Fault.WRONG_SIGNATURE])
async def test_an_answer_that_is_none_keeps_nobody_out(site: Site, fault: Fault) -> None:
    certificate = site.pki.charge_point_certificate(SERIAL_NUMBER)
    site.pki.revoke(certificate)
    site.responder.fault = fault
    await site.connects(certificate)


async def test_nobody_is_asked_about_a_certificate_that_names_nobody(site: Site) -> None:
    site.responder.serve(site.pki.central_system_root, ocsp=False)
    await site.connects(site.pki.charge_point_certificate(SERIAL_NUMBER))
    assert not site.responder.questions
