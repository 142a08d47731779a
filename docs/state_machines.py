"""Writes docs/state-machines.md: a picture and a table of each state machine, from the tables that the program runs by.

Run it as ``python -m docs.state_machines``; tests/test_state_machines.py fails while the page is out of date.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Protocol

from firmware import event as firmware_event
from firmware import machine as update
from firmware import state as firmware_state
from logs import machine as upload

PAGE: Final = Path(__file__).with_name("state-machines.md")

_HEAD: Final = """\
# State machines

A firmware update and an upload are machines without a world: they take in events and give out commands. What may follow
what is a table in the source, and this page is generated from it (`make docs`). An event that has no row here is
illegal: it raises and changes nothing. After each event the machine is on the disk before anything is done.
"""


class Step(Protocol):
    """A row of a table."""

    @property
    def to(self) -> tuple[Any, ...]:
        """The states that may follow."""


@dataclass(frozen=True)
class Machine:
    """A machine to be drawn.

    Attributes:
        title: its heading.
        source: the module that has the table.
        about: what it is, a sentence or two.
        initial: the state it begins in.
        ends: the states it ends in.
        transitions: (state, event class) -> step.
        everywhere: events that stand in the table only: arrows out of nearly every state would hide the others.
    """

    title: str
    source: str
    about: str
    initial: Enum
    ends: Sequence[Enum]
    transitions: Mapping[tuple[Any, type], Step]
    everywhere: frozenset[type] = frozenset()


MACHINES: Final = (
    Machine(
        "Firmware update",
        "firmware/machine.py",
        "One for each SignedUpdateFirmware.req that was accepted (L01). Not drawn is what leads out of nearly every "
        "state: a fault of ours (JobFailed), and a second request (Stopped).",
        firmware_state.State.ACCEPTED,
        [state for state in firmware_state.State if state in firmware_state.ENDS],
        update.TRANSITIONS,
        frozenset({firmware_event.JobFailed, firmware_event.Stopped}),
    ),
    Machine(
        "Upload of a log",
        "logs/machine.py",
        "One for each GetLog.req or GetDiagnostics.req that was accepted (N01).",
        upload.INITIAL,
        [state for state in upload.State if state in upload.ENDS],
        upload.TRANSITIONS,
    ),
)


def page() -> str:
    """Return the page as the tables have it."""
    return "\n".join([_HEAD, *(line for machine in MACHINES for line in _section(machine))])


def _section(machine: Machine) -> Iterator[str]:
    yield f"## {machine.title}\n"
    yield f"{machine.about} The table is in `{machine.source}`.\n"
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {_id(machine.initial)}"
    for (source, target), events in _arrows(machine).items():
        if source is not target:  # those that stay where they are stand in the table only
            yield f"    {_id(source)} --> {_id(target)} : {', '.join(events)}"
    for end in machine.ends:
        yield f"    {_id(end)} --> [*]"
    yield "```\n"
    yield "| in | happens | then |"
    yield "|---|---|---|"
    for (source, event), step in machine.transitions.items():
        yield f"| {_name(source)} | {event.__name__} | {' or '.join(map(_name, step.to))} |"
    yield ""


def _arrows(machine: Machine) -> dict[tuple[Enum, Enum], list[str]]:
    arrows: dict[tuple[Enum, Enum], list[str]] = {}
    for (source, event), step in machine.transitions.items():
        if event in machine.everywhere:
            continue
        for target in step.to:
            arrows.setdefault((source, target), []).append(event.__name__)
    return arrows


def _name(state: Enum) -> str:
    return state.name.lower().replace("_", " ")


def _id(state: Enum) -> str:
    return state.name.lower()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
