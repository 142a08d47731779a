"""How certificates are received: an outage takes none away, and who refuses without a word locks nobody out.

Played with the choice of certificate_life.py, try by try: the certificates are tried as an agent would try them, and a
Central System answers each.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from security.certificate_life import choose
from security.client_certificate import ClientCertificate
from security.enrolment_state import EnrolmentState
from security.fallback import TABLE, Credential, Outcome, Step
from security.reception import DOUBT_PAUSE, MAX_DOUBTS, Reception, Verdicts
from tests.pki import DAY, NOW, make, make_root

ROOT = make_root()
GOOD, HUNG_UP, REFUSED, SILENT = Outcome.GOOD, Outcome.HUNG_UP, Outcome.REFUSED, Outcome.NO_ANSWER
MAX_TRIES: Final = 40


def pair(age: int) -> ClientCertificate:
    made = make(issuer=ROOT, not_before=NOW - age * DAY)
    return ClientCertificate(Path("chain.pem"), Path("key.pem"), (made.certificate,))


OLD, MIDDLE, NEW = pair(3), pair(2), pair(1)


def name(which: ClientCertificate) -> str:
    return which.leaf.fingerprint


def names(*which: ClientCertificate) -> tuple[str, ...]:
    return tuple(map(name, which))


@dataclass
class ChargePoint:
    """Tries one certificate after the other, and comes back when a doubt has had its time."""

    installed: tuple[ClientCertificate, ...] = (OLD, NEW)
    state: EnrolmentState = field(default_factory=lambda: EnrolmentState(proven={name(OLD): NOW}))
    reception: Reception = field(default_factory=Reception)
    now: datetime = NOW

    def due(self) -> ClientCertificate:
        reception = self.reception
        due = choose(self.installed, self.now, self.state, reception.turns(self.now), reception.doubted(self.now))
        assert due is not None
        return due

    def attempt(self, answer: Callable[[ClientCertificate], Outcome]) -> tuple[ClientCertificate, Outcome]:
        """Make one try with what is due."""
        tried = self.due()
        outcome = answer(tried)
        match TABLE[Credential.CERTIFICATE][outcome]:
            case Step.SETTLE:
                self._settle(tried)
            case Step.GIVE_WAY:
                self.reception.note_refusal(name(tried), self.now)
            case Step.DOUBT:
                self.reception.note_hang_up(name(tried), self.now)
            case Step.WAIT if tried is not self.installed[-1]:
                self.reception.note_turn(name(tried), self.now)
        return tried, outcome

    def _settle(self, tried: ClientCertificate) -> None:
        newer = [
            name(each)
            for each in self.installed[self.installed.index(tried) + 1 :]
            if name(each) not in self.state.proven
        ]
        verdicts = self.reception.weigh(newer, self.now)
        self.state = replace(
            self.state,
            proven={**self.state.proven, name(tried): self.now},
            given_up={**self.state.given_up, **dict.fromkeys(verdicts.given_up, self.now)},
        )
        self.reception.settle(name(tried), verdicts, self.now)

    def wait(self) -> bool:
        """Stay connected until another certificate is due; false where none will be."""
        end = self.reception.next_end(self.now)
        if end is None:
            return False
        self.now = end
        return True


def outages(tries: int, *, most: int) -> Iterator[tuple[bool, ...]]:
    """Every course of so many tries with at most so many outages, True where there is one."""
    for course in itertools.product((False, True), repeat=tries):
        if sum(is_out for is_out, _ in itertools.groupby(course) if is_out) <= most:
            yield course


@pytest.mark.parametrize("way", [HUNG_UP, SILENT])
def test_outages_never_take_a_new_certificate_away_for_good(way: Outcome) -> None:
    for course in outages(11, most=MAX_DOUBTS - 1):
        charge_point, tries = ChargePoint(), iter(course)
        for _ in range(MAX_TRIES):
            _, outcome = charge_point.attempt(lambda _, tries=tries: way if next(tries, False) else GOOD)  # type: ignore[misc]
            if outcome is GOOD and not charge_point.wait():
                break
        assert not charge_point.state.given_up, course
        assert name(NEW) in charge_point.state.proven, course
        assert charge_point.due() == NEW


@pytest.mark.parametrize("way", [HUNG_UP, SILENT])
def test_a_central_system_that_hangs_up_on_the_new_one_locks_nobody_out(way: Outcome) -> None:
    """Whatever outages come in between: once it is back, it is reached by the second try, and bothered no more soon."""
    for course in outages(8, most=8):
        charge_point, tries, since_back, rounds = ChargePoint(), iter(course), 0, 0
        for _ in range(MAX_TRIES):
            is_out = next(tries, False)
            _, outcome = charge_point.attempt(
                lambda tried, is_out=is_out: way if is_out else GOOD if tried == OLD else HUNG_UP  # type: ignore[misc]
            )
            since_back = 0 if is_out or outcome is GOOD else since_back + 1
            assert since_back <= 1, course
            if outcome is GOOD:
                rounds += 1
                if not charge_point.wait():
                    break
        assert charge_point.due() == OLD
        assert name(NEW) in charge_point.state.given_up
        assert rounds == MAX_DOUBTS


def test_a_word_decides_at_once_even_after_a_hang_up() -> None:
    for answers in ((HUNG_UP, SILENT, REFUSED), (REFUSED, SILENT, HUNG_UP)):
        charge_point, said = ChargePoint(), iter(answers)
        while (outcome := next(said, None)) is not None:
            charge_point.attempt(lambda _, outcome=outcome: outcome)  # type: ignore[misc]
        assert charge_point.attempt(lambda _: GOOD)[0] == OLD
        assert charge_point.state.given_up.keys() == {name(NEW)}


@pytest.mark.parametrize("good", [OLD, MIDDLE, NEW])
def test_of_several_that_never_worked_the_good_one_is_found(good: ClientCertificate) -> None:
    """After years in profile 2 the first upgrade to 3 meets certificates of which nobody knows which is good."""
    for answers in itertools.product((REFUSED, Outcome.CERTIFICATE_REFUSED, HUNG_UP), repeat=2):
        bad = dict(zip((each for each in (OLD, MIDDLE, NEW) if each != good), answers, strict=True))
        charge_point = ChargePoint((OLD, MIDDLE, NEW), EnrolmentState())
        tries = 3 - charge_point.installed.index(good)
        tried = [charge_point.attempt(lambda tried, bad=bad: bad.get(tried, GOOD))[0] for _ in range(tries)]  # type: ignore[misc]
        assert tried == [*reversed(charge_point.installed)][:tries]
        assert charge_point.state.proven.keys() == {name(good)}
        assert charge_point.due() == good


def test_while_the_clock_is_not_set_nothing_is_given_up_and_all_stands_back() -> None:
    reception = Reception()
    reception.note_refusal(name(NEW), None)
    reception.note_hang_up(name(MIDDLE), None)
    assert reception.turns(None) == {name(NEW): 1, name(MIDDLE): 1}
    assert reception.weigh(names(MIDDLE, NEW), None) == Verdicts()
    reception.settle(name(OLD), Verdicts(), None)
    assert reception.turns(None) == {name(NEW): 1, name(MIDDLE): 1}
    assert reception.turns(NOW) == {}
    assert reception.weigh(names(MIDDLE, NEW), NOW) == Verdicts()  # what was said without a clock counts for nothing
    reception.settle(name(OLD), Verdicts(), NOW)
    assert reception.turns(None) == {}


def test_a_doubt_ends_in_time_or_when_the_clock_is_set_back() -> None:
    reception = Reception()
    assert reception.next_end(NOW) is None
    reception.note_hang_up(name(NEW), NOW)
    verdicts = reception.weigh(names(MIDDLE, NEW), NOW)
    assert verdicts == Verdicts(doubted=names(NEW))
    reception.settle(name(OLD), verdicts, NOW)
    assert reception.doubted(NOW) == reception.doubted(None) == {name(NEW)}
    assert reception.next_end(NOW) == NOW + DOUBT_PAUSE
    assert reception.next_end(None) is None
    for later in (NOW + DOUBT_PAUSE, NOW - DAY):
        assert reception.doubted(later) == frozenset()
    reception.settle(name(NEW), Verdicts(), NOW)
    assert reception.next_end(NOW) is None
