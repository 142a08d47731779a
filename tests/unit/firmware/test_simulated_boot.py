"""The simulated boot loader: it tries what waits, counts, and goes back to what was good."""

from dataclasses import replace
from typing import Any

import pytest

from firmware.simulated_boot import MAX_TRIES, BootEnvironment, Name, Slot

FACTORY = BootEnvironment("boot-0")
NEW = Slot("5ha", "1.1.0")
BROKEN = Slot("5ha", "1.1.0", boots=False)


def after_boots(environment: BootEnvironment, boots: int) -> BootEnvironment:
    for number in range(1, boots + 1):
        environment = environment.booted(f"boot-{number}")
    return environment


def test_the_factory_slot_runs_for_good() -> None:
    assert FACTORY.current == Slot()
    assert FACTORY.waiting is None
    assert after_boots(FACTORY, 9) == replace(FACTORY, boot_id="boot-9")


def test_installed_firmware_waits_for_the_reboot() -> None:
    installed = FACTORY.emptied().installed(NEW, at_once=False)
    assert installed.current == Slot()
    assert installed.waiting == NEW
    assert installed.booted("boot-0") == installed, "an agent that is started again is no boot"

    booted = installed.booted("boot-1")
    assert booted.current == NEW
    assert booted.waiting is None
    assert not booted.confirmed


def test_firmware_that_is_active_at_once_needs_no_boot_and_is_on_trial_all_the_same() -> None:
    installed = FACTORY.installed(NEW, at_once=True)
    assert installed.current == NEW
    assert installed.waiting is None
    assert not installed.confirmed
    assert after_boots(installed, MAX_TRIES).current == NEW
    assert after_boots(installed, MAX_TRIES + 1).current == Slot()


def test_firmware_that_is_never_marked_good_is_given_up_after_its_tries() -> None:
    installed = FACTORY.installed(NEW, at_once=False)
    assert after_boots(installed, MAX_TRIES).current == NEW
    old = after_boots(installed, MAX_TRIES + 1)
    assert old.current == Slot()
    assert old.confirmed
    assert old.slot(Name.B) is None, "and is not tried again"
    assert after_boots(old, MAX_TRIES).current == Slot()


def test_firmware_that_was_marked_good_stays() -> None:
    good = after_boots(FACTORY.installed(NEW, at_once=False), 1).marked_good()
    assert good.confirmed
    assert after_boots(good, 9).current == NEW


def test_firmware_that_does_not_boot_is_given_up_within_one_boot() -> None:
    old = after_boots(FACTORY.installed(BROKEN, at_once=False), 1)
    assert old.current == Slot()
    assert old.waiting is None
    assert old.confirmed


def test_firmware_on_trial_is_kept_where_there_is_nothing_to_go_back_to() -> None:
    alone = replace(FACTORY, a=None, b=NEW, running=Name.B, next=Name.B, confirmed=False, tries_left=0)
    assert alone.booted("boot-1").current == NEW


def test_the_second_update_goes_into_the_first_slot() -> None:
    good = after_boots(FACTORY.installed(NEW, at_once=False), 1).marked_good()
    newer = Slot("5hb", "1.2.0")
    assert good.emptied().slot(Name.A) is None
    installed = good.installed(newer, at_once=False)
    assert installed.slot(Name.A) == newer
    assert installed.booted("boot-7").current == newer


def test_a_slot_can_be_left_alone_with_the_boot() -> None:
    installed = FACTORY.installed(NEW, at_once=True)
    assert installed.only(Name.A) == FACTORY
    assert installed.only(Name.B).slot(Name.A) is None


@pytest.mark.parametrize("environment", [FACTORY, FACTORY.installed(NEW, at_once=True)])
def test_is_read_as_it_was_written(environment: BootEnvironment) -> None:
    assert BootEnvironment.from_json(environment.to_json()) == environment


@pytest.mark.parametrize(
    "damage",
    [
        {"running": "c"},
        {"a": None},
        {"next": "b"},
        {"tries_left": None},
        {"b": {"sha256": None}},
        {"a": "text"},
    ],
)
def test_what_is_no_memory_of_a_boot_loader_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        BootEnvironment.from_json(FACTORY.to_json() | damage)
    with pytest.raises(ValueError, match=r"."):
        BootEnvironment.from_json({})
