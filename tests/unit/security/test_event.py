"""The events of section 8: which exist, which are critical, which are owed."""

from datetime import UTC, datetime

import pytest

from security.event import (
    CATALOGUE,
    MAX_TECH_INFO_LENGTH,
    MAX_TYPE_LENGTH,
    CatalogueEntry,
    SecurityEvent,
    SecurityEventType,
)

AT = datetime(2030, 6, 1, tzinfo=UTC)


def test_the_catalogue_names_each_of_the_eighteen_events_once() -> None:
    assert len(SecurityEventType) == 18
    assert set(CATALOGUE) == set(SecurityEventType)
    assert all(1 <= len(name) <= MAX_TYPE_LENGTH for name in CATALOGUE)


@pytest.mark.requirement("A04.FR.01")
def test_the_critical_events_are_those_of_section_8() -> None:
    assert {name for name, entry in CATALOGUE.items() if entry.critical} == {
        "FirmwareUpdated",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "ResetOrReboot",
        "SecurityLogWasCleared",
        "MemoryExhaustion",
        "TamperDetectionActivated",
    }


def test_an_event_is_sent_because_it_is_critical_or_because_it_is_owed() -> None:
    assert CatalogueEntry(critical=True).sent
    assert CatalogueEntry(critical=False, owed=True, why="L01.FR.02").sent
    assert not CatalogueEntry(critical=False).sent


def test_every_duty_to_send_has_its_reason_and_no_reason_stands_alone() -> None:
    assert all(bool(entry.why) == entry.owed for entry in CATALOGUE.values())


def test_an_event_knows_its_row() -> None:
    event = SecurityEvent(SecurityEventType.INVALID_FIRMWARE_SIGNATURE, AT)
    assert event.entry is CATALOGUE["InvalidFirmwareSignature"]
    assert event.tech_info is None


def test_a_vendors_own_event_is_logged_and_not_sent() -> None:
    entry = SecurityEvent("DoorOpened", AT).entry
    assert not entry.critical
    assert not entry.sent


@pytest.mark.parametrize("type_", ["", "x" * (MAX_TYPE_LENGTH + 1)])
def test_refuses_a_name_that_the_message_cannot_carry(type_: str) -> None:
    with pytest.raises(ValueError, match=f"1 to {MAX_TYPE_LENGTH} characters"):
        SecurityEvent(type_, AT)


def test_takes_the_longest_name() -> None:
    assert SecurityEvent("x" * MAX_TYPE_LENGTH, AT).type == "x" * MAX_TYPE_LENGTH


def test_cuts_the_details_at_their_bound() -> None:
    assert SecurityEvent("DoorOpened", AT, "i" * MAX_TECH_INFO_LENGTH).tech_info == "i" * MAX_TECH_INFO_LENGTH
    assert SecurityEvent("DoorOpened", AT, "i" * (MAX_TECH_INFO_LENGTH + 1)).tech_info == "i" * MAX_TECH_INFO_LENGTH
