"""The recorder is only worth its name if it catches a writer that forgets a step."""

from pathlib import Path

import pytest

from security import durable
from tests.recorder import MAX_PENDING, Bypassed, Recorder

OLD = b"the old content"
NEW = b"the new content, which is longer"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    directory = tmp_path / "disk"
    directory.mkdir()
    (directory / "file").write_bytes(OLD)
    return directory


def contents(recorder: Recorder, into: Path, name: str = "file") -> set[bytes | None]:
    """All that a power cut may leave of one file."""
    found: set[bytes | None] = set()
    for cut in recorder.power_cuts(into):
        path = cut.directory / name
        found.add(path.read_bytes() if path.exists() else None)
    return found


def names(recorder: Recorder, into: Path) -> set[frozenset[str]]:
    """All directories that a power cut may leave."""
    return {frozenset(path.name for path in cut.directory.iterdir()) for cut in recorder.power_cuts(into)}


def replace_file(path: Path, *, sync_file: bool = True, sync_directory: bool = True) -> None:
    """A writer like durable.write, that can be told to forget a step."""
    temporary = path.with_name("temporary")
    descriptor = durable.operations.create(temporary, 0o600)
    durable.operations.write(descriptor, NEW)
    if sync_file:
        durable.operations.fsync(descriptor)
    durable.operations.close(descriptor)
    durable.operations.rename(temporary, path)
    if sync_directory:
        durable.operations.fsync_directory(path.parent)


def test_a_good_writer_leaves_the_old_or_the_new(disk: Path, tmp_path: Path) -> None:
    with Recorder(disk) as recorder:
        replace_file(disk / "file")

    assert contents(recorder, tmp_path / "a") == {OLD, NEW}
    assert {(cut.directory / "file").read_bytes() for cut in recorder.power_cuts(tmp_path / "b") if cut.finished} == {
        NEW
    }


def test_a_writer_without_fsync_of_the_file_is_caught(disk: Path, tmp_path: Path) -> None:
    with Recorder(disk) as recorder:
        replace_file(disk / "file", sync_file=False)

    assert contents(recorder, tmp_path / "cuts") == {OLD, NEW, b"", NEW[:16], bytes(len(NEW))}


def test_a_writer_without_fsync_of_the_directory_may_lose_the_new_content_after_it_returned(
    disk: Path, tmp_path: Path
) -> None:
    with Recorder(disk) as recorder:
        replace_file(disk / "file", sync_directory=False)

    left = {(cut.directory / "file").read_bytes() for cut in recorder.power_cuts(tmp_path / "cuts") if cut.finished}
    assert left == {OLD, NEW}


def test_a_file_overwritten_in_its_place_is_caught(disk: Path) -> None:
    with pytest.raises(Bypassed, match="file"), Recorder(disk):
        (disk / "file").write_bytes(NEW)


def test_names_that_were_not_synced_are_there_or_not_in_every_combination(disk: Path, tmp_path: Path) -> None:
    with Recorder(disk) as recorder:
        for name in ("one", "two"):
            durable.operations.close(durable.operations.create(disk / name, 0o600))
        durable.operations.unlink(disk / "file")

    states = {
        frozenset(path.name for path in cut.directory.iterdir()) for cut in recorder.power_cuts(tmp_path / "cuts")
    }
    assert len(states) == 8


def test_what_lies_in_a_directory_that_was_not_synced_is_lost_with_it(disk: Path, tmp_path: Path) -> None:
    with Recorder(disk) as recorder:
        durable.operations.make_directory(disk / "below", 0o700)
        replace_file(disk / "below" / "file")

    assert contents(recorder, tmp_path / "a", "below/file") == {None, NEW}
    assert contents(recorder, tmp_path / "b") == {OLD}


def test_a_name_that_came_to_the_disk_before_another_survives_alone(disk: Path, tmp_path: Path) -> None:
    with Recorder(disk) as recorder:
        replace_file(disk / "file", sync_directory=False)

    assert names(recorder, tmp_path / "cuts") == {frozenset({"file"}), frozenset({"file", "temporary"})}


def test_every_state_says_after_which_step_and_is_gone_afterwards(disk: Path, tmp_path: Path) -> None:
    with Recorder(disk) as recorder:
        durable.write(disk / "new", NEW)

    after = [cut.after for cut in recorder.power_cuts(tmp_path / "cuts")]
    assert after[0] == "nothing"
    assert any(words.startswith("rename") for words in after)
    assert not list((tmp_path / "cuts").iterdir())
    assert [words.split()[0] for words in recorder.steps] == ["create", "write", "fsync", "rename", "fsync"]


def test_the_mode_of_a_file_is_rebuilt(disk: Path, tmp_path: Path) -> None:
    with Recorder(disk) as recorder:
        durable.write(disk / "key", NEW)

    modes = {
        path.stat().st_mode & 0o777
        for cut in recorder.power_cuts(tmp_path / "cuts")
        for path in cut.directory.iterdir()
        if "key" in path.name
    }
    assert modes == {0o600}


def test_what_lies_elsewhere_and_what_is_ignored_is_not_recorded(disk: Path, tmp_path: Path) -> None:
    durable.make_directory(tmp_path / "elsewhere")
    with Recorder(disk, ignore=("state.db*",)) as recorder:
        (disk / "state.db-wal").write_bytes(b"SQLite looks after itself")
        durable.write(tmp_path / "elsewhere" / "file", NEW)
        durable.make_directory(tmp_path / "elsewhere" / "below")
        durable.remove(tmp_path / "elsewhere" / "file")

    assert recorder.steps == ()


def test_names_that_nobody_ever_syncs_are_an_error(disk: Path, tmp_path: Path) -> None:
    with Recorder(disk) as recorder:
        for number in range(MAX_PENDING + 1):
            durable.operations.close(durable.operations.create(disk / f"{number}", 0o600))

    with pytest.raises(AssertionError, match="nobody syncs"):
        for _ in recorder.power_cuts(tmp_path / "cuts"):
            pass


def test_the_door_is_given_back_also_after_an_error(disk: Path) -> None:
    before = durable.operations
    with pytest.raises(FileNotFoundError), Recorder(disk):
        (disk / "missing").unlink()
    assert durable.operations is before
