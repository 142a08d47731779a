"""OCTT TC_076_CS, Delete a specific certificate from the Charge Point, in profiles 2 and 3."""

from pathlib import Path

import pytest

from chargepoint.simulation import certificate_hash
from chargepoint.simulation.authority import Authority
from tests.certificate_site import CENTRAL_SYSTEM, site

TOOL_ROOT = Authority.root("OCTT root", "OCTT")
OF_TYPE = {"certificateType": CENTRAL_SYSTEM}


@pytest.mark.requirement("M03.FR.04", "M04.FR.01", "M04.FR.02", "M04.FR.07")
@pytest.mark.parametrize("profile", [2, 3])
async def test_tc_076_delete_a_specific_certificate(profile: int, tmp_path: Path) -> None:
    async with site(tmp_path, profile=profile) as here:
        tool = here.central_system

        # Before: the memory state CertificateInstalled. Not the root that the connection rests on (M04.FR.06).
        assert await here.install(TOOL_ROOT) == "Accepted"

        # 1-2: the tool asks for the list and finds the certificate.
        answer = await tool.call("GetInstalledCertificateIds", OF_TYPE)
        assert answer["status"] == "Accepted"
        entry = certificate_hash.find(answer["certificateHashData"], TOOL_ROOT.pem)
        assert entry is not None

        # 3-4: the tool deletes it, by the algorithm that the list has used.
        assert await tool.call("DeleteCertificate", {"certificateHashData": entry}) == {"status": "Accepted"}

        # 5-6: the list is without it.
        answer = await tool.call("GetInstalledCertificateIds", OF_TYPE)
        assert certificate_hash.find(answer.get("certificateHashData", []), TOOL_ROOT.pem) is None

        # A second deletion finds nothing.
        assert await tool.call("DeleteCertificate", {"certificateHashData": entry}) == {"status": "NotFound"}
