"""Uploads whose answer never got out: the connection was lost before, and what is on the disk is done all the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from logs import uploader as uploader_module
from tests.upload_bench import Bench, asked

TOLD = [("Uploading", 7), ("Uploaded", 7)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "uploads")
    await bench.uploader.open()
    yield bench
    await bench.uploader.close()


async def test_an_upload_that_nobody_begins_begins_by_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader_module, "BEGIN_WAIT", timedelta())
    await bench.uploader.request(asked())
    assert await bench.over() == TOLD


async def test_a_request_that_is_given_up_while_it_is_kept_is_taken_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader_module, "BEGIN_WAIT", timedelta())
    await bench.ask(asked(6))
    await bench.over()
    keeping, go_on, commit = asyncio.Event(), asyncio.Event(), bench.memory.commit

    async def keep(*args: Any, **options: Any) -> None:
        keeping.set()
        await go_on.wait()
        await commit(*args, **options)

    monkeypatch.setattr(bench.memory, "commit", keep)
    request = asyncio.create_task(bench.uploader.request(asked(7)))
    await keeping.wait()
    request.cancel()
    await asyncio.wait([request])
    assert request.cancelled()
    go_on.set()
    await bench.memory.until(lambda memory: ("Uploaded", 7) in memory.reports)


async def test_nothing_begins_twice_or_after_the_end_of_the_agent(bench: Bench) -> None:
    accepted = await bench.uploader.request(asked())
    accepted.begin()
    accepted.begin()
    assert await bench.over() == TOLD
    accepted = await bench.uploader.request(asked(8))
    await bench.uploader.close()
    accepted.begin()
    await bench.settled()
    assert bench.memory.state == "accepted"
    assert len(bench.server.received) == 1
