"""OCTT TC_085_CS, HTTP Basic authentication, in profiles 1 and 2."""

from base64 import b64encode
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.agent_process import agent
from tests.site import authorization, booted, central_system_in, provisioned, upgrade_of

TEXT = "OCA_OCTT_password"  # the tester's setting: 16 to 20 characters are a text ...
HEX = "00ff3a20c3280d0a7f80818283848586878889ff"  # ... and 32 to 40 the hex form of any bytes


@pytest.mark.parametrize("password", [TEXT.encode(), bytes.fromhex(HEX)], ids=["text", "hex"])
@pytest.mark.parametrize("identity", ["CP001", "site 7/é"])
@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(
            1, marks=pytest.mark.requirement("A00.FR.202", "A00.FR.203", "A00.FR.204", "A00.FR.205"), id="profile 1"
        ),
        pytest.param(
            2, marks=pytest.mark.requirement("A00.FR.301", "A00.FR.302", "A00.FR.303", "A00.FR.304"), id="profile 2"
        ),
    ],
)
async def test_tc_085_basic_authentication(profile: int, identity: str, password: bytes, tmp_path: Path) -> None:
    tables = {"charge_point": {"identity": identity}, "configuration": {"AuthorizationKey": password.hex()}}
    async with central_system_in(profile) as tool:
        tool.passwords[identity] = password
        async with agent(tmp_path, tool.url, provisioned(tmp_path, profile, tables)) as running:
            await booted(tool)
            before = await tool.connected()
            await tool.call("Reset", {"type": "Hard"})

            # 1-2: the Charge Point connects, and the upgrade request bears its identity and password; it is let in.
            connection = await tool.connected(after=before)
            upgrade = await upgrade_of(tool, connection)
            assert authorization(upgrade) == "Basic " + b64encode(identity.encode() + b":" + password).decode()
            assert unquote(upgrade.target.rpartition("/")[2]) == identity

            # 3-6: the Charge Point boots and reports its connectors.
            await booted(tool)
            await running.ready(times=2)
            assert not tool.findings
