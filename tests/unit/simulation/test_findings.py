"""The simulated Central System finds what a Charge Point does wrong, and nothing else."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chargepoint.simulation.central_system import CallRefused, CentralSystem
from chargepoint.simulation.duty import Duty
from chargepoint.simulation.finding import Finding, Rule
from chargepoint.simulation.recorder import Gone
from chargepoint.simulation.registration import Registration
from chargepoint.simulation.script import Answer, Delayed
from tests.bare_charge_point import BOOT, IDENTITY, PASSWORD, BareChargePoint, basic, charge_point


def rules(central_system: CentralSystem) -> list[Rule]:
    return [finding.rule for finding in central_system.findings]


async def booted(client: BareChargePoint) -> None:
    await client.call("BootNotification", BOOT)


@pytest.mark.parametrize(
    ("frame", "rule", "answer"),
    [
        ("{", Rule.FRAME, None),
        ("[" * 100_000, Rule.FRAME, None),
        ([1, "a"], Rule.FRAME, None),
        ([2.0, "a", "Heartbeat", {}], Rule.FRAME, None),
        ([2, 7, "Heartbeat", {}], Rule.FRAME, None),
        ('[2,"a","Heartbeat",{"a":NaN}]', Rule.FRAME, None),
        ('[2,"a","Authorize",{"idTag":"a","idTag":"b"}]', Rule.FRAME, None),
        ([3, "a", {}, "more"], Rule.FRAME, None),
        ([4, "a", "GenericError"], Rule.FRAME, None),
        ([2, "a", "Heartbeat"], Rule.FRAME, "FormationViolation"),
        ([2, "a" * 37, "Heartbeat", {}], Rule.FRAME, "FormationViolation"),
        ([2, "a", "Unheard", {}], Rule.UNKNOWN_ACTION, "NotImplemented"),
        ([2, "a", "Reset", {"type": "Hard"}], Rule.UNKNOWN_ACTION, "NotSupported"),
        ([2, "a", "Authorize", {}], Rule.SCHEMA, "OccurenceConstraintViolation"),
        ([2, "a", "Authorize", {"idTag": 1}], Rule.SCHEMA, "TypeConstraintViolation"),
        ([2, "a", "Authorize", {"idTag": "a" * 21}], Rule.SCHEMA, "PropertyConstraintViolation"),
        ([2, "a", "Heartbeat", {"x": 1}], Rule.SCHEMA, "FormationViolation"),
        ([3, "never-asked", {}], Rule.UNKNOWN_ANSWER, None),
        ([4, "never-asked", "GenericError", "", {}], Rule.UNKNOWN_ANSWER, None),
        (b"[2]", Rule.BINARY_FRAME, None),
    ],
)
async def test_a_bad_message_is_found_and_only_a_call_is_answered(frame: Any, rule: Rule, answer: str | None) -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        await client.send(frame)
        if answer is not None:
            kind, _, code, *_ = await client.receive()
            assert (kind, code) == (4, answer)
        assert (await client.call("Heartbeat", {}))[0] == 3
        assert rules(central_system) == [rule]


async def test_a_time_without_a_zone_breaks_the_schema() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        event = {"type": "StartupOfTheDevice", "timestamp": "2026-01-01T00:00:00"}
        assert (await client.call("SecurityEventNotification", event))[2] == "PropertyConstraintViolation"
        assert "date-time" in central_system.findings[0].detail


async def test_a_repeated_id_is_found() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await client.call("BootNotification", BOOT, "same")
        await client.call("Heartbeat", {}, "same")
        assert rules(central_system) == [Rule.REPEATED_ID]


async def test_a_second_call_before_the_answer_is_found() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        event = asyncio.Event()
        central_system.script("Heartbeat", Delayed(event), times=1)
        await client.send([2, "one", "Heartbeat", {}])
        await central_system.expect("Heartbeat")
        await client.call("Authorize", {"idTag": "A"})
        event.set()
        assert (await client.receive())[1] == "one"
        await client.call("Authorize", {"idTag": "A"})
        assert rules(central_system) == [Rule.OVERLAPPING_CALL]


async def test_calls_out_of_one_write_overlap() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        protocol = client.websocket.protocol
        for unique_id in ("one", "two"):
            protocol.send_text(json.dumps([2, unique_id, "Heartbeat", {}]).encode())
        client.websocket.transport.write(b"".join(protocol.data_to_send()))
        assert [(await client.receive())[1] for _ in range(2)] == ["one", "two"]
        assert rules(central_system) == [Rule.OVERLAPPING_CALL]


async def test_answers_are_judged() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        calling = asyncio.create_task(central_system.call("ClearCache"))
        call = await client.receive()
        await client.send([4, call[1], "FormatViolation", "", {}])
        await client.send([3, call[1], {"status": "Accepted"}])
        with pytest.raises(CallRefused):
            await calling
        await client.call("Heartbeat", {})
        assert rules(central_system) == [Rule.ERROR_CODE, Rule.REPEATED_ANSWER]


async def test_traffic_before_the_boot_is_found() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await client.call("Heartbeat", {})
        await booted(client)
        await client.call("Heartbeat", {})
        assert rules(central_system) == [Rule.BEFORE_BOOT]


async def test_a_reconnect_needs_no_boot() -> None:
    async with CentralSystem() as central_system:
        async with charge_point(central_system) as client:
            await booted(client)
        async with charge_point(central_system) as client:
            await client.call("Heartbeat", {})
        assert central_system.findings == []


async def test_a_pending_charge_point_sends_only_what_was_triggered() -> None:
    boot = {"status": "Pending", "currentTime": Duty().current_time(), "interval": 60}
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        central_system.script("BootNotification", Answer(boot))
        await booted(client)
        calling = asyncio.create_task(
            central_system.call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
        )
        await client.answer({"status": "Accepted"})
        await calling
        await client.call("SignCertificate", {"csr": "x"})
        assert central_system.findings == []
        await client.call("SignCertificate", {"csr": "x"})
        assert rules(central_system) == [Rule.BEFORE_BOOT]
        await booted(client)
        assert rules(central_system) == [Rule.BEFORE_BOOT, Rule.EARLY_BOOT]


async def test_a_rejected_charge_point_does_not_even_answer() -> None:
    boot = {"status": "Rejected", "currentTime": Duty().current_time(), "interval": 0}
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        central_system.script("BootNotification", Answer(boot))
        await booted(client)
        calling = asyncio.create_task(central_system.call("ClearCache"))
        await client.answer({"status": "Accepted"})
        await calling
        await booted(client)
        assert rules(central_system) == [Rule.ANSWER_WHILE_REJECTED]


def test_the_interval_counts_from_the_answer_and_a_trigger_cuts_it_short() -> None:
    registration = Registration()
    registration.note_boot({"status": "Pending", "interval": 10}, now=100.0)
    assert registration.fault_of_call("BootNotification", now=109.9) is Rule.EARLY_BOOT
    assert registration.fault_of_call("BootNotification", now=110.0) is None
    registration.note_trigger({"requestedMessage": "BootNotification"})
    assert registration.fault_of_call("BootNotification", now=101.0) is None
    registration.note_boot({"status": "Accepted", "interval": 10}, now=111.0)
    assert registration.fault_of_call("BootNotification", now=112.0) is None


async def test_a_missing_subprotocol_is_found_and_the_connection_closed() -> None:
    async with CentralSystem() as central_system:
        for offered in (None, "ocpp2.0.1"):
            async with charge_point(central_system, subprotocol=offered) as client:
                with pytest.raises(ConnectionClosed) as closed:
                    await client.receive()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1002
        assert rules(central_system) == [Rule.SUBPROTOCOL, Rule.SUBPROTOCOL]


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        (basic(PASSWORD.hex().encode()), Rule.HEX_CREDENTIAL),
        (basic(PASSWORD.hex().upper().encode()), Rule.HEX_CREDENTIAL),
        (basic(PASSWORD, user="CP002"), Rule.BASIC_HEADER),
        ({"Authorization": "Basic !"}, Rule.BASIC_HEADER),
        ({"Authorization": "Basic Q1AwMDE="}, Rule.BASIC_HEADER),
        ({"Authorization": "Bearer x"}, Rule.BASIC_HEADER),
        (basic(PASSWORD[::-1]), None),
    ],
)
async def test_a_wrong_header_is_found(headers: dict[str, str], rule: Rule | None) -> None:
    async with CentralSystem(profile=1) as central_system:
        central_system.passwords[IDENTITY] = PASSWORD
        with pytest.raises(InvalidStatus, match="401"):
            async with charge_point(central_system, headers=headers):
                pass
        assert rules(central_system) == ([] if rule is None else [rule])


async def test_a_frame_against_rfc_6455_is_found() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        client.websocket.transport.write(b"\x81\x01x")  # not masked
        await central_system.recorder.wait(Gone)
        assert rules(central_system) == [Rule.WEBSOCKET]


async def ordered(
    central_system: CentralSystem, client: BareChargePoint, action: str, request: Any, status: str
) -> None:
    calling = asyncio.create_task(central_system.call(action, request))
    await client.answer({"status": status})
    await calling


def get_log(request_id: int) -> dict[str, Any]:
    return {"logType": "SecurityLog", "requestId": request_id, "log": {"remoteLocation": "http://localhost/"}}


async def test_a_status_is_held_against_what_was_ordered() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        await ordered(central_system, client, "GetLog", get_log(7), "Accepted")
        await client.call("LogStatusNotification", {"status": "Uploading", "requestId": 7})
        await ordered(central_system, client, "GetLog", get_log(8), "AcceptedCanceled")
        await client.call("LogStatusNotification", {"status": "Uploading", "requestId": 7})
        await client.call("LogStatusNotification", {"status": "Uploading", "requestId": 8})
        assert central_system.findings == []
        await client.call("LogStatusNotification", {"status": "Uploaded", "requestId": 7})
        await client.call("LogStatusNotification", {"status": "Uploaded"})
        await client.call("LogStatusNotification", {"status": "Idle"})
        await client.call("SignedFirmwareStatusNotification", {"status": "Installed", "requestId": 9})
        assert rules(central_system) == [
            Rule.STATUS_OF_CANCELED,
            Rule.MISSING_REQUEST_ID,
            Rule.UNASKED_IDLE,
            Rule.UNASKED_STATUS,
        ]


async def test_an_order_outlives_its_connection() -> None:
    async with CentralSystem() as central_system:
        async with charge_point(central_system) as client:
            await booted(client)
            await ordered(central_system, client, "GetLog", get_log(7), "Accepted")
        async with charge_point(central_system) as client:
            await client.call("LogStatusNotification", {"status": "Uploading", "requestId": 7})
        assert central_system.findings == []


async def test_a_transaction_that_was_never_begun_is_found() -> None:
    start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
    stop = {"transactionId": 1, "meterStop": 1, "timestamp": "2026-01-01T00:00:00Z"}
    meter = {
        "connectorId": 1,
        "transactionId": 42,
        "meterValue": [{"timestamp": stop["timestamp"], "sampledValue": [{"value": "1"}]}],
    }
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        await client.call("StopTransaction", stop)
        await client.call("StartTransaction", start)
        await client.call("StopTransaction", stop)
        await client.call("StopTransaction", stop)
        assert rules(central_system) == [Rule.UNKNOWN_TRANSACTION]
        central_system.script("StartTransaction", Answer({"idTagInfo": {"status": "Accepted"}, "transactionId": 42}))
        await client.call("StartTransaction", {**start, "connectorId": 2})
        await client.call("MeterValues", meter)
        assert rules(central_system) == [Rule.UNKNOWN_TRANSACTION]
        await client.call("StopTransaction", {**stop, "meterStop": 2})
        assert rules(central_system) == [Rule.UNKNOWN_TRANSACTION, Rule.SECOND_STOP]


def test_a_finding_is_readable() -> None:
    finding = Finding(Rule.SCHEMA, "why", "", 1, datetime.now(UTC))
    assert str(finding) == "unknown Charge Point: a payload that breaks its schema (why)"
