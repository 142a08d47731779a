"""The handlers of the Core profile, on a session's stage."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chargepoint.hardware.port import ResetKind
from chargepoint.payload import call, enums
from chargepoint.rpc import Reply
from tests.session_stage import Stage, on_stage

KEY = "00112233445566778899aabbccddeeff"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(tmp_path) as stage:
        yield stage


async def ask(stage: Stage, request: Any) -> Reply:
    return await stage.serve(request, type(request).__name__)


async def change(stage: Stage, key: str, value: str) -> tuple[str, list[str]]:
    """Return the status, and the reconnects that follow the answer."""
    reply = await ask(stage, call.ChangeConfiguration(key=key, value=value))
    assert stage.did == []  # nothing happens before the answer is out
    if reply.then is not None:
        await reply.then()
    did = stage.did[:]
    stage.did.clear()
    return str(getattr(reply.conf, "status")), did  # noqa: B009 - the classes of the package have no types


async def test_an_empty_list_of_keys_asks_for_all(stage: Stage) -> None:
    everything: Any = (await ask(stage, call.GetConfiguration())).conf
    assert (await ask(stage, call.GetConfiguration(key=[]))).conf == everything
    assert everything.unknown_key is None


async def test_the_password_is_never_among_the_values(stage: Stage) -> None:
    await change(stage, "AuthorizationKey", KEY)
    for wanted in (None, ["AuthorizationKey"], ["authorizationkey"]):
        conf: Any = (await ask(stage, call.GetConfiguration(key=wanted))).conf
        assert KEY not in repr(conf)


@pytest.mark.parametrize(
    ("profile", "key", "value", "reconnects"),
    [
        (0, "HeartbeatInterval", "60", False),
        (0, "CpoName", "CPO", False),
        (2, "AllowCentralSystemTLSWildcards", "true", False),
        (0, "AuthorizationKey", KEY, False),  # nothing of the connection rests on it
        (1, "AuthorizationKey", KEY, True),
        (2, "AuthorizationKey", KEY, True),
        (3, "AuthorizationKey", KEY, False),
        (0, "SecurityProfile", "1", True),
        (1, "SecurityProfile", "3", True),
    ],
)
async def test_takes_a_new_connection_only_where_the_present_one_rests_on_the_old_value(
    stage: Stage, profile: int, key: str, value: str, reconnects: bool
) -> None:
    if profile:
        await stage.configuration.change("SecurityProfile", str(profile))
    expected = [f"{key} was changed by the Central System"] if reconnects else []
    assert await change(stage, key, value) == ("Accepted", expected)


@pytest.mark.parametrize(
    ("key", "value"), [("SecurityProfile", "0"), ("AuthorizationKey", "x"), ("SecurityProfile", "")]
)
async def test_a_refused_change_keeps_the_connection(stage: Stage, key: str, value: str) -> None:
    assert await change(stage, key, value) == ("Rejected", [])


@pytest.mark.parametrize("kind", ResetKind)
async def test_resets_after_the_answer(stage: Stage, kind: ResetKind) -> None:
    reply = await ask(stage, call.Reset(type=enums.ResetType(kind)))
    assert stage.did == []
    assert reply.then is not None
    await reply.then()
    assert stage.did == [kind]


async def test_refuses_what_this_agent_does_not_do(stage: Stage) -> None:
    answers = [
        (call.DataTransfer(vendor_id="x"), "UnknownVendorId"),
        (call.RemoteStartTransaction(id_tag="A"), "Rejected"),
        (call.RemoteStopTransaction(transaction_id=1), "Rejected"),
    ]
    for request, status in answers:
        reply: Any = await ask(stage, request)
        assert (reply.conf.status, reply.then) == (status, None)
