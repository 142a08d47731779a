"""L01, meanwhile: resets, orders and faults in the middle of an update cost neither it nor the truth of a status."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from chargepoint.simulation import file_fault as fault
from firmware.state import State
from tests.firmware_site import WHOLE, FirmwareSite, firmware_site

CARD: Final = "04E1C2A3B4"
TWO: Final = {"charge_point": {"connectors": 2, "firmware_version": "1.0.0"}}
GOES_ON: Final = TWO | {"firmware": {"charging_during_install": True}}
SOON: Final = timedelta(seconds=3)
"""Later than a reset takes, so that what is scheduled is met by it."""

KINDS: Final = pytest.mark.parametrize(("kind", "reason"), [("Hard", "HardReset"), ("Soft", "SoftReset")])


async def charge(site: FirmwareSite) -> None:
    """A transaction begins at connector 1."""
    await site.agent.call("hardware.plug_in", connector=1)
    await site.agent.call("hardware.present_id_tag", id_tag=CARD, connector=1)
    await site.central_system.expect("StartTransaction")


async def reset(site: FirmwareSite, kind: str) -> None:
    """The device is reset, and has booted."""
    assert await site.central_system.call("Reset", {"type": kind}) == {"status": "Accepted"}
    await site.central_system.expect("BootNotification")


async def shown(site: FirmwareSite, connector: int, status: str) -> None:
    """Wait until the status of a connector was told."""
    await site.central_system.expect("StatusNotification", match={"connectorId": connector, "status": status})


async def connectors(site: FirmwareSite) -> dict[str, str]:
    """What each connector is now."""
    states: dict[str, Any] = (await site.agent.call("status"))["connectors"]
    return {number: state["status"] for number, state in states.items()}


class TestReset:
    @KINDS
    async def test_while_the_image_comes_it_comes_on_afterwards(self, kind: str, reason: str, tmp_path: Path) -> None:
        async with firmware_site(tmp_path) as site:
            site.servers.https.add_fault(fault.Slow(bytes_per_second=60_000))
            request_id, _ = await site.order(site.publisher.publish("1.1.0"), retry_interval=0)
            await site.told(request_id, "Downloading")
            await reset(site, kind)
            assert await site.end_of(request_id) == WHOLE

    @KINDS
    async def test_while_it_waits_for_its_time_it_waits_on(self, kind: str, reason: str, tmp_path: Path) -> None:
        async with firmware_site(tmp_path) as site:
            install_at = datetime.now(UTC) + SOON
            request_id, _ = await site.order(site.publisher.publish("1.1.0"), install_at=install_at)
            await site.told(request_id, "InstallScheduled")
            await reset(site, kind)
            assert await site.end_of(request_id) == [*WHOLE[:3], "InstallScheduled", *WHOLE[3:]]
            assert datetime.now(UTC) > install_at

    @KINDS
    async def test_ends_the_transaction_that_is_waited_for(self, kind: str, reason: str, tmp_path: Path) -> None:
        async with firmware_site(tmp_path, TWO) as site:
            await charge(site)
            request_id, _ = await site.order(site.publisher.publish("1.1.0"), retry_interval=0)
            await site.reached(State.WAITING_FOR_TRANSACTIONS)
            await reset(site, kind)
            assert (await site.central_system.expect("StopTransaction"))["reason"] == reason
            assert await site.end_of(request_id) == WHOLE
            assert set((await connectors(site)).values()) <= {"Available", "Preparing"}

    @KINDS
    async def test_boots_what_waits_for_a_reboot(self, kind: str, reason: str, tmp_path: Path) -> None:
        """The Central System has ordered this reboot itself: InstallRebooting would tell of another one."""
        async with firmware_site(tmp_path, GOES_ON) as site:
            await charge(site)
            request_id, _ = await site.order(site.publisher.publish("1.1.0"), retry_interval=0)
            await site.reached(State.WAITING_FOR_REBOOT)
            assert await site.central_system.call("Reset", {"type": kind}) == {"status": "Accepted"}
            await site.central_system.expect("BootNotification", match={"firmwareVersion": "1.1.0"})
            assert await site.end_of(request_id) == [*WHOLE[:4], "Installed"]
            assert len(await site.agent.events("FirmwareUpdated")) == 1

    async def test_begins_no_installation_in_the_last_moment(self, tmp_path: Path) -> None:
        """What ends with the agent is the transaction that was waited for: that is no time to begin."""
        async with firmware_site(tmp_path, TWO) as site:
            await charge(site)
            request_id, _ = await site.order(site.publisher.publish("1.1.0"), retry_interval=0)
            await site.reached(State.WAITING_FOR_TRANSACTIONS)
            assert await site.central_system.call("Reset", {"type": "Hard"}) == {"status": "Accepted"}
            await site.agent.logged("state in", 2)
            before, _, _ = site.agent.said().rpartition("state in")
            assert f": {State.CHECKING.value}" not in before
            assert await site.end_of(request_id) == WHOLE

    async def test_again_and_again_ends_an_installation_that_never_ends(self, tmp_path: Path) -> None:
        async with firmware_site(tmp_path, TWO) as site:
            request_id, _ = await site.order(site.publisher.publish("1.1.0\ninstall=hang"))
            for times in (1, 2, 3):
                await site.reached(State.INSTALLING, times)
                await reset(site, "Hard")
            assert await site.end_of(request_id) == [*WHOLE[:4], "InstallationFailed"]
            await shown(site, 2, "Available")
            assert set((await connectors(site)).values()) == {"Available"}
            assert not await site.agent.events("FirmwareUpdated")


class TestEnd:
    @pytest.mark.parametrize(
        ("tables", "state", "told"),
        [(TWO, State.WAITING_FOR_TRANSACTIONS, WHOLE[:3]), (GOES_ON, State.WAITING_FOR_REBOOT, WHOLE[:4])],
        ids=["before the installation", "before the reboot"],
    )
    async def test_of_the_agent_is_no_reboot_of_the_device(
        self, tables: Any, state: State, told: list[str], tmp_path: Path
    ) -> None:
        """The end of the agent ends the transaction that is waited for, and nothing follows from that any more."""
        async with firmware_site(tmp_path, tables) as site:
            await charge(site)
            request_id, _ = await site.order(site.publisher.publish("1.1.0"), retry_interval=0)
            await site.reached(state)
            assert await site.agent.stop() == 0
            assert (site.heard(request_id), site.agent.said().count("state in")) == (told, 1)
            await site.start_again()
            assert await site.end_of(request_id) == WHOLE


class TestHeldConnector:
    async def test_starts_nothing_and_shows_what_is_so(self, tmp_path: Path) -> None:
        async with firmware_site(tmp_path, TWO) as site:
            call = site.central_system.call
            await charge(site)
            request_id, _ = await site.order(site.publisher.publish("1.1.0"), retry_interval=0)
            await shown(site, 2, "Unavailable")
            start = {"idTag": CARD, "connectorId": 2}
            assert await call("RemoteStartTransaction", start) == {"status": "Rejected"}
            # A fault shows over everything, and takes the hold with it when it goes as little as it brought it.
            await site.agent.call("hardware.fault", connector=2, error_code="GroundFailure")
            await shown(site, 2, "Faulted")
            await site.agent.call("hardware.clear_fault", connector=2)
            await shown(site, 2, "Unavailable")
            await site.agent.call("hardware.plug_out", connector=1)
            assert (await site.end_of(request_id)) == WHOLE
            await shown(site, 2, "Available")

    async def test_that_is_taken_out_of_service_meanwhile_stays_so(self, tmp_path: Path) -> None:
        async with firmware_site(tmp_path, TWO) as site:
            await charge(site)
            request_id, _ = await site.order(site.publisher.publish("1.1.0\ninstall=fail"))
            await shown(site, 2, "Unavailable")
            order = {"connectorId": 2, "type": "Inoperative"}
            assert await site.central_system.call("ChangeAvailability", order) == {"status": "Accepted"}
            await site.agent.call("hardware.plug_out", connector=1)
            assert (await site.end_of(request_id))[-1] == "InstallationFailed"
            await shown(site, 1, "Available")
            assert await connectors(site) == {"0": "Available", "1": "Available", "2": "Unavailable"}
