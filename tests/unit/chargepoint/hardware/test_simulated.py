"""The simulated board, and the discovery of drivers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.hardware.discovery import DriverUnusable, open_hardware
from chargepoint.hardware.port import (
    ConnectorCleared,
    ConnectorFaulted,
    EvResumed,
    EvSuspended,
    IdTagPresented,
    Notice,
    PluggedIn,
    PluggedOut,
    ResetKind,
    TamperDetected,
)
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.settings import HardwareSettings
from security import durable


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


async def test_tells_of_cables_cards_and_vehicles(board: SimulatedHardware) -> None:
    notices: list[Notice] = []
    await board.start(notices.append)
    await board.plug_in(2)
    board.present_id_tag("CARD")
    board.present_id_tag("CARD", 2)
    board.suspend_ev(2)
    board.resume_ev(2)
    await board.plug_out(2)
    assert notices == [
        PluggedIn(2),
        IdTagPresented("CARD"),
        IdTagPresented("CARD", 2),
        EvSuspended(2),
        EvResumed(2),
        PluggedOut(2),
    ]
    assert "CARD" not in repr(notices)


async def test_tells_of_the_cables_that_are_in_place_when_it_starts(board: SimulatedHardware, tmp_path: Path) -> None:
    await board.plug_in(2)
    notices: list[Notice] = []
    await SimulatedHardware(HardwareSettings(), 2, tmp_path).start(notices.append)
    assert notices == [PluggedIn(2)]


async def test_has_a_meter_that_keeps_what_it_shows(board: SimulatedHardware, tmp_path: Path) -> None:
    assert await board.set_meter(1, 1234, {"voltage_v": 230.0}) == {"energy_wh": 1234, "voltage_v": 230.0}
    await board.start_energy(1)
    await board.stop_energy(1)
    assert await SimulatedHardware(HardwareSettings(), 2, tmp_path).meter_wh(1) == 1234


async def test_gives_no_energy_where_the_lock_does_not_close(board: SimulatedHardware) -> None:
    notices: list[Notice] = []
    await board.start(notices.append)
    board.set_lock(1, "fail")
    assert notices == []  # a lock that nobody moves has not failed yet
    with pytest.raises(OSError, match="the lock of connector 1 does not close"):
        await board.start_energy(1)
    assert notices == [ConnectorFaulted(1, "ConnectorLockFailure", "the lock does not close")]
    await board.stop_energy(1)
    board.set_lock(2, "ok")
    board.set_lock(1, "ok")
    board.set_lock(1, "ok")
    assert notices[1:] == [ConnectorCleared(1)]
    await board.start_energy(1)


async def test_tells_of_a_lock_that_does_not_open(board: SimulatedHardware) -> None:
    notices: list[Notice] = []
    await board.start(notices.append)
    await board.start_energy(1)
    board.set_lock(1, "fail")
    await board.start_energy(1)  # it is closed already
    await board.stop_energy(1)
    await board.stop_energy(1)
    assert notices == [ConnectorFaulted(1, "ConnectorLockFailure", "the lock does not open")]
    board.set_lock(1, "absent")
    assert notices[1:] == [ConnectorCleared(1)]


@pytest.mark.parametrize("other_fault", [True, False])
async def test_a_mended_lock_clears_no_fault_but_its_own(board: SimulatedHardware, other_fault: bool) -> None:
    notices: list[Notice] = []
    await board.start(notices.append)
    board.set_lock(1, "fail")
    with pytest.raises(OSError, match="does not close"):
        await board.start_energy(1)
    if other_fault:
        board.fault(1, "GroundFailure")
    else:
        board.clear_fault(1)
    notices.clear()
    board.set_lock(1, "ok")
    assert notices == []


@pytest.mark.parametrize("mode", ["", "OK", 1, None, ["ok"]])
def test_has_no_lock_of_another_kind(board: SimulatedHardware, mode: object) -> None:
    with pytest.raises(ValueError, match="mode is one of ok, fail, absent"):
        board.set_lock(1, mode)


async def test_goes_on_where_the_disk_does_not_take_its_state(
    board: SimulatedHardware, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class FullDisk(durable.Operations):
        def write(self, descriptor: int, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "operations", FullDisk())
    await board.plug_in(1)
    assert "forgets cables and meters at the next start" in caplog.text


@pytest.mark.parametrize("connector", [0, 3, True, "1"])
async def test_has_no_cable_where_there_is_no_outlet(board: SimulatedHardware, connector: int) -> None:
    for act in (board.plug_in, board.plug_out, board.start_energy, board.meter_wh):
        with pytest.raises(ValueError, match="connector"):
            await act(connector)
    with pytest.raises(ValueError, match="connector"):
        board.present_id_tag("CARD", connector)


@pytest.mark.parametrize("id_tag", ["", "x" * 21, "a\nb", 5])
async def test_reads_no_card_that_no_message_could_carry(board: SimulatedHardware, id_tag: str) -> None:
    with pytest.raises(ValueError, match="1 to 20 printable characters"):
        board.present_id_tag(id_tag)


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
