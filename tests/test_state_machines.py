"""The page of the state machines shows the tables that the program runs by."""

from typing import Any

import pytest

from docs import state_machines
from docs.state_machines import Machine


def test_the_page_of_state_machines_is_up_to_date() -> None:
    page = state_machines.PAGE.read_text(encoding="utf-8")
    assert page == state_machines.page(), "run `make docs` and commit docs/state-machines.md"


@pytest.mark.parametrize("machine", state_machines.MACHINES, ids=lambda machine: machine.title)
def test_every_state_can_be_reached_and_every_end_is_one(machine: Machine) -> None:
    reached: set[Any] = {machine.initial}
    looked_at: set[Any] = set()
    while new := reached - looked_at:
        state = new.pop()
        looked_at.add(state)
        reached.update(to for (source, _), step in machine.transitions.items() if source is state for to in step.to)
    assert reached == set(type(machine.initial))
    assert all(end in reached for end in machine.ends)
