"""A person can play Central System with one command a line."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.desk import Desk
from chargepoint.simulation.file_account import WRITER
from chargepoint.simulation.file_desk import FileDesk
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.firmware_signing import Unfit, check
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


async def test_a_charge_point_that_goes_instead_of_answering_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        desk = Desk(central_system, tmp_path, said.append)
        await client.call("BootNotification", BOOT)
        obeying = asyncio.create_task(desk.obey("call ClearCache"))
        await client.receive()
        await client.websocket.close(1001, "good bye")
        await obeying
        assert said == ["call: the Charge Point has gone before it answered (1001 good bye)"]


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


async def test_logs_and_updates_are_ordered(tmp_path: Path) -> None:
    said: list[str] = []
    async with (
        CentralSystem() as central_system,
        FileServers(tmp_path / "files", central_system.pki) as servers,
        charge_point(central_system) as client,
    ):
        desk = Desk(central_system, tmp_path, said.append, FileDesk(central_system, servers))
        await client.call("BootNotification", BOOT)

        async def order(command: str) -> tuple[str, dict[str, Any]]:
            obeying = asyncio.create_task(desk.obey(command))
            _, _, action, payload = await client.answer({"status": "Accepted"})
            await obeying
            return action, payload

        action, security = await order("upload")
        assert (action, security["logType"]) == ("GetLog", "SecurityLog")
        assert security["log"]["remoteLocation"] == servers.https.url("inbox/", account=WRITER)
        action, diagnostics = await order("upload @CP001 diagnostics sftp")
        assert (action, diagnostics["logType"]) == ("GetLog", "DiagnosticsLog")
        assert diagnostics["log"]["remoteLocation"] == servers.sftp.url("inbox/", account=WRITER)
        action, good = await order("firmware 1.1.0 ftp")
        assert (action, good["firmware"]["location"].partition(":")[0]) == ("SignedUpdateFirmware", "ftp")
        action, bad = await order("forgery @CP001 1.2.0")
        (forged,) = (servers.https.directory / "firmware").iterdir()
        root, certificate = central_system.pki.manufacturer_root, bad["firmware"]["signingCertificate"]
        with pytest.raises(Unfit):
            check(forged, certificate, bad["firmware"]["signature"], root)
        ids = [each["requestId"] for each in (security, diagnostics, good, bad)]
        assert len(set(ids)) == 4
        assert said == []


async def test_where_files_go_is_told(tmp_path: Path) -> None:
    async with CentralSystem() as central_system, FileServers(tmp_path, central_system.pki) as servers:
        told = FileDesk(central_system, servers).greeting()
        assert [line.rpartition(" ")[2] for line in told[:6]] == [
            server.url("inbox/", account=WRITER) for server in servers
        ]
        assert told[6].endswith(servers.sftp.host_key_line)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("upload gopher", "upload: SCHEME is one of http, https, ftp, ftpes, ftps, sftp"),
        ("upload https sftp", "upload: SCHEME is one of"),
        ("firmware", "firmware: VERSION of letters"),
        ("forgery ../1", "forgery: VERSION of letters"),
        ("firmware 1.1.0 gopher", "firmware: SCHEME is one of"),
    ],
)
async def test_an_order_that_makes_no_sense_is_not_given(command: str, reply: str, tmp_path: Path) -> None:
    said: list[str] = []
    async with (
        CentralSystem() as central_system,
        FileServers(tmp_path, central_system.pki) as servers,
        charge_point(central_system) as client,
    ):
        await client.call("BootNotification", BOOT)
        await Desk(central_system, tmp_path, said.append, FileDesk(central_system, servers)).obey(command)
        await Desk(central_system, tmp_path, said.append).obey("upload")
        assert [each.action for each in central_system.recorder.frames("sent")] == ["BootNotification"]
    assert said[0].startswith(reply)
    assert said[1:] == ["upload: there are no file servers"]


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
