"""The simulated Central System is right from birth, follows its script and says what it saw."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from chargepoint.simulation import schema
from chargepoint.simulation.authority import Authority
from chargepoint.simulation.caller import BadAnswer, CallRefused, ConnectionGone
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.frame import CallResult
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.recorder import Gone, Upgrade
from chargepoint.simulation.script import (
    ANY_ACTION,
    Answer,
    Cut,
    Delayed,
    Error,
    Raw,
    Silence,
    Usual,
    WrongId,
)
from tests.bare_charge_point import (
    BOOT,
    IDENTITY,
    PASSWORD,
    SERIAL_NUMBER,
    BareChargePoint,
    basic,
    charge_point,
    client_context,
)

NOW = "2026-01-01T00:00:00Z"
REQUESTS: dict[str, dict[str, Any]] = {
    "Authorize": {"idTag": "A"},
    "BootNotification": BOOT,
    "DataTransfer": {"vendorId": "V"},
    "DiagnosticsStatusNotification": {"status": "Idle"},
    "FirmwareStatusNotification": {"status": "Idle"},
    "Heartbeat": {},
    "LogStatusNotification": {"status": "Idle"},
    "MeterValues": {"connectorId": 1, "meterValue": [{"timestamp": NOW, "sampledValue": [{"value": "1"}]}]},
    "SecurityEventNotification": {"type": "StartupOfTheDevice", "timestamp": NOW},
    "SignCertificate": {"csr": "no request"},
    "SignedFirmwareStatusNotification": {"status": "Idle"},
    "StartTransaction": {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": NOW},
    "StatusNotification": {"connectorId": 0, "errorCode": "NoError", "status": "Available"},
    "StopTransaction": {"transactionId": 1, "meterStop": 1, "timestamp": NOW, "idTag": "A"},
}


async def booted(client: BareChargePoint) -> None:
    assert (await client.call("BootNotification", BOOT))[2]["status"] == "Accepted"


async def test_every_request_of_a_charge_point_gets_a_valid_answer() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        for action, message in (
            ("TriggerMessage", "DiagnosticsStatusNotification"),
            ("ExtendedTriggerMessage", "FirmwareStatusNotification"),
            ("ExtendedTriggerMessage", "LogStatusNotification"),
        ):
            calling = asyncio.create_task(central_system.call(action, {"requestedMessage": message}))
            await client.answer({"status": "Accepted"})
            await calling
        assert REQUESTS.keys() == schema.FROM_CHARGE_POINT
        for action, request in REQUESTS.items():
            kind, _, answer = await client.call(action, request)
            assert kind == 3, action
            schema.check_response(action, answer)
        assert central_system.findings == []


async def test_boot_names_time_and_interval() -> None:
    moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    system = CentralSystem(clock=lambda: moment, heartbeat_interval=timedelta(seconds=7))
    async with system as central_system, charge_point(central_system) as client:
        answer = (await client.call("BootNotification", BOOT))[2]
        assert answer == {"status": "Accepted", "currentTime": "2030-01-02T03:04:05.000Z", "interval": 7}


async def test_a_call_brings_the_answer_back() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        calling = asyncio.create_task(central_system.call("Reset", {"type": "Soft"}))
        kind, _, action, payload = await client.answer({"status": "Accepted"})
        assert (kind, action, payload) == (2, "Reset", {"type": "Soft"})
        assert await calling == {"status": "Accepted"}
        assert central_system.findings == []


async def test_a_call_ends_in_the_error_that_fits() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        calling = asyncio.create_task(central_system.call("ClearCache"))
        await client.send([4, (await client.receive())[1], "NotSupported", "no", {"a": 1}])
        with pytest.raises(CallRefused, match="NotSupported: no") as refused:
            await calling
        assert refused.value.details == {"a": 1}

        calling = asyncio.create_task(central_system.call("ClearCache"))
        await client.answer({"status": "Perhaps"})
        with pytest.raises(BadAnswer, match="status breaks enum"):
            await calling

        with pytest.raises(TimeoutError):
            await central_system.call("ClearCache", timeout=timedelta(0))
        late = await client.receive()
        await client.send([3, late[1], {"status": "Accepted"}])

        calling = asyncio.create_task(central_system.call("ClearCache"))
        await client.receive()
        await central_system.drop()
        with pytest.raises(ConnectionGone):
            await calling
        assert [finding.rule.name for finding in central_system.findings] == ["SCHEMA"]


async def test_a_bad_call_of_the_test_itself_is_refused_unless_unchecked() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        with pytest.raises(ValueError, match=r"no Reset\.req"):
            await central_system.call("Reset", {"type": "Warm"})
        with pytest.raises(ValueError, match="no Central System sends"):
            await central_system.call("Heartbeat")
        calling = asyncio.create_task(central_system.call("Unheard", {"x": 1}, checked=False))
        assert (await client.answer({}))[2:] == ["Unheard", {"x": 1}]
        assert await calling == {}


async def test_one_call_is_outstanding_unless_asked_otherwise() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        calls = [asyncio.create_task(central_system.call("ClearCache")) for _ in range(2)]
        at_once = asyncio.create_task(central_system.call("GetLocalListVersion", at_once=True))
        first, second = await client.receive(), await client.receive()
        assert [first[2], second[2]] == ["ClearCache", "GetLocalListVersion"]
        await client.send([3, second[1], {"listVersion": 3}])
        assert await at_once == {"listVersion": 3}
        await client.send([3, first[1], {"status": "Accepted"}])
        await client.answer({"status": "Rejected"})
        assert await asyncio.gather(*calls) == [{"status": "Accepted"}, {"status": "Rejected"}]


async def test_an_expectation_is_met_by_past_and_future_calls_each_once() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        for connector in (0, 1):
            await client.call("StatusNotification", {**REQUESTS["StatusNotification"], "connectorId": connector})
        assert (await central_system.expect("StatusNotification", match={"connectorId": 1}))["connectorId"] == 1
        assert (await central_system.expect("StatusNotification"))["connectorId"] == 0
        with pytest.raises(TimeoutError):
            await central_system.expect("StatusNotification", timeout=timedelta(0))
        waiting = asyncio.create_task(central_system.expect("Authorize", match=lambda p: bool(p["idTag"] == "B")))
        await client.call("Authorize", {"idTag": "A"})
        await client.call("Authorize", {"idTag": "B"})
        assert await waiting == {"idTag": "B"}


async def test_the_script_is_followed_in_order_and_then_the_standing_step() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        central_system.script("DataTransfer", Answer({"status": "Rejected"}))
        central_system.script("DataTransfer", Usual(), times=1)
        central_system.script("DataTransfer", Error("GenericError", "so", {"d": 1}), times=1)
        central_system.script("DataTransfer", Raw('[3,"{id}",{"status":"Accepted"},"more"]'), times=1)
        central_system.script("DataTransfer", WrongId("other"), times=1)
        central_system.script("DataTransfer", Answer(lambda p: {"status": "Accepted", "data": p["vendorId"]}), times=1)
        answers = [await client.call("DataTransfer", {"vendorId": "V"}, f"id-{n}") for n in range(7)]
        assert answers == [
            [3, "id-0", {"status": "UnknownVendorId"}],
            [4, "id-1", "GenericError", "so", {"d": 1}],
            [3, "id-2", {"status": "Accepted"}, "more"],
            [3, "other", {"status": "UnknownVendorId"}],
            [3, "id-4", {"status": "Accepted", "data": "V"}],
            [3, "id-5", {"status": "Rejected"}],
            [3, "id-6", {"status": "Rejected"}],
        ]
        central_system.unscript()
        assert (await client.call("DataTransfer", {"vendorId": "V"}))[2] == {"status": "UnknownVendorId"}


async def test_an_answer_can_be_withheld_delayed_or_replaced_by_a_cut() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await booted(client)
        event = asyncio.Event()
        central_system.script("Heartbeat", Silence(), times=1)
        central_system.script("Heartbeat", Delayed(event), times=1)
        await client.send([2, "silent", "Heartbeat", {}])
        await client.send([2, "delayed", "Heartbeat", {}])
        await central_system.expect("Heartbeat")
        await central_system.expect("Heartbeat")
        event.set()
        assert (await client.receive())[1] == "delayed"
        central_system.script(ANY_ACTION, Cut(reset=True))
        await client.send([2, "cut", "Heartbeat", {}])
        with pytest.raises(ConnectionClosed):
            await client.receive()
        await central_system.recorder.wait(Gone)


def test_an_answer_of_the_script_has_to_be_valid() -> None:
    central_system = CentralSystem()
    with pytest.raises(ValueError, match=r"no BootNotification\.conf"):
        central_system.script("BootNotification", Answer({"status": "Maybe"}))
    with pytest.raises(ValueError, match="no Charge Point sends"):
        central_system.script("Reset", Silence())
    central_system.script("BootNotification", Answer({"status": "Maybe"}, checked=False))


async def test_the_profile_changes_on_a_standing_listener() -> None:
    async with CentralSystem() as central_system:
        port = central_system.port
        central_system.passwords[IDENTITY] = PASSWORD
        async with charge_point(central_system) as client:
            await central_system.connected(IDENTITY)
            await central_system.set_profile(1)
            with pytest.raises(ConnectionClosed) as closed:
                await client.receive()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        async with charge_point(central_system, password=PASSWORD) as client:
            await booted(client)
            central_system.profile = 2
            with pytest.raises(ConnectionClosed):
                await client.receive()
        assert central_system.url == f"wss://localhost:{port}/ocpp"
        async with charge_point(central_system, password=PASSWORD):
            connection = await central_system.connected(IDENTITY)
            assert connection.profile == 2
        assert [u.profile for u in central_system.recorder.entries if isinstance(u, Upgrade)] == [0, 1, 2]


async def test_the_port_can_be_lent_and_taken_back() -> None:
    async with CentralSystem() as central_system:
        async with charge_point(central_system) as client:
            await central_system.suspend()
            with pytest.raises(ConnectionClosed):
                await client.receive()
        with pytest.raises(ConnectionRefusedError):
            async with charge_point(central_system):
                pass
        async with CentralSystem(port=central_system.port) as other, charge_point(other) as client:
            await booted(client)
        await central_system.resume()
        async with charge_point(central_system) as client:
            await booted(client)


async def test_a_charge_point_that_comes_again_replaces_itself() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as first:
        old = await central_system.connected()
        async with charge_point(central_system) as second:
            new = await central_system.connected(after=old)
            with pytest.raises(ConnectionClosed):
                await first.receive()
            await booted(second)
            assert central_system.connections == {IDENTITY: new}


async def test_raw_messages_and_raw_bytes_go_out_as_they_are() -> None:
    async with CentralSystem() as central_system, charge_point(central_system) as client:
        await central_system.send_raw("{garbage")
        await central_system.send_raw(b"\x00\x01")
        assert [await client.websocket.recv() for _ in range(2)] == ["{garbage", b"\x00\x01"]
        (await central_system.connected()).send_bytes(b"\xff\xff\xff")
        with pytest.raises(ConnectionClosed):
            await client.receive()


async def test_the_record_holds_frames_handshake_and_end() -> None:
    async with CentralSystem(profile=2) as central_system:
        central_system.passwords[IDENTITY] = PASSWORD
        async with charge_point(central_system, password=PASSWORD) as client:
            await booted(client)
        await central_system.recorder.wait(Gone, lambda gone: gone.code == 1000)
        upgrade = await central_system.recorder.wait(Upgrade)
        assert dict(upgrade.headers)["Authorization"] == basic(PASSWORD)["Authorization"]
        assert (upgrade.target, upgrade.subprotocol) == (f"/ocpp/{IDENTITY}", "ocpp1.6")
        assert upgrade.tls is not None
        assert upgrade.tls.version == "TLSv1.3"
        assert upgrade.tls.hello is not None
        assert upgrade.tls.hello.server_name == "localhost"
        received, sent = central_system.recorder.frames(action="BootNotification")
        assert (received.direction, sent.direction) == ("received", "sent")
        assert isinstance(sent.frame, CallResult)
        assert received.at.tzinfo is UTC
        assert received.monotonic <= sent.monotonic


async def test_the_record_can_be_a_ring() -> None:
    async with CentralSystem(max_entries=3) as central_system, charge_point(central_system) as client:
        await booted(client)
        for _ in range(5):
            await client.call("Heartbeat", {})
        assert len(central_system.recorder.entries) == 3


async def test_unknown_charge_points_are_let_in_only_by_option() -> None:
    async with CentralSystem(profile=1) as central_system:
        with pytest.raises(InvalidStatus, match="401"):
            async with charge_point(central_system, password=PASSWORD):
                pass
    async with CentralSystem(profile=1, accept_unknown=True) as central_system:
        async with charge_point(central_system, password=PASSWORD) as client:
            await booted(client)
        assert central_system.passwords == {IDENTITY: PASSWORD}
        with pytest.raises(InvalidStatus, match="401"):
            async with charge_point(central_system, password=PASSWORD[::-1]):
                pass


async def test_other_certificates_can_be_shown_at_any_time() -> None:
    async with CentralSystem(profile=2) as central_system:
        central_system.passwords[IDENTITY] = PASSWORD
        central_system.present(Pki.create().server_certificate())
        with pytest.raises(OSError, match="unable to get local issuer"):
            async with charge_point(central_system, password=PASSWORD):
                pass
        assert (await central_system.refused()).stage == "tls"
        central_system.present()
        async with charge_point(central_system, password=PASSWORD) as client:
            await booted(client)


async def test_a_refused_client_certificate_is_recorded_with_the_cause() -> None:
    async with CentralSystem(profile=3) as central_system:
        stranger = Pki.create().charge_point_certificate("SN-0001")
        with pytest.raises((OSError, InvalidMessage)):
            async with charge_point(central_system, context=client_context(central_system, stranger)):
                pass
        refusal = await central_system.refused()
        assert "unable to get local issuer certificate" in refusal.reason


@pytest.mark.parametrize(
    ("year", "refusal"), [(2040, None), (2039, "out of date"), (2042, "out of date")], ids=["in date", "early", "late"]
)
async def test_with_a_calendar_of_its_own_it_judges_client_certificates_by_that(year: int, refusal: str | None) -> None:
    today = datetime(year, 7, 1, tzinfo=UTC)
    system = CentralSystem(profile=3, clock=lambda: today, own_calendar=True)
    async with system as central_system:
        central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
        certificate = central_system.pki.charge_point_certificate(
            SERIAL_NUMBER, not_before=datetime(2040, 1, 1, tzinfo=UTC), not_after=datetime(2041, 1, 1, tzinfo=UTC)
        )
        context = client_context(central_system, certificate)
        if refusal is None:
            async with charge_point(central_system, context=context) as client:
                await booted(client)
            return
        with pytest.raises(InvalidStatus, match="403"):
            async with charge_point(central_system, context=context):
                pass
        assert refusal in (await central_system.refused()).reason


async def test_other_roots_can_vouch_for_charge_points_at_any_time() -> None:
    async with CentralSystem(profile=3) as central_system:
        central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
        root = Authority.root("Another root", central_system.pki.organisation)
        context = client_context(
            central_system, central_system.pki.charge_point_certificate(SERIAL_NUMBER, issuer=root)
        )
        central_system.trust(root)
        async with charge_point(central_system, context=context) as client:
            await booted(client)
        central_system.trust()
        with pytest.raises((OSError, InvalidMessage)):
            async with charge_point(central_system, context=context):
                pass


async def test_several_charge_points_are_told_apart() -> None:
    async with (
        CentralSystem() as central_system,
        charge_point(central_system, identity="A%2FB") as one,
        charge_point(central_system, identity="two") as two,
    ):
        await booted(one)
        await booted(two)
        calling = asyncio.create_task(central_system.call("ClearCache", identity="two"))
        await two.answer({"status": "Accepted"})
        assert await calling == {"status": "Accepted"}
        assert central_system.connections.keys() == {"A/B", "two"}
        assert await central_system.expect("BootNotification", identity="A/B") == BOOT
