"""The simulated board, and the discovery of drivers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.hardware.discovery import DriverUnusable, open_hardware
from chargepoint.hardware.port import ConnectorCleared, ConnectorFaulted, Notice, ResetKind, TamperDetected
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.settings import HardwareSettings


@pytest.fixture
def board(tmp_path: Path) -> SimulatedHardware:
    return SimulatedHardware(HardwareSettings(on_reboot="exit"), 2, tmp_path)


async def test_tells_what_happens_once_it_is_started(board: SimulatedHardware) -> None:
    notices: list[Notice] = []
    board.fault(1)
    await board.start(notices.append)
    board.fault(2, "GroundFailure", "wet")
    board.clear_fault(2)
    board.tamper("lid")
    await board.stop()
    board.tamper("unseen")
    assert notices == [ConnectorFaulted(2, "GroundFailure", "wet"), ConnectorCleared(2), TamperDetected("lid")]


async def test_refuses_a_connector_that_does_not_exist(board: SimulatedHardware) -> None:
    with pytest.raises(ValueError, match="connector 3 does not exist: there are 0 to 2"):
        board.fault(3)


def test_the_boot_id_survives_a_crash_of_the_agent_and_changes_with_a_reboot(tmp_path: Path) -> None:
    settings = HardwareSettings(on_reboot="exit")
    first = SimulatedHardware(settings, 1, tmp_path)
    assert SimulatedHardware(settings, 1, tmp_path).boot_id == first.boot_id
    first.reboot(ResetKind.HARD)
    assert SimulatedHardware(settings, 1, tmp_path).boot_id != first.boot_id


def test_a_damaged_count_of_reboots_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "simulated-reboots").write_text("x")
    assert SimulatedHardware(HardwareSettings(on_reboot="exit"), 1, tmp_path).boot_id.endswith(".0")


async def test_the_clock_can_be_put_off_but_not_set(board: SimulatedHardware) -> None:
    board.set_clock(-3600)
    assert datetime.now(UTC) - board.system_time() > timedelta(minutes=59)
    assert not await board.set_system_time(datetime.now(UTC))


def test_finds_the_driver_by_its_entry_point(tmp_path: Path) -> None:
    assert isinstance(open_hardware(HardwareSettings(driver="simulated"), 1, tmp_path), SimulatedHardware)


def test_a_driver_that_is_not_installed_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DriverUnusable, match=r"no such driver is installed .*simulated"):
        open_hardware(HardwareSettings(driver="acme"), 1, tmp_path)
