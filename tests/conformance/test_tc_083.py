"""OCTT TC_083_CS, Upgrade Charge Point security profile, from 1 to 2 and from 2 to 3."""

import asyncio
from pathlib import Path

import pytest

from chargepoint.simulation.central_system import CentralSystem, Connection
from chargepoint.simulation.recorder import Refusal, Upgrade
from tests.agent_process import Agent
from tests.site import IDENTITY, booted, change, site, value_of

HARD = {"type": "Hard"}
# As short as it can be set: what stays away after the upgrade does not do so because a trial is still going on.
SHORTEST_TRIAL = {"security": {"profile_trial_attempts": 2, "profile_trial_s": 0}}
TRIES_OF_A_LONG_OPERATION = 8  # of a Charge Point that is refused: four times as many as the trial has


@pytest.mark.requirement("A05.FR.05", "A05.FR.06", "A05.FR.07", "A05.FR.09")
@pytest.mark.parametrize("reset_on", ["the old connection", "the old connection, late", "the new connection"])
@pytest.mark.parametrize("profile", [1, 2], ids=["1 to 2", "2 to 3"])
async def test_tc_083_upgrade_security_profile(profile: int, reset_on: str, tmp_path: Path) -> None:
    async with site(tmp_path, profile, SHORTEST_TRIAL if reset_on == "the new connection" else {}) as (tool, running):
        # 1-4: the tool orders the next profile and, right behind it, a hard reset; both are accepted.
        before = await tool.connected()
        if reset_on == "the old connection":
            await upgraded_and_reset(tool, profile + 1)
            await before.ended()
            tool.profile = profile + 1
        elif reset_on == "the old connection, late":
            # The tool reads the first answer before it sends the reset.
            assert await change(tool, "SecurityProfile", str(profile + 1)) == "Accepted"
            assert await tool.call("Reset", HARD) == {"status": "Accepted"}
            await before.ended()
            tool.profile = profile + 1
        else:
            assert await change(tool, "SecurityProfile", str(profile + 1)) == "Accepted"
            await before.ended()
            tool.profile = profile + 1
            await tool.connected(after=before)
            assert await tool.call("Reset", HARD) == {"status": "Accepted"}

        # 5-8: the Charge Point reconnects in the new profile and boots.
        await booted(tool)
        await running.ready(times=2)
        assert (await tool.connected()).profile == profile + 1
        assert await value_of(tool, "SecurityProfile") == str(profile + 1)

        if profile == 1 and reset_on == "the new connection":
            await stays_away_from_profile_1(tool, running, await tool.connected())
        assert not tool.findings


async def upgraded_and_reset(tool: CentralSystem, profile: int) -> None:
    """Order both so soon after one another that the Charge Point has not closed the connection in between."""
    upgrade = {"key": "SecurityProfile", "value": str(profile)}
    answers = await asyncio.gather(tool.call("ChangeConfiguration", upgrade), tool.call("Reset", HARD, at_once=True))
    assert [answer["status"] for answer in answers] == ["Accepted", "Accepted"]


async def stays_away_from_profile_1(tool: CentralSystem, running: Agent, connection: Connection) -> None:
    """Steps 15 to 18."""
    # 15-16: the tool closes the connection and serves profile 1 only; the Charge Point does not connect with it.
    tool.register.highest_profiles.clear()  # this tool would take it back
    tool.profile = 1
    for _ in range(TRIES_OF_A_LONG_OPERATION):
        await tool.recorder.take(Refusal)
    assert not [entry for entry in tool.recorder.entries if isinstance(entry, Upgrade) and entry.profile == 1][1:]
    assert (await running.call("status"))["connection"]["security_profile"] == 2

    # 17-18: the tool serves profile 2 again; the Charge Point reconnects with it.
    tool.profile = 2
    assert (await tool.connected(IDENTITY, after=connection)).profile == 2
