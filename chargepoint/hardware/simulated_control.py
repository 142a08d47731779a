"""The methods ``hardware.*`` of the control socket: a person's hands on the simulated board.

The board checks what it is given; its ValueError is a mistake of the caller.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from chargepoint.control import INVALID_PARAMS, ControlError

Act = Callable[..., Awaitable[Any]]


class Board(Protocol):
    """What hands can do to the board; `SimulatedHardware` says what each of them raises."""

    def fault(self, connector: int, error_code: str, info: str | None) -> None:
        """Make a connector fail."""

    def clear_fault(self, connector: int) -> None:
        """Mend it."""

    async def plug_in(self, connector: int) -> None:
        """Put a cable in."""

    async def plug_out(self, connector: int) -> None:
        """Take it out."""

    def present_id_tag(self, id_tag: str, connector: int | None) -> None:
        """Hold a card to a reader."""

    def suspend_ev(self, connector: int) -> None:
        """Let a vehicle take no energy."""

    def resume_ev(self, connector: int) -> None:
        """Let it take energy again."""

    def set_lock(self, connector: int, mode: str) -> None:
        """Break or mend a lock."""

    async def set_meter(self, connector: int, energy_wh: object, readings: Mapping[str, object]) -> dict[str, float]:
        """Set what a meter shows."""

    def tamper(self, info: str | None) -> None:
        """Open the lid."""

    def set_clock(self, offset_s: float) -> None:
        """Turn the clock."""


def hands_on(board: Board) -> Mapping[str, Act]:
    """Return the methods that move a board, each under its name."""
    return {**_at_the_connectors(board), **_at_the_housing(board)}


def _at_the_connectors(board: Board) -> Mapping[str, Act]:
    async def plug_in(connector: int) -> None:
        with _mistakes_told():
            await board.plug_in(connector)

    async def plug_out(connector: int) -> None:
        with _mistakes_told():
            await board.plug_out(connector)

    async def present_id_tag(id_tag: str, connector: int | None = None) -> None:
        with _mistakes_told():
            board.present_id_tag(id_tag, connector)

    async def suspend_ev(connector: int) -> None:
        with _mistakes_told():
            board.suspend_ev(connector)

    async def resume_ev(connector: int) -> None:
        with _mistakes_told():
            board.resume_ev(connector)

    async def set_lock(connector: int, mode: str) -> None:
        with _mistakes_told():
            board.set_lock(connector, mode)

    async def set_meter(
        connector: int,
        energy_wh: float | None = None,
        power_w: float | None = None,
        current_a: float | None = None,
        voltage_v: float | None = None,
        soc_percent: float | None = None,
        temperature_c: float | None = None,
    ) -> dict[str, float]:
        readings = {
            "power_w": power_w,
            "current_a": current_a,
            "voltage_v": voltage_v,
            "soc_percent": soc_percent,
            "temperature_c": temperature_c,
        }
        with _mistakes_told():
            return await board.set_meter(connector, energy_wh, readings)

    return {
        "hardware.plug_in": plug_in,
        "hardware.plug_out": plug_out,
        "hardware.present_id_tag": present_id_tag,
        "hardware.suspend_ev": suspend_ev,
        "hardware.resume_ev": resume_ev,
        "hardware.set_lock": set_lock,
        "hardware.set_meter": set_meter,
    }


def _at_the_housing(board: Board) -> Mapping[str, Act]:
    async def fault(connector: int, error_code: str = "OtherError", info: str | None = None) -> None:
        with _mistakes_told():
            board.fault(connector, error_code, info)

    async def clear_fault(connector: int) -> None:
        with _mistakes_told():
            board.clear_fault(connector)

    async def tamper(info: str | None = None) -> None:
        with _mistakes_told():
            board.tamper(info)

    async def set_clock(offset_s: float) -> None:
        with _mistakes_told():
            board.set_clock(offset_s)

    return {
        "hardware.fault": fault,
        "hardware.clear_fault": clear_fault,
        "hardware.tamper": tamper,
        "hardware.set_clock": set_clock,
    }


@contextmanager
def _mistakes_told() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ControlError(str(error), code=INVALID_PARAMS) from error
