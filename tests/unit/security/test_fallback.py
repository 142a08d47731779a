import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import pytest

from security.fallback import (
    TABLE,
    Bounds,
    Credential,
    Outcome,
    Ruling,
    Step,
    Trial,
    judge,
    takes_part,
)
from security.profile import SecurityProfile

BOUNDS: Final = Bounds(tries=3, time=timedelta(seconds=60))
SHORTEST: Final = Bounds(tries=2, time=timedelta())
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)


def judged(
    credential: Credential,
    trial: Trial,
    outcome: Outcome,
    *,
    used_other: bool = False,
    took: timedelta = SECOND,
    bounds: Bounds = BOUNDS,
) -> tuple[Trial, Ruling]:
    return judge(credential, trial, outcome, used_other=used_other, took=took, bounds=bounds)


def test_the_table_has_a_step_for_each_credential_and_outcome() -> None:
    assert TABLE.keys() == set(Credential)
    assert all(row.keys() == set(Outcome) for row in TABLE.values())


def test_only_a_certificate_is_doubted_and_only_where_it_was_hung_up_on() -> None:
    doubted = {
        (credential, outcome) for credential, row in TABLE.items() for outcome in row if row[outcome] is Step.DOUBT
    }
    assert doubted == {(Credential.CERTIFICATE, Outcome.HUNG_UP)}


def test_outcomes_that_are_left_out_of_the_play_mean_to_each_credential_what_no_answer_does() -> None:
    for row in TABLE.values():
        assert row[Outcome.NO_OCPP] is row[Outcome.NOT_MADE] is row[Outcome.NO_ANSWER]


@pytest.mark.parametrize("credential", Credential)
@pytest.mark.parametrize(("used_other", "ruling"), [(False, Ruling.HELD_STAYS), (True, Ruling.OTHER_STAYS)])
def test_a_good_connection_settles_every_trial(credential: Credential, used_other: bool, ruling: Ruling) -> None:
    for trial in (Trial(), Trial(others_turn=True), Trial(fell_back=True, tries=7, time=MINUTE)):
        assert judged(credential, trial, Outcome.GOOD, used_other=used_other)[1] is ruling


@pytest.mark.parametrize(
    ("credential", "refusals"),
    [
        (Credential.PASSWORD, {Outcome.REFUSED}),
        (Credential.CERTIFICATE, {Outcome.REFUSED, Outcome.CERTIFICATE_REFUSED, Outcome.HUNG_UP}),
    ],
)
def test_a_password_or_certificate_gives_way_only_where_it_was_refused_and_for_one_turn(
    credential: Credential, refusals: set[Outcome]
) -> None:
    for outcome in set(Outcome) - {Outcome.GOOD}:
        assert judged(credential, Trial(), outcome) == (Trial(others_turn=outcome in refusals), Ruling.NONE)
        assert judged(credential, Trial(others_turn=True), outcome, used_other=True) == (Trial(), Ruling.NONE)


def test_a_root_gives_way_within_the_try_and_waits_otherwise() -> None:
    assert TABLE[Credential.ROOT][Outcome.PEER_REFUSED] is Step.GIVE_WAY_AT_ONCE
    for outcome in set(Outcome) - {Outcome.GOOD}:
        assert judged(Credential.ROOT, Trial(), outcome) == (Trial(), Ruling.NONE)


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.GOOD}))
def test_a_profile_falls_back_when_tries_and_time_are_used_up(outcome: Outcome) -> None:
    trial = Trial()
    for tries in (1, 2, 3, 4):  # enough tries, and too little time
        trial, ruling = judged(Credential.PROFILE, trial, outcome)
        assert (trial, ruling) == (Trial(tries=tries, time=tries * SECOND), Ruling.NONE)
    assert judged(Credential.PROFILE, trial, outcome, took=MINUTE) == (Trial(fell_back=True), Ruling.FALL_BACK)


def test_a_profile_is_not_given_up_for_one_try_that_took_long() -> None:
    trial, ruling = judged(Credential.PROFILE, Trial(), Outcome.NO_ANSWER, took=10 * MINUTE)
    assert (trial.tries, ruling) == (1, Ruling.NONE)


def test_once_fallen_back_the_two_profiles_take_turns_and_neither_is_given_up() -> None:
    trial = Trial(fell_back=True)
    turns = []
    for _ in range(9):
        trial, ruling = judged(Credential.PROFILE, trial, Outcome.NO_ANSWER, took=MINUTE)
        assert ruling is Ruling.NONE
        turns.append(trial.others_turn)
    assert turns == [False, False, True, True, True, False, False, False, True]


@pytest.mark.parametrize(
    ("profile", "parts"),
    [
        (SecurityProfile.UNSECURED, set()),
        (SecurityProfile.BASIC, {Credential.PASSWORD}),
        (SecurityProfile.TLS_BASIC, {Credential.PASSWORD, Credential.ROOT}),
        (SecurityProfile.TLS_CLIENT_CERTIFICATE, {Credential.CERTIFICATE, Credential.ROOT}),
    ],
)
def test_a_try_judges_what_took_part_in_it(profile: SecurityProfile, parts: set[Credential]) -> None:
    assert {each for each in Credential if takes_part(each, profile)} == parts | {Credential.PROFILE}


# The table as a whole: everything on trial at once, against every Central System that there could be.

Combination = tuple[SecurityProfile, bool, bool]  # profile, and whether password and certificate are the other ones
ON_TRIAL: Final = (Credential.PROFILE, Credential.PASSWORD, Credential.CERTIFICATE)
GIVING_WAY: Final = (Step.GIVE_WAY, Step.DOUBT)
ANSWERS: Final = (
    *set(Outcome) - {Outcome.NO_OCPP, Outcome.NOT_MADE},
)  # those two mean to each row what no answer does
MAX_TRIES: Final = 12  # two windows of each profile, and the first


@dataclass
class ChargePoint:
    """Makes tries by the table alone; the new profile is held, and the other is the previous one."""

    new: SecurityProfile
    previous: SecurityProfile
    trials: dict[Credential, Trial] = field(default_factory=lambda: dict.fromkeys(ON_TRIAL, Trial()))

    def combination(self) -> Combination:
        profile = self.trials[Credential.PROFILE]
        held, other = (self.previous, self.new) if profile.fell_back else (self.new, self.previous)
        return (
            other if profile.others_turn else held,
            self.trials[Credential.PASSWORD].others_turn,
            self.trials[Credential.CERTIFICATE].others_turn,
        )

    def note(self, combination: Combination, outcome: Outcome) -> dict[Credential, Ruling]:
        rulings = {}
        for credential in ON_TRIAL:
            if takes_part(credential, combination[0]):
                trial = self.trials[credential]
                self.trials[credential], rulings[credential] = judged(
                    credential, trial, outcome, used_other=trial.others_turn, bounds=SHORTEST
                )
        return rulings


def shown(combination: Combination) -> tuple[SecurityProfile, bool | None]:
    """What a Central System sees of a combination."""
    profile, other_password, other_certificate = combination
    if profile.sends_basic:
        return profile, other_password
    return profile, other_certificate if profile.presents_certificate else None


def central_systems(
    new: SecurityProfile, previous: SecurityProfile
) -> Iterator[Mapping[tuple[SecurityProfile, bool | None], Outcome]]:
    """Every way to answer what can be shown in two profiles, the same each time."""
    visible = sorted(
        {shown(each) for each in itertools.product((new, previous), (False, True), (False, True))}, key=str
    )
    for chosen in itertools.product(ANSWERS, repeat=len(visible)):
        yield dict(zip(visible, chosen, strict=True))


def reachable(combination: Combination, central_system: Mapping[tuple[SecurityProfile, bool | None], Outcome]) -> bool:
    """Whether a good connection must be had: with the new values, or, where those are refused, with the others."""
    if central_system[shown(combination)] is Outcome.GOOD:
        return True
    profile, other_password, other_certificate = combination
    if profile.sends_basic and TABLE[Credential.PASSWORD][central_system[shown(combination)]] in GIVING_WAY:
        return central_system[profile, not other_password] is Outcome.GOOD
    if profile.presents_certificate and TABLE[Credential.CERTIFICATE][central_system[shown(combination)]] in GIVING_WAY:
        return central_system[profile, not other_certificate] is Outcome.GOOD
    return False


@pytest.mark.requirement("A05.FR.08")
@pytest.mark.parametrize(
    ("previous", "new"), list(itertools.combinations(SecurityProfile, 2)), ids=lambda each: str(int(each))
)
@pytest.mark.parametrize("outage", range(6))
def test_no_changes_together_lock_the_charge_point_out(
    previous: SecurityProfile, new: SecurityProfile, outage: int
) -> None:
    for central_system in central_systems(new, previous):
        charge_point = ChargePoint(new, previous)
        for _ in range(outage):
            charge_point.note(charge_point.combination(), Outcome.NO_ANSWER)
        expected = any(reachable((profile, False, False), central_system) for profile in (new, previous))
        for _ in range(MAX_TRIES):
            combination = charge_point.combination()
            outcome = central_system[shown(combination)]
            rulings = charge_point.note(combination, outcome)
            if outcome is Outcome.GOOD:
                break
        assert outcome is Outcome.GOOD or not expected, central_system
        if outcome is Outcome.GOOD:
            settled = {each for each in ON_TRIAL if takes_part(each, combination[0])}
            assert {each for each, ruling in rulings.items() if ruling is not Ruling.NONE} == settled
