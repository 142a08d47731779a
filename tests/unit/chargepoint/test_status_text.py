"""The status as text for people."""

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


def test_text_of_the_central_system_cannot_forge_a_line() -> None:
    (line,) = render({"last_failure": "x\nidentity  CP999\x1b[2J"})
    assert line.isprintable()


def test_a_long_name_does_not_stick_to_its_value() -> None:
    (line,) = render({"a" * 40: 1})
    assert line == "a" * 40 + " 1"
