"""ChangeAvailability.req: answered first, then told; it holds over a restart and over a reset."""

from pathlib import Path

from tests.agent_process import agent, booted


async def test_a_connector_out_of_service_stays_so_until_it_is_put_back(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        order = {"connectorId": 1, "type": "Inoperative"}
        assert await central_system.call("ChangeAvailability", order) == {"status": "Accepted"}
        await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Unavailable"})
        assert (await running.call("status"))["connectors"]["1"]["availability"] == "Inoperative"
        assert await running.stop() == 0
        async with agent(tmp_path, central_system.url) as again:
            await central_system.expect("BootNotification")
            await central_system.expect("StatusNotification", match={"connectorId": 0, "status": "Available"})
            await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Unavailable"})
            order = {"connectorId": 1, "type": "Operative"}
            assert await central_system.call("ChangeAvailability", order) == {"status": "Accepted"}
            await central_system.expect("StatusNotification", match={"connectorId": 1, "status": "Available"})
            assert (await again.call("status"))["connectors"]["1"]["availability"] == "Operative"
        assert not central_system.findings


async def test_of_connector_0_takes_the_charge_point_out_of_service(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        order = {"connectorId": 0, "type": "Inoperative"}
        assert await central_system.call("ChangeAvailability", order) == {"status": "Accepted"}
        for connector in (0, 1):
            told = await central_system.expect("StatusNotification")
            assert (told["connectorId"], told["status"]) == (connector, "Unavailable")


async def test_of_a_connector_that_does_not_exist_is_rejected(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        order = {"connectorId": 2, "type": "Inoperative"}
        assert await central_system.call("ChangeAvailability", order) == {"status": "Rejected"}
