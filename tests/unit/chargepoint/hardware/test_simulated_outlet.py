"""The outlets of the simulated board: what flows, what is measured, and what is there at the next start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chargepoint.hardware.simulated_outlet import MAX_READING, MAX_REGISTER_WH, Outlets

HOUR_S = 3600.0


class Hours:
    """Time at will."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed * HOUR_S


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def new_outlets(tmp_path: Path, hours: Hours) -> Callable[[], Outlets]:
    return lambda: Outlets(2, tmp_path / "outlets", hours)


@pytest.fixture
def outlets(new_outlets: Callable[[], Outlets]) -> Outlets:
    outlets = new_outlets()
    outlets.set_meter(1, 1000, {"power_w": 500})
    outlets.set_plugged_in(1, True)
    outlets.set_offered(1, True)
    return outlets


def test_energy_flows_while_it_is_offered_and_taken(outlets: Outlets, hours: Hours) -> None:
    hours.passed += 2
    assert outlets.meter_wh(1) == 2000
    assert outlets.meter_wh(2) == 0


@pytest.mark.parametrize(
    "stop",
    [
        lambda outlets: outlets.set_offered(1, False),
        lambda outlets: outlets.set_plugged_in(1, False),
        lambda outlets: outlets.set_suspended(1, True),
        lambda outlets: outlets.set_faulted(1, True),
        lambda outlets: outlets.set_faulted(0, True),
        lambda outlets: outlets.stop(),
    ],
    ids=["contactor", "plug", "vehicle", "fault", "fault of the board", "end"],
)
def test_energy_flows_no_longer(outlets: Outlets, hours: Hours, stop: Callable[[Outlets], None]) -> None:
    hours.passed += 1
    stop(outlets)
    hours.passed += 1
    assert outlets.meter_wh(1) == 1500


def test_what_flowed_before_a_new_power_is_counted_with_the_old_one(outlets: Outlets, hours: Hours) -> None:
    hours.passed += 1
    outlets.set_meter(1, None, {"power_w": 100})
    hours.passed += 1
    assert outlets.meter_wh(1) == 1600


def test_a_register_neither_runs_back_nor_over(outlets: Outlets, hours: Hours) -> None:
    outlets.set_meter(1, None, {"power_w": -100})
    hours.passed += 1
    assert outlets.meter_wh(1) == 1000
    outlets.set_meter(1, MAX_REGISTER_WH, {"power_w": 100})
    hours.passed += 1
    assert outlets.meter_wh(1) == MAX_REGISTER_WH


def test_shows_all_that_was_set(outlets: Outlets) -> None:
    shown = outlets.set_meter(1, None, {"soc_percent": 40, "temperature_c": -5.5, "voltage_v": None})
    assert shown == {"energy_wh": 1000, "power_w": 500, "soc_percent": 40, "temperature_c": -5.5}


@pytest.mark.parametrize(
    ("energy_wh", "readings", "complaint"),
    [
        ("5", {}, "energy_wh is a number"),
        (True, {}, "energy_wh is a number"),
        (-1, {}, "energy_wh is from 0"),
        (MAX_REGISTER_WH + 1, {}, "energy_wh is from 0"),
        (10**400, {}, "energy_wh is from"),
        (float("nan"), {}, "energy_wh is from"),
        (5, {"power_w": "much"}, "power_w is a number"),
        (5, {"power_w": MAX_READING + 1}, "power_w is from"),
    ],
)
def test_refuses_what_no_meter_shows_and_changes_nothing(
    outlets: Outlets, energy_wh: object, readings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        outlets.set_meter(1, energy_wh, readings)
    assert outlets.set_meter(1, None, {}) == {"energy_wh": 1000, "power_w": 500}


def test_a_vehicle_that_is_not_there_suspends_nothing(outlets: Outlets) -> None:
    with pytest.raises(ValueError, match="no vehicle is plugged in at connector 2"):
        outlets.set_suspended(2, True)


async def test_cables_and_registers_are_there_at_the_next_start_and_contactors_are_open(
    outlets: Outlets, new_outlets: Callable[[], Outlets], hours: Hours
) -> None:
    hours.passed += 1
    await outlets.save()
    after = new_outlets()
    assert after.plugged_in == (1,)
    hours.passed += 1
    assert after.meter_wh(1) == 1500


async def test_is_written_only_where_something_has_changed(outlets: Outlets, tmp_path: Path) -> None:
    await outlets.save()
    (tmp_path / "outlets").unlink()
    await outlets.save()
    assert not (tmp_path / "outlets").exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"1": 5}', '{"1": {"register_wh": "x"}}', '{"1": {"register_wh": NaN}}']
)
def test_a_damaged_file_is_as_good_as_none(new_outlets: Callable[[], Outlets], tmp_path: Path, content: str) -> None:
    (tmp_path / "outlets").write_text(content)
    after = new_outlets()
    assert (after.plugged_in, after.meter_wh(1), after.meter_wh(2)) == ((), 0, 0)
