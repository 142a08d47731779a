"""The rules of a certificate's life: which is presented, when the next is asked for, what goes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from security.certificate_life import (
    MONTH,
    choose,
    discardable,
    dispensable,
    due_warning,
    is_renewal_due,
    next_change,
    to_renew,
    warning_begins,
)
from security.client_certificate import ClientCertificate
from security.enrolment_state import EnrolmentState, Request, Stage
from tests.pki import DAY, NOW, make, make_root

ROOT = make_root()
NEVER = timedelta()
HOUR = timedelta(hours=1)


def pair(begins: timedelta = -DAY, ends: timedelta = 365 * DAY) -> ClientCertificate:
    """A certificate that begins and ends so long from now."""
    made = make(issuer=ROOT, not_before=NOW + begins, not_after=NOW + ends)
    return ClientCertificate(Path("chain.pem"), Path("key.pem"), (made.certificate,))


def name(which: ClientCertificate) -> str:
    return which.leaf.fingerprint


OLD, NEW, FUTURE = pair(-300 * DAY, 65 * DAY), pair(-DAY), pair(DAY, 400 * DAY)
OLDEST, EXPIRED = pair(-350 * DAY, 15 * DAY), pair(-400 * DAY, -35 * DAY)


NOTHING = EnrolmentState()


def known(*, proven: Sequence[ClientCertificate] = (), given_up: Sequence[ClientCertificate] = ()) -> EnrolmentState:
    return EnrolmentState(
        proven={name(each): NOW - DAY for each in proven}, given_up={name(each): NOW for each in given_up}
    )


class TestChoose:
    @pytest.mark.requirement("A02.FR.08", "A02.FR.09", "A03.FR.08", "A03.FR.09")
    def test_the_newest_that_has_begun(self) -> None:
        assert choose([FUTURE, NEW, OLD], NOW, NOTHING) == NEW
        assert choose([FUTURE, NEW, OLD], NOW + 2 * DAY, NOTHING) == FUTURE

    def test_none_where_there_is_none(self) -> None:
        assert choose([], NOW, NOTHING) is None

    @pytest.mark.parametrize(
        ("refused", "expected"),
        [
            ({}, NEW),
            ({NEW: 1}, OLD),
            ({NEW: 1, OLD: 1}, NEW),
            ({NEW: 2, OLD: 1}, OLD),
            ({NEW: 2, OLD: 2}, NEW),
        ],
    )
    @pytest.mark.requirement("A02.FR.10", "A03.FR.10")
    def test_a_new_one_that_is_refused_and_the_last_that_worked_take_turns(
        self, refused: Mapping[ClientCertificate, int], expected: ClientCertificate
    ) -> None:
        counts = {name(which): count for which, count in refused.items()}
        assert choose([OLD, NEW], NOW, known(proven=[OLD]), counts) == expected

    def test_one_that_has_worked_is_never_left(self) -> None:
        assert choose([OLD, NEW], NOW, known(proven=[OLD, NEW]), {name(NEW): 9}) == NEW

    @pytest.mark.parametrize(
        ("refused", "expected"),
        [
            ({}, NEW),
            ({NEW: 1}, OLD),
            ({NEW: 1, OLD: 1}, OLDEST),
            ({NEW: 1, OLD: 1, OLDEST: 1}, NEW),
            ({NEW: 2, OLD: 1, OLDEST: 1}, OLD),
        ],
    )
    def test_where_none_has_ever_worked_all_take_turns(
        self, refused: Mapping[ClientCertificate, int], expected: ClientCertificate
    ) -> None:
        """After years in profile 2, a bad one that came last must not hide the good ones before it."""
        counts = {name(which): count for which, count in refused.items()}
        assert choose([OLDEST, OLD, NEW, FUTURE, EXPIRED], NOW, NOTHING, counts) == expected

    def test_one_that_has_worked_is_the_only_way_back(self) -> None:
        assert choose([OLDEST, OLD, NEW], NOW, known(proven=[OLDEST]), {name(NEW): 1}) == OLDEST
        assert choose([OLDEST, OLD, NEW], NOW, known(proven=[OLDEST]), {name(NEW): 2, name(OLDEST): 2}) == NEW

    def test_what_is_out_of_date_is_no_way_back(self) -> None:
        assert choose([EXPIRED, NEW], NOW, known(proven=[EXPIRED]), {name(NEW): 9}) == NEW

    def test_what_is_in_doubt_stands_back_while_there_is_another(self) -> None:
        assert choose([OLD, NEW], NOW, known(proven=[OLD]), doubted={name(NEW)}) == OLD
        assert choose([NEW, EXPIRED], NOW, NOTHING, doubted={name(NEW)}) == NEW
        assert choose([OLD, NEW], NOW, known(given_up=[OLD]), doubted={name(NEW)}) == NEW

    def test_what_was_given_up_is_left_alone_until_nothing_else_is_valid(self) -> None:
        assert choose([OLD, NEW], NOW, known(given_up=[NEW])) == OLD
        assert choose([OLD, NEW], NOW + 70 * DAY, known(given_up=[NEW])) == NEW
        assert choose([NEW], NOW, known(given_up=[NEW])) == NEW

    def test_of_two_that_began_together_the_one_that_came_last(self) -> None:
        both = [pair(), pair()]
        for last in both:
            assert choose(both, NOW, EnrolmentState(latest=name(last))) == last

    def test_without_a_clock_the_newest(self) -> None:
        assert choose([OLD, EXPIRED, FUTURE], None, NOTHING) == FUTURE


def asked(stage: Stage, at: datetime | None) -> EnrolmentState:
    return EnrolmentState(request=Request(stage, triggered=False, asked_at=at))


class TestRenewal:
    @pytest.mark.requirement("A03.FR.02")
    def test_is_due_one_month_before_the_end_and_not_earlier(self) -> None:
        end = NEW.leaf.not_after
        assert not is_renewal_due(EnrolmentState(), [NEW], end - MONTH - HOUR, NEVER)
        assert is_renewal_due(EnrolmentState(), [NEW], end - MONTH, NEVER)
        assert is_renewal_due(EnrolmentState(), [NEW], end + 400 * DAY, NEVER)

    def test_is_never_due_without_a_clock_or_a_certificate(self) -> None:
        assert not is_renewal_due(EnrolmentState(), [EXPIRED], None, NEVER)
        assert not is_renewal_due(EnrolmentState(), [], NOW, NEVER)

    def test_the_certificate_that_ends_last_counts(self) -> None:
        assert not is_renewal_due(EnrolmentState(), [EXPIRED, OLD, FUTURE], NOW, NEVER)
        assert is_renewal_due(EnrolmentState(given_up={name(FUTURE): NOW}), [EXPIRED, FUTURE], NOW, NEVER)
        assert to_renew(EnrolmentState(given_up={name(FUTURE): NOW}), [EXPIRED, FUTURE]) == EXPIRED.leaf

    def test_a_short_life_is_renewed_in_its_last_third(self) -> None:
        short = pair(-DAY, 8 * DAY)
        assert not is_renewal_due(EnrolmentState(), [short], NOW + 5 * DAY - HOUR, NEVER)
        assert is_renewal_due(EnrolmentState(), [short], NOW + 5 * DAY, NEVER)

    @pytest.mark.parametrize("stage", [Stage.WANTED, Stage.OWED])
    def test_one_that_is_on_its_way_is_left_to_arrive(self, stage: Stage) -> None:
        assert not is_renewal_due(asked(stage, NOW - 300 * DAY), [EXPIRED], NOW, 1 * DAY)

    @pytest.mark.parametrize("stage", [Stage.ANSWERED, Stage.ENDED])
    def test_one_that_brought_nothing_is_repeated_only_where_that_is_wished(self, stage: Stage) -> None:
        state = asked(stage, NOW)
        assert not is_renewal_due(state, [EXPIRED], NOW + 300 * DAY, NEVER)
        assert not is_renewal_due(state, [EXPIRED], NOW + DAY, 2 * DAY)
        assert is_renewal_due(state, [EXPIRED], NOW + 2 * DAY, 2 * DAY)
        assert not is_renewal_due(asked(stage, None), [EXPIRED], NOW, 2 * DAY)

    def test_one_of_an_earlier_time_does_not_stand_in_the_way(self) -> None:
        assert is_renewal_due(asked(Stage.ANSWERED, NEW.leaf.not_after - MONTH - DAY), [NEW], NEW.leaf.not_after, NEVER)

    def test_one_whose_certificate_did_not_help_is_not_repeated_either(self) -> None:
        """The Central System refuses what it signed, or its authority ends with all that it signs."""
        end = NEW.leaf.not_after
        no_later = pair(ends=end - NOW)
        for installed, state in (
            ([NEW, FUTURE], EnrolmentState(given_up={name(FUTURE): end - DAY}, asked_at=end - DAY)),
            ([NEW, no_later], EnrolmentState(latest=name(no_later), asked_at=end - DAY)),
        ):
            assert not is_renewal_due(state, installed, end - HOUR, NEVER)
            assert not is_renewal_due(state, installed, end - HOUR, 2 * DAY)
            assert is_renewal_due(state, installed, end + DAY, 2 * DAY)
            assert next_change(state, installed, end - HOUR, DAY) == end

    def test_one_that_a_wrong_clock_has_dated_does_not_stand_in_the_way(self) -> None:
        due_at = NEW.leaf.not_after - MONTH
        assert is_renewal_due(EnrolmentState(asked_at=due_at + 900 * DAY), [NEW], due_at, NEVER)
        assert is_renewal_due(asked(Stage.ANSWERED, due_at + 900 * DAY), [NEW], due_at, NEVER)
        assert not is_renewal_due(asked(Stage.ANSWERED, due_at + HOUR), [NEW], due_at, NEVER)


class TestWarning:
    def test_comes_at_14_7_3_and_1_days(self) -> None:
        end, state, warned = NEW.leaf.not_after, EnrolmentState(), []
        for hours in range(20 * 24, -20 * 24, -1):
            due = due_warning(state, [NEW], end - hours * HOUR)
            if due is not None:
                warned.append((hours / 24, due[1]))
                state = EnrolmentState(warned={name(NEW): due[1]})
        assert warned == [(14, 14), (7, 7), (3, 3), (1, 1)]
        assert warning_begins(NEW.leaf) == end - 14 * DAY

    def test_after_a_long_time_without_power_only_the_last_comes(self) -> None:
        assert due_warning(EnrolmentState(), [EXPIRED], NOW) == (EXPIRED.leaf, 1)

    def test_never_without_a_clock(self) -> None:
        assert due_warning(EnrolmentState(), [EXPIRED], None) is None
        assert due_warning(EnrolmentState(), [], NOW) is None

    def test_a_short_life_warns_only_where_its_renewal_is_late(self) -> None:
        assert due_warning(EnrolmentState(), [pair(-DAY, 6 * DAY)], NOW) is None
        assert due_warning(EnrolmentState(), [pair(-5 * DAY, 4 * DAY)], NOW + 2 * DAY) is not None


class TestDiscard:
    @pytest.mark.requirement("A02.FR.10", "A03.FR.10")
    def test_an_old_one_goes_a_month_after_a_newer_one_was_proven(self) -> None:
        state = EnrolmentState(proven={name(NEW): NOW, name(OLD): NOW - 300 * DAY})
        assert discardable(state, [OLD, NEW], NOW + MONTH - HOUR) == ()
        assert discardable(state, [OLD, NEW], NOW + MONTH) == (OLD,)

    def test_never_without_a_clock(self) -> None:
        assert discardable(EnrolmentState(proven={name(NEW): NOW - 99 * DAY}), [OLD, NEW], None) == ()
        assert discardable(EnrolmentState(proven={name(NEW): None}), [OLD, NEW], NOW) == ()

    def test_one_that_is_out_of_date_or_given_up_goes_after_a_month_too(self) -> None:
        assert discardable(EnrolmentState(), [EXPIRED, NEW], NOW) == (EXPIRED,)
        assert discardable(EnrolmentState(given_up={name(NEW): NOW - MONTH}), [OLD, NEW], NOW) == (NEW,)

    def test_the_last_one_stays_however_old(self) -> None:
        assert discardable(EnrolmentState(), [EXPIRED], NOW + 999 * DAY) == ()

    def test_one_that_is_still_to_come_stays(self) -> None:
        assert discardable(EnrolmentState(proven={name(NEW): NOW - 99 * DAY}), [NEW, FUTURE], NOW) == ()

    def test_room_is_made_by_what_is_missed_least(self) -> None:
        state = EnrolmentState(proven={name(OLD): NOW})
        assert dispensable(state, [EXPIRED, OLD, NEW, FUTURE], NOW) == EXPIRED
        given_up = EnrolmentState(proven={name(OLD): NOW}, given_up={name(FUTURE): NOW})
        assert dispensable(given_up, [EXPIRED, OLD, NEW, FUTURE], NOW) == FUTURE


class TestNextChange:
    def test_is_the_next_instant_that_matters(self) -> None:
        assert next_change(EnrolmentState(), [NEW, FUTURE], NOW, NEVER) == FUTURE.leaf.not_before
        assert next_change(EnrolmentState(), [NEW], NOW, NEVER) == NEW.leaf.not_after - MONTH
        assert next_change(EnrolmentState(proven={name(NEW): NOW}), [NEW], NOW, NEVER) == NOW + MONTH
        assert next_change(asked(Stage.ANSWERED, NOW), [NEW], NOW, DAY) == NOW + DAY
        assert next_change(EnrolmentState(), [EXPIRED], NOW, NEVER) is None
        assert next_change(EnrolmentState(), [NEW], None, NEVER) is None
