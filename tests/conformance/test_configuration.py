"""GetConfiguration and ChangeConfiguration as a Central System sees them, and what OCPP must not be able to do."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chargepoint.configuration_key import Access
from chargepoint.configuration_table import KEYS
from chargepoint.simulation.central_system import CallRefused, CentralSystem
from tests.agent_process import PKI, Refused, agent, booted


async def change(central_system: CentralSystem, key: str, value: str) -> str:
    answer = await central_system.call("ChangeConfiguration", {"key": key, "value": value})
    return str(answer["status"])


async def values(central_system: CentralSystem, *keys: str) -> dict[str, Any]:
    answer = await central_system.call("GetConfiguration", {"key": list(keys)})
    return {known["key"]: known.get("value") for known in answer.get("configurationKey", [])}


async def test_lists_every_key_or_those_asked_for_in_their_order(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        everything = await central_system.call("GetConfiguration")
        assert [known["key"] for known in everything["configurationKey"]] == list(KEYS)
        assert "unknownKey" not in everything
        asked = ["WebSocketPingInterval", "Nonsense", "CpoName", "heartbeatinterval", "AuthorizationKey", "More"]
        answer = await central_system.call("GetConfiguration", {"key": asked})
        assert [known["key"] for known in answer["configurationKey"]] == [
            "WebSocketPingInterval",
            "CpoName",
            "HeartbeatInterval",
            "AuthorizationKey",
        ]
        assert answer["unknownKey"] == ["Nonsense", "More"]
        assert not central_system.findings


async def test_more_keys_than_allowed_are_cut(tmp_path: Path) -> None:
    async with booted(tmp_path, {"configuration": {"GetConfigurationMaxKeys": 2}}) as (central_system, _):
        assert list(await values(central_system, "CpoName", "SecurityProfile", "HeartbeatInterval")) == [
            "CpoName",
            "SecurityProfile",
        ]


async def test_answers_each_change_as_the_key_and_its_value_deserve(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        for key, value, status in (
            ("CpoName", "Example CPO", "Accepted"),
            ("cponame", "Other CPO", "Accepted"),
            ("CpoName", "x" * 65, "Rejected"),
            ("WebSocketPingInterval", "-1", "Rejected"),
            ("WebSocketPingInterval", "5", "Accepted"),
            ("HeartbeatInterval", "soon", "Rejected"),
            ("AllowCentralSystemTLSWildcards", "perhaps", "Rejected"),
            ("AuthorizationKey", "too short", "Rejected"),
            ("AuthorizationKey", "ab" * 15, "Rejected"),
            ("AuthorizationKey", "ab" * 21, "Rejected"),
            ("NumberOfConnectors", "2", "Rejected"),
            ("SupportedFeatureProfiles", "Core", "Rejected"),
            ("Nonsense", "1", "NotSupported"),
        ):
            assert await change(central_system, key, value) == status, (key, value)
        assert await values(central_system, "CpoName", "WebSocketPingInterval", "NumberOfConnectors") == {
            "CpoName": "Other CPO",
            "WebSocketPingInterval": "5",
            "NumberOfConnectors": "1",
        }
        for known in KEYS.values():
            if known.access is Access.READ:
                assert await change(central_system, known.name, known.default or "") == "Rejected"
        assert await running.stop() == 0
        async with agent(tmp_path, central_system.url):
            await central_system.expect("BootNotification")
            assert (await values(central_system, "CpoName"))["CpoName"] == "Other CPO"
        assert not central_system.findings


async def test_what_was_set_wins_over_config_toml_and_is_named_at_the_start(tmp_path: Path) -> None:
    tables = {"configuration": {"CpoName": "from the file"}}
    async with booted(tmp_path, tables) as (central_system, running):
        assert await change(central_system, "CpoName", "from the Central System") == "Accepted"
        assert await running.stop() == 0
        async with agent(tmp_path, central_system.url, tables) as again:
            await again.logged("CpoName was set since: config.toml's value does not count")
            assert (await values(central_system, "CpoName"))["CpoName"] == "from the Central System"


async def test_a_change_of_the_ping_interval_is_live(tmp_path: Path) -> None:
    async with booted(tmp_path, {"configuration": {"WebSocketPingInterval": 0}}) as (central_system, _):
        connection = await central_system.connected()
        assert await change(central_system, "WebSocketPingInterval", "1") == "Accepted"
        async with asyncio.timeout(10):
            while not connection.websocket.pings:
                await values(central_system, "CpoName")
        assert await central_system.connected() is connection


@pytest.mark.requirement("A00.FR.005", "A05.FR.01")
async def test_no_message_of_ocpp_lowers_the_profile_but_a_local_command_does(tmp_path: Path) -> None:
    tables = {"configuration": {"SecurityProfile": 1, "AuthorizationKey": "ab" * 20}}
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = bytes.fromhex("ab" * 20)
        async with agent(tmp_path, central_system.url, tables) as running:
            await central_system.expect("BootNotification")
            connection = await central_system.connected()
            for value in ("0", "1"):
                assert await change(central_system, "SecurityProfile", value) == "Rejected"
            await central_system.call("DataTransfer", {"vendorId": "x", "data": "SecurityProfile=0"})
            assert await values(central_system, "SecurityProfile") == {"SecurityProfile": "1"}
            assert await central_system.connected() is connection

            central_system.register.highest_profiles.clear()
            assert await running.call("configuration.set", values={"SecurityProfile": "0"}) == {
                "SecurityProfile": "Accepted"
            }
            await connection.ended()
            central_system.profile = 0
            await central_system.connected(after=connection)
            assert await values(central_system, "SecurityProfile") == {"SecurityProfile": "0"}
            assert "SecurityProfile set by a local command" in [event["tech_info"] for event in await running.events()]


async def test_a_local_command_sets_the_good_keys_and_names_the_bad_ones(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        with pytest.raises(
            Refused, match=r"SecurityProfile: .*\nNumberOfConnectors: it follows from the device"
        ) as refusal:
            await running.call(
                "configuration.set", values={"CpoName": "CPO", "SecurityProfile": "9", "NumberOfConnectors": "5"}
            )
        assert refusal.value.data == {
            "CpoName": "Accepted",
            "SecurityProfile": "Rejected",
            "NumberOfConnectors": "Rejected",
        }
        assert await values(central_system, "CpoName") == {"CpoName": "CPO"}


@pytest.mark.requirement("L01.FR.20")
async def test_an_unsigned_firmware_update_is_not_supported(tmp_path: Path) -> None:
    visits: list[object] = []
    file_server = await asyncio.start_server(lambda *streams: visits.append(streams), "127.0.0.1", 0)
    port = file_server.sockets[0].getsockname()[1]
    async with file_server, booted(tmp_path) as (central_system, _):
        request = {"location": f"http://127.0.0.1:{port}/fw.bin", "retrieveDate": "2026-01-01T00:00:00Z"}
        with pytest.raises(CallRefused) as refusal:
            await central_system.call("UpdateFirmware", request)
        assert refusal.value.code == "NotSupported"
        await central_system.call("GetConfiguration")
        assert not central_system.recorder.frames("received", "FirmwareStatusNotification")
    assert visits == []


async def test_a_vendors_data_is_not_known(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, _):
        assert await central_system.call("DataTransfer", {"vendorId": "x"}) == {"status": "UnknownVendorId"}
