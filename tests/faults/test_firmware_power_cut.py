"""A power cut at any instant of a firmware update: the next starts bring it to its end, once, and tell the truth.

Everything that survives lies in one directory and goes through the door of durable.py, so that the recorder sees each
commit of the journal between the steps of the slots, of the image and of the security log. Journal and log are files
here; that a commit to SQLite is as atomic is shown for the database itself.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.clock import Clock
from chargepoint.firmware_trust import FirmwareTrust
from firmware.command import Report
from firmware.event import Found
from firmware.port import Fetched, FetchProgress
from firmware.record import Policy
from firmware.request import FirmwareRequest
from firmware.simulated_slots import SimulatedSlots
from firmware.state import State
from firmware.updater import Updater
from firmware.worker import Worker
from security import durable
from security.event import SecurityEventType
from security.store import CaDomain, CertificateStore
from tests.pki import NOW
from tests.recorder import Recorder
from tests.update_stage import FORGED, HOUR, IMAGE, PATIENCE_S, ROOT, SIGNER, Slow, World, kill, sign
from tests.updating import assert_legal

SHA256 = hashlib.sha256(IMAGE).hexdigest()


class DurableWorld(World):
    """A world whose downloads and security events pass the door."""

    directory: Path

    async def fetch(self, location: str, target: Path, progress: Callable[[FetchProgress], None]) -> Fetched:
        image = self.served[0]
        assert isinstance(image, bytes)
        await asyncio.to_thread(durable.write, target, image)
        return Fetched(hashlib.sha256(image).hexdigest(), len(image))

    async def record(self, event_type: SecurityEventType, tech_info: str) -> None:
        events = [*self.recorded(), event_type.value]
        await asyncio.to_thread(durable.write, self.directory / "events.json", json.dumps(events).encode())

    def recorded(self) -> list[str]:
        path = self.directory / "events.json"
        events: list[str] = json.loads(path.read_text()) if path.exists() else []
        return events


class FileJournal:
    """Snapshot and reports in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        kept: dict[str, Any] = (
            json.loads(self._path.read_text()) if self._path.exists() else {"snapshot": None, "told": []}
        )
        return kept

    async def load(self) -> dict[str, Any] | None:
        snapshot: dict[str, Any] | None = self.read()["snapshot"]
        return snapshot

    async def commit(
        self, snapshot: dict[str, Any], reports: Sequence[Report] = (), *, withdraw: int | None = None
    ) -> None:
        told = [*self.read()["told"], *(str(report.status) for report in reports)]
        await asyncio.to_thread(durable.write, self._path, json.dumps({"snapshot": snapshot, "told": told}).encode())


class Device:
    """A device on a directory, from one boot to the next.

    Args:
        directory: all that survives.
        certificates: the roots; elsewhere, since they do not change here.
        served: what the file server has.
        boot_id: of this boot.
    """

    def __init__(self, directory: Path, certificates: CertificateStore, served: bytes, boot_id: str) -> None:
        self.world = DurableWorld()
        self.world.directory = directory
        self.world.served[0] = served
        self.journal = FileJournal(directory / "journal.json")
        self.installer = Slow(SimulatedSlots.open(directory / "slots", boot_id=boot_id, factory_version="1.0.0"))
        self.updater = Updater(
            self.journal,
            Worker(
                fetcher=self.world,
                verifier=FirmwareTrust(
                    certificates,
                    Clock(system=self.world.now, monotonic=lambda: self.world.now().timestamp()),
                    _never,
                    policy="off",
                    accept_pkcs1=False,
                ),
                installer=self.installer,
                charging=self.world,
                agent=self.world,
                directory=directory / "firmware",
                pause_while_charging=False,
                report_wait=timedelta(),
            ),
            Policy(),
        )

    @property
    def state(self) -> State | None:
        return None if self.updater.update is None else self.updater.update.state

    async def until_it_boots_or_ends(self) -> bool:
        """Let it work; returns whether it wants to boot."""
        async with asyncio.timeout(PATIENCE_S):
            while self.updater.update is not None and not self.updater.update.is_over:
                waits = [asyncio.create_task(wait()) for wait in (self.world.reboot_ordered.wait, self._changed)]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for each in waits:
                    each.cancel()
                await asyncio.wait(waits)
                if self.world.reboot_ordered.is_set():
                    return True
            if self.updater._job is not None:
                await asyncio.wait({self.updater._job})
        return False

    async def _changed(self) -> bool:
        await self.updater.wait_for_change()
        return True


def _never() -> Any:
    raise AssertionError("nobody asks about revocation here")


@pytest.fixture
def certificates(tmp_path: Path) -> CertificateStore:
    store = CertificateStore.open(tmp_path / "certificates")
    assert store.install_root(CaDomain.MANUFACTURER, ROOT.pem, NOW).accepted
    return store


def request() -> FirmwareRequest:
    return FirmwareRequest.of(
        request_id=1,
        location="https://files.example.com/firmware.bin",
        retrieve_date_time=NOW - HOUR,
        signing_certificate=SIGNER.pem,
        signature=sign(IMAGE),
    )


async def live(directory: Path, certificates: CertificateStore, served: bytes) -> None:
    """A whole update."""
    device = Device(directory, certificates, served, "boot-1")
    await device.updater.start()
    (await device.updater.request(request())).begin()
    if await device.until_it_boots_or_ends():
        await kill(device.updater)
        device = Device(directory, certificates, served, "boot-2")
        await device.updater.start()
        assert not await device.until_it_boots_or_ends()
    await kill(device.updater)


async def found_after(directory: Path, certificates: CertificateStore, served: bytes) -> tuple[Device, Found, int]:
    """Boot on what was left until the update is over; returns the device, what was found, and installations."""
    found, installations = None, 0
    for boot in range(5):
        device = Device(directory, certificates, served, f"boot-after-{boot}")
        found = found or await device.updater._worker.inspect()
        await device.updater.start()
        boots = await device.until_it_boots_or_ends()
        await kill(device.updater)
        installations += len(device.installer.completed)
        if not boots:
            return device, found, installations
    raise AssertionError("it boots again and again")


@pytest.mark.timeout(600)
@pytest.mark.requirement("L01.FR.01", "L01.FR.05", "L01.FR.15")
async def test_an_update_comes_to_its_end_once(tmp_path: Path, certificates: CertificateStore) -> None:
    directory = tmp_path / "device"
    directory.mkdir()
    with Recorder(directory) as recorder:
        await live(directory, certificates, IMAGE)
    ends = 0
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        device, found, installations = await found_after(cut.directory, certificates, IMAGE)
        told, events = device.journal.read()["told"], device.world.recorded()
        assert_legal(told)
        if device.state is None:
            # The request was not kept yet, and so not answered.
            assert (told, events, installations, cut.finished) == ([], [], 0, False)
            continue
        ends += 1
        assert device.state is State.INSTALLED, cut.after
        assert told[-1] == "Installed"
        assert "FirmwareUpdated" in events
        assert installations == (SHA256 not in (found.waiting_sha256, found.running_sha256)), cut.after
        now = await device.installer.slots.inspect()
        assert (now.running_version, now.running_sha256, now.confirmed) == ("1.1.0", SHA256, True)
    assert ends > len(recorder.steps) / 2


@pytest.mark.timeout(600)
@pytest.mark.requirement("L01.FR.03", "L01.FR.09")
async def test_what_was_not_signed_is_never_installed(tmp_path: Path, certificates: CertificateStore) -> None:
    directory = tmp_path / "device"
    directory.mkdir()
    with Recorder(directory) as recorder:
        await live(directory, certificates, FORGED)
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        device, _, installations = await found_after(cut.directory, certificates, FORGED)
        told = device.journal.read()["told"]
        assert_legal(told)
        assert installations == 0
        if device.state is not None:
            assert device.state is State.INVALID_SIGNATURE, cut.after
            assert told[-1] == "InvalidSignature"
            assert "InvalidFirmwareSignature" in device.world.recorded()
        now = await device.installer.slots.inspect()
        assert (now.running_version, now.waiting_sha256) == ("1.0.0", None)
