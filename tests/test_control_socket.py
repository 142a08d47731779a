"""The page of the control socket tells of each method, of its parameters, and of who may call it."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chargepoint import control
from chargepoint.control import Method
from chargepoint.control_methods import ControlMethods
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.settings import HardwareSettings

PAGE = Path(__file__).parent.parent / "docs" / "control-socket.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def table(tmp_path: Path) -> dict[str, Method]:
    foundation: Any = SimpleNamespace(hardware=SimulatedHardware(HardwareSettings(), 1, tmp_path))
    nobody: Any = None  # the table is only looked at
    methods = ControlMethods(
        foundation,
        connection=nobody,
        session=nobody,
        connectors=nobody,
        charging_side=nobody,
        event_delivery=nobody,
        renewal=nobody,
        log_uploads=nobody,
        firmware_updates=nobody,
    )
    return dict(methods.table())


def test_each_method_is_listed_with_its_parameters(table: dict[str, Method]) -> None:
    rows = re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)?)` \| ([^|]*)\|", TEXT, re.MULTILINE)
    listed = {name: re.findall(r"`(\w+\??)`", parameters) for name, parameters in rows}
    assert listed == {name: _parameters(method) for name, method in table.items()}


def test_says_what_members_of_the_group_reach(table: dict[str, Method]) -> None:
    reached = [f"`{name}`" for name, method in table.items() if method.for_group]
    assert f"members of `[control] group` only {' and '.join(reached)}." in TEXT


def test_each_code_of_an_error_is_explained() -> None:
    codes = {value for name, value in vars(control).items() if name.isupper() and type(value) is int and value < 0}
    assert {int(code) for code in re.findall(r"-32\d{3}", TEXT)} == codes


def test_says_how_long_a_request_may_be() -> None:
    assert f"at most {control.MAX_LINE_BYTES:,} bytes" in TEXT


def _parameters(method: Method) -> list[str]:
    parameters = inspect.signature(method.call).parameters.values()
    return [each.name + "?" * (each.default is not inspect.Parameter.empty) for each in parameters]
