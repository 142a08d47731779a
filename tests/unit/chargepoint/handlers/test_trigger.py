"""Which messages can be triggered, and when."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chargepoint.payload import call, enums
from tests.session_stage import Stage, on_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(tmp_path, connectors=2) as stage:
        yield stage


async def judged(stage: Stage, message: str, connector: int | None = None, kind: Any = call.TriggerMessage) -> str:
    reply: Any = await stage.serve(kind(requested_message=message, connector_id=connector), kind.__name__)
    assert (reply.then is not None) == (reply.conf.status == "Accepted")
    return str(reply.conf.status)


@pytest.mark.parametrize("kind", [call.TriggerMessage, call.ExtendedTriggerMessage])
async def test_judges_the_message_then_the_connector_then_the_registration(stage: Stage, kind: Any) -> None:
    assert await judged(stage, "MeterValues", 9, kind) == "NotImplemented"
    assert await judged(stage, "StatusNotification", 3, kind) == "Rejected"
    assert await judged(stage, "StatusNotification", 1, kind) == "Rejected"  # not accepted yet
    assert await judged(stage, "BootNotification", None, kind) == "Accepted"
    await stage.boot()
    assert await judged(stage, "StatusNotification", 2, kind) == "Accepted"
    assert await judged(stage, "StatusNotification", 0, kind) == "Rejected"  # OCPP 1.6, 6.51: connectorId > 0
    assert await judged(stage, "StatusNotification", -1, kind) == "Rejected"
    assert await judged(stage, "StatusNotification", None, kind) == "Accepted"
    assert await judged(stage, "Heartbeat", 9, kind) == "Accepted"


@pytest.mark.parametrize("message", enums.MessageTrigger)
async def test_every_message_of_the_schema_gets_a_judgement(stage: Stage, message: enums.MessageTrigger) -> None:
    await stage.boot()
    assert await judged(stage, str(message)) in ("Accepted", "NotImplemented")
