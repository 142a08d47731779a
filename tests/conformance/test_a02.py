"""A02: a new Charge Point certificate by request of the Central System; test_a02_a03.py has what A03 shares."""

import signal
from pathlib import Path

import pytest
from cryptography import x509

from chargepoint.simulation.authority import Authority
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.script import Answer
from tests.agent_process import PKI, agent, booted
from tests.enrolling import (
    CPO_NAME,
    SERIAL_NUMBER,
    der,
    hand_over,
    in_profile_3,
    ordered,
    presented,
    requested,
    settled,
    tables,
    trigger,
)


@pytest.mark.requirement("A02.FR.13")
async def test_without_cpo_name_no_request_can_be_made(tmp_path: Path) -> None:
    async with booted(tmp_path) as (central_system, running):
        assert await trigger(central_system) == "Rejected"
        await running.logged("CpoName is not set")
        conf = await central_system.call("ChangeConfiguration", {"key": "CpoName", "value": CPO_NAME})
        assert conf["status"] == "Accepted"
        assert await ordered(central_system)


@pytest.mark.requirement("A02.FR.02")
async def test_the_trigger_is_answered_before_the_request_is_sent(tmp_path: Path) -> None:
    async with booted(tmp_path, tables(tmp_path, profile=0)) as (central_system, _):
        assert await ordered(central_system)
        actions = [
            (entry.direction, entry.action)
            for entry in central_system.recorder.frames()
            if entry.action in ("ExtendedTriggerMessage", "SignCertificate")
        ]
        assert actions == [
            ("sent", "ExtendedTriggerMessage"),
            ("received", "ExtendedTriggerMessage"),
            ("received", "SignCertificate"),
            ("sent", "SignCertificate"),
        ]


@pytest.mark.requirement("A00.FR.806")
async def test_factory_credentials_are_renewed_while_pending(tmp_path: Path) -> None:
    factory = PKI.charge_point_certificate(SERIAL_NUMBER)
    async with CentralSystem(pki=PKI, profile=3) as central_system:
        central_system.serial_numbers["CP001"] = SERIAL_NUMBER
        current_time = central_system.duty.current_time()
        pending = Answer({"status": "Pending", "currentTime": current_time, "interval": 3600})
        central_system.script("BootNotification", pending)
        async with agent(tmp_path, central_system.url, tables(tmp_path, factory)):
            await central_system.expect("BootNotification")
            await presented(central_system)
            signed = PKI.sign_csr(await ordered(central_system), serial_number=SERIAL_NUMBER)
            assert await hand_over(central_system, signed) == "Accepted"
            assert await presented(central_system) == der(signed)


@pytest.mark.requirement("A00.FR.427")
async def test_each_charge_point_shows_a_certificate_of_its_own(tmp_path: Path) -> None:
    shown = []
    for identity, serial_number in (("CP001", "SN-0001"), ("CP002", "SN-0002")):
        directory = tmp_path / identity
        directory.mkdir()
        async with CentralSystem(pki=PKI, profile=3) as central_system:
            central_system.serial_numbers[identity] = serial_number
            given = tables(directory, PKI.charge_point_certificate(serial_number)) | {
                "charge_point": {"identity": identity, "serial_number": serial_number}
            }
            async with agent(directory, central_system.url, given):
                await settled(central_system)
                await presented(central_system)
                signed = PKI.sign_csr(await ordered(central_system), serial_number=serial_number)
                assert await hand_over(central_system, signed) == "Accepted"
                shown.append(x509.load_der_x509_certificate(await presented(central_system)))
    first, second = shown
    assert first.public_key() != second.public_key()
    assert first.subject != second.subject


@pytest.mark.requirement("A02.FR.08")
async def test_below_profile_3_it_is_installed_and_waits_for_the_upgrade(tmp_path: Path) -> None:
    async with booted(tmp_path, tables(tmp_path, profile=0)) as (central_system, running):
        connection = await central_system.connected()
        signed = PKI.sign_csr(await ordered(central_system), serial_number=SERIAL_NUMBER)
        assert await hand_over(central_system, signed) == "Accepted"
        assert await central_system.call("GetConfiguration", {"key": ["CpoName"]})
        assert await central_system.connected() is connection
        (own,) = (await running.call("certificates.list"))["charge_point"]
        assert own["fingerprint"]
        assert own["key_place"] == "file"


async def test_a_certificate_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    async with in_profile_3(tmp_path) as (central_system, running):
        assert await hand_over(central_system, PKI.charge_point_certificate(SERIAL_NUMBER)) == "Rejected"
        (event,) = await running.events("InvalidChargePointCertificate")
        assert event["tech_info"] == "no certificate request waits for it"


async def test_one_that_is_installed_already_is_accepted_again(tmp_path: Path) -> None:
    async with in_profile_3(tmp_path) as (central_system, running):
        before = await central_system.connected()
        signed = PKI.sign_csr(await ordered(central_system), serial_number=SERIAL_NUMBER)
        assert await hand_over(central_system, signed) == "Accepted"
        await central_system.connected(after=before)
        assert await hand_over(central_system, signed) == "Accepted"
        assert await running.events("InvalidChargePointCertificate") == []


async def test_a_chain_with_its_root_and_an_intermediate_is_presented_without_the_root(tmp_path: Path) -> None:
    async with in_profile_3(tmp_path) as (central_system, running):
        before = await central_system.connected()
        signed = PKI.sign_csr(await ordered(central_system), issuer=PKI.intermediate())
        leaf, intermediate = signed.certificate_pem, signed.chain_pem.removeprefix(signed.certificate_pem)
        upside_down = (PKI.root_pem + intermediate + leaf).decode()
        assert await hand_over(central_system, upside_down) == "Accepted"
        await central_system.connected(after=before)
        chains = (running.state / "certificates" / "charge_point").glob("*.pem")
        assert sorted(path.read_text().count("BEGIN CERTIFICATE") for path in chains) == [1, 2]


async def test_roots_of_its_own_may_vouch_for_the_charge_point(tmp_path: Path) -> None:
    issuer = Authority.root("Charge Point Root", "Example CPO")
    (tmp_path / "issuer.pem").write_bytes(issuer.pem)
    given = dict(tables(tmp_path, profile=0))
    given["provisioning"] = {**given["provisioning"], "charge_point_roots": [str(tmp_path / "issuer.pem")]}
    async with booted(tmp_path, given) as (central_system, _):
        signed = PKI.sign_csr(await ordered(central_system), issuer=issuer)
        assert await hand_over(central_system, signed) == "Accepted"


@pytest.mark.parametrize("answered", [True, False])
async def test_a_request_survives_a_kill(answered: bool, tmp_path: Path) -> None:
    async with in_profile_3(tmp_path) as (central_system, running):
        csr = await ordered(central_system)
        if answered:
            await running.logged("has taken the certificate request")
        await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, tables(tmp_path)) as again:
            await settled(central_system)
            signed = PKI.sign_csr(csr, serial_number=SERIAL_NUMBER)
            before = await central_system.connected()
            assert await hand_over(central_system, signed) == "Accepted"
            await central_system.connected(after=before)
            assert await again.stop() == 0
        assert not central_system.findings


async def test_an_order_survives_a_kill_before_the_key_is_made(tmp_path: Path) -> None:
    async with booted(tmp_path, tables(tmp_path, profile=0)) as (central_system, running):
        assert await trigger(central_system) == "Accepted"
        await running.stop(signal.SIGKILL)
        async with agent(tmp_path, central_system.url, tables(tmp_path, profile=0)):
            assert await requested(central_system)
