"""Paths of trust: who is below whom, and what stands in the way."""

import itertools

import pytest
from cryptography import x509

from security.chain import find_path
from security.errors import CertificateError
from tests.pki import DAY, NOW, Made, make, make_root

ROOT = make_root()
OUTER = make_root("Outer CA", issuer=ROOT)
INNER = make_root("Inner CA", issuer=OUTER)
LEAF = make(issuer=INNER)


def path(leaf: Made, others: tuple[Made, ...], roots: tuple[Made, ...]) -> list[str]:
    found = find_path(leaf.certificate, [one.certificate for one in others], [one.certificate for one in roots], NOW)
    return [one.common_names[0] for one in found]


def refusal(leaf: Made, others: tuple[Made, ...], roots: tuple[Made, ...]) -> str:
    with pytest.raises(CertificateError) as raised:
        path(leaf, others, roots)
    return raised.value.reason


def test_finds_the_way_whatever_the_order_and_with_what_is_not_needed() -> None:
    for others in itertools.permutations((INNER, OUTER, make_root("Stranger"))):
        assert path(LEAF, others, (make_root("Another"), ROOT)) == ["CP001", "Inner CA", "Outer CA", "Example CPO Root"]


def test_an_installed_root_ends_the_way_though_others_have_signed_it() -> None:
    assert path(LEAF, (OUTER,), (INNER,)) == ["CP001", "Inner CA"]


def test_a_gap_names_the_issuer_that_is_missing() -> None:
    assert refusal(LEAF, (OUTER,), (ROOT,)) == "no installed root vouches for it: issued by O=Example CPO,CN=Inner CA"


def test_a_stranger_of_the_same_name_does_not_count() -> None:
    assert refusal(make(issuer=ROOT), (), (make_root(),)).startswith("no installed root")


@pytest.mark.parametrize(
    ("issuer", "reason"),
    [
        (make_root("CA", issuer=ROOT, not_after=NOW - DAY, not_before=NOW - 9 * DAY), "expired"),
        (make_root("CA", issuer=ROOT, is_ca=None), "not a certificate authority"),
        (make_root("CA", issuer=ROOT, usages=("digital_signature",)), "KeyUsage"),
    ],
)
def test_an_issuer_that_may_not_vouch_breaks_the_way(issuer: Made, reason: str) -> None:
    assert reason in refusal(make(issuer=issuer), (issuer,), (ROOT,))


def test_an_issuer_that_is_not_valid_yet_does_not() -> None:
    issuer = make_root("CA", issuer=ROOT, not_before=NOW + DAY)
    assert path(make(issuer=issuer), (issuer,), (ROOT,)) == ["CP001", "CA", "Example CPO Root"]


def test_the_number_of_authorities_below_is_kept() -> None:
    root = make(
        "Narrow Root",
        usages=("key_cert_sign",),
        extensions=[x509.BasicConstraints(ca=True, path_length=0)],
    )
    assert path(make(issuer=root), (), (root,)) == ["CP001", "Narrow Root"]
    below = make_root("CA", issuer=root)
    assert "pathLenConstraint" in refusal(make(issuer=below), (below,), (root,))


def test_a_tangle_of_authorities_ends_soon() -> None:
    one = make_root("Same")
    tangle = tuple(make_root("Same", key=one.key) for _ in range(20))
    assert refusal(make(issuer=tangle[0]), tangle, (ROOT,)).startswith("no installed root")
