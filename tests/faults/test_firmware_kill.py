"""SIGKILL strikes the agent in each state of a firmware update: the next process brings it to its end, and tells it.

The agent is a real process with simulated slots, real transfers and a real Central System. What the Central System has
heard is one legal sequence, in which a status may come twice where a kill fell between its answer and the disk.
"""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest

from chargepoint.simulation import file_fault as fault
from firmware.state import State
from tests.firmware_site import FirmwareSite, firmware_site
from tests.updating import assert_legal

CARD: Final = "04E1C2A3B4"
LATE: Final = timedelta(days=1)
BIG: Final = 30_000_000


async def nothing(site: FirmwareSite) -> None:
    """The world is as it should be."""


async def charge(site: FirmwareSite) -> None:
    """Somebody charges."""
    await site.agent.call("hardware.plug_in", connector=1)
    await site.agent.call("hardware.present_id_tag", id_tag=CARD, connector=1)
    await site.central_system.expect("StartTransaction")


async def slow(site: FirmwareSite) -> None:
    """The file server takes its time."""
    site.servers.https.add_fault(fault.Slow(bytes_per_second=60_000))


async def broken(site: FirmwareSite) -> None:
    """The file server breaks off."""
    site.servers.https.add_fault(fault.CutAfter(bytes=1000))


async def away(site: FirmwareSite) -> None:
    """The Central System goes away when the installation begins."""
    await site.reached(State.INSTALLING)
    await site.central_system.suspend()


@dataclass(frozen=True)
class Case:
    """Where the kill strikes, and how the update comes there.

    Attributes:
        state: logged just before the kill.
        before: done before the request.
        request: what is special about it.
        after: done when the request is accepted.
        tables: of config.toml.
        size_bytes: of the image.
        late: the time that has passed when the next process starts.
    """

    state: State
    before: Callable[[FirmwareSite], Awaitable[None]] = nothing
    request: Callable[[], dict[str, Any]] = dict
    after: Callable[[FirmwareSite], Awaitable[None]] = nothing
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    size_bytes: int = 300_000
    late: timedelta = timedelta()


PAUSES: Final = {"firmware": {"pause_while_charging": True}}
CHARGES_ON: Final = {"firmware": {"charging_during_install": True}}
NO_REPORT: Final = {"firmware": {"reboot_report_wait_s": 3600}}
BOOTS_ALONE: Final = {"firmware": {"reboot_report_wait_s": 0}}

CASES: Final = [
    Case(
        State.DOWNLOAD_SCHEDULED,
        request=lambda: {"retrieve_at": datetime.now(UTC) + LATE},
        late=LATE + timedelta(minutes=1),
    ),
    Case(State.DOWNLOADING, before=slow),
    Case(State.RETRY_WAIT, before=broken, request=lambda: {"retry_interval": 3600}, late=timedelta(hours=2)),
    Case(State.DOWNLOAD_PAUSED, before=slow, after=charge, tables=PAUSES),
    Case(State.DOWNLOADED),
    Case(State.SIGNATURE_VERIFIED),
    Case(
        State.INSTALL_SCHEDULED,
        request=lambda: {"install_at": datetime.now(UTC) + LATE},
        late=LATE + timedelta(minutes=1),
    ),
    Case(State.WAITING_FOR_TRANSACTIONS, before=charge),
    Case(State.CHECKING, size_bytes=BIG),
    Case(State.INSTALLING, size_bytes=BIG),
    Case(State.WAITING_FOR_REBOOT, before=charge, tables=CHARGES_ON),
    Case(State.INSTALL_REBOOTING, after=away, tables=NO_REPORT, size_bytes=BIG),
    Case(State.REBOOTING),
    Case(State.PROBATION, after=away, tables=BOOTS_ALONE, size_bytes=BIG),
    Case(State.RECORDING_SUCCESS),
    Case(State.INSTALLED),
]


@pytest.mark.requirement("L01.FR.01", "L01.FR.05", "L01.FR.10")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.state.name)
async def test_a_kill_in_each_state(case: Case, tmp_path: Path) -> None:
    async with firmware_site(tmp_path, case.tables) as site:
        await case.before(site)
        release = site.publisher.publish("1.1.0", size_bytes=case.size_bytes)
        request_id, answer = await site.order(release, **case.request())
        assert answer == "Accepted"
        await case.after(site)
        await site.agent.logged(f": {case.state.value}")
        assert await site.agent.stop(signal.SIGKILL) == -signal.SIGKILL
        site.servers.https.faults.clear()
        if case.after is away:
            await site.central_system.resume()
        if case.late:
            site.pretend(case.late)
        await site.start_again()
        heard = await site.end_of(request_id) if "Installed" not in site.heard(request_id) else site.heard(request_id)
        told = [status for status, _ in groupby(heard)]
        assert_legal(told)
        assert told[-1] == "Installed"
        updated = await site.agent.events("FirmwareUpdated")
        assert updated
        assert all(f"request {request_id}" in event["tech_info"] for event in updated)
        shown = await site.status()
        assert (shown["state"], shown["version"]) == ("installed", "1.1.0")
        assert not [path for path in (tmp_path / "state" / "firmware").iterdir() if path.is_file()]
        status = await site.agent.call("status")
        assert {each["status"] for each in status["connectors"].values()} <= {"Available", "Preparing", "Finishing"}


@pytest.mark.requirement("L01.FR.03", "L01.FR.09")
@pytest.mark.parametrize(
    "state", [State.DOWNLOADING, State.DOWNLOADED, State.RECORDING_SIGNATURE], ids=lambda s: s.name
)
async def test_a_forged_image_is_never_installed_whoever_is_killed(state: State, tmp_path: Path) -> None:
    async with firmware_site(tmp_path) as site:
        release = site.publisher.publish("1.1.0")
        release.tamper()
        request_id, _ = await site.order(release, checked=False)
        await site.agent.logged(f": {state.value}")
        await site.agent.stop(signal.SIGKILL)
        await site.start_again()
        told = [status for status, _ in groupby(await site.end_of(request_id))]
        assert told == ["Downloading", "Downloaded", "InvalidSignature"]
        assert await site.agent.events("InvalidFirmwareSignature")
        slots = tmp_path / "state" / "simulated-slots"
        assert not [path for path in slots.iterdir() if path.suffix == ".image"]
