"""OCTT TC_073_CS, Update Charge Point password for HTTP Basic authentication, in profiles 1 and 2."""

from base64 import b64encode
from pathlib import Path

import pytest

from tests.site import IDENTITY, PASSWORD, authorization, change, site, upgrade_of

OF_THE_TOOL = "4F43415F4F4354545F61646D696E5F74657374"  # OCA_OCTT_admin_test


@pytest.mark.parametrize("of_the_tool", [OF_THE_TOOL, OF_THE_TOOL.lower()], ids=["upper case", "lower case"])
@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(1, marks=pytest.mark.requirement("A00.FR.205", "A01.FR.01", "A01.FR.02"), id="profile 1"),
        pytest.param(2, marks=pytest.mark.requirement("A00.FR.304", "A01.FR.01", "A01.FR.02"), id="profile 2"),
    ],
)
async def test_tc_073_update_password(profile: int, of_the_tool: str, tmp_path: Path) -> None:
    async with site(tmp_path, profile) as (tool, _):
        before = await tool.connected()

        # 1-2: the tool sets another password, the Charge Point accepts it.
        assert await change(tool, "AuthorizationKey", of_the_tool) == "Accepted"

        # 3: the Charge Point disconnects and reconnects with it.
        await before.ended()
        with_new = await tool.connected(after=before)
        assert authorization(await upgrade_of(tool, with_new)) == basic(b"OCA_OCTT_admin_test")

        # 4-5: the tool sets the former password again.
        assert await change(tool, "AuthorizationKey", PASSWORD.hex()) == "Accepted"

        # 6: the Charge Point disconnects and reconnects with that.
        await with_new.ended()
        with_old = await tool.connected(after=with_new)
        assert authorization(await upgrade_of(tool, with_old)) == basic(PASSWORD)
        assert not tool.findings


def basic(password: bytes) -> str:
    return "Basic " + b64encode(IDENTITY.encode() + b":" + password).decode()
