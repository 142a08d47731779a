"""The status as text for people."""

import pytest

from chargepoint.status_text import render


def test_shows_names_values_and_parts() -> None:
    status = {
        "identity": "CP001",
        "connection": {"state": "connected", "security_profile": 2, "since": None},
        "connectors": {"1": {"status": "Available", "info": None}},
        "is_set": True,
        "certificates": {},
        "queues": [],
        "uploads": ["a", "b"],
        "notes": ["no root", "no key, and no certificate"],
        "attempts": [{"at": "12:00", "what": "refused"}],
    }
    assert list(render(status)) == [
        "identity                    CP001",
        "connection",
        "  state                     connected",
        "  security profile          2",
        "  since                     -",
        "connectors",
        "  1",
        "    status                  Available",
        "    info                    -",
        "is set                      yes",
        "certificates                none",
        "queues                      none",
        "uploads                     a, b",
        "notes",
        "  no root",
        "  no key, and no certificate",
        "attempts",
        "  at=12:00  what=refused",
    ]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("sent_bytes", 0, "0 B"),
        ("sent_bytes", 1023, "1023 B"),
        ("sent_bytes", 1536, "1.5 KiB"),
        ("total_bytes", 12_900_000, "12.3 MiB"),
        ("total_bytes", 3 * 1024**4, "3072.0 GiB"),
        ("total_bytes", None, "-"),
        ("bytes_per_s", 250_000, "244.1 KiB/s"),
        ("seconds_left", 9, "9 s"),
        ("seconds_left", 80.4, "1 min 20 s"),
        ("seconds_left", 7_260, "2 h 1 min"),
        ("seconds_left", -1, "-1"),
        ("sent_bytes", True, "yes"),
        ("attempts", 1536, "1536"),
    ],
)
def test_a_name_that_ends_in_a_unit_has_its_value_shown_as_people_read_it(name: str, value: object, shown: str) -> None:
    (line,) = render({name: value})
    assert line == f"{name.replace('_', ' '):<27} {shown}"


def test_text_of_the_central_system_cannot_forge_a_line() -> None:
    (line,) = render({"last_failure": "x\nidentity  CP999\x1b[2J"})
    assert line.isprintable()


def test_a_long_name_does_not_stick_to_its_value() -> None:
    (line,) = render({"a" * 40: 1})
    assert line == "a" * 40 + " 1"
