"""What follows from the record of the command installer: before and after a boot, with and without a version."""

from dataclasses import replace
from typing import Any

import pytest

from firmware.command_record import Now, Record, Stage, Update

OLD = Now("boot-0", "1.0.0")
NEW = replace(OLD, version="1.1.0")
BOOTED_OLD = Now("boot-1", "1.0.0")
BOOTED_NEW = Now("boot-1", "1.1.0")
UPDATE = Update(7, "5ha", None, OLD)
BEGUN = Record("5h0").begun(UPDATE)
WAITS = BEGUN.at(Stage.WAITS)
ACTIVE = BEGUN.at(Stage.ACTIVE)


@pytest.mark.parametrize(
    ("record", "now", "running", "waiting"),
    [
        (Record(), OLD, None, None),
        (Record("5h0"), OLD, "5h0", None),
        # killed in the middle: the version decides
        (BEGUN, OLD, "5h0", None),
        (BEGUN, NEW, "5ha", None),
        (BEGUN, BOOTED_OLD, "5h0", None),
        (BEGUN, BOOTED_NEW, "5ha", None),
        # the next boot activates it, or the boot loader has gone back
        (WAITS, OLD, "5h0", "5ha"),
        (WAITS, BOOTED_NEW, "5ha", None),
        (WAITS, BOOTED_OLD, "5h0", None),
        # it runs since the command has said so, whatever a driver remembers; a boot may go back
        (ACTIVE, OLD, "5ha", None),
        (ACTIVE, BOOTED_NEW, "5ha", None),
        (ACTIVE, BOOTED_OLD, "5h0", None),
    ],
)
def test_what_runs_and_what_waits(record: Record, now: Now, running: str | None, waiting: str | None) -> None:
    assert (record.running(now), record.waiting(now)) == (running, waiting)


@pytest.mark.parametrize(
    ("before", "image", "after"),
    [
        (None, None, "1.1.0"),
        ("1.0.0", None, None),
        ("1.0.0", "1.0.0", "1.0.0"),
    ],
)
def test_where_the_version_cannot_tell_the_command_is_believed_but_not_half_of_it(
    before: str | None, image: str | None, after: str | None
) -> None:
    update = Update(7, "5ha", image, Now("boot-0", before))
    now = Now("boot-1", after)
    assert Record().begun(update).at(Stage.WAITS).running(now) == "5ha"
    assert Record().begun(update).running(now) is None


def test_an_update_that_failed_leaves_what_ran_before() -> None:
    assert BEGUN.failed() == Record("5h0")


def test_a_new_update_follows_the_one_that_runs() -> None:
    second = Update(8, "5hb", None, BOOTED_NEW)
    assert WAITS.begun(second) == Record("5ha", second)


def test_a_withdrawn_update_is_gone_and_one_that_runs_stays() -> None:
    assert WAITS.withdrawn(OLD) == Record("5h0")
    assert WAITS.withdrawn(BOOTED_NEW) == WAITS
    assert Record().withdrawn(OLD) == Record()


def test_only_what_runs_is_marked_good() -> None:
    assert Record().confirmed(OLD)
    assert Record().marked_good(OLD) == Record()
    assert WAITS.confirmed(OLD), "the old firmware runs, and was good"
    assert WAITS.marked_good(OLD) == WAITS
    assert not WAITS.confirmed(BOOTED_NEW)
    assert WAITS.marked_good(BOOTED_NEW).confirmed(BOOTED_NEW)
    assert ACTIVE.confirmed(BOOTED_OLD), "the boot loader went back to what was good"


def test_without_an_update_there_is_no_stage() -> None:
    assert Record().at(Stage.WAITS) == Record()


@pytest.mark.parametrize("record", [Record(), Record("5h0"), BEGUN, WAITS.marked_good(BOOTED_NEW)])
def test_is_read_as_it_was_written(record: Record) -> None:
    assert Record.from_json(record.to_json()) == record


@pytest.mark.parametrize(
    "damage", [{"update": "text"}, {"update": {}}, {"update": {**BEGUN.to_json()["update"], "stage": "lost"}}]
)
def test_what_is_no_record_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Record.from_json(Record().to_json() | damage)
    with pytest.raises(ValueError, match="not the record"):
        Record.from_json({})
