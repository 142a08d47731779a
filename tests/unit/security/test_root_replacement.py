"""The rule of the successor: who becomes a root, and what becomes of those before."""

from dataclasses import replace

import pytest
from cryptography import x509

from security.outcome import InstallResult
from security.root import Root
from security.root_replacement import Admission, Refusal, admit, judge_authority
from security.root_set import RootSet
from tests.pki import DAY, NOW, Made, make, make_root

OLD = make_root("Old root")
CROSS_SIGNED = make_root("New root", issuer=OLD)
NEW_WITH_OLD = make_root("Old root", issuer=OLD)
"""A new key under the old name, signed by the old key: it looks self-signed and is not."""
STRANGER = make_root("Stranger")


def root_of(made: Made, issuer: Made | None = None) -> Root:
    return Root.of(made.certificate, (issuer or made).certificate)


def roots(*made: Made) -> RootSet:
    return RootSet.of(root_of(one) for one in made)


def judged(made: Made, installed: RootSet, *, one_at_a_time: bool = False, proven: str | None = None) -> object:
    return admit(made.certificate, installed, NOW, one_at_a_time=one_at_a_time, proven=proven)


@pytest.mark.requirement("M05.FR.06")
@pytest.mark.parametrize(
    ("made", "result", "reason"),
    [
        (make("CP001", issuer=OLD), InstallResult.INVALID_CERTIFICATE_CHAIN, "not a certificate authority"),
        (make_root(not_after=NOW - DAY / 2), InstallResult.EXPIRED, "expired"),
        (make_root(usages=["digital_signature"]), InstallResult.INVALID_FORMAT, "KeyUsage"),
    ],
)
def test_what_could_be_no_root_at_all(made: Made, result: InstallResult, reason: str) -> None:
    refusal = judge_authority(made.certificate, NOW)
    assert refusal is not None
    assert (refusal.result, reason in refusal.reason) == (result, True)
    assert judge_authority(OLD.certificate, NOW) is None


class TestManyAtATime:
    def test_a_root_that_has_signed_itself_comes_in_beside_the_others(self) -> None:
        assert judged(STRANGER, roots(OLD)) == Admission(root_of(STRANGER))

    @pytest.mark.parametrize("made", [CROSS_SIGNED, NEW_WITH_OLD])
    def test_one_that_an_installed_root_has_signed_comes_in_as_its_successor(self, made: Made) -> None:
        admission = judged(made, roots(STRANGER, OLD))
        assert admission == Admission(root_of(made, OLD))
        assert isinstance(admission, Admission)
        assert admission.root.hash_data == root_of(made, OLD).hash_data

    @pytest.mark.parametrize(
        ("made", "result"),
        [
            (CROSS_SIGNED, InstallResult.INVALID_CERTIFICATE_CHAIN),
            (NEW_WITH_OLD, InstallResult.INVALID_SIGNATURE),
        ],
    )
    def test_one_whose_signer_is_not_installed_stays_out(self, made: Made, result: InstallResult) -> None:
        refusal = judged(made, roots(STRANGER, make_root("Old root")))
        assert isinstance(refusal, Refusal)
        assert refusal.result is result


class TestOneAtATime:
    @pytest.mark.requirement("M05.FR.08")
    def test_the_first_needs_nobody(self) -> None:
        assert judged(OLD, roots(), one_at_a_time=True) == Admission(root_of(OLD))

    def test_the_first_must_have_signed_itself_all_the_same(self) -> None:
        assert isinstance(judged(CROSS_SIGNED, roots(), one_at_a_time=True), Refusal)

    @pytest.mark.requirement("M05.FR.09", "M05.FR.11")
    @pytest.mark.parametrize("made", [CROSS_SIGNED, NEW_WITH_OLD, make_root("Old root", key=OLD.key)])
    def test_the_next_replaces_the_one_that_has_signed_it(self, made: Made) -> None:
        admission = judged(made, roots(OLD), one_at_a_time=True)
        assert isinstance(admission, Admission)
        assert admission.root.certificate == made.certificate
        assert (admission.root.fallback, admission.root.replaced) == (OLD.certificate.fingerprint, frozenset())
        assert (admission.fallback, admission.removed) == (root_of(OLD), ())

    @pytest.mark.requirement("M05.FR.10")
    @pytest.mark.parametrize("made", [STRANGER, make_root("Old root"), make_root("New root", issuer=STRANGER)])
    def test_one_that_it_has_not_signed_stays_out(self, made: Made) -> None:
        assert isinstance(judged(made, roots(OLD), one_at_a_time=True), Refusal)

    def test_the_fallback_root_signs_no_successor(self) -> None:
        pending = RootSet.of([root_of(OLD), replace(root_of(CROSS_SIGNED, OLD), fallback=OLD.certificate.fingerprint)])
        assert isinstance(judged(make_root("Third", issuer=OLD), pending, one_at_a_time=True), Refusal)

    def test_a_second_replacement_keeps_the_fallback_root_that_has_verified_a_connection(self) -> None:
        new = replace(root_of(CROSS_SIGNED, OLD), fallback=OLD.certificate.fingerprint)
        third = make_root("Third", issuer=CROSS_SIGNED)
        admission = judged(third, RootSet.of([root_of(OLD), new]), one_at_a_time=True)
        assert isinstance(admission, Admission)
        assert (admission.fallback, admission.removed) == (root_of(OLD), (new,))
        assert admission.root.replaced == {new.fingerprint}

    @pytest.mark.parametrize(
        ("proven", "fallback", "removed"),
        [(None, OLD, STRANGER), (STRANGER.certificate.fingerprint, STRANGER, OLD)],
    )
    def test_of_several_roots_the_one_that_works_stays(self, proven: str | None, fallback: Made, removed: Made) -> None:
        admission = judged(CROSS_SIGNED, roots(OLD, STRANGER), one_at_a_time=True, proven=proven)
        assert isinstance(admission, Admission)
        assert (admission.fallback, admission.removed) == (root_of(fallback), (root_of(removed),))


def limited(**limits: object) -> Made:
    extension = x509.BasicConstraints(ca=True, path_length=0)
    return make("Old root", is_ca=None, usages=["key_cert_sign"], extensions=[extension], **limits)  # type: ignore[arg-type]


@pytest.mark.requirement("M05.FR.09")
@pytest.mark.parametrize("one_at_a_time", [False, True])
@pytest.mark.parametrize(
    ("old", "reason"),
    [
        (make_root("Old root", not_after=NOW - DAY / 2), "out of date"),
        (make_root("Old root", not_before=NOW + DAY / 2), "out of date"),
        (limited(), "pathLenConstraint"),
    ],
    ids=["expired", "not valid yet", "no authorities below"],
)
def test_the_whole_chain_is_verified(old: Made, reason: str, one_at_a_time: bool) -> None:
    refusal = judged(make_root("New root", issuer=old), roots(old), one_at_a_time=one_at_a_time)
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason


def test_of_two_roots_with_the_same_key_the_one_in_date_is_enough() -> None:
    expired = make_root("Old root", not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    renewed = make_root("Old root", key=expired.key)
    admission = judged(make_root("New root", issuer=renewed), roots(expired, renewed), one_at_a_time=True)
    assert isinstance(admission, Admission)
    assert admission.fallback == root_of(renewed)


def test_a_limited_path_does_not_count_self_issued_successors() -> None:
    old = limited()
    assert isinstance(judged(make_root("Old root", issuer=old), roots(old)), Admission)


def test_a_clock_that_is_not_set_speaks_against_no_chain() -> None:
    old = make_root("Old root", not_after=NOW - DAY / 2)
    new = make_root("New root", issuer=old)
    assert isinstance(admit(new.certificate, roots(old), None, one_at_a_time=True), Admission)


def test_a_name_alone_is_no_signature() -> None:
    assert OLD.certificate.is_self_signed
    assert NEW_WITH_OLD.certificate.is_self_issued
    assert not NEW_WITH_OLD.certificate.is_self_signed
