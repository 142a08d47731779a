from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.configuration import ChangeStatus, Configuration, Origin, device_values
from chargepoint.database import Database
from chargepoint.database_error import DatabaseFull
from chargepoint.fallback import Fallback
from chargepoint.state_schema import MIGRATIONS
from security.fallback import Bounds, Outcome
from security.profile import SecurityProfile
from security.secret import Secret

OLD, NEW, NEWER = (byte * 16 for byte in (b"\xaa", b"\xbb", b"\xcc"))
GIVEN: Final = {"SecurityProfile": "1", "AuthorizationKey": OLD.hex()}
SECOND: Final = timedelta(seconds=1)


@dataclass
class Site:
    """A configuration on a real disk, restarted at will, and tries whose outcome the test decides."""

    path: Path
    events: list[str | None] = field(default_factory=list)
    now: float = 0.0
    key_as_text: bool = False

    async def start(self) -> None:
        async def raise_event(_: str, tech_info: str | None) -> None:
            self.events.append(tech_info)

        self.database = await Database.open(self.path, MIGRATIONS)
        self.configuration = await Configuration.load(
            self.database,
            given=GIVEN,
            device=device_values(1),
            raise_event=raise_event,
            missing_prerequisite=lambda _: None,
        )
        bounds = Bounds(tries=2, time=10 * SECOND)
        clock = Clock(monotonic=lambda: self.now)
        self.fallback = Fallback(self.configuration, clock, bounds, key_as_text=self.key_as_text)

    async def restart(self) -> None:
        await self.database.close()
        await self.start()

    async def change(self, key: str, value: str, origin: Origin = Origin.CENTRAL_SYSTEM) -> None:
        assert (await self.configuration.change(key, value, origin)).status is ChangeStatus.ACCEPTED

    async def attempt(self, outcome: Outcome, took: timedelta = SECOND) -> tuple[int, bytes | None]:
        """Make a try, and return the profile and the password that it was made with."""
        self.fallback.begin_try()
        tried = Attempt(self.fallback.profile, "ws://localhost", "CP001", authorization_key=self.fallback.password)
        self.now += took.total_seconds()
        self.began_anew = await self.fallback.note(tried, outcome)
        return int(tried.profile), tried.authorization_key.reveal() if tried.authorization_key else None

    async def rows(self) -> int:
        return int(
            await self.database.read(lambda c: c.execute("SELECT count(*) FROM configuration_trial").fetchone()[0])
        )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path / "state.db")
    await site.start()
    yield site
    await site.database.close()


class TestPassword:
    async def test_a_new_one_that_works_stays(self, site: Site) -> None:
        await site.change("AuthorizationKey", NEW.hex())
        assert await site.attempt(Outcome.GOOD) == (1, NEW)
        assert await site.rows() == 0
        for _ in range(3):
            assert await site.attempt(Outcome.REFUSED) == (1, NEW)

    @pytest.mark.parametrize("origin", Origin)
    async def test_a_refused_one_takes_turns_with_the_previous_one(self, site: Site, origin: Origin) -> None:
        await site.change("AuthorizationKey", NEW.hex(), origin)
        tried = [(await site.attempt(Outcome.REFUSED))[1] for _ in range(4)]
        assert tried == [NEW, OLD, NEW, OLD]
        assert site.events == [f"AuthorizationKey set by {origin}"]

    async def test_is_undone_durably_where_the_previous_one_works(self, site: Site) -> None:
        await site.change("AuthorizationKey", NEW.hex())
        await site.attempt(Outcome.REFUSED)
        assert await site.attempt(Outcome.GOOD) == (1, OLD)
        assert site.events[1:] == [
            "AuthorizationKey set back: the Central System takes the previous one and has not taken the new one"
        ]
        await site.restart()
        assert await site.attempt(Outcome.REFUSED) == (1, OLD)
        assert await site.attempt(Outcome.REFUSED) == (1, OLD)

    async def test_an_outage_says_nothing_about_it(self, site: Site) -> None:
        await site.change("AuthorizationKey", NEW.hex())
        for outcome in (Outcome.NO_ANSWER, Outcome.NO_OCPP, Outcome.PEER_REFUSED):
            assert await site.attempt(outcome, took=3600 * SECOND) == (1, NEW)

    async def test_a_restart_in_the_trial_loses_neither(self, site: Site) -> None:
        await site.change("AuthorizationKey", NEW.hex())
        await site.restart()
        assert await site.attempt(Outcome.REFUSED) == (1, NEW)
        await site.restart()
        assert await site.attempt(Outcome.REFUSED) == (1, NEW)
        assert await site.attempt(Outcome.GOOD) == (1, OLD)

    async def test_a_further_change_keeps_the_one_that_worked_last_and_the_one_before(self, site: Site) -> None:
        await site.change("AuthorizationKey", NEW.hex())
        await site.change("AuthorizationKey", NEWER.hex())
        tried = [(await site.attempt(Outcome.REFUSED))[1] for _ in range(6)]
        assert tried == [NEWER, OLD, NEWER, NEW, NEWER, OLD]

    @pytest.mark.parametrize("restarts", [False, True])
    async def test_one_whose_answer_was_lost_gives_way_to_the_one_before(self, site: Site, restarts: bool) -> None:
        """In profile 3 no password is tried: the Central System may know one that is neither the last nor the first."""
        await site.change("SecurityProfile", "3", Origin.LOCAL)
        await site.change("AuthorizationKey", NEW.hex())  # the Central System has its answer
        await site.attempt(Outcome.GOOD)
        await site.change("AuthorizationKey", NEWER.hex())  # and that to this one was lost
        await site.attempt(Outcome.GOOD)
        if restarts:
            await site.restart()
        await site.change("SecurityProfile", "2", Origin.LOCAL)
        assert [(await site.attempt(Outcome.REFUSED))[1] for _ in range(3)] == [NEWER, OLD, NEWER]
        assert await site.attempt(Outcome.GOOD) == (2, NEW)
        assert await site.rows() == 0
        await site.restart()
        assert [(await site.attempt(Outcome.REFUSED))[1] for _ in range(4)] == [NEW] * 4

    async def test_setting_the_same_one_again_forgets_none(self, site: Site) -> None:
        for new in (NEW, NEWER, NEWER):
            await site.change("AuthorizationKey", new.hex())
        assert [(await site.attempt(Outcome.REFUSED))[1] for _ in range(4)] == [NEWER, OLD, NEWER, NEW]

    async def test_what_a_release_that_knows_no_previous_one_has_written_is_read(self, site: Site) -> None:
        for new in (NEW, NEWER):
            await site.change("AuthorizationKey", new.hex())
        await site.database.write(lambda c: c.execute("DELETE FROM configuration_trial_previous").rowcount)
        await site.restart()
        assert [(await site.attempt(Outcome.REFUSED))[1] for _ in range(4)] == [NEWER, OLD, NEWER, OLD]

    async def test_a_change_back_ends_the_trial(self, site: Site) -> None:
        await site.change("AuthorizationKey", NEW.hex())
        await site.change("AuthorizationKey", OLD.hex())
        assert await site.rows() == 0
        assert [(await site.attempt(Outcome.REFUSED))[1] for _ in range(2)] == [OLD, OLD]

    async def test_a_try_made_with_an_earlier_one_decides_nothing(self, site: Site) -> None:
        await site.change("AuthorizationKey", NEW.hex())
        late = Attempt(SecurityProfile.BASIC, "ws://localhost", "CP001", authorization_key=Secret(NEW))
        await site.change("AuthorizationKey", NEWER.hex())
        await site.fallback.note(late, Outcome.GOOD)
        await site.fallback.note(replace(late, authorization_key=Secret(OLD)), Outcome.GOOD)
        assert [(await site.attempt(Outcome.REFUSED))[1] for _ in range(2)] == [NEWER, OLD]

    async def test_a_profile_without_passwords_does_not_judge_it(self, site: Site) -> None:
        await site.change("SecurityProfile", "0", Origin.LOCAL)
        await site.change("AuthorizationKey", NEW.hex())
        await site.attempt(Outcome.GOOD)
        assert await site.rows() == 1
        await site.change("SecurityProfile", "1", Origin.LOCAL)
        assert [(await site.attempt(Outcome.REFUSED))[1] for _ in range(2)] == [NEW, OLD]

    async def test_the_digits_themselves_may_be_the_password(self, tmp_path: Path) -> None:
        site = Site(tmp_path / "state.db", key_as_text=True)
        await site.start()
        await site.change("AuthorizationKey", NEW.hex().upper())
        assert await site.attempt(Outcome.REFUSED) == (1, NEW.hex().upper().encode())
        assert await site.attempt(Outcome.GOOD) == (1, OLD.hex().encode())
        await site.database.close()

    async def test_the_first_one_has_nothing_to_fall_back_to(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(GIVEN, "AuthorizationKey")
        await site.restart()
        assert site.fallback.password is None
        await site.change("AuthorizationKey", NEW.hex())
        assert [(await site.attempt(Outcome.REFUSED))[1] for _ in range(2)] == [NEW, NEW]


class TestProfile:
    async def test_one_that_connects_stays_for_good(self, site: Site) -> None:
        await site.change("SecurityProfile", "2")
        assert (await site.attempt(Outcome.NO_ANSWER))[0] == 2
        assert (await site.attempt(Outcome.GOOD))[0] == 2
        for _ in range(5):
            assert (await site.attempt(Outcome.NO_ANSWER, took=60 * SECOND))[0] == 2
        assert site.events == ["SecurityProfile set by the Central System"]

    async def test_one_that_does_not_connect_gives_way_durably(self, site: Site) -> None:
        await site.change("SecurityProfile", "2")
        for _ in range(2):
            assert (await site.attempt(Outcome.NO_ANSWER))[0] == 2
            assert not site.began_anew
        assert (await site.attempt(Outcome.NO_ANSWER, took=10 * SECOND))[0] == 2
        assert site.began_anew
        assert site.configuration.text("SecurityProfile") == "1"
        assert site.events[1:] == ["SecurityProfile set back to 1: there was no connection in 2"]
        await site.restart()
        assert (await site.attempt(Outcome.GOOD))[0] == 1
        assert await site.rows() == 0
        for _ in range(5):
            assert (await site.attempt(Outcome.NO_ANSWER, took=60 * SECOND))[0] == 1

    async def test_tries_and_time_count_on_after_a_restart(self, site: Site) -> None:
        await site.change("SecurityProfile", "2")
        await site.attempt(Outcome.NO_ANSWER, took=10 * SECOND)
        await site.restart()
        await site.attempt(Outcome.NO_ANSWER)
        assert site.configuration.text("SecurityProfile") == "1"

    async def test_an_outage_in_the_trial_does_not_decide_for_good(self, site: Site) -> None:
        await site.change("SecurityProfile", "2")
        tried = [(await site.attempt(Outcome.NO_ANSWER, took=10 * SECOND))[0] for _ in range(6)]
        assert tried == [2, 2, 1, 1, 2, 2]
        for _ in range(2):
            await site.attempt(Outcome.REFUSED, took=10 * SECOND)
        assert len(site.events) == 2  # a long outage fills neither the log nor the flash
        assert site.configuration.text("SecurityProfile") == "1"
        assert (await site.attempt(Outcome.GOOD))[0] == 2
        assert site.configuration.text("SecurityProfile") == "2"
        assert site.events[2:] == ["SecurityProfile set to 2 after all: it has connected"]
        assert await site.rows() == 0

    async def test_a_second_upgrade_keeps_the_profile_that_worked_last(self, site: Site) -> None:
        await site.change("SecurityProfile", "2")
        assert (await site.configuration.change("SecurityProfile", "2")).status is ChangeStatus.REJECTED
        await site.change("SecurityProfile", "3")
        for _ in range(2):
            assert (await site.attempt(Outcome.NO_ANSWER, took=10 * SECOND))[0] == 3
        assert site.configuration.text("SecurityProfile") == "1"

    async def test_what_a_local_command_sets_is_definite(self, site: Site) -> None:
        await site.change("SecurityProfile", "2")
        await site.change("SecurityProfile", "2", Origin.LOCAL)
        for _ in range(5):
            assert (await site.attempt(Outcome.NO_ANSWER, took=60 * SECOND))[0] == 2

    async def test_both_on_trial_find_the_combination_that_works(self, site: Site) -> None:
        await site.change("AuthorizationKey", NEW.hex())
        await site.change("SecurityProfile", "2")
        tried: list[tuple[int, bytes | None]] = []
        while (1, OLD) not in tried:
            tried.append(await site.attempt(Outcome.GOOD if tried[-1:] == [(1, NEW)] else Outcome.REFUSED, 5 * SECOND))
        assert tried == [(2, NEW), (2, OLD), (1, NEW), (1, OLD)]
        assert await site.rows() == 0
        assert (site.configuration.text("SecurityProfile"), site.fallback.password) == ("1", Secret(OLD))


async def test_a_disk_that_fails_does_not_stop_a_fall_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.change("SecurityProfile", "2")

    async def fail(*_: object) -> None:
        raise DatabaseFull(site.path, "full", "make room")

    with monkeypatch.context() as full:
        full.setattr(site.database, "write", fail)
        for _ in range(2):
            await site.attempt(Outcome.NO_ANSWER, took=10 * SECOND)
        assert (await site.attempt(Outcome.GOOD))[0] == 1
    await site.restart()
    assert (await site.attempt(Outcome.NO_ANSWER))[0] == 2  # the disk knows nothing of it: the trial goes on


async def test_a_trial_of_a_value_that_another_release_has_changed_is_left_aside(site: Site) -> None:
    await site.change("SecurityProfile", "2")
    await site.database.write(
        lambda c: c.execute("UPDATE configuration SET value = '3' WHERE name = 'SecurityProfile'").rowcount
    )
    await site.restart()
    for _ in range(5):
        assert (await site.attempt(Outcome.NO_ANSWER, took=60 * SECOND))[0] == 3
