"""The driver of the certificate's life, with time at will: what it does when, and what it outlives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.configuration import Origin
from chargepoint.installation import Use
from chargepoint.renewal import FAILURE_INTERVAL, LOOK_INTERVAL
from security import durable
from security.enrolment_state import Stage
from security.errors import StorageFull
from security.keys import FileKeys
from security.secret import Secret
from tests.agent_process import PKI
from tests.session_stage import Stage as SessionStage
from tests.session_stage import on_stage


@asynccontextmanager
async def driven(directory: Path, *, lifetime: timedelta) -> AsyncIterator[SessionStage]:
    """A driver without a connection, whose Charge Point certificate ends so long from now."""
    async with on_stage(directory) as stage:
        now = stage.clock.now()
        own = PKI.charge_point_certificate("SN-0001", not_before=now - timedelta(days=300), not_after=now + lifetime)
        outcome = await stage.installer.install(
            Use.CHARGE_POINT_CERTIFICATE, own.chain_pem.decode(), Secret(own.key_pem)
        )
        assert outcome.accepted
        yield stage


async def look(stage: SessionStage) -> timedelta:
    return await stage.renewal._look(lambda: None, lambda why: None)


def request_stage(stage: SessionStage) -> Stage | None:
    request = stage.enrolment.state.request
    return request.stage if request else None


@pytest.mark.requirement("A03.FR.02")
async def test_sleeps_until_the_month_begins_and_asks_then(tmp_path: Path) -> None:
    async with driven(tmp_path, lifetime=timedelta(days=30, minutes=20)) as stage:
        await stage.configuration.change("CpoName", "Example CPO", Origin.LOCAL)
        wait = await look(stage)
        assert timedelta(minutes=19) < wait < timedelta(minutes=21)
        assert request_stage(stage) is None
        stage.passed += timedelta(minutes=21)
        await look(stage)
        assert request_stage(stage) is Stage.OWED


async def test_looks_at_least_once_an_hour(tmp_path: Path) -> None:
    async with driven(tmp_path, lifetime=timedelta(days=300)) as stage:
        assert await look(stage) == LOOK_INTERVAL


async def test_a_disk_that_fails_is_tried_again_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with driven(tmp_path, lifetime=timedelta(days=3)) as stage:
        await stage.configuration.change("CpoName", "Example CPO", Origin.LOCAL)

        def fail(path: Path, data: bytes, *, mode: int = 0o600) -> None:
            raise StorageFull(str(path), "full")

        with monkeypatch.context() as patch:
            patch.setattr(durable, "write", fail)
            assert await look(stage) == FAILURE_INTERVAL
            assert not await stage.renewal.trigger()
            assert not await stage.renewal.accept("")
        await look(stage)
        assert request_stage(stage) is Stage.OWED


async def test_an_order_that_was_taken_is_kept_though_nobody_waits_for_it(tmp_path: Path) -> None:
    async with driven(tmp_path, lifetime=timedelta(days=300)) as stage:
        await stage.configuration.change("CpoName", "Example CPO", Origin.LOCAL)
        ordering = asyncio.create_task(stage.renewal.trigger())
        await asyncio.sleep(0)
        ordering.cancel()
        await asyncio.gather(ordering, return_exceptions=True)
        await stage.renewal.close()
        assert request_stage(stage) is Stage.WANTED


async def test_the_status_is_plain_and_says_what_is_under_way(tmp_path: Path) -> None:
    async with driven(tmp_path, lifetime=timedelta(days=2)) as stage:
        await stage.configuration.change("CpoName", "Example CPO", Origin.LOCAL)
        await look(stage)
        status = stage.renewal.status()
        assert status["new_keys"] == FileKeys().place
        request = status["request"]
        assert isinstance(request, dict)
        assert request["stage"] == "owed"
        (note,) = stage.renewal.notes()
        assert note.startswith("the Charge Point certificate ends in 2.0 days")
