"""OCTT TC_084_CS, Downgrade of the security profile is refused, in profiles 2 and 3."""

from pathlib import Path

import pytest

from tests.site import change, site, value_of


@pytest.mark.requirement("A00.FR.005", "A05.FR.01")
@pytest.mark.parametrize("profile", [2, 3])
async def test_tc_084_downgrade_security_profile(profile: int, tmp_path: Path) -> None:
    async with site(tmp_path, profile) as (tool, _):
        connection = await tool.connected()

        # 1-2: the tool orders the profile below; the Charge Point rejects it.
        assert await change(tool, "SecurityProfile", str(profile - 1)) == "Rejected"

        assert await value_of(tool, "SecurityProfile") == str(profile)
        assert await tool.connected() is connection
        assert not tool.findings
