"""What holds for a certificate request whoever began it: the Central System (A02) or the Charge Point itself (A03)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from chargepoint.simulation.authority import CLIENT, Issued, subject_name
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.recorder import Refusal, Upgrade
from chargepoint.simulation.script import Answer, Cut, Error
from tests.agent_process import PKI, Agent, agent
from tests.bare_charge_point import charge_point
from tests.enrolling import (
    CPO_NAME,
    DAY,
    SERIAL_NUMBER,
    asked,
    der,
    hand_over,
    in_profile_3,
    ordered,
    presented,
    public_key,
    requested,
    tables,
)


def both(of_a02: list[str], of_a03: list[str]) -> pytest.MarkDecorator:
    """Run a test for both use cases, each proving its own rows."""
    return pytest.mark.parametrize(
        "use_case",
        [
            pytest.param("A02", marks=pytest.mark.requirement(*of_a02), id="A02"),
            pytest.param("A03", marks=pytest.mark.requirement(*of_a03), id="A03"),
        ],
    )


def sign(csr: str, **changes: Any) -> Issued:
    return PKI.sign_csr(csr, serial_number=SERIAL_NUMBER, **changes)


async def own(running: Agent) -> list[dict[str, Any]]:
    """The Charge Point certificates as the agent lists them."""
    listed: list[dict[str, Any]] = (await running.call("certificates.list"))["charge_point"]
    return listed


async def stage(running: Agent) -> str | None:
    request = (await running.call("status"))["charge_point_certificate"]["request"]
    return str(request["stage"]) if request else None


@both(["A02.FR.03", "A02.FR.13", "A02.FR.11"], ["A03.FR.03", "A03.FR.13", "A03.FR.11"])
async def test_the_request_names_the_operator_and_is_accepted(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (central_system, running, csr, _):
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        organisations = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert [each.value for each in organisations] == [CPO_NAME]
        await running.logged("has taken the certificate request")
        assert await stage(running) == "answered"
        assert not central_system.findings


@both(["A02.FR.11", "A02.FR.12"], ["A03.FR.11", "A03.FR.12"])
async def test_the_central_system_takes_a_sound_request_and_rejects_any_other(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (_, _, csr, _):
        pass
    async with CentralSystem(pki=PKI) as central_system, charge_point(central_system) as bare:
        await bare.call("BootNotification", {"chargePointVendor": "Vendor", "chargePointModel": "Model"})
        assert (await bare.call("SignCertificate", {"csr": csr}))[2] == {"status": "Accepted"}
        assert (await bare.call("SignCertificate", {"csr": csr.replace("E", "F")}))[2] == {"status": "Rejected"}


@both(["A02.FR.05"], ["A03.FR.05"])
async def test_the_private_key_stays_where_it_is(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (central_system, running, csr, _):
        pending = (running.state / "certificates" / "enrolment.json").read_text()
        assert await hand_over(central_system, sign(csr)) == "Accepted"
        assert await presented(central_system)
        said = [await running.call("status"), await running.call("certificates.list"), await running.events()]
        said.append(await central_system.call("GetConfiguration"))
        frames = [entry.frame for entry in central_system.recorder.frames()]
        everything = repr(said) + repr(frames) + running.said()
        assert "PRIVATE KEY" not in everything
        secret = [line for line in pending.split("PRIVATE KEY-----")[1].split("\\n") if len(line) > 40]
        assert secret
        assert not [line for line in secret if line in everything]
        private = [path for path in running.state.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
        assert {path.suffix for path in private} == {".key"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in private)


@both(["A02.FR.06", "A02.FR.07"], ["A03.FR.06", "A03.FR.07"])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda csr: sign(csr, issuer=Pki.create().central_system_root),
        lambda csr: sign(csr, issuer=PKI.manufacturer_root),
        lambda csr: sign(csr, not_before=datetime.now(UTC) - 9 * DAY, not_after=datetime.now(UTC) - DAY),
        lambda csr: issued(csr, "SN-0002", CPO_NAME),
        lambda csr: issued(csr, SERIAL_NUMBER, None),
        lambda csr: PKI.charge_point_certificate(SERIAL_NUMBER),
        lambda csr: (
            PKI.intermediate()
            .issue(subject_name(SERIAL_NUMBER, CPO_NAME), usages=(CLIENT,), key=key_of(csr))
            .certificate_pem.decode()
        ),
        lambda csr: sign(csr).chain_pem.decode() + "\n" * 6_000,
    ],
    ids=[
        "of another tree",
        "of the manufacturer's tree",
        "expired",
        "of another Charge Point",
        "without O",
        "of another key",
        "without its intermediate",
        "too long",
    ],
)
async def test_a_certificate_that_is_not_good_leaves_nothing_but_its_event(
    use_case: str, wrong: Callable[[str], Issued | str], tmp_path: Path
) -> None:
    limit = {"configuration": {"SecurityProfile": 3, "CpoName": CPO_NAME, "CertificateSignedMaxChainSize": 5_000}}
    async with asked(use_case, tmp_path, limit) as (central_system, running, csr, _):
        files = sorted((running.state / "certificates" / "charge_point").iterdir())
        assert await hand_over(central_system, wrong(csr)) == "Rejected"
        await central_system.expect("SecurityEventNotification", match={"type": "InvalidChargePointCertificate"})
        assert sorted((running.state / "certificates" / "charge_point").iterdir()) == files
        # A better one may still come.
        assert await hand_over(central_system, sign(csr)) == "Accepted"


def key_of(csr: str) -> Any:
    return x509.load_pem_x509_csr(csr.encode()).public_key()


def issued(csr: str, common_name: str, organisation: str | None) -> Issued:
    """A certificate of the request's key for another subject."""
    return PKI.central_system_root.issue(subject_name(common_name, organisation), usages=(CLIENT,), key=key_of(csr))


@both(["A02.FR.08", "A02.FR.09"], ["A03.FR.08", "A03.FR.09"])
async def test_is_presented_from_its_notbefore_on(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (central_system, running, csr, old):
        first = await central_system.connected()
        begins = (datetime.now(UTC) + timedelta(seconds=5)).replace(microsecond=0)
        future = sign(csr, not_before=begins)
        assert await hand_over(central_system, future) == "Accepted"
        # Whoever connects before its time still uses the old one.
        await central_system.drop()
        second = await central_system.connected(after=first)
        assert await presented(central_system) == der(old)
        assert len(await own(running)) == 2
        # Nobody asks for it: its time has come.
        upgrade = await central_system.recorder.take(Upgrade)
        assert upgrade.tls is not None
        assert upgrade.tls.client_certificate == der(future)
        assert datetime.now(UTC) >= begins
        await second.ended()


@both(["A02.FR.09"], ["A03.FR.09"])
async def test_of_several_the_newest_is_presented(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (central_system, _, csr, _):
        now = datetime.now(UTC)
        newer = sign(csr, not_before=now - timedelta(hours=1))
        assert await hand_over(central_system, newer) == "Accepted"
        assert await presented(central_system) == der(newer)
        # A certificate with an earlier begin changes nothing, though it came later.
        connection = await central_system.connected()
        csr = await ordered(central_system)
        assert await hand_over(central_system, sign(csr, not_before=now - 900 * DAY)) == "Accepted"
        await central_system.drop()
        await central_system.connected(after=connection)
        assert await presented(central_system) == der(newer)


@both(["A02.FR.10"], ["A03.FR.10"])
async def test_the_old_one_is_used_again_where_the_new_one_never_works(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (central_system, running, csr, old):
        before = await central_system.connected()
        # Good by all rules of ours; but this Central System lets in only its own operator's Charge Points (A00.FR.404).
        refused = issued(csr, SERIAL_NUMBER, "Somebody Else")
        assert await hand_over(central_system, refused) == "Accepted"
        await before.ended()
        refusal = await central_system.recorder.take(Refusal)
        assert refusal.status == 403
        assert await presented(central_system) == der(old)
        await running.logged("the one before is used")
        events = [each["tech_info"] for each in await running.events("ReconfigurationOfSecurityParameters")]
        assert "refuses a new Charge Point certificate" in events[-1]
        # There it stays, over a restart too.
        await running.stop()
        async with agent(tmp_path, central_system.url, tables(tmp_path, old)):
            assert await presented(central_system) == der(old)


@both(["A02.FR.10"], ["A03.FR.10"])
async def test_the_old_one_is_used_again_where_the_new_one_is_hung_up_on_without_a_word(
    use_case: str, tmp_path: Path
) -> None:
    async with asked(use_case, tmp_path) as (central_system, running, csr, old):
        new = sign(csr)
        central_system.register.hangs_up_on.add(der(new))
        assert await hand_over(central_system, new) == "Accepted"
        refusal = await central_system.recorder.take(Refusal)
        assert (refusal.stage, refusal.status) == ("tls", None)
        assert await presented(central_system) == der(old)
        await running.logged("hangs up on a new Charge Point certificate")
        # It may have been an outage: the new one comes back within the hour or two, and works.
        central_system.register.hangs_up_on.clear()
        await pass_days(1 / 12, central_system, running)
        assert await presented(central_system) == der(new)
        # From now on there is no way back to the old one.
        await central_system.drop()
        assert await presented(central_system) == der(new)


@both(["A02.FR.10"], ["A03.FR.10"])
async def test_a_new_one_that_is_always_hung_up_on_is_given_up_in_the_end(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (central_system, running, csr, old):
        new = sign(csr)
        central_system.register.hangs_up_on.add(der(new))
        assert await hand_over(central_system, new) == "Accepted"
        for rounds in range(1, 4):
            await central_system.recorder.take(Refusal)
            assert await presented(central_system) == der(old)
            if rounds < 3:
                await running.logged("is used for now", times=rounds)
                await pass_days(rounds / 12, central_system, running)
        await running.logged("refuses a new Charge Point certificate, the one before is used")
        await pass_days(1, central_system, running)
        assert await presented(central_system) == der(old)
        await running.stop()
        async with agent(tmp_path, central_system.url, tables(tmp_path, old)):
            assert await presented(central_system) == der(old)


@both(["A02.FR.10"], ["A03.FR.10"])
async def test_the_old_one_is_kept_for_a_month(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (central_system, running, csr, old):
        assert await hand_over(central_system, sign(csr, not_after=datetime.now(UTC) + 900 * DAY)) == "Accepted"
        assert await presented(central_system) != der(old)
        await pass_days(29, central_system, running)
        assert len(await own(running)) == 2
        await pass_days(31, central_system, running)
        await running.logged("an old Charge Point certificate was discarded")
        assert len(await own(running)) == 1
        assert len(list((running.state / "certificates" / "charge_point").glob("*.key"))) == 1


async def pass_days(days: float, central_system: CentralSystem, running: Agent) -> None:
    """Put the clocks of both ends ahead of the machine's, and have the connection made anew."""
    before = await central_system.connected()
    central_system.duty.clock = lambda: datetime.now(UTC) + days * DAY
    await running.call("hardware.set_clock", offset_s=(days * DAY).total_seconds())
    await central_system.drop()
    await central_system.connected(after=before)


@both(["A02.FR.02"], ["A03.FR.02"])
async def test_each_request_has_a_key_that_was_never_seen_before(use_case: str, tmp_path: Path) -> None:
    async with asked(use_case, tmp_path) as (central_system, _, csr, old):
        second = await ordered(central_system)
        assert len({public_key(csr), public_key(second), public_key(old)}) == 3
        # The new request has replaced the first one.
        assert await hand_over(central_system, sign(csr)) == "Rejected"
        assert await hand_over(central_system, sign(second)) == "Accepted"


@both(["A02.FR.03"], ["A03.FR.03"])
async def test_the_request_is_owed_until_it_has_its_answer(use_case: str, tmp_path: Path) -> None:
    async with in_profile_3(tmp_path) as (central_system, running):
        central_system.script("SignCertificate", Cut(), times=2)
        csr = await _begin(use_case, central_system, running)
        assert await requested(central_system) == csr
        await running.stop()
        central_system.script("SignCertificate", Error("InternalError", "later"), times=1)
        async with agent(tmp_path, central_system.url, tables(tmp_path)) as again:
            assert await requested(central_system) == csr  # the second of the two cuts came before the stop
            await again.logged("rests until the next connection")
            before = await central_system.connected()
            await central_system.drop()
            await central_system.connected(after=before)
            assert await requested(central_system) == csr
            await again.logged("has taken the certificate request")


async def _begin(use_case: str, central_system: CentralSystem, running: Agent) -> str:
    """Have a request made by a trigger, or by a month that has begun."""
    if use_case == "A02":
        return await ordered(central_system)
    await pass_days(350, central_system, running)
    return await requested(central_system)


@both(["A02.FR.12"], ["A03.FR.12"])
async def test_a_rejected_request_has_ended(use_case: str, tmp_path: Path) -> None:
    async with in_profile_3(tmp_path) as (central_system, running):
        central_system.script("SignCertificate", Answer({"status": "Rejected"}), times=1)
        csr = await _begin(use_case, central_system, running)
        await running.logged("has rejected the certificate request")
        assert await stage(running) == "ended"
        before = await central_system.connected()
        await central_system.drop()
        await central_system.connected(after=before)
        assert (await central_system.call("GetConfiguration", {"key": ["CpoName"]}))["configurationKey"]
        # Only a new trigger begins another one.
        assert public_key(await ordered(central_system)) != public_key(csr)
        assert await hand_over(central_system, sign(csr)) == "Rejected"
