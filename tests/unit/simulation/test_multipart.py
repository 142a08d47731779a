import io

import pytest

from chargepoint.simulation.multipart import MAX_PART_HEADER_BYTES, BadMultipart, Multipart

FORM = (
    b"preamble\r\n--xx\r\n"
    b'Content-Disposition: form-data; name="note"\r\n\r\nnot a file\r\n--xx\r\n'
    b'Content-Disposition: form-data; name="file"; filename="a.log"\r\n\r\none\r\n--x\r\ntwo\r\n--xx\r\n'
    b'Content-Disposition: form-data; name="file"; filename="b.log"\r\nContent-Type: text/plain\r\n\r\n'
    b"\r\n--xx--\r\nend"
)


def files(body: bytes, step: int) -> dict[str, bytes]:
    """Read all files of a body that comes in steps of so many bytes."""
    stream = io.BytesIO(body)
    form = Multipart("xx", lambda size: stream.read(min(size, step)))
    found: dict[str, bytes] = {}
    while name := form.next_file_name():
        found[name] = b"".join(iter(lambda: form.read(7), b""))
    return found


@pytest.mark.parametrize("step", [1, 2, 3, 5, 8, 13, 10_000])
def test_files_are_found_however_the_body_arrives(step: int) -> None:
    assert files(FORM, step) == {"a.log": b"one\r\n--x\r\ntwo", "b.log": b""}


def test_a_file_that_nobody_reads_is_passed_over() -> None:
    stream = io.BytesIO(FORM.removeprefix(b"preamble\r\n"))
    form = Multipart("xx", stream.read)
    assert [form.next_file_name() for _ in range(3)] == ["a.log", "b.log", None]


@pytest.mark.parametrize("length", [3, 20, 120, len(FORM) - 8])
def test_a_body_that_ends_early_is_none(length: int) -> None:
    with pytest.raises(BadMultipart, match="ends within a part"):
        files(FORM[:length], 16)


def test_a_part_cannot_fill_the_memory_with_its_header() -> None:
    with pytest.raises(BadMultipart, match="too long"):
        files(b"--xx\r\nX-Long: " + b"x" * (MAX_PART_HEADER_BYTES * 2), 4_096)
