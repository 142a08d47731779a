"""The file that a download grows: what is continued, what is not, and a disk in the way."""

import errno
import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from chargepoint import transfer_partial
from chargepoint.transfer_fault import TransferFailed, TransferFault
from chargepoint.transfer_partial import BLOCK_BYTES, Partial
from chargepoint.transfer_watch import Stopped, Watch
from security import durable

PLACE = "ftp://h/image.bin"
BLOCK = bytes(range(256)) * (BLOCK_BYTES // 256)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "image"


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "image.resume"


@pytest.fixture
async def watch() -> Watch:
    return Watch(lambda _: None)


def interrupted(target: Path, data: bytes, *, validator: str = "v1", place: str = PLACE) -> None:
    """Leave a file behind as an interrupted download does."""
    partial = Partial(target, place, 0)
    partial.begin(validator, resumed=False)
    partial.write(data)
    partial.keep()


def write_for_ever(partial: Partial) -> None:
    while True:
        partial.write(BLOCK)


def continued(target: Path, watch: Watch, rest: bytes) -> tuple[int, bytes]:
    partial = Partial(target, PLACE, 0)
    offset = partial.prepare(watch)
    partial.begin(partial.validator, resumed=True)
    partial.write(rest)
    return offset, partial.finish()


async def test_a_whole_file_leaves_no_note(target: Path, note: Path) -> None:
    partial = Partial(target, PLACE, 0)
    partial.begin("v1", resumed=False)
    assert note.exists()
    for _ in range(3):
        partial.write(BLOCK)
    assert partial.finish() == hashlib.sha256(BLOCK * 3).digest()
    assert target.read_bytes() == BLOCK * 3
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not note.exists()


async def test_what_was_interrupted_is_continued(target: Path, note: Path, watch: Watch) -> None:
    interrupted(target, BLOCK + b"some")
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert PLACE not in note.read_text()
    offset, digest = continued(target, watch, b" more")
    assert (offset, digest) == (len(BLOCK) + 4, hashlib.sha256(BLOCK + b"some more").digest())
    assert target.read_bytes() == BLOCK + b"some more"


async def test_only_what_is_surely_on_the_disk_is_continued(target: Path, note: Path, watch: Watch) -> None:
    interrupted(target, BLOCK)
    known = json.loads(note.read_text())
    note.write_text(json.dumps({**known, "safe_bytes": 1000}))
    target.write_bytes(BLOCK[:1000] + b"\x00" * 5000)  # what a power cut may have made of the rest
    offset, digest = continued(target, watch, b"rest")
    assert (offset, digest) == (1000, hashlib.sha256(BLOCK[:1000] + b"rest").digest())
    assert target.read_bytes() == BLOCK[:1000] + b"rest"


async def test_the_note_follows_the_fsync_of_a_large_file(
    target: Path, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, int]] = []
    monkeypatch.setattr(transfer_partial, "CHECKPOINT_BYTES", 2 * BLOCK_BYTES)
    fsync, write = os.fsync, durable.write

    def spy_fsync(descriptor: int) -> None:
        fsync(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(target):  # noqa: PTH115 - a link of the kernel
            steps.append(("fsync", target.stat().st_size))

    def spy_write(path: Path, data: bytes) -> None:
        steps.append(("note", json.loads(data)["safe_bytes"]))
        write(path, data)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(durable, "write", spy_write)
    partial = Partial(target, PLACE, 0)
    partial.begin("v1", resumed=False)
    for _ in range(3):
        partial.write(BLOCK)
    partial.keep()
    two, three = 2 * BLOCK_BYTES, 3 * BLOCK_BYTES
    assert [kind for kind, _ in steps] == ["note", "fsync", "note", "fsync", "note"]
    assert [size for kind, size in steps if kind == "note"] == [0, two, three]
    assert all(size >= safe for (_, size), (_, safe) in zip(steps[1::2], steps[2::2], strict=True))


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"validator": "v1", "safe_bytes": 4}',
        b'{"place": "other", "validator": "v1", "safe_bytes": 4}',
    ],
)
async def test_a_note_that_fits_nothing_begins_anew(target: Path, note: Path, watch: Watch, damage: bytes) -> None:
    interrupted(target, b"some")
    note.write_bytes(damage)
    partial = Partial(target, PLACE, 0)
    assert (partial.validator, partial.prepare(watch)) == ("", 0)


@pytest.mark.parametrize(
    "change", [{"safe_bytes": 5}, {"safe_bytes": 0}, {"safe_bytes": "4"}, {"validator": 4}, {"validator": ""}]
)
async def test_a_note_whose_values_make_no_sense_begins_anew(
    target: Path, note: Path, watch: Watch, change: dict[str, object]
) -> None:
    interrupted(target, b"some")
    note.write_text(json.dumps({**json.loads(note.read_text()), **change}))
    partial = Partial(target, PLACE, 0)
    assert (partial.validator, partial.prepare(watch)) == ("", 0)


async def test_another_location_or_no_validator_begins_anew(target: Path, note: Path, watch: Watch) -> None:
    interrupted(target, b"some", place="ftp://other/image.bin")
    assert Partial(target, PLACE, 0).prepare(watch) == 0
    interrupted(target, b"some", validator="")
    assert not note.exists()
    interrupted(target, b"some", validator="v" * 1000)
    assert not note.exists()


async def test_a_file_begun_anew_forgets_the_old_one(target: Path, watch: Watch) -> None:
    interrupted(target, BLOCK)
    partial = Partial(target, PLACE, 0)
    partial.prepare(watch)
    partial.begin("v2", resumed=False)
    partial.write(b"new")
    assert partial.finish() == hashlib.sha256(b"new").digest()
    assert target.read_bytes() == b"new"


async def test_an_order_to_stop_ends_the_hashing_of_what_is_here(target: Path, watch: Watch) -> None:
    interrupted(target, BLOCK)
    watch.stop()
    with pytest.raises(Stopped):
        Partial(target, PLACE, 0).prepare(watch)


async def test_what_is_discarded_is_gone(target: Path, note: Path) -> None:
    partial = Partial(target, PLACE, 0)
    partial.begin("v1", resumed=False)
    partial.write(b"some")
    partial.discard()
    assert (target.exists(), note.exists()) == (False, False)
    Partial(target, PLACE, 0).discard()


async def test_room_is_looked_for_before_it_is_needed(target: Path) -> None:
    partial = Partial(target, PLACE, 0)
    partial.make_room(1000)
    with pytest.raises(TransferFailed) as caught:
        partial.make_room(1 << 62)
    assert caught.value.fault is TransferFault.LOCAL_DISK
    assert "make room" in str(caught.value)


async def test_a_full_disk_is_said_and_what_is_safe_stays(
    target: Path, note: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(target, b"some")
    partial = Partial(target, PLACE, 0)
    partial.prepare(watch)
    partial.begin("v1", resumed=True)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        partial.write(b" more")
        with pytest.raises(TransferFailed) as caught:
            partial.finish()
    assert caught.value.fault is TransferFault.LOCAL_DISK
    assert "the disk is full" in str(caught.value)
    partial.keep()
    assert json.loads(note.read_text())["safe_bytes"] == 4


async def test_after_a_failed_write_no_more_is_taken(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = Partial(target, PLACE, 0)
    partial.begin("v1", resumed=False)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(TransferFailed) as caught:
            write_for_ever(partial)
        partial.keep()
    assert "Input/output error" in str(caught.value)


async def test_a_directory_that_is_gone_is_said(tmp_path: Path, watch: Watch) -> None:
    partial = Partial(tmp_path / "gone" / "image", PLACE, 0)
    partial.safe_bytes = 1
    with pytest.raises(TransferFailed) as prepared:
        partial.prepare(watch)
    with pytest.raises(TransferFailed) as begun:
        partial.begin("v1", resumed=False)
    with pytest.raises(TransferFailed) as looked:
        partial.make_room(1)
    assert {caught.value.fault for caught in (begun, prepared, looked)} == {TransferFault.LOCAL_DISK}
