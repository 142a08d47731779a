"""OCTT TC_077_CS, Invalid Charge Point certificate, in security profile 3."""

from pathlib import Path

import pytest

from chargepoint.simulation.pki import Pki
from tests.agent_process import PKI
from tests.enrolling import SERIAL_NUMBER, hand_over, in_profile_3, ordered, presented


@pytest.mark.parametrize("invalid", ["of a stranger's authority", "garbage"])
@pytest.mark.requirement("A02.FR.06", "A02.FR.07")
async def test_tc_077_refuses_an_invalid_certificate(invalid: str, tmp_path: Path) -> None:
    async with in_profile_3(tmp_path) as (central_system, running):
        await presented(central_system)
        # 1-4: as in TC_074.
        csr = await ordered(central_system)
        stranger = PKI.sign_csr(csr, serial_number=SERIAL_NUMBER, issuer=Pki.create().central_system_root)
        chain = stranger.chain_pem.decode() if invalid != "garbage" else "garbage"

        # 5-6: the certificate is Rejected.
        before = await running.call("certificates.list")
        assert await hand_over(central_system, chain) == "Rejected"

        # 7-8: InvalidChargePointCertificate is notified.
        event = await central_system.expect(
            "SecurityEventNotification", match={"type": "InvalidChargePointCertificate"}
        )
        assert event["techInfo"]
        assert await running.call("certificates.list") == before
        await central_system.connected()
        assert not central_system.findings
