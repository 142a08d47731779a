"""The RAUC installer against the packaged RAUC: real bundles, real signatures, files as slots, a boot loader of ours.

RAUC mounts bundles, so this needs root, loop devices and squashfs, besides the programs in `NEEDED`; where anything
lacks, the tests are skipped and say so.
"""

import asyncio
import hashlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from firmware.dbus import BusLost, open_bus
from firmware.installer import Image, InstallFailed, Outcome, Slots, VerificationFailed
from firmware.rauc_installer import RaucInstaller, load_record
from tests.firmware_image import Told
from tests.rauc_service import METHODS, NAME, PROPERTIES, SIGNALS, private_bus

NEEDED = ("rauc", "dbus-daemon", "mksquashfs", "openssl")
FACTORY = Slots(running_version=None, running_sha256=None, waiting_sha256=None, installing=False, confirmed=True)

MANIFEST = """\
[update]
compatible={compatible}
version=1.1.0
[image.rootfs]
filename=rootfs.img
"""
SYSTEM = """\
[system]
compatible=Test Board
bootloader=custom
statusfile={directory}/status
mountprefix={directory}/mnt
[handlers]
bootloader-custom-backend={directory}/backend
[keyring]
path={directory}/good.pem
[slot.rootfs.0]
device={directory}/slot-a
type=raw
bootname=A
[slot.rootfs.1]
device={directory}/slot-b
type=raw
bootname=B
"""
BOOT_LOADER = """\
#!/bin/sh
cd {directory}/boot
case $1 in
    get-primary) cat primary 2>/dev/null || echo A ;;
    set-primary) echo "$2" > primary ;;
    get-state) cat "state-$2" 2>/dev/null || echo good ;;
    set-state) echo "$3" > "state-$2"; echo "$2 $3" >> marks ;;
esac
"""


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr


class Board:
    """A board with RAUC and two slots."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self.address = address
        for name in ("boot", "mnt", "state"):
            (directory / name).mkdir()
        for slot in ("slot-a", "slot-b"):
            (directory / slot).write_bytes(bytes(2 * 1024 * 1024))
        (directory / "system.conf").write_text(SYSTEM.format(directory=directory))
        (directory / "backend").write_text(BOOT_LOADER.format(directory=directory))
        (directory / "backend").chmod(0o700)
        for signer in ("good", "evil"):
            key, pem = directory / f"{signer}.key", directory / f"{signer}.pem"
            subject = ("-subj", f"/CN={signer}", "-days", "2")
            run(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                key,
                "-out",
                pem,
                *subject,
            )

    def bundle(self, *, signer: str = "good", compatible: str = "Test Board") -> Image:
        content, path = self.directory / "content", self.directory / "cp-1.1.0.raucb"
        shutil.rmtree(content, ignore_errors=True)
        path.unlink(missing_ok=True)
        content.mkdir()
        (content / "rootfs.img").write_bytes(os.urandom(1024 * 1024))
        (content / "manifest.raucm").write_text(MANIFEST.format(compatible=compatible))
        pem, key = self.directory / f"{signer}.pem", self.directory / f"{signer}.key"
        run("rauc", "--cert", pem, "--key", key, "bundle", content, path)
        return image_of(path)

    def installer(self) -> RaucInstaller:
        state = self.directory / "state"
        return RaucInstaller(state, load_record(state), address=self.address)

    @asynccontextmanager
    async def booted(self, slot: str) -> AsyncIterator[None]:
        """Run RAUC's service on the board after a boot of this slot."""
        service = await asyncio.create_subprocess_exec(
            "rauc",
            f"--conf={self.directory / 'system.conf'}",
            f"--override-boot-slot={slot}",
            "service",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": self.address},
        )
        try:
            await self._until_there_is_rauc()
            yield
        finally:
            with suppress(ProcessLookupError):
                service.terminate()
            await service.wait()

    async def _until_there_is_rauc(self) -> None:
        async with asyncio.timeout(20), open_bus(self.address) as bus:
            await bus.follow(f"type='signal',member='NameOwnerChanged',arg0='{NAME}'")
            while True:
                with suppress(BusLost):
                    await bus.owner(NAME)
                    return
                await bus.wait(timedelta(seconds=20))
                bus.signals()


def image_of(path: Path) -> Image:
    return Image(path=path, request_id=1, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), file_name=path.name)


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    async with private_bus(tmp_path) as address:
        yield Board(tmp_path, address)


async def install(board: Board, image: Image) -> Outcome:
    try:
        return await board.installer().install(image, Told())
    except InstallFailed as error:
        if "mount" in error.why or "loop" in error.why:
            pytest.skip(f"RAUC may not mount a bundle here: {error.why}")
        raise


def signatures(interface: ET.Element, kind: str, direction: str | None) -> dict[str, str]:
    """What goes in or comes out of each method or signal."""
    return {
        each.attrib["name"]: "".join(
            argument.attrib["type"]
            for argument in each.iter("arg")
            if direction is None or argument.attrib.get("direction", "in") == direction
        )
        for each in interface.iter(kind)
    }


async def test_the_service_of_the_other_tests_has_the_interface_of_rauc(board: Board) -> None:
    async with board.booted("A"), open_bus(board.address) as bus:
        (xml,) = await bus.call(NAME, "/", "org.freedesktop.DBus.Introspectable", "Introspect")
    described = ET.fromstring(xml)  # noqa: S314 - of the program that the test has started
    (interface,) = (
        each for each in described.iter("interface") if each.attrib["name"] == "de.pengutronix.rauc.Installer"
    )
    taken, answered = signatures(interface, "method", "in"), signatures(interface, "method", "out")
    assert {name: (taken[name], answered[name]) for name in METHODS} == METHODS
    properties = {each.attrib["name"]: each.attrib["type"] for each in interface.iter("property")}
    assert {name: properties[name] for name in PROPERTIES} == PROPERTIES
    signals = signatures(interface, "signal", None)
    assert {name: signals[name] for name in SIGNALS} == SIGNALS


async def test_a_bundle_is_installed_booted_and_marked_good(board: Board) -> None:
    image = board.bundle()
    async with board.booted("A"):
        assert await board.installer().inspect() == FACTORY
        assert await install(board, image) is Outcome.NEEDS_REBOOT
        assert await board.installer().inspect() == replace(FACTORY, waiting_sha256=image.sha256)
    rootfs = (board.directory / "content" / "rootfs.img").read_bytes()
    assert (board.directory / "slot-b").read_bytes()[: len(rootfs)] == rootfs

    async with board.booted("B"):
        runs = replace(FACTORY, running_version="1.1.0", running_sha256=image.sha256, confirmed=False)
        assert await board.installer().inspect() == runs
        assert await board.installer().running_version() == "1.1.0"
        await board.installer().mark_good()
        assert await board.installer().inspect() == replace(runs, confirmed=True)
    assert (board.directory / "boot" / "marks").read_text().splitlines()[-1] == "B good"


async def test_a_bundle_that_waits_is_withdrawn(board: Board) -> None:
    async with board.booted("A"):
        await install(board, board.bundle())
        assert await board.installer().withdraw()
        assert await board.installer().inspect() == FACTORY
    assert (board.directory / "boot" / "primary").read_text() == "A\n"


async def test_a_bundle_installed_by_hand_over_ours_is_not_taken_for_ours(board: Board) -> None:
    async with board.booted("A"):
        await install(board, board.bundle())
        process = await asyncio.create_subprocess_exec(
            "rauc",
            "install",
            board.bundle().path,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": board.address},
        )
        assert await process.wait() == 0
        assert (await board.installer().inspect()).waiting_sha256 is None


@pytest.mark.parametrize(
    ("signer", "compatible", "why"),
    [("evil", "Test Board", "signature verification failed"), ("good", "Other Board", "Compatible mismatch")],
)
async def test_a_bundle_that_rauc_refuses_has_not_passed_its_verification(
    board: Board, signer: str, compatible: str, why: str
) -> None:
    image = board.bundle(signer=signer, compatible=compatible)
    async with board.booted("A"):
        with pytest.raises(VerificationFailed, match=why):
            await install(board, image)
        assert await board.installer().inspect() == FACTORY


async def test_a_file_that_is_no_bundle_has_not_passed_either(board: Board) -> None:
    path = board.directory / "firmware.bin"
    path.write_bytes(os.urandom(10_000))
    async with board.booted("A"):
        with pytest.raises(VerificationFailed):
            await install(board, image_of(path))
