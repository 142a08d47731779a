"""What the Central System says of an id tag, and what holds while it cannot be asked."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chargepoint.authorization import Authorization
from chargepoint.configuration import Configuration, Origin, device_values
from chargepoint.database import Database
from chargepoint.outbox import OutboxFull
from chargepoint.payload import call_result
from chargepoint.rpc import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from chargepoint.session import NotAccepted
from chargepoint.state_schema import MIGRATIONS
from tests.charging_bench import CARD

OFFLINE = (NotAccepted("no connection"), CallTimedOut("silence"), ConnectionLost("gone"))
REFUSALS = (CallErrorReceived("Authorize", "InternalError", "no"), InvalidAnswer("nonsense"), OutboxFull("full"))


@pytest.fixture
async def configuration(tmp_path: Path) -> AsyncIterator[Configuration]:
    async def record(event_type: str, tech_info: str | None = None) -> None:
        raise AssertionError("no security parameter is set here")

    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield await Configuration.load(
        database, given={}, device=device_values(1), raise_event=record, missing_prerequisite=lambda profile: None
    )
    await database.close()


def saying(answer: object) -> Callable[[Any], Any]:
    """A Central System that says a status, or fails."""

    async def send(request: Any) -> Any:
        assert request.id_tag == CARD
        if isinstance(answer, Exception):
            raise answer
        return call_result.Authorize(id_tag_info={"status": answer})  # type: ignore[arg-type] # as it comes in

    return send


@pytest.mark.parametrize(("status", "allowed"), [("Accepted", True), ("Blocked", False), ("ConcurrentTx", False)])
async def test_is_what_the_central_system_says(configuration: Configuration, status: str, allowed: bool) -> None:
    assert await Authorization(saying(status), configuration).allows(CARD) is allowed


@pytest.mark.parametrize("silence", OFFLINE, ids=lambda silence: type(silence).__name__)
@pytest.mark.parametrize("anybody", [True, False])
async def test_offline_the_operator_lets_everybody_in_or_nobody(
    configuration: Configuration, silence: Exception, anybody: bool
) -> None:
    await configuration.change("AllowOfflineTxForUnknownId", str(anybody).lower(), Origin.LOCAL)
    assert await Authorization(saying(silence), configuration).allows(CARD) is anybody


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)
async def test_a_refusal_is_none_that_offline_rules_could_mend(
    configuration: Configuration, refusal: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    await configuration.change("AllowOfflineTxForUnknownId", "true", Origin.LOCAL)
    assert not await Authorization(saying(refusal), configuration).allows(CARD)
    assert CARD not in caplog.text
