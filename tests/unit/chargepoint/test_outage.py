from chargepoint.failure import Failure
from chargepoint.outage import Outage

REFUSED = Failure("refused", "look")
EXPIRED = Failure("expired", "look", peer="CN=a")


def test_a_cause_is_new_once_whatever_comes_between() -> None:
    outage = Outage()
    assert [outage.note(failure) for failure in (REFUSED, EXPIRED, REFUSED, EXPIRED)] == [True, True, False, False]


def test_the_same_cause_at_another_peer_is_no_new_one() -> None:
    outage = Outage()
    outage.note(EXPIRED)
    assert not outage.note(Failure("expired", "look", peer="CN=b"))


def test_counts_and_names_the_causes() -> None:
    outage = Outage()
    for failure in (EXPIRED, REFUSED, REFUSED):
        outage.note(failure)
    assert outage.tries == 3
    assert outage.summary() == "2 x refused, 1 x expired"
