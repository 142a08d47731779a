"""OCTT TC_075_1_CS and TC_075_2_CS, Install a certificate on the Charge Point, in profiles 2 and 3."""

from pathlib import Path

import pytest

from chargepoint.simulation import certificate_hash
from chargepoint.simulation.authority import Authority
from tests.certificate_site import CENTRAL_SYSTEM, MANUFACTURER, RootType, site

TOOL_ROOT = Authority.root("OCTT root", "OCTT")


@pytest.mark.parametrize("profile", [2, 3])
@pytest.mark.parametrize(
    "root_type",
    [
        pytest.param(
            MANUFACTURER,
            marks=pytest.mark.requirement("M05.FR.01", "M05.FR.02", "M03.FR.03", "M03.FR.04"),
            id="TC_075_1 ManufacturerRootCertificate",
        ),
        pytest.param(
            CENTRAL_SYSTEM,
            marks=pytest.mark.requirement("M05.FR.01", "M05.FR.02", "M03.FR.03", "M03.FR.04"),
            id="TC_075_2 CentralSystemRootCertificate",
        ),
    ],
)
async def test_tc_075_install_a_certificate(profile: int, root_type: RootType, tmp_path: Path) -> None:
    async with site(tmp_path, profile=profile) as here:
        tool = here.central_system

        # 1-2: the tool sends InstallCertificate.req, the Charge Point answers Accepted.
        request = {"certificateType": root_type, "certificate": TOOL_ROOT.pem.decode()}
        assert await tool.call("InstallCertificate", request) == {"status": "Accepted"}

        # 3-4: the tool asks for the list of that type; the new certificate is in it, hashed by the tool itself.
        answer = await tool.call("GetInstalledCertificateIds", {"certificateType": root_type})
        assert answer["status"] == "Accepted"
        assert certificate_hash.find(answer["certificateHashData"], TOOL_ROOT.pem) is not None
