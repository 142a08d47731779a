"""The enrolment on the disk: which certificate is tried, which one stays, and which go."""

from pathlib import Path

import pytest

from security import durable
from security.certificate import Certificate
from security.enrolment import Aftermath, Enrolment
from security.errors import StorageFull
from security.keys import FileKeys
from security.reception import DOUBT_PAUSE
from security.store import MAX_CHARGE_POINT_CERTIFICATES, CertificateStore
from tests.pki import DAY, NOW, make, make_root

ROOT = make_root()


@pytest.fixture
def enrolment(tmp_path: Path) -> Enrolment:
    return Enrolment.open(CertificateStore.open(tmp_path / "certificates"), FileKeys())


def store_of(enrolment: Enrolment) -> CertificateStore:
    return enrolment._store


def reopened(enrolment: Enrolment) -> Enrolment:
    return Enrolment.open(CertificateStore.open(store_of(enrolment).directory), FileKeys())


class TestTrial:
    def two(self, enrolment: Enrolment) -> tuple[Certificate, Certificate]:
        """An old certificate that works, and a new one."""
        made = [make("SN-0001", issuer=ROOT, not_before=NOW - days * DAY) for days in (2, 1)]
        for one in made:
            assert store_of(enrolment).install_charge_point_certificate(one.pem, one.key_pem, NOW).accepted
        old, new = (one.certificate for one in made)
        enrolment.note_good_connection(old, NOW)
        return old, new

    def chosen(self, enrolment: Enrolment) -> Certificate:
        pair = enrolment.choose(NOW)
        assert pair is not None
        return pair.leaf

    @pytest.mark.requirement("A02.FR.10", "A03.FR.10")
    def test_a_new_one_that_is_refused_is_given_up_when_the_old_one_works(self, enrolment: Enrolment) -> None:
        old, new = self.two(enrolment)
        assert self.chosen(enrolment) == new
        enrolment.note_refusal(new, NOW)
        assert self.chosen(enrolment) == old
        enrolment.note_refusal(old, NOW)
        assert self.chosen(enrolment) == new
        enrolment.note_refusal(new, NOW)
        assert enrolment.note_good_connection(old, NOW) == Aftermath(given_up=(new,))
        assert self.chosen(enrolment) == old
        assert self.chosen(reopened(enrolment)) == old

    def test_an_old_one_that_is_left_without_an_answer_does_not_keep_the_new_one_away(
        self, enrolment: Enrolment
    ) -> None:
        old, new = self.two(enrolment)
        enrolment.note_turn(new, NOW)  # an outage says nothing about the new one
        enrolment.note_turn(old, NOW)
        assert self.chosen(enrolment) == new
        enrolment.note_refusal(new, NOW)
        assert self.chosen(enrolment) == old
        enrolment.note_turn(old, NOW)
        assert self.chosen(enrolment) == new
        assert enrolment.note_good_connection(new, NOW) == Aftermath()

    def test_a_new_one_that_is_hung_up_on_stands_back_for_a_while_and_comes_again(self, enrolment: Enrolment) -> None:
        old, new = self.two(enrolment)
        enrolment.note_hang_up(new, NOW)
        assert self.chosen(enrolment) == old
        assert enrolment.note_good_connection(old, NOW) == Aftermath(doubted=(new,))
        assert self.chosen(enrolment) == old
        assert enrolment.doubt_ends(NOW) == NOW + DOUBT_PAUSE
        due = enrolment.choose(NOW + DOUBT_PAUSE)
        assert due is not None
        assert due.leaf == new
        assert enrolment.note_good_connection(new, NOW + DOUBT_PAUSE) == Aftermath()
        assert enrolment.doubt_ends(NOW) is None
        assert not enrolment.state.given_up

    def test_of_several_that_never_worked_all_that_were_refused_are_given_up(self, enrolment: Enrolment) -> None:
        made = [make("SN-0001", issuer=ROOT, not_before=NOW - days * DAY) for days in (3, 2, 1)]
        for one in made:
            assert store_of(enrolment).install_charge_point_certificate(one.pem, one.key_pem, NOW).accepted
        good, bad, worse = (one.certificate for one in made)
        for refused in (worse, bad):
            assert self.chosen(enrolment) == refused
            enrolment.note_refusal(refused, NOW)
        assert self.chosen(enrolment) == good
        assert {*enrolment.note_good_connection(good, NOW).given_up} == {bad, worse}
        assert self.chosen(enrolment) == good

    def test_one_that_only_stood_in_during_an_outage_is_not_judged(self, enrolment: Enrolment) -> None:
        made = [make("SN-0001", issuer=ROOT, not_before=NOW - days * DAY) for days in (3, 2, 1)]
        for one in made:
            assert store_of(enrolment).install_charge_point_certificate(one.pem, one.key_pem, NOW).accepted
        good, unheard, refused = (one.certificate for one in made)
        enrolment.note_refusal(refused, NOW)
        assert self.chosen(enrolment) == unheard
        enrolment.note_turn(unheard, NOW)
        assert self.chosen(enrolment) == good
        assert enrolment.note_good_connection(good, NOW) == Aftermath(given_up=(refused,))
        assert self.chosen(enrolment) == unheard  # it has never had an answer

    def test_what_was_refused_while_the_clock_was_not_set_stands_back_only_so_long(self, enrolment: Enrolment) -> None:
        """It may be a certificate whose time has not come."""
        old, new = self.two(enrolment)
        enrolment.note_refusal(new, None)
        assert enrolment.note_good_connection(old, None) == Aftermath()
        without_time = enrolment.choose(None)
        assert without_time is not None
        assert without_time.leaf == old  # else the connection would be made anew at once, and without end
        assert self.chosen(enrolment) == new
        enrolment.note_refusal(new, NOW)
        assert enrolment.note_good_connection(old, NOW) == Aftermath(given_up=(new,))

    def test_a_new_one_that_works_is_not_left_again(self, enrolment: Enrolment) -> None:
        _, new = self.two(enrolment)
        assert enrolment.note_good_connection(new, NOW) == Aftermath()
        enrolment.note_refusal(new, NOW)
        assert self.chosen(enrolment) == new
        again = reopened(enrolment)
        again.note_refusal(new, NOW)
        assert self.chosen(again) == new

    def test_a_disk_that_fails_does_not_have_the_refused_one_tried_at_once(
        self, enrolment: Enrolment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = self.two(enrolment)
        enrolment.note_refusal(new, NOW)

        def fail(path: Path, data: bytes, *, mode: int = 0o600) -> None:
            raise StorageFull(str(path), "full")

        with monkeypatch.context() as patch:
            patch.setattr(durable, "write", fail)
            with pytest.raises(StorageFull):
                enrolment.note_good_connection(old, NOW)
        assert self.chosen(enrolment) == old
        assert enrolment.note_good_connection(old, NOW) == Aftermath(given_up=(new,))

    def test_an_outage_undoes_nothing(self, enrolment: Enrolment) -> None:
        old, new = self.two(enrolment)
        assert enrolment.note_good_connection(old, NOW) == Aftermath()
        assert self.chosen(enrolment) == new

    def test_an_old_one_goes_with_its_key_after_a_month(self, enrolment: Enrolment) -> None:
        old, new = self.two(enrolment)
        enrolment.note_good_connection(new, None)
        assert enrolment.discard(NOW + 99 * DAY) == ()
        enrolment.note_time(NOW)
        assert [pair.leaf for pair in enrolment.discard(NOW + 30 * DAY)] == [old]
        left = {path.name.partition(".")[0] for path in (store_of(enrolment).directory / "charge_point").iterdir()}
        assert left == {new.fingerprint}
        enrolment.note_warning(new, 14)
        assert enrolment.state.proven.keys() == {new.fingerprint}
        assert reopened(enrolment).state == enrolment.state

    def test_makes_room_only_where_there_is_none(self, enrolment: Enrolment) -> None:
        made = [
            make("SN-0001", issuer=ROOT, not_before=NOW - days * DAY) for days in range(MAX_CHARGE_POINT_CERTIFICATES)
        ]
        for one in made[1:]:
            assert store_of(enrolment).install_charge_point_certificate(one.pem, one.key_pem, NOW).accepted
        assert enrolment.make_room(NOW) is None
        assert store_of(enrolment).install_charge_point_certificate(made[0].pem, made[0].key_pem, NOW).accepted
        gone = enrolment.make_room(NOW)
        assert gone is not None
        assert gone.leaf == made[-1].certificate
        assert len(enrolment.certificates) == MAX_CHARGE_POINT_CERTIFICATES - 1
