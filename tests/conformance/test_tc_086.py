"""OCTT TC_086_CS, TLS with a valid server certificate, in profiles 2 and 3."""

import ssl
from pathlib import Path

import pytest

from chargepoint.simulation.client_hello import PAIR_A, PAIR_B
from chargepoint.simulation.recorder import Upgrade
from chargepoint.simulation.wire import TlsFacts
from tests.site import OWN, authorization, booted, site, upgrade_of

TLS_1_2 = 0x0303


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(
            2, marks=pytest.mark.requirement("A00.FR.301", "A00.FR.311", "A00.FR.312", "A00.FR.318"), id="profile 2"
        ),
        pytest.param(
            3, marks=pytest.mark.requirement("A00.FR.402", "A00.FR.415", "A00.FR.416", "A00.FR.422"), id="profile 3"
        ),
    ],
)
async def test_tc_086_tls_with_valid_server_certificate(profile: int, tmp_path: Path) -> None:
    async with site(tmp_path, profile) as (tool, running):
        before = await tool.connected()
        await tool.call("Reset", {"type": "Hard"})
        connection = await tool.connected(after=before)
        upgrade = await upgrade_of(tool, connection)

        # 1-4: the ClientHello offers TLS 1.2 or newer and one of the two pairs of suites; the handshake succeeds.
        tls = offers_what_it_must(upgrade)
        assert tls.version in ("TLSv1.2", "TLSv1.3")

        # 5-6: the upgrade request bears credentials in profile 2 only, the handshake a certificate in profile 3 only.
        assert (authorization(upgrade) is not None) == (profile == 2)
        assert tls.client_certificate == (
            ssl.PEM_cert_to_DER_cert(OWN.certificate_pem.decode()) if profile == 3 else None
        )

        # 7-10: the Charge Point boots and reports its connectors.
        await booted(tool)
        await running.ready(times=2)
        assert not tool.findings


def offers_what_it_must(upgrade: Upgrade) -> TlsFacts:
    assert upgrade.tls is not None
    assert upgrade.tls.hello is not None
    assert min(upgrade.tls.hello.versions) >= TLS_1_2
    suites = set(upgrade.tls.hello.suites)
    assert suites >= PAIR_A or suites >= PAIR_B
    return upgrade.tls
