"""RAUC's interface on a D-Bus of its own: what is no answer, and what is no bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from firmware import dbus
from firmware.installer import InstallerUnavailable, Progress
from firmware.rauc_bus import Rauc, RaucRefused, open_rauc
from tests.rauc_service import Device, RaucService, private_bus, rauc_service


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with private_bus(tmp_path) as address:
        yield address


@pytest.fixture
async def service(address: str) -> AsyncIterator[RaucService]:
    async with rauc_service(address, Device()) as service:
        yield service


@pytest.fixture
async def rauc(address: str, service: RaucService) -> AsyncIterator[Rauc]:
    async with open_rauc(address) as rauc:
        await rauc.follow()
        yield rauc


async def test_says_what_rauc_says(rauc: Rauc, service: RaucService) -> None:
    assert await rauc.operation() == "idle"
    assert await rauc.last_error() == ""
    assert await rauc.progress() == Progress(percent=0, text="")
    assert await rauc.primary() == "rootfs.0"
    assert [(slot.name, slot.bootable, slot.booted, slot.good) for slot in await rauc.slots()] == [
        ("rootfs.1", True, False, True),
        ("rootfs.0", True, True, True),
        ("appfs.0", False, False, None),
    ]


async def test_an_installation_is_followed_to_its_result(rauc: Rauc, service: RaucService) -> None:
    await rauc.install_bundle("/bundle")
    assert await rauc.operation() == "installing"
    with pytest.raises(RaucRefused, match="already processing"):
        await rauc.slots()
    await service.end("no space", 1)
    assert await rauc.operation() == "idle"
    assert rauc.result() == 1
    assert await rauc.last_error() == "no space"
    rauc.forget_result()
    assert rauc.result() is None


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GetSlotStatus", ("s", ("text",))),
        ("GetSlotStatus", ("", ())),
        ("GetSlotStatus", ("a(sas)", ([("rootfs.0", ["x"])],))),
        ("GetPrimary", ("ss", ("a", "b"))),
        ("Get", ("", ())),
    ],
)
async def test_an_answer_of_another_form_is_no_answer(
    rauc: Rauc, service: RaucService, method: str, answer: tuple[str, tuple[Any, ...]]
) -> None:
    service.answers[method] = answer
    ask = {"GetSlotStatus": rauc.slots, "GetPrimary": rauc.primary, "Get": rauc.operation}[method]
    with pytest.raises(InstallerUnavailable, match="what its interface does not know"):
        await ask()


@pytest.mark.parametrize("value", [("s", "half"), ("(is)", (1, "half")), ("(sii)", ("half", 1, 1))])
async def test_progress_of_another_form_is_none(rauc: Rauc, service: RaucService, value: tuple[str, Any]) -> None:
    service.answers["Progress"] = ("v", (value,))
    assert await rauc.progress() is None


@pytest.mark.parametrize("address", ["unix:path=/no/such/bus", "tcp:host=localhost", "nonsense"])
async def test_without_a_bus_there_is_nothing_to_ask(address: str) -> None:
    with pytest.raises(InstallerUnavailable, match="there is no D-Bus"):
        async with open_rauc(address):
            pass


async def test_says_where_the_bus_was_looked_for() -> None:
    with pytest.raises(InstallerUnavailable, match=r"at /no/such/bus: No such file or directory"):
        async with open_rauc("unix:path=/no/such/bus"):
            pass


async def test_without_rauc_there_is_nobody_to_ask(address: str) -> None:
    async with open_rauc(address) as rauc:
        with pytest.raises(InstallerUnavailable, match=r"rauc does not answer on D-Bus"):
            await rauc.operation()


async def test_whoever_asks_or_waits_when_the_bus_goes_away_learns_it_at_once(tmp_path: Path) -> None:
    async with AsyncExitStack() as bus:
        address = await bus.enter_async_context(private_bus(tmp_path))
        async with rauc_service(address, Device()) as service, open_rauc(address) as rauc:
            await rauc.follow()
            service.silent = True
            asking, waiting = (
                asyncio.create_task(rauc.operation()),
                asyncio.create_task(rauc.changed(timedelta(days=1))),
            )
            await service.asked.acquire()
            await bus.aclose()
            await waiting
            with pytest.raises(InstallerUnavailable, match="the D-Bus went away"):
                await asking
            with pytest.raises(InstallerUnavailable, match="the D-Bus went away"):
                await rauc.operation()


async def test_a_call_that_is_cancelled_leaves_the_connection_in_order(rauc: Rauc, service: RaucService) -> None:
    service.silent = True
    asking = asyncio.create_task(rauc.operation())
    await service.asked.acquire()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    service.silent = False
    assert await rauc.operation() == "idle"


async def test_signals_wait_in_bounded_number_and_the_last_one_counts(rauc: Rauc, service: RaucService) -> None:
    for number in range(dbus.MAX_WAITING_SIGNALS):
        await service.progress(number % 100, "a line")
    await service.end("", 0)
    assert await rauc.operation() == "idle"
    assert len(rauc._bus._signals) == dbus.MAX_WAITING_SIGNALS
    assert rauc.result() == 0


async def test_a_silent_rauc_is_not_waited_for_without_end(
    rauc: Rauc, service: RaucService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbus, "CALL_TIMEOUT", timedelta(milliseconds=1))
    service.silent = True
    with pytest.raises(InstallerUnavailable, match="is silent on D-Bus"):
        await rauc.operation()


async def test_a_silent_bus_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbus, "CONNECT_TIMEOUT", timedelta(milliseconds=50))
    accepted = []
    server = await asyncio.start_unix_server(lambda _, writer: accepted.append(writer), tmp_path / "bus")
    async with server:
        with pytest.raises(InstallerUnavailable, match="the D-Bus is silent"):
            async with open_rauc(f"unix:path={tmp_path / 'bus'}"):
                pass
        for writer in accepted:
            writer.close()


async def test_a_bus_that_hangs_up_is_none(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), tmp_path / "bus")
    async with server:
        with pytest.raises(InstallerUnavailable, match="there is no D-Bus"):
            async with open_rauc(f"unix:path={tmp_path / 'bus'}"):
                pass
