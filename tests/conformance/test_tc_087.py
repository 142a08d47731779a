"""OCTT TC_087_CS, TLS with a valid client certificate, in security profile 3: what the tool checks of it."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from chargepoint.simulation.recorder import Upgrade
from tests.agent_process import PKI
from tests.enrolling import SERIAL_NUMBER, hand_over, in_profile_3, ordered, presented, settled


@pytest.mark.parametrize(
    ("key_type", "least_bits"),
    [
        pytest.param(
            "ec-p256", 224, marks=pytest.mark.requirement("A00.FR.401", "A00.FR.402", "A00.FR.503", "A00.FR.511")
        ),
        pytest.param("ec-p384", 224, marks=pytest.mark.requirement("A00.FR.503", "A00.FR.508")),
        pytest.param("rsa-2048", 2048, marks=pytest.mark.requirement("A00.FR.502", "A00.FR.511")),
        pytest.param("rsa-3072", 2048, marks=pytest.mark.requirement("A00.FR.502")),
    ],
)
async def test_tc_087_presents_a_valid_client_certificate(key_type: str, least_bits: int, tmp_path: Path) -> None:
    async with in_profile_3(tmp_path, further={"security": {"key_type": key_type}}) as (central_system, _):
        await presented(central_system)
        before = await central_system.connected()
        signed = PKI.sign_csr(await ordered(central_system), serial_number=SERIAL_NUMBER)
        assert await hand_over(central_system, signed) == "Accepted"
        renewed = await central_system.connected(after=before)
        await presented(central_system)

        # The Charge Point is made to come anew, and boots.
        assert await central_system.call("Reset", {"type": "Hard"}) == {"status": "Accepted"}
        await renewed.ended()
        upgrade = await central_system.recorder.take(Upgrade)
        assert upgrade.tls is not None
        assert upgrade.tls.version in ("TLSv1.2", "TLSv1.3")
        assert not [name for name, _ in upgrade.headers if name.lower() == "authorization"]
        shown = x509.load_der_x509_certificate(upgrade.tls.client_certificate or b"")
        key = shown.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        assert key.key_size >= least_bits
        assert shown.serial_number > 0
        assert [each.value for each in shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [SERIAL_NUMBER]
        await settled(central_system)
        assert not central_system.findings
