import threading
from pathlib import Path

import pytest

from security.crl import MAX_CRL_BYTES
from security.errors import DurableError
from security.revocation_cache import MAX_ANSWERS, MAX_CACHE_BYTES, Kept, RevocationCache
from tests.pki import DAY, NOW


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "revocation"


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_nothing_is_made_before_there_is_something_to_keep(directory: Path) -> None:
    assert RevocationCache(directory).read("a.ocsp") is None
    assert not directory.exists()


def test_what_is_written_is_read_after_a_restart(directory: Path) -> None:
    kept = Kept(b"two\nlines\x00", NOW)
    RevocationCache(directory).write("a.ocsp", kept)
    assert RevocationCache(directory).read("a.ocsp") == kept
    assert directory.stat().st_mode & 0o777 == 0o700


def test_the_longest_list_fits(directory: Path) -> None:
    cache = RevocationCache(directory)
    cache.write("a.crl", Kept(bytes(MAX_CRL_BYTES), NOW))
    assert cache.read("a.crl") == Kept(bytes(MAX_CRL_BYTES), NOW)


def test_a_new_answer_takes_the_place_of_the_old_one(directory: Path) -> None:
    cache = RevocationCache(directory)
    cache.write("a.crl", Kept(b"old", NOW))
    cache.write("a.crl", Kept(b"new", NOW + DAY))
    assert cache.read("a.crl") == Kept(b"new", NOW + DAY)
    assert files(directory) == {"a.crl"}


def test_the_oldest_gives_way_where_there_are_too_many(directory: Path) -> None:
    cache = RevocationCache(directory)
    for number in range(MAX_ANSWERS + 2):
        cache.write(f"{number}.ocsp", Kept(b"x", NOW - number * DAY))
    assert len(files(directory)) == MAX_ANSWERS
    assert "0.ocsp" in files(directory)
    assert f"{MAX_ANSWERS + 1}.ocsp" in files(directory)  # the newest to come, whatever its time
    assert f"{MAX_ANSWERS}.ocsp" not in files(directory)


def test_the_oldest_gives_way_where_they_are_too_large(directory: Path) -> None:
    cache = RevocationCache(directory)
    for number in range(5):
        cache.write(f"{number}.crl", Kept(bytes(MAX_CRL_BYTES), NOW + number * DAY))
    assert files(directory) == {"2.crl", "3.crl", "4.crl"}
    assert sum(path.stat().st_size for path in directory.iterdir()) <= MAX_CACHE_BYTES


@pytest.mark.parametrize("content", [b"", b"\n", b"no time\nanswer", b"2030-06-01T12:00:00\nanswer", b"\xff\nanswer"])
def test_a_damaged_file_counts_as_not_there_and_gives_way_first(directory: Path, content: bytes) -> None:
    cache = RevocationCache(directory)
    for number in range(MAX_ANSWERS - 1):
        cache.write(f"{number}.ocsp", Kept(b"x", NOW))
    (directory / "damaged.ocsp").write_bytes(content)
    assert cache.read("damaged.ocsp") is None
    cache.write("new.ocsp", Kept(b"x", NOW - DAY))
    assert "damaged.ocsp" not in files(directory)
    assert len(files(directory)) == MAX_ANSWERS


def test_what_a_power_cut_left_is_swept(directory: Path) -> None:
    cache = RevocationCache(directory)
    cache.write("a.ocsp", Kept(b"x", NOW))
    (directory / ".a.ocsp.0123456789abcdef.tmp").write_bytes(b"half")
    cache.write("b.ocsp", Kept(b"x", NOW))
    assert {"a.ocsp", "b.ocsp"} <= files(directory)


def test_what_cannot_be_written_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DurableError):
        RevocationCache(tmp_path / "file" / "revocation").write("a.ocsp", Kept(b"x", NOW))


def test_several_threads_may_write(directory: Path) -> None:
    cache = RevocationCache(directory)
    threads = [threading.Thread(target=cache.write, args=(f"{number}.ocsp", Kept(b"x", NOW))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert files(directory) == {f"{number}.ocsp" for number in range(8)}
