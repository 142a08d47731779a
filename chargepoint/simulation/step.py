"""A step of the demo: what is done, and what has to be seen for it to hold."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chargepoint.simulation.stage import Stage


class StepFailed(Exception):
    """Raised when a step did not see what it had to see."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `act` returns what was observed, or raises StepFailed, or NotShown (stage.py)."""

    title: str
    requirements: tuple[str, ...]
    act: Callable[[Stage], Awaitable[str]]


def demand(holds: object, otherwise: str) -> None:
    """Raise StepFailed with these words unless it holds."""
    if not holds:
        raise StepFailed(otherwise)
