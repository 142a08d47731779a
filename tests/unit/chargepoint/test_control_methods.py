"""The methods of the control socket, asked of an agent that runs."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from chargepoint.control import INVALID_PARAMS, METHOD_NOT_FOUND, REFUSED
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.script import Answer, Error
from tests.agent_process import PKI, Agent, Refused, booted

HALF_A_PAIR = "\ud800"
TOO_LONG = "x" * 256

BAD: Final[list[tuple[str, dict[str, Any], int]]] = [
    ("nonsense", {}, METHOD_NOT_FOUND),
    ("status", {"verbose": True}, INVALID_PARAMS),
    ("security.raise_event", {}, INVALID_PARAMS),
    ("security.raise_event", {"type": ""}, INVALID_PARAMS),
    ("security.raise_event", {"type": "x" * 51}, INVALID_PARAMS),
    ("security.raise_event", {"type": 5}, INVALID_PARAMS),
    ("security.raise_event", {"type": "x", "tech_info": {}}, INVALID_PARAMS),
    ("security.events", {"limit": 0}, INVALID_PARAMS),
    ("security.events", {"limit": True}, INVALID_PARAMS),
    ("security.events", {"since": "yesterday"}, INVALID_PARAMS),
    ("configuration.set", {"values": []}, INVALID_PARAMS),
    ("configuration.set", {"values": {"CpoName": 5}}, INVALID_PARAMS),
    ("configuration.set", {"values": {"Nonsense": "1"}}, REFUSED),
    ("certificates.install", {"pem": "x", "use": "nonsense"}, INVALID_PARAMS),
    ("certificates.install", {"pem": "x", "use": ["central-system-root"]}, INVALID_PARAMS),
    ("certificates.install", {"pem": "x", "use": "central-system-root"}, REFUSED),
    ("certificates.install", {"pem": "x", "use": "charge-point-certificate"}, INVALID_PARAMS),
    ("certificates.install", {"pem": "x", "use": "central-system-root", "key": "x"}, INVALID_PARAMS),
    ("certificates.install", {"pem": "x", "use": "charge-point-certificate", "key": HALF_A_PAIR}, INVALID_PARAMS),
    ("data_transfer", {"vendor_id": TOO_LONG}, INVALID_PARAMS),
    ("data_transfer", {"vendor_id": "x", "message_id": "x" * 51}, INVALID_PARAMS),
    ("data_transfer", {"vendor_id": HALF_A_PAIR}, INVALID_PARAMS),
    ("hardware.fault", {"connector": 2}, INVALID_PARAMS),
    ("hardware.fault", {"connector": True}, INVALID_PARAMS),
    ("hardware.fault", {"connector": 1, "error_code": "Nonsense"}, INVALID_PARAMS),
    ("hardware.fault", {"connector": 1, "error_code": ["NoError"]}, INVALID_PARAMS),
    ("hardware.fault", {"connector": 1, "info": ["a", "list"]}, INVALID_PARAMS),
    ("hardware.clear_fault", {"connector": -1}, INVALID_PARAMS),
    ("hardware.tamper", {"info": 5}, INVALID_PARAMS),
    ("hardware.set_clock", {"offset_s": "soon"}, INVALID_PARAMS),
    ("hardware.set_clock", {"offset_s": float("nan")}, INVALID_PARAMS),
    ("hardware.set_clock", {"offset_s": float("inf")}, INVALID_PARAMS),
    ("hardware.plug_in", {"connector": 2}, INVALID_PARAMS),
    ("hardware.plug_out", {"connector": 0}, INVALID_PARAMS),
    ("hardware.present_id_tag", {"id_tag": "x" * 21}, INVALID_PARAMS),
    ("hardware.suspend_ev", {"connector": 1}, INVALID_PARAMS),
    ("hardware.resume_ev", {"connector": "1"}, INVALID_PARAMS),
    ("hardware.set_meter", {"connector": 1, "energy_wh": -1}, INVALID_PARAMS),
    ("hardware.set_lock", {"connector": 0, "mode": "ok"}, INVALID_PARAMS),
    ("hardware.set_lock", {"connector": 1, "mode": "jammed"}, INVALID_PARAMS),
    ("hardware.set_lock", {"connector": 1, "mode": ["ok"]}, INVALID_PARAMS),
]


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[CentralSystem, Agent]]:
    async with booted(tmp_path) as both:
        yield both


async def test_status_says_what_the_agent_is_doing(both: tuple[CentralSystem, Agent]) -> None:
    central_system, running = both
    status = await running.call("status")
    assert status["identity"] == "CP001"
    assert status["registration_status"] == "Accepted"
    assert status["connectors"] == {
        number: {
            "status": "Available",
            "error_code": "NoError",
            "info": None,
            "availability": "Operative",
            "transaction": None,
        }
        for number in ("0", "1")
    }
    assert status["queued_transaction_messages"] == 0
    assert status["connectors_held"] is False
    assert status["clock"]["is_set"] is True
    assert status["connection"]["state"] == "connected"
    assert status["connection"]["security_profile"] == 0
    assert status["connection"]["url"] == f"{central_system.url}/CP001"
    assert status["connection"]["last_failure"] is None


async def test_down_stays_away_until_up(both: tuple[CentralSystem, Agent]) -> None:
    central_system, running = both
    connection = await central_system.connected()
    await running.call("connection.down")
    await connection.ended()
    assert (await running.call("status"))["connection"]["state"] == "down"
    await running.call("connection.down")  # again: nothing new
    with pytest.raises(Refused, match="not connected"):
        await running.call("data_transfer", vendor_id="x")
    await running.call("configuration.set", values={"AllowCentralSystemTLSWildcards": "true"})
    assert (await running.call("status"))["connection"]["state"] == "down"  # a change does not bring it back
    await running.call("connection.up")
    await central_system.connected(after=connection)
    await running.call("connection.up")
    await central_system.call("GetConfiguration")


async def test_one_value_that_is_no_text_sets_none(both: tuple[CentralSystem, Agent]) -> None:
    central_system, running = both
    with pytest.raises(Refused, match="CpoName is a text"):
        await running.call("configuration.set", values={"HeartbeatInterval": "77", "CpoName": 5})
    [known] = (await central_system.call("GetConfiguration", {"key": ["HeartbeatInterval"]}))["configurationKey"]
    assert known["value"] != "77"


async def test_events_are_raised_and_listed(both: tuple[CentralSystem, Agent]) -> None:
    _, running = both
    await running.call("security.raise_event", type="TamperDetectionActivated", tech_info="lid")
    await running.call("security.raise_event", type="AcmeDoorOpen")
    await running.call("security.raise_event", type="MemoryExhaustion", tech_info=TOO_LONG)
    events = (await running.events())[-3:]
    assert [(event["type"], event["tech_info"], event["critical"]) for event in events] == [
        ("TamperDetectionActivated", "lid", True),
        ("AcmeDoorOpen", None, False),
        ("MemoryExhaustion", "x" * 255, True),
    ]
    assert {"timestamp", "type", "tech_info", "critical", "delivered"} <= events[0].keys()
    since, until = events[1]["timestamp"], events[1]["timestamp"]
    assert await running.call("security.events", since="2099-01-01T00:00:00Z") == []
    assert await running.call("security.events", until="2020-01-01T00:00:00Z") == []
    window = await running.call("security.events", since=since, until=until)
    assert "AcmeDoorOpen" in [event["type"] for event in window]  # what was shown finds what it was shown for
    assert len(await running.call("security.events", limit=2)) == 2


async def test_certificates_are_installed_and_listed(both: tuple[CentralSystem, Agent]) -> None:
    _, running = both
    own = PKI.charge_point_certificate("SN-0001")
    for use, pem, key in (
        ("central-system-root", PKI.root_pem, None),
        ("manufacturer-root", PKI.manufacturer_root_pem, None),
        ("charge-point-certificate", own.certificate_pem, own.key_pem),
    ):
        params = {"use": use, "pem": pem.decode(), "key": key and key.decode()}
        assert await running.call("certificates.install", **params) == {"result": "Accepted"}
    listing = await running.call("certificates.list")
    counts = {domain: len(listing[domain]) for domain in ("central_system", "manufacturer", "charge_point")}
    assert counts == {"central_system": 1, "manufacturer": 1, "charge_point": 1}
    assert own.key_pem.decode().splitlines()[1] not in json.dumps(listing) + running.said()
    changes = await running.events("ReconfigurationOfSecurityParameters")
    assert len(changes) == 3


async def test_a_certificate_of_another_charge_point_is_refused(both: tuple[CentralSystem, Agent]) -> None:
    _, running = both
    other = PKI.charge_point_certificate("SN-0002")
    with pytest.raises(Refused) as refusal:
        await running.call(
            "certificates.install",
            use="charge-point-certificate",
            pem=other.certificate_pem.decode(),
            key=other.key_pem.decode(),
        )
    assert refusal.value.code == REFUSED
    assert refusal.value.data is not None
    assert refusal.value.data["result"] != "Accepted"
    assert await running.events("ReconfigurationOfSecurityParameters") == []


async def test_a_data_transfer_brings_the_central_systems_answer(both: tuple[CentralSystem, Agent]) -> None:
    central_system, running = both
    central_system.script("DataTransfer", Answer({"status": "Accepted", "data": "42"}), times=1)
    answer = await running.call("data_transfer", vendor_id="acme", message_id="m", data="d")
    assert answer == {"status": "Accepted", "data": "42"}
    assert await central_system.expect("DataTransfer") == {"vendorId": "acme", "messageId": "m", "data": "d"}
    central_system.script("DataTransfer", Error("NotSupported", "no"), times=1)
    with pytest.raises(Refused, match="NotSupported"):
        await running.call("data_transfer", vendor_id="acme")


async def test_the_simulated_board_is_moved(both: tuple[CentralSystem, Agent]) -> None:
    central_system, running = both
    await running.call("hardware.fault", connector=0, error_code="InternalError", info="x" * 60)
    told = await central_system.expect("StatusNotification", match={"connectorId": 0, "status": "Faulted"})
    assert (told["errorCode"], told["info"]) == ("InternalError", "x" * 50)
    await running.call("hardware.clear_fault", connector=0)
    await central_system.expect("StatusNotification", match={"connectorId": 0, "status": "Available"})
    await running.call("hardware.tamper", info="lid")
    await running.logged("security event TamperDetectionActivated: lid")


async def test_bad_parameters_are_refused_in_words(both: tuple[CentralSystem, Agent]) -> None:
    _, running = both
    for method, params, code in BAD:
        with pytest.raises(Refused) as refusal:
            await running.call(method, **params)
        assert refusal.value.code == code, (method, params)
        assert len(str(refusal.value)) > 10
    assert (await running.call("status"))["connection"]["state"] == "connected"


async def test_half_a_surrogate_pair_breaks_no_answer(both: tuple[CentralSystem, Agent]) -> None:
    _, running = both
    await running.call("hardware.fault", connector=1, info=HALF_A_PAIR)
    assert (await running.call("status"))["connectors"]["1"]["info"] == HALF_A_PAIR


async def test_the_security_log_is_cleared_and_says_so(both: tuple[CentralSystem, Agent]) -> None:
    central_system, running = both
    await running.call("security.raise_event", type="AcmeDoorOpen")
    assert (await running.call("security.clear_log"))["removed"] >= 1
    event = await central_system.expect("SecurityEventNotification", match={"type": "SecurityLogWasCleared"})
    assert event["techInfo"].startswith("cleared by a local command: ")
    assert not await running.events("AcmeDoorOpen")
    (logged,) = await running.events("SecurityLogWasCleared")
    assert (logged["tech_info"], logged["critical"]) == (event["techInfo"], True)


async def test_status_shows_a_transaction_and_not_whose_it_is(both: tuple[CentralSystem, Agent]) -> None:
    central_system, running = both
    await running.call("hardware.set_meter", connector=1, energy_wh=1000, power_w=0, soc_percent=40)
    await running.call("hardware.plug_in", connector=1)
    await running.call("hardware.present_id_tag", id_tag="04E1C2A3B4")
    await central_system.expect("StartTransaction")
    await central_system.expect("StatusNotification", match={"status": "Charging"})
    status = await running.call("status")
    transaction = status["connectors"]["1"]["transaction"]
    assert transaction.pop("started_at").endswith("Z")
    assert transaction.pop("transaction_id") in (None, 1)  # its answer may still be on the way to the disk
    assert transaction == {"number": 1, "meter_start_wh": 1000}
    assert "04E1C2A3B4" not in str(status)
