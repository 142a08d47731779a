"""Which roots of a domain are in force."""

from dataclasses import replace

from security.hash_data import HashAlgorithm
from security.root import Root
from security.root_set import RootSet
from tests.pki import DAY, NOW, make_root

A, B, C = (Root.of(one.certificate, one.certificate) for one in (make_root(name) for name in "ABC"))


def succeeding(root: Root, fallback: Root, *replaced: Root) -> Root:
    return replace(root, fallback=fallback.fingerprint, replaced=frozenset(each.fingerprint for each in replaced))


def test_all_are_in_force_where_none_was_replaced() -> None:
    roots = RootSet.of([A, B])
    assert roots.fallback is None
    assert set(roots.in_force) == {A, B}


def test_the_one_that_a_successor_names_is_the_fallback_root() -> None:
    roots = RootSet.of([A, succeeding(B, A), C])
    assert roots.fallback == A
    assert set(roots.in_force) == {B, C}
    assert A in roots.roots


def test_a_successor_whose_fallback_root_is_gone_has_none() -> None:
    roots = RootSet.of([succeeding(B, A)])
    assert (roots.fallback, roots.in_force) == (None, (B,))


def test_without_its_successor_the_fallback_root_is_in_force_again() -> None:
    roots = RootSet.of([A, succeeding(B, A)]).without(B)
    assert (roots.fallback, roots.in_force) == (None, (A,))


def test_what_was_replaced_is_no_member() -> None:
    assert set(RootSet.of([A, B, succeeding(C, A, B)]).roots) == {A, C}


def test_finds_by_fingerprint_and_by_every_name() -> None:
    roots = RootSet.of([A, B])
    assert roots.find(A.fingerprint) == A
    assert roots.find(None) is None
    for algorithm in HashAlgorithm:
        assert roots.named(B.hash_data[algorithm]) == (B,)
        assert roots.named(C.hash_data[algorithm]) == ()


def test_the_oldest_comes_first() -> None:
    older = make_root("Older", not_before=NOW - 9 * DAY).certificate
    assert RootSet.of([A, Root.of(older, older)]).roots[0].certificate == older
