"""A03: a new Charge Point certificate by itself; what it shares with A02 is in test_a02_a03.py.

Time passes by the board's clock, and the Central System's agrees.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import FrameEntry
from tests.agent_process import PKI, Agent, agent
from tests.enrolling import (
    DAY,
    SERIAL_NUMBER,
    asked,
    der,
    ending_soon,
    hand_over,
    in_profile_3,
    presented,
    public_key,
    requested,
    tables,
)


def lasting(days: float, *, since: float = 335) -> Issued:
    """A Charge Point certificate that ends so many days from now."""
    now = datetime.now(UTC)
    return PKI.charge_point_certificate(SERIAL_NUMBER, not_before=now - since * DAY, not_after=now + days * DAY)


async def pass_days(days: float, central_system: CentralSystem, running: Agent) -> None:
    """Put the clocks of both ends ahead of the machine's, and have the connection made anew."""
    before = await central_system.connected()
    central_system.duty.clock = lambda: datetime.now(UTC) + days * DAY
    await running.call("hardware.set_clock", offset_s=(days * DAY).total_seconds())
    await central_system.drop()
    await central_system.connected(after=before)


def asked_for(central_system: CentralSystem) -> list[FrameEntry]:
    return central_system.recorder.frames("received", "SignCertificate")


@pytest.mark.requirement("A03.FR.02")
async def test_asks_one_month_before_the_end_and_not_earlier(tmp_path: Path) -> None:
    old = lasting(100)
    async with in_profile_3(tmp_path, old) as (central_system, running):
        await pass_days(69, central_system, running)
        assert (await running.call("status"))["charge_point_certificate"]["request"] is None
        await pass_days(71, central_system, running)
        csr = await requested(central_system)
        assert public_key(csr) != public_key(old)
        status = (await running.call("status"))["charge_point_certificate"]
        assert status["request"]["triggered"] is False
        assert len(asked_for(central_system)) == 1


@pytest.mark.requirement("A03.FR.02", "A03.FR.06", "A03.FR.08")
async def test_after_a_long_time_without_power_it_asks_at_the_first_connection(tmp_path: Path) -> None:
    # Out of date already: whether it is let in is the Central System's to say, and this one is lenient below TLS.
    async with CentralSystem(pki=PKI, profile=0) as central_system:
        given = tables(tmp_path, lasting(400, since=1), profile=0)
        async with agent(tmp_path, central_system.url, given):
            await central_system.connected()
        ahead = 500 * DAY
        central_system.duty.clock = lambda: datetime.now(UTC) + ahead
        async with agent(tmp_path, central_system.url, given) as running:
            csr = await requested(central_system)
            signed = PKI.sign_csr(csr, not_after=datetime.now(UTC) + 900 * DAY)
            assert await hand_over(central_system, signed) == "Accepted"
            assert (await running.call("status"))["certificates"]["notes"][1:] == []


@pytest.mark.requirement("A03.FR.02")
async def test_one_request_is_made_and_none_repeated_by_time(tmp_path: Path) -> None:
    async with asked("A03", tmp_path) as (central_system, running, _, _):
        await running.logged("has taken the certificate request")
        for days in (3, 9, 15):
            await pass_days(days, central_system, running)
        assert len(asked_for(central_system)) == 1


async def test_it_is_repeated_where_the_operator_wishes(tmp_path: Path) -> None:
    further = {"security": {"renewal_repeat_days": 5}}
    async with asked("A03", tmp_path, further) as (central_system, running, first, _):
        await running.logged("has taken the certificate request")
        await pass_days(6, central_system, running)
        second = await requested(central_system)
        assert public_key(second) != public_key(first)


async def test_people_are_warned_while_no_new_one_comes(tmp_path: Path) -> None:
    async with asked("A03", tmp_path) as (central_system, running, csr, _):
        for days, number in ((7, 1), (14, 2), (17.5, 3), (19.5, 4)):
            await pass_days(days, central_system, running)
            await running.logged("and has no successor", times=number)
        events = await running.events("ChargePointCertificateExpiry")
        assert [each["tech_info"].split(" (")[0] for each in events] == [
            f"the Charge Point certificate ends in {days} days" for days in ("13.0", "6.0", "2.5", "0.5")
        ]
        assert not any(each["critical"] or each["delivered"] for each in events)
        assert any("ends in 0.5 days" in note for note in (await running.call("status"))["certificates"]["notes"])
        new = PKI.sign_csr(csr, serial_number=SERIAL_NUMBER, not_after=datetime.now(UTC) + 400 * DAY)
        assert await hand_over(central_system, new) == "Accepted"
        assert await presented(central_system)
        assert not any("successor" in note for note in (await running.call("status"))["certificates"]["notes"])


async def test_without_cpo_name_it_waits_for_it(tmp_path: Path) -> None:
    given: dict[str, Any] = {"configuration": {"SecurityProfile": 3}}
    async with in_profile_3(tmp_path, ending_soon(), further=given) as (central_system, running):
        await running.logged("cannot be renewed: CpoName is not set")
        conf = await central_system.call("ChangeConfiguration", {"key": "CpoName", "value": PKI.organisation})
        assert conf["status"] == "Accepted"
        assert await requested(central_system)


async def test_nothing_is_asked_for_nor_discarded_on_the_word_of_a_clock_that_is_not_set(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=3) as central_system:
        central_system.serial_numbers["CP001"] = SERIAL_NUMBER
        given = tables(tmp_path, lasting(400, since=1))
        async with agent(tmp_path, central_system.url, given) as running:
            await central_system.expect("BootNotification")
            # The board believes it to be 1970 from now on, and the agent knows better; in 2060 it would ask.
            await running.call("hardware.set_clock", offset_s=-50 * 365 * DAY.total_seconds())
            before = await central_system.connected()
            await central_system.drop()
            await central_system.connected(after=before)
            status = await running.call("status")
            assert status["clock"]["is_set"] is False
            assert status["charge_point_certificate"]["request"] is None
            assert status["certificates"]["charge_point"] == 1


async def test_a_future_one_that_is_installed_is_no_reason_to_ask(tmp_path: Path) -> None:
    async with asked("A03", tmp_path) as (central_system, running, csr, old):
        begins = datetime.now(UTC) + 10 * DAY
        future = PKI.sign_csr(csr, serial_number=SERIAL_NUMBER, not_before=begins, not_after=begins + 365 * DAY)
        assert await hand_over(central_system, future) == "Accepted"
        await central_system.drop()
        assert await presented(central_system) == der(old)
        await pass_days(timedelta(days=9).days, central_system, running)
        assert len(asked_for(central_system)) == 1
        assert "successor" not in str((await running.call("status"))["certificates"]["notes"])
