"""What is known of an update: how events change it, and that it survives on the disk."""

import json
from dataclasses import replace

import pytest

from firmware import event
from firmware.choice import MAX_INSTALLS, MAX_REBOOTS
from firmware.event import Event
from firmware.machine import TRANSITIONS, Update
from firmware.state import ENDS, State
from firmware.status import FirmwareStatus
from tests.updating import (
    HOUR,
    NOW,
    OLD,
    POLICY,
    RUNNING,
    WAITING,
    after,
    request,
    restarted,
    update_in,
)


class TestReason:
    @pytest.mark.parametrize(
        ("update", "what", "reason"),
        [
            (update_in(State.REBOOTING), restarted(OLD), "the device has booted the old firmware"),
            (update_in(State.PROBATION), restarted(OLD), "the device has booted the old firmware"),
            (
                update_in(State.INSTALLING, installs=MAX_INSTALLS),
                restarted(OLD),
                "the installation was interrupted and left nothing",
            ),
            (
                update_in(State.FOLLOWING, installs=MAX_INSTALLS),
                event.InstallFollowed(NOW, OLD),
                "the installation was interrupted and left nothing",
            ),
            (
                update_in(State.REBOOTING, reboots=MAX_REBOOTS),
                restarted(WAITING),
                "the device does not boot the new firmware",
            ),
            (update_in(State.WITHDRAWING, failure="a fault"), restarted(OLD), "a fault"),
            (update_in(State.INSTALLING), event.InstallFailed("x" * 300), "x" * 200),
            (update_in(State.INSTALLING), event.JobFailed("a fault"), "a fault"),
        ],
    )
    def test_the_record_says_why(self, update: Update, what: Event, reason: str) -> None:
        assert after(update, what).record.failure == reason


class TestSnapshot:
    @pytest.mark.parametrize("state", list(State))
    def test_it_comes_back_from_the_disk(self, state: State) -> None:
        location = "" if state in ENDS else request().location  # what is over does not keep a password
        update = update_in(
            state,
            request=request(location=location),
            status=FirmwareStatus.DOWNLOADING,
            retry_at=NOW,
            waiting_until=NOW + HOUR,
            version="1.1.0",
            failure="why",
            starts=1,
        )
        restored = Update.restore(json.loads(json.dumps(update.snapshot())), POLICY)
        assert restored.record == update.record

    def test_what_is_over_keeps_no_location(self) -> None:
        assert "secret" not in json.dumps(update_in(State.DOWNLOAD_FAILED).snapshot())

    @pytest.mark.parametrize(
        "damage",
        [
            {"format": 2},
            {"state": "NOWHERE"},
            {"status": "Somehow"},
            {"request": None},
            {"retry_at": "2026-01-01T00:00"},
            {"installs": None},
            {"retry_at": 5},
            {"waiting_until": "soon"},
        ],
    )
    def test_what_is_damaged_is_refused(self, damage: dict[str, object]) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - any text, it goes nowhere
            Update.restore(update_in(State.DOWNLOADING).snapshot() | damage, POLICY)

    def test_a_snapshot_that_lacks_something_is_refused(self) -> None:
        snapshot = update_in(State.DOWNLOADING).snapshot()
        del snapshot["sha256"]
        with pytest.raises(ValueError, match="not a snapshot"):
            Update.restore(snapshot, POLICY)

    def test_the_installer_is_asked_where_its_word_counts(self) -> None:
        asked = {state for state in State if update_in(state).asks_installer}
        assert asked == {
            *(pair[0] for pair, step in TRANSITIONS.items() if pair[1] is event.Restarted and step.choose),
        } - {State.ACCEPTED, State.CHECKING}
        assert not update_in(State.CANCELLED).expects_restart
        assert update_in(State.INSTALLED).expects_restart

    def test_what_is_known_of_the_version_is_kept(self) -> None:
        assert after(
            update_in(State.INSTALLED), restarted(replace(RUNNING, running_version="1.1.1"))
        ).record.version == ("1.1.1")
        assert after(update_in(State.PROBATION, version="1.1.0"), event.MarkedGood(None)).record.version == "1.1.0"
