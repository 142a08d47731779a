"""Reset.req: answered first, then the device starts anew, and says so."""

from pathlib import Path

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import Gone
from tests.agent_process import PKI, agent, booted

BOOT_EVENTS = ("StartupOfTheDevice", "ResetOrReboot")


@pytest.mark.parametrize("kind", ["Hard", "Soft"])
async def test_answers_closes_and_boots_anew_in_the_same_process(tmp_path: Path, kind: str) -> None:
    async with booted(tmp_path) as (central_system, running):
        assert await central_system.call("Reset", {"type": kind}) == {"status": "Accepted"}
        end = await central_system.recorder.wait(Gone)
        assert (end.code, end.reason) == (1000, "the Charge Point resets")
        await central_system.expect("BootNotification")
        await central_system.expect("StatusNotification", match={"connectorId": 1})
        await running.ready(times=2)
        events = [(event["type"], event["tech_info"]) for event in await running.events()]
        assert [name for name, _ in events if name in BOOT_EVENTS] == [
            "StartupOfTheDevice",
            "StartupOfTheDevice",
            "ResetOrReboot",
        ]
        assert ("ResetOrReboot", f"{kind} reset") in events
        assert await running.stop() == 0  # the process that was started is the one that goes on
        assert not central_system.findings


async def test_with_on_reboot_exit_the_process_ends_and_the_next_one_tells_of_the_reset(tmp_path: Path) -> None:
    tables = {"hardware": {"on_reboot": "exit"}}
    async with booted(tmp_path, tables) as (central_system, running):
        assert await central_system.call("Reset", {"type": "Hard"}) == {"status": "Accepted"}
        assert await running.ended() == 0
        for reported in (1, 1):
            async with agent(tmp_path, central_system.url, tables) as again:
                assert len(await again.events("ResetOrReboot")) == reported
                assert len(await again.events("StartupOfTheDevice")) == 1 + reported
                assert await again.stop() == 0


async def test_an_unknown_kind_of_reset_resets_nothing(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        connection = await central_system.connected()
        connection.send_raw('[2,"1","Reset",{"type":"Warm"}]')
        await central_system.call("GetConfiguration")
        assert (await central_system.connected()) is connection
        assert await running.events("ResetOrReboot") == []


async def test_a_reset_whose_answer_is_not_taken_happens_all_the_same(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI) as central_system, agent(tmp_path, central_system.url) as running:
        await central_system.expect("BootNotification")
        connection = await central_system.connected()
        connection.send_raw('[2,"1","Reset",{"type":"Soft"}]')
        await central_system.expect("BootNotification")
        await running.ready(times=2)
        assert len(await running.events("ResetOrReboot")) == 1
