"""A person can play Central System with one command a line."""

import asyncio
from pathlib import Path

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.desk import Desk
from tests.bare_charge_point import BOOT, charge_point


async def test_a_call_is_sent_and_its_error_said(tmp_path: Path) -> None:
    said: list[str] = []
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        desk = Desk(central_system, tmp_path, said.append)
        await client.call("BootNotification", BOOT)
        obeying = asyncio.create_task(desk.obey('call Reset {"type": "Soft"}'))
        assert (await client.answer({"status": "Accepted"}))[2:] == ["Reset", {"type": "Soft"}]
        await obeying
        obeying = asyncio.create_task(desk.obey("call @CP001 ClearCache"))
        await client.send([4, (await client.receive())[1], "NotSupported", "", {}])
        await obeying
        assert said == ["call: NotSupported: "]


async def test_answers_are_changed_and_put_back(tmp_path: Path) -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        desk = Desk(central_system, tmp_path, lambda _: None)
        await client.call("BootNotification", BOOT)
        await desk.obey('answer DataTransfer {"status": "Accepted"}')
        assert (await client.call("DataTransfer", {"vendorId": "V"}))[2] == {"status": "Accepted"}
        await desk.obey("usual DataTransfer")
        assert (await client.call("DataTransfer", {"vendorId": "V"}))[2] == {"status": "UnknownVendorId"}
        await desk.obey("silence Heartbeat")
        await client.send([2, "silent", "Heartbeat", {}])
        assert (await client.call("Authorize", {"idTag": "A"}, "next"))[1] == "next"


async def test_profile_connections_and_findings_are_shown(tmp_path: Path) -> None:
    said: list[str] = []
    async with CentralSystem() as central_system:
        desk = Desk(central_system, tmp_path, said.append)
        await desk.obey("list")
        await desk.obey("findings")
        async with charge_point(central_system) as client:
            await client.call("Heartbeat", {})
            await desk.obey("list")
            await desk.obey("findings")
            connection = await central_system.connected()
            await desk.obey("drop")
            await connection.ended()
        await desk.obey("profile 2")
        await desk.obey("issue SN-7")
        assert said == [
            "nobody is connected",
            "no findings",
            "CP001: security profile 0, not booted",
            "CP001: a CALL before BootNotification was accepted (Heartbeat)",
            f"serving security profile 2 at {central_system.url}",
            f"written: {tmp_path / 'SN-7.pem'}",
            f"written: {tmp_path / 'SN-7.key'}",
        ]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("dance", "unknown command 'dance'; help lists them all"),
        ("profile 4", "profile: there is no security profile 4"),
        ("profile x", "profile: invalid literal"),
        ("answer", "answer: ACTION {json} is needed"),
        ("answer Heartbeat {}", "answer: this is no Heartbeat.conf"),
        ("silence Reset", "silence: no Charge Point sends 'Reset'"),
        ("issue ../x", "issue: a serial number"),
        ("call Reset {", "call: Expecting property name"),
        ("help", "    call ACTION {json}"),
    ],
)
async def test_a_mistake_is_said_and_changes_nothing(command: str, reply: str, tmp_path: Path) -> None:
    said: list[str] = []
    async with CentralSystem() as central_system:
        desk = Desk(central_system, tmp_path, said.append)
        await desk.obey(command)
        await desk.obey("")
    assert len(said) == 1
    assert said[0].startswith(reply)
