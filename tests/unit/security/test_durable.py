"""The door for durable files: old or new, never a mixture, and every error of the disk in our words."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from security import durable
from security.errors import DurableError, StorageFailed, StorageFull, StorageReadOnly
from tests.recorder import Recorder

OLD = b"old"
NEW = b"new content"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class FailingOperations(durable.Operations):
    """A disk that fails in one step."""

    def __init__(self, step: str, code: int) -> None:
        self._step = step
        self._code = code

    def __getattribute__(self, name: str) -> object:
        if not name.startswith("_") and name == self._step:
            raise OSError(self._code, os.strerror(self._code))
        return super().__getattribute__(name)


@contextmanager
def failing(step: str, code: int) -> Iterator[None]:
    before, durable.operations = durable.operations, FailingOperations(step, code)
    try:
        yield
    finally:
        durable.operations = before


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """A real limit of the kernel: a write beyond it is cut short, the next one fails with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_writes_a_new_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", NEW)

    assert (tmp_path / "file").read_bytes() == NEW
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["file"]


def test_replaces_the_old_content_and_its_mode(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", OLD)
    durable.write(tmp_path / "file", NEW, mode=0o640)

    assert (tmp_path / "file").read_bytes() == NEW
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_writes_nothing_at_all_if_that_is_the_content(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", b"")
    assert (tmp_path / "file").read_bytes() == b""


def test_writes_piece_by_piece_what_need_not_be_in_memory_at_once(tmp_path: Path) -> None:
    durable.write_chunks(tmp_path / "file", (bytes([number]) for number in range(100)), mode=0o640)

    assert (tmp_path / "file").read_bytes() == bytes(range(100))
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["file"]


def test_what_the_pieces_raise_is_raised_and_the_old_content_stays(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", OLD)

    def pieces() -> Iterator[bytes]:
        yield NEW
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        durable.write_chunks(tmp_path / "file", pieces())
    assert (tmp_path / "file").read_bytes() == OLD
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["create", "write", "fsync", "close", "rename"])
def test_a_failing_write_leaves_the_old_content_and_no_temporary_file(tmp_path: Path, step: str) -> None:
    durable.write(tmp_path / "file", OLD)

    with failing(step, errno.ENOSPC), pytest.raises(StorageFull):
        durable.write(tmp_path / "file", NEW)

    assert (tmp_path / "file").read_bytes() == OLD
    assert names(tmp_path) == ["file"]


def test_a_write_that_the_kernel_cuts_short_leaves_the_old_content(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", OLD)

    with file_size_limit(1000), pytest.raises(StorageFailed) as raised:
        durable.write(tmp_path / "file", bytes(1001))

    assert raised.value.__cause__ is not None
    assert (tmp_path / "file").read_bytes() == OLD
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EROFS, StorageReadOnly),
        (errno.EACCES, StorageReadOnly),
        (errno.EPERM, StorageReadOnly),
        (errno.EIO, StorageFailed),
    ],
)
def test_errors_of_the_disk_are_typed_and_say_what_to_do(tmp_path: Path, code: int, kind: type[DurableError]) -> None:
    with failing("fsync_directory", code), pytest.raises(kind) as raised:
        durable.remove(tmp_path / "file")

    error = raised.value
    assert error.path == str(tmp_path / "file")
    assert os.strerror(code) in error.what
    assert str(error) == f"{tmp_path / 'file'}: {error.what}: {error.advice}"
    assert type(error) is kind


def test_a_directory_that_is_not_there_is_a_failed_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="cannot be written: No such file or directory"):
        durable.write(tmp_path / "missing" / "file", NEW)
    with pytest.raises(StorageFailed, match="cannot be removed"):
        durable.remove(tmp_path / "missing" / "file")


def test_reads_a_file_piece_by_piece(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert [bytes(piece) for piece in durable.pieces(tmp_path / "file", piece_bytes=4)] == [b"0123", b"4567", b"89"]
    (tmp_path / "empty").touch()
    assert not [*durable.pieces(tmp_path / "empty", piece_bytes=4)]
    with pytest.raises(StorageFailed, match="cannot be read"):
        next(durable.pieces(tmp_path / "missing", piece_bytes=4))


def test_reads_no_more_than_asked_for(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", NEW)

    assert durable.read(tmp_path / "file", limit_bytes=100) == NEW
    assert durable.read(tmp_path / "file", limit_bytes=3) == NEW[:3]
    with pytest.raises(StorageFailed, match="cannot be read"):
        durable.read(tmp_path / "missing", limit_bytes=3)


def test_lists_files_by_the_end_of_their_names(tmp_path: Path) -> None:
    for name in ("b.pem", "a.pem", "c.key"):
        durable.write(tmp_path / name, OLD)
    durable.make_directory(tmp_path / "directory.pem")

    assert durable.files(tmp_path, suffix=".pem") == (tmp_path / "a.pem", tmp_path / "b.pem")
    assert durable.files(tmp_path / "missing", suffix=".pem") == ()
    with pytest.raises(StorageFailed, match="Not a directory"):
        durable.files(tmp_path / "a.pem", suffix=".pem")


def test_removes_a_file_and_may_be_repeated(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", OLD)
    durable.remove(tmp_path / "file")
    durable.remove(tmp_path / "file")
    assert names(tmp_path) == []


def test_makes_a_directory_once(tmp_path: Path) -> None:
    durable.make_directory(tmp_path / "below")
    durable.write(tmp_path / "below" / "file", OLD)
    durable.make_directory(tmp_path / "below")

    assert (tmp_path / "below").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "below" / "file").read_bytes() == OLD


def test_a_file_in_the_place_of_a_directory_is_a_failed_disk(tmp_path: Path) -> None:
    durable.write(tmp_path / "below", OLD)
    with pytest.raises(StorageFailed, match="cannot be created: File exists"):
        durable.make_directory(tmp_path / "below")


def test_sets_damaged_files_aside_under_numbers(tmp_path: Path) -> None:
    for number in (1, 2):
        durable.write(tmp_path / "file", OLD)
        assert durable.set_aside(tmp_path / "file") == tmp_path / f"file.damaged-{number}"
    assert names(tmp_path) == ["file.damaged-1", "file.damaged-2"]


def test_keeps_a_bounded_number_of_damaged_files(tmp_path: Path) -> None:
    for number in range(durable.MAX_SET_ASIDE + 3):
        durable.write(tmp_path / "file", str(number).encode())
        durable.set_aside(tmp_path / "file")

    assert len(names(tmp_path)) == durable.MAX_SET_ASIDE
    assert (tmp_path / "file.damaged-1").read_bytes() == b"0"
    assert (tmp_path / f"file.damaged-{durable.MAX_SET_ASIDE}").read_bytes() == b"22"


def test_sweeps_up_what_a_power_cut_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".file.0123456789abcdef.tmp").write_bytes(b"half")
    (tmp_path / "notes.tmp").write_bytes(b"not ours")
    durable.write(tmp_path / "file", OLD)

    assert durable.sweep(tmp_path) == (tmp_path / ".file.0123456789abcdef.tmp",)
    assert durable.sweep(tmp_path) == ()
    assert durable.sweep(tmp_path / "missing") == ()
    assert names(tmp_path) == ["file", "notes.tmp"]


def write_anew(path: Path) -> None:
    durable.write(path, NEW)


def set_aside(path: Path) -> None:
    durable.set_aside(path)


@pytest.mark.parametrize(
    ("change", "after"),
    [(write_anew, {"file": NEW}), (durable.remove, {}), (set_aside, {"file.damaged-1": OLD})],
    ids=["write", "remove", "set aside"],
)
def test_a_power_cut_leaves_the_old_or_the_new_and_after_the_return_the_new(
    tmp_path: Path, change: Callable[[Path], None], after: dict[str, bytes]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    durable.write(disk / "file", OLD)
    with Recorder(disk) as recorder:
        change(disk / "file")

    for cut in recorder.power_cuts(tmp_path / "cuts"):
        durable.sweep(cut.directory)
        left = {path.name: path.read_bytes() for path in cut.directory.iterdir()}
        assert left in ({"file": OLD}, after), cut.after
        assert left == after or not cut.finished


def test_a_directory_is_there_after_the_return(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with Recorder(disk) as recorder:
        durable.make_directory(disk / "below")

    assert all((cut.directory / "below").is_dir() for cut in recorder.power_cuts(tmp_path / "cuts") if cut.finished)
