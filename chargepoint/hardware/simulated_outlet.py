"""The outlets of the simulated board: cables, locks, contactors and meters.

A cable stays in place and a meter keeps its register while the agent is down, so both are kept in a file. A contactor
opens when nobody watches it; how fast energy flows and whether a lock works is what was said in this life of the agent.

Energy flows while the agent lets it, a vehicle is there and takes it, and nothing is faulted. As long as nobody has
set a power, none flows, so that a register shows what it was set to.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from security import durable

MAX_REGISTER_WH: Final = 2_147_483_647  #: Wh; meterStart and meterStop as a signed number of 32 bits
MAX_READING: Final = 10_000_000_000  #: of any unit; beyond every Charge Point, and a number that JSON carries exactly


class Lock(StrEnum):
    """The lock that holds a cable in its outlet while energy flows."""

    OK = "ok"
    FAIL = "fail"  # it moves neither way
    ABSENT = "absent"  # the cable belongs to the Charge Point, so there is nothing to hold


@dataclass(slots=True)
class _Outlet:
    plugged_in: bool = False
    register_wh: float = 0.0
    offered: bool = False
    suspended: bool = False
    faulted: bool = False
    lock: Lock = Lock.OK
    readings: dict[str, float] = field(default_factory=dict)
    counted_at: float = 0.0

    @property
    def flows(self) -> bool:
        return self.offered and self.plugged_in and not self.suspended and not self.faulted


class Outlets:
    """All outlets of a simulated board.

    Args:
        count: how many there are, numbered from 1.
        path: the file that keeps cables and registers; damaged or missing, all is as new.
        monotonic: seconds, by which energy is counted.
    """

    def __init__(self, count: int, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._outlets = {number: _Outlet() for number in range(1, count + 1)}
        self._load()
        self._saved = self._content()
        self._saving = asyncio.Lock()

    @property
    def plugged_in(self) -> tuple[int, ...]:
        """The connectors in which a cable stands, ascending."""
        return tuple(number for number, outlet in self._outlets.items() if outlet.plugged_in)

    def set_plugged_in(self, connector: int, plugged_in: bool) -> None:
        """Put a cable in, or take it out; a vehicle that comes takes energy."""
        outlet = self._count(connector)
        outlet.plugged_in, outlet.suspended = plugged_in, False

    def set_suspended(self, connector: int, suspended: bool) -> None:
        """Let the vehicle stop taking energy, or begin again.

        Raises:
            ValueError: there is no vehicle.
        """
        outlet = self._count(connector)
        if not outlet.plugged_in:
            raise ValueError(f"no vehicle is plugged in at connector {connector}")
        outlet.suspended = suspended

    def set_offered(self, connector: int, offered: bool) -> bool:
        """Close or open lock and contactor; return whether the lock followed. Without it the contactor stays open."""
        outlet = self._count(connector)
        follows = outlet.lock is not Lock.FAIL or outlet.offered == offered
        outlet.offered = offered and follows
        return follows

    def set_lock(self, connector: int, mode: object) -> None:
        """Say how a lock behaves from its next movement on.

        Raises:
            ValueError: the mode is none of `Lock`.
        """
        if not isinstance(mode, str) or mode not in tuple(Lock):
            raise ValueError(f"mode is one of {', '.join(Lock)}")
        self._outlets[connector].lock = Lock(mode)

    def set_faulted(self, connector: int, faulted: bool) -> None:
        """Let no energy flow while a fault lasts; 0 is the whole board."""
        for number in self._outlets if connector == 0 else (connector,):
            self._count(number).faulted = faulted

    def meter_wh(self, connector: int) -> int:
        """Return the register in whole Wh."""
        return int(self._count(connector).register_wh)

    def set_meter(self, connector: int, energy_wh: object, readings: Mapping[str, object]) -> dict[str, float]:
        """Set the register, what is measured besides, or both; what is None stays as it was.

        Returns:
            All that the meter shows now.

        Raises:
            ValueError: a value is no number that a meter can show; nothing is changed.
        """
        checked = {name: _number(name, value) for name, value in readings.items() if value is not None}
        outlet = self._count(connector)
        if energy_wh is not None:
            register = _number("energy_wh", energy_wh)
            if not 0 <= register <= MAX_REGISTER_WH:
                raise ValueError(f"energy_wh is from 0 to {MAX_REGISTER_WH}")
            outlet.register_wh = register
        outlet.readings |= checked
        return {"energy_wh": int(outlet.register_wh), **outlet.readings}

    def stop(self) -> None:
        """Open all contactors."""
        for number in self._outlets:
            self.set_offered(number, False)

    async def save(self) -> None:
        """Keep cables and registers durably, where they have changed. Raises DurableError."""
        async with self._saving:
            content = self._content()
            if content != self._saved:
                await asyncio.to_thread(durable.write, self._path, content)
                self._saved = content

    def _content(self) -> bytes:
        state = {
            str(number): {"plugged_in": outlet.plugged_in, "register_wh": self._count(number).register_wh}
            for number, outlet in self._outlets.items()
        }
        return json.dumps(state).encode()

    def _count(self, connector: int) -> _Outlet:
        """Return an outlet with all energy counted that has flowed until now."""
        outlet, now = self._outlets[connector], self._monotonic()
        if outlet.flows:
            hours = timedelta(seconds=now - outlet.counted_at) / timedelta(hours=1)
            flowed = outlet.register_wh + max(outlet.readings.get("power_w", 0.0), 0.0) * hours
            outlet.register_wh = min(flowed, float(MAX_REGISTER_WH))
        outlet.counted_at = now
        return outlet

    def _load(self) -> None:
        try:
            state: Any = json.loads(self._path.read_bytes())
            for number, outlet in self._outlets.items():
                kept = state.get(str(number), {})
                outlet.plugged_in = kept.get("plugged_in") is True
                outlet.register_wh = min(
                    max(_number("register_wh", kept.get("register_wh", 0.0)), 0.0), MAX_REGISTER_WH
                )
        except (FileNotFoundError, ValueError, AttributeError):
            return


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is a number")
    if not -MAX_READING <= value <= MAX_READING:
        raise ValueError(f"{name} is from {-MAX_READING} to {MAX_READING}")
    return float(value)
