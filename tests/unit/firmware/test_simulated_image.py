"""What an image says of itself: its version, and what its installation comes to."""

import pytest

from firmware.simulated_image import HEAD_BYTES, Activation, Behaviour, read_image, version_in

SHA256 = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("head", "file_name", "version"),
    [
        (b"version=1.1.0\nrest", "firmware-2.0.0.bin", "1.1.0"),
        (b"version=1.1.0\r\nrest", "x", "1.1.0"),
        (b"install=fail\nversion=1.1.0", "x", "1.1.0"),
        (b"\x7fELF\nversion=1.1.0", "firmware-2.0.0.bin", "2.0.0"),
        (b"", "firmware.bin", "0123456789abcdef"),
        (b"version=" + b"1" * 51 + b"\n", "firmware.bin", "0123456789abcdef"),
        (b"version=1 1\n", "firmware.bin", "0123456789abcdef"),
        (b"version=\xff\n", "firmware.bin", "0123456789abcdef"),
    ],
)
def test_the_version_is_the_markers_or_the_file_names_or_the_hash(head: bytes, file_name: str, version: str) -> None:
    assert read_image(head, file_name, SHA256).version == version


@pytest.mark.parametrize(
    ("file_name", "version"),
    [
        ("firmware-v1.1.0.bin", "1.1.0"),
        ("cp_1.2.tar.gz", "1.2"),
        ("cp-1.2.3-rc1.img", "1.2.3-rc1"),
        ("1.2.3", "1.2.3"),
        ("cp-armv7.bin", None),
        ("cp2024.bin", None),
        ("x" * 20 + "1." * 40 + "1", ("1." * 40)[:50]),
    ],
)
def test_finds_the_version_in_a_file_name(file_name: str, version: str | None) -> None:
    assert version_in(file_name) == version


@pytest.mark.parametrize("behaviour", Behaviour)
def test_an_image_orders_what_its_installation_comes_to(behaviour: Behaviour) -> None:
    about = read_image(f"version=1.1.0\ninstall={behaviour}\nactivation=at-once\n\n".encode(), "x", SHA256)
    assert about.behaviour is behaviour
    assert about.activation is Activation.AT_ONCE


def test_an_image_that_orders_nothing_succeeds_and_leaves_the_activation_open() -> None:
    about = read_image(b"version=1.1.0\n\ninstall=fail\n", "x", SHA256)
    assert about.behaviour is Behaviour.SUCCEED
    assert about.activation is None


def test_markers_of_others_are_passed_over() -> None:
    assert read_image(b"board=x1\ninstall=fail\n", "x", SHA256).behaviour is Behaviour.FAIL


def test_what_stands_beyond_the_head_does_not_count() -> None:
    head = b"filler=x\n" * (HEAD_BYTES // 9 + 1) + b"install=fail\n"
    assert read_image(head, "x", SHA256).behaviour is Behaviour.SUCCEED


@pytest.mark.parametrize("head", [b"install=explode\n", b"activation=never\n"])
def test_a_marker_that_is_not_understood_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match=r"explode|never"):
        read_image(head, "x", SHA256)
