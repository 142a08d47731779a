"""OCTT TC_074_CS, Renew the Charge Point certificate on request of the Central System, in security profile 3."""

from pathlib import Path

import pytest

from tests.agent_process import PKI
from tests.enrolling import SERIAL_NUMBER, der, hand_over, in_profile_3, ordered, presented


@pytest.mark.requirement("A02.FR.02", "A02.FR.03", "A02.FR.08", "A02.FR.11")
async def test_tc_074_renews_its_certificate_on_request(tmp_path: Path) -> None:
    async with in_profile_3(tmp_path) as (central_system, _):
        await presented(central_system)
        before = await central_system.connected()

        # 1-4: the trigger without a connectorId is Accepted, SignCertificate.req follows and is Accepted.
        csr = await ordered(central_system)

        # 5-6: the tool signs with its own authority; the certificate is Accepted.
        signed = PKI.sign_csr(csr, serial_number=SERIAL_NUMBER)
        assert await hand_over(central_system, signed) == "Accepted"

        # 7: the Charge Point disconnects, and comes back with exactly this certificate.
        await before.ended()
        assert await presented(central_system) == der(signed)
        await central_system.connected(after=before)
        assert not central_system.findings
