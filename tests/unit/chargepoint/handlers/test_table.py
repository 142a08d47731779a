"""Which request has a handler, and what is said to the others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chargepoint.handlers.table import HANDLERS
from chargepoint.rpc import ErrorCode, Refusal
from chargepoint.schema import KNOWN_ACTIONS
from chargepoint.simulation.schema import FROM_CENTRAL_SYSTEM
from tests.session_stage import Stage, on_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(tmp_path) as stage:
        yield stage


def test_every_handler_is_of_a_request_that_a_central_system_sends() -> None:
    assert set(HANDLERS) <= KNOWN_ACTIONS
    assert set(HANDLERS) <= set(FROM_CENTRAL_SYSTEM)


@pytest.mark.parametrize("action", sorted(KNOWN_ACTIONS - set(HANDLERS)))
async def test_what_is_known_and_has_no_handler_is_not_supported(stage: Stage, action: str) -> None:
    with pytest.raises(Refusal) as refusal:
        await stage.serve(object(), action)
    assert refusal.value.code is ErrorCode.NOT_SUPPORTED
