"""Which image is in which of RAUC's slots, concluded from what RAUC says before and after."""

from dataclasses import replace
from typing import Any

import pytest

from firmware.rauc_record import Begun, Board, Held, Record, Slot

A = Slot("a", bootable=True, booted=True, version=None, installed=None, activated=None, good=True)
B = Slot("b", bootable=True, booted=False, version=None, installed=None, activated=None, good=True)
WRITTEN_B = replace(B, version="1.1.0", installed="day 1", activated="day 1")


def board(a: Slot = A, b: Slot = B, primary: str | None = "a") -> Board:
    return Board({"a": a, "b": b}, primary)


def booted(other: Board) -> Board:
    """The same after a boot of the other slot."""
    return replace(other, slots={name: replace(slot, booted=not slot.booted) for name, slot in other.slots.items()})


BEFORE = board()
WRITTEN = board(b=WRITTEN_B, primary="b")
BEGUN = Record().beginning(Begun.of(7, "5ha", BEFORE))


def after(now: Board, *, heard: bool | None = None, record: Record = BEGUN) -> Record:
    return record.ended(now, record.target(now, heard=heard))


@pytest.mark.parametrize("heard", [True, None])
def test_the_slot_that_was_activated_since_holds_the_image(heard: bool | None) -> None:
    record = after(WRITTEN, heard=heard)
    assert record.held == {"b": Held("5ha", "day 1")}
    assert record.waiting(WRITTEN) == Held("5ha", "day 1")
    assert record.running(WRITTEN) is None
    assert record.running(booted(WRITTEN)) == Held("5ha", "day 1")
    assert record.waiting(booted(WRITTEN)) is None


def test_it_shows_after_the_boot_too() -> None:
    assert after(booted(WRITTEN)).running(booted(WRITTEN)) == Held("5ha", "day 1")


def test_what_rauc_calls_failed_is_in_no_slot() -> None:
    assert after(WRITTEN, heard=False) == Record()


@pytest.mark.parametrize("now", [BEFORE, board(b=replace(B, installed="day 1"))])
def test_what_was_not_activated_is_in_no_slot(now: Board) -> None:
    assert after(now) == Record()


def test_an_activation_of_before_is_none_of_ours() -> None:
    begun = Record().beginning(Begun.of(7, "5ha", WRITTEN))
    assert after(WRITTEN, record=begun) == Record()
    again = board(b=replace(WRITTEN_B, installed="day 2", activated="day 2"), primary="b")
    assert after(again, record=begun).held == {"b": Held("5ha", "day 2")}


def test_without_a_status_the_primary_slot_tells() -> None:
    silent = board(primary="b")
    assert after(silent).waiting(silent) == Held("5ha", None)
    assert after(booted(silent)).running(booted(silent)) == Held("5ha", None)


def test_without_a_status_the_boot_tells_where_the_boot_loader_names_no_slot() -> None:
    begun = Record().beginning(Begun.of(7, "5ha", board(primary=None)))
    assert after(booted(board(primary=None)), record=begun).held == {"b": Held("5ha", None)}
    assert after(board(primary=None), record=begun) == Record()
    assert after(board(primary=None), record=begun, heard=True).held == {"b": Held("5ha", None)}


def test_where_nothing_is_booted_nothing_is_concluded_without_a_word() -> None:
    nowhere = Board({"a": replace(A, booted=False), "b": B}, None)
    begun = Record().beginning(Begun.of(7, "5ha", nowhere))
    assert after(nowhere, record=begun) == Record()
    assert after(nowhere, record=begun, heard=True) == Record(), "either of two slots may be it"
    assert begun.given_up().running(nowhere) is None
    assert begun.given_up().confirmed(nowhere)
    assert begun.marked_good(nowhere) == begun


def test_a_slot_that_was_written_since_no_longer_holds_the_image() -> None:
    record = after(WRITTEN)
    by_another = board(b=replace(WRITTEN_B, installed="day 2", activated="day 2"), primary="b")
    assert record.waiting(by_another) is None
    assert record.running(booted(by_another)) is None


def test_only_what_runs_is_marked_good() -> None:
    record = after(WRITTEN)
    assert record.marked_good(WRITTEN) == record
    assert record.confirmed(WRITTEN), "the old firmware, which the boot loader calls good"
    runs = booted(WRITTEN)
    assert not record.confirmed(runs)
    assert record.marked_good(runs).confirmed(runs)


def test_of_firmware_that_is_not_ours_the_boot_loader_is_believed() -> None:
    assert not Record().confirmed(board(a=replace(A, good=False)))
    assert Record().confirmed(board(a=replace(A, good=None)))


def test_what_ends_without_having_begun_changes_nothing() -> None:
    record = after(WRITTEN)
    assert after(booted(WRITTEN), record=record) == record
    assert record.target(WRITTEN, heard=True) is None


@pytest.mark.parametrize(
    "record", [Record(), BEGUN, after(WRITTEN), after(WRITTEN).beginning(Begun.of(8, "5hb", WRITTEN))]
)
def test_is_read_as_it_was_written(record: Record) -> None:
    assert Record.from_json(record.to_json()) == record


@pytest.mark.parametrize(
    "damage",
    [{"held": {"b": {}}}, {"held": []}, {"begun": {}}, {"begun": {**BEGUN.to_json()["begun"], "slots": {"a": 1}}}],
)
def test_what_is_no_record_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not the record"):
        Record.from_json(Record().to_json() | damage)
