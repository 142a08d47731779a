"""L01, the installation: when it may begin, what it waits for, and what becomes of connectors and firmware."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from chargepoint.simulation.frame import Call
from firmware.state import State
from tests.firmware_site import ENDS, STATUS, WHOLE, FirmwareSite, firmware_site

CARD: Final = "04E1C2A3B4"
TWO: Final = {"charge_point": {"connectors": 2, "firmware_version": "1.0.0"}}
LATE: Final = timedelta(days=1)
SOON: Final = timedelta(seconds=1)
"""Later than the download of a small image takes to be scheduled, and no wait to speak of."""


async def plug_and_charge(site: FirmwareSite, connector: int = 1) -> None:
    """A transaction begins."""
    await site.agent.call("hardware.plug_in", connector=connector)
    await site.agent.call("hardware.present_id_tag", id_tag=CARD, connector=connector)
    await site.central_system.expect("StartTransaction", match={"connectorId": connector})


async def shown(site: FirmwareSite, connector: int, status: str) -> None:
    """Wait until the status of a connector was told."""
    await site.central_system.expect("StatusNotification", match={"connectorId": connector, "status": status})


def order_of(site: FirmwareSite, *actions: str) -> list[str]:
    """The statuses of the update, and the actions that are asked for, in the order in which they came."""
    came = []
    for entry in site.central_system.recorder.frames("received"):
        if isinstance(entry.frame, Call) and entry.frame.action == STATUS:
            came.append(str(entry.frame.payload["status"]))
        elif isinstance(entry.frame, Call) and entry.frame.action in actions:
            came.append(entry.frame.action)
    return came


def only(came: list[str], *names: str) -> list[str]:
    """Some of what came, in its order."""
    return [each for each in came if each in names]


@pytest.mark.parametrize(
    ("begins", "state"),
    [
        pytest.param(None, "SignatureVerified", marks=pytest.mark.requirement("L01.FR.06", "L01.FR.07")),
        pytest.param(SOON, "InstallScheduled", marks=pytest.mark.requirement("L01.FR.18", "L01.FR.19")),
    ],
    ids=["at once", "at the install date time"],
)
async def test_waits_for_transactions_with_the_connectors_unavailable(
    begins: timedelta | None, state: str, tmp_path: Path
) -> None:
    async with firmware_site(tmp_path, TWO) as site:
        await shown(site, 2, "Available")
        await plug_and_charge(site)
        install_at = None if begins is None else datetime.now(UTC) + begins
        request_id, _ = await site.order(site.publisher.publish("1.1.0"), install_at=install_at)
        await shown(site, 2, "Unavailable")
        waiting = await site.reached(State.WAITING_FOR_TRANSACTIONS)
        assert waiting["waits_for_transactions"] == 1
        assert waiting["status"] == state

        # A connector that is held takes no card; the one in use falls free and is Unavailable, too.
        await site.agent.call("hardware.plug_in", connector=2)
        await site.agent.call("hardware.present_id_tag", id_tag="another card", connector=2)
        await site.agent.call("hardware.plug_out", connector=1)
        await site.central_system.expect("StopTransaction")
        await shown(site, 1, "Unavailable")
        assert (await site.end_of(request_id))[-1] == "Installed"
        came = order_of(site, "StartTransaction", "StopTransaction")
        assert only(came, "StartTransaction", "StopTransaction", "Installing") == [
            "StartTransaction",
            "StopTransaction",
            "Installing",
        ]
        await shown(site, 1, "Available")
        assert not site.central_system.findings


@pytest.mark.requirement("L01.FR.05", "L01.FR.06")
async def test_charging_goes_on_until_the_reboot_where_it_can(tmp_path: Path) -> None:
    tables = TWO | {"firmware": {"charging_during_install": True}}
    async with firmware_site(tmp_path, tables) as site:
        await plug_and_charge(site)
        request_id, _ = await site.order(site.publisher.publish("1.1.0"))
        await site.told(request_id, "Installing")
        await site.reached(State.WAITING_FOR_REBOOT)
        await shown(site, 2, "Unavailable")
        await site.agent.call("hardware.plug_out", connector=1)
        assert await site.end_of(request_id) == WHOLE
        came = order_of(site, "StopTransaction")
        assert only(came, "Installing", "StopTransaction", "InstallRebooting") == [
            "Installing",
            "StopTransaction",
            "InstallRebooting",
        ]


async def test_gives_up_after_the_longest_wait_and_leaves_the_transaction_alone(tmp_path: Path) -> None:
    tables = TWO | {"firmware": {"max_wait_s": 1}}
    async with firmware_site(tmp_path, tables) as site:
        await plug_and_charge(site)
        request_id, _ = await site.order(site.publisher.publish("1.1.0"))
        assert await site.end_of(request_id) == [*WHOLE[:3], "InstallationFailed"]
        await shown(site, 2, "Available")
        assert (await site.agent.call("status"))["connectors"]["1"]["status"] == "Charging"
        assert "StopTransaction" not in order_of(site, "StopTransaction")


@pytest.mark.requirement("L01.FR.16", "L01.FR.17")
async def test_waits_for_the_install_date_time_also_without_power(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        install_at = datetime.now(UTC) + LATE
        request_id, _ = await site.order(site.publisher.publish("1.1.0"), install_at=install_at)
        await site.told(request_id, "InstallScheduled")
        assert (await site.status())["install_date_time"] is not None
        await site.restart()
        scheduled = await site.status()
        assert (scheduled["state"], scheduled["status"]) == (State.INSTALL_SCHEDULED.value, "InstallScheduled")
        await site.restart_later(LATE)
        assert await site.end_of(request_id) == [*WHOLE[:3], "InstallScheduled", *WHOLE[3:]]


@pytest.mark.requirement("L01.FR.15", "L01.FR.22")
async def test_tells_of_the_installation_and_of_the_reboot_before_it_boots(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        first = await site.central_system.connected()
        request_id, _ = await site.order(site.publisher.publish("1.1.0"))
        assert await site.end_of(request_id) == WHOLE
        before = [
            entry.frame.payload["status"]
            for entry in site.central_system.recorder.frames("received", STATUS)
            if isinstance(entry.frame, Call) and entry.connection == first.number
        ]
        assert before == WHOLE[:-1]
        events = [event["type"] for event in await site.agent.events()]
        assert events.count("ResetOrReboot") == 1


@pytest.mark.requirement("L01.FR.10")
@pytest.mark.parametrize(
    ("image", "end"),
    [
        ("1.1.0\ninstall=fail", "InstallationFailed"),
        ("1.1.0\ninstall=verification", "InstallVerificationFailed"),
        ("1.1.0\ninstall=rollback", "InstallationFailed"),
    ],
)
async def test_says_how_it_failed_and_the_old_firmware_runs_on(image: str, end: str, tmp_path: Path) -> None:
    async with firmware_site(tmp_path, TWO) as site:
        request_id, _ = await site.order(site.publisher.publish(image))
        heard = await site.end_of(request_id)
        assert heard[-1] == end
        assert [status for status in heard if status in ENDS] == [end]
        assert (await site.status())["failure"]
        boots = site.central_system.recorder.frames("received", "BootNotification")
        assert {entry.frame.payload["firmwareVersion"] for entry in boots if isinstance(entry.frame, Call)} == {"1.0.0"}
        for connector in (1, 2):
            status: Any = (await site.agent.call("status"))["connectors"][str(connector)]
            assert status["status"] == "Available"
        assert not await site.agent.events("FirmwareUpdated")


async def test_a_firmware_that_runs_at_once_is_told_by_another_boot_notification(tmp_path: Path) -> None:
    async with firmware_site(tmp_path, {"firmware": {"simulated_activation": "at-once"}}) as site:
        request_id, _ = await site.order(site.publisher.publish("1.1.0"))
        await site.central_system.expect("BootNotification", match={"firmwareVersion": "1.1.0"})
        assert await site.end_of(request_id) == [*WHOLE[:4], "Installed"]
        assert not await site.agent.events("ResetOrReboot")


@pytest.mark.requirement("L01.FR.04", "L01.FR.12")
@pytest.mark.parametrize("method", ["ecdsa", "rsa-pss"])
async def test_takes_both_kinds_of_signature(method: Any, tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        request_id, _ = await site.order(site.publisher.publish("1.1.0", method=method))
        assert await site.end_of(request_id) == WHOLE


@pytest.mark.requirement("L01.FR.03", "L01.FR.04", "L01.FR.09", "L01.FR.12")
@pytest.mark.parametrize("wrong", ["one byte", "cut short", "no signature", "another key", "garbage"])
async def test_refuses_what_the_maker_has_not_signed(wrong: str, tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        publisher = site.publisher
        release = publisher.publish(
            "1.1.0",
            is_signed=wrong != "no signature",
            signer=publisher.rsa_signing if wrong == "another key" else None,
        )
        if wrong == "one byte":
            release.tamper()
        elif wrong == "cut short":
            release.truncate(200_000)
        elif wrong == "garbage":
            release.signature = "%%% no base64 %%%"
        request_id, answer = await site.order(release, checked=False)
        assert answer == "Accepted"
        assert await site.end_of(request_id) == ["Downloading", "Downloaded", "InvalidSignature"]
        assert (await site.event("InvalidFirmwareSignature"))["techInfo"]
        slots = tmp_path / "state" / "simulated-slots"
        assert not [path for path in slots.iterdir() if path.suffix == ".image"]


@pytest.mark.requirement("L01.FR.09")
async def test_refuses_an_image_that_was_exchanged_before_the_installation(tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        install_at = datetime.now(UTC) + LATE
        request_id, _ = await site.order(site.publisher.publish("1.1.0"), install_at=install_at)
        await site.told(request_id, "InstallScheduled")
        (tmp_path / "state" / "firmware" / "image").write_bytes(b"version=6.6.6\n")
        await site.restart_later(LATE)
        assert (await site.end_of(request_id))[-1] == "InvalidSignature"
        assert (await site.event("InvalidFirmwareSignature"))["techInfo"]
