"""The PEM door of the certificate store, and the files behind it: whatever comes, the store stays legal."""

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from security.errors import CertificateError
from security.hash_data import CertificateHashData, HashAlgorithm
from security.outcome import DeleteResult, InstallResult
from security.root import Root
from security.root_set import RootSet
from security.store import CaDomain, CertificateStore, Policy
from tests.pki import NOW, Made, make, make_root, rsa_key

ROOT = make_root()
SUCCESSOR = make_root("Successor", issuer=ROOT)
THIRD = make_root("Third", issuer=SUCCESSOR)
RENEWED = [make_root(key=ROOT.key) for _ in range(2)]
MADE = (ROOT, SUCCESSOR, THIRD, *RENEWED, make_root("Stranger", key=rsa_key()), make("CP001", issuer=ROOT))
ISSUERS = {SUCCESSOR.certificate.fingerprint: ROOT, THIRD.certificate.fingerprint: SUCCESSOR}
DOMAIN = CaDomain.CENTRAL_SYSTEM
HEX = st.text("0123456789abcdefABCDEF", max_size=128)

# `cryptography` warns of certificates that it still reads; what is made of them is ours to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@contextmanager
def opened(one_at_a_time: bool = False) -> Iterator[CertificateStore]:
    """A store that holds the root already; legal at the end, in memory and on the disk."""
    with tempfile.TemporaryDirectory() as directory:

        def policy() -> Policy:
            return Policy(max_roots=3, one_at_a_time=one_at_a_time)

        store = CertificateStore.open(Path(directory) / "certificates", policy=policy)
        assert store.install_root(DOMAIN, ROOT.pem, NOW).accepted
        yield store
        again = CertificateStore.open(store.directory, policy=policy)
        assert again.damage == ()
        assert again.listing() == store.listing()
        assert len(store.roots(DOMAIN)) <= (2 if one_at_a_time else 3)


def changed(made: Made, changes: list[tuple[int, int]]) -> str:
    der = bytearray(made.x509.public_bytes(Encoding.DER))
    for place, value in changes:
        der[place % len(der)] = value
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


texts = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from([made.pem for made in MADE]), max_size=3).map("".join),
    st.builds(
        changed, st.sampled_from(MADE), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=2)
    ),
    st.builds(lambda made, end: made.pem[:end], st.sampled_from(MADE), st.integers(0, 900)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, min_size=1, max_size=3), st.booleans())
def test_whatever_is_to_be_installed(installed: list[str], one_at_a_time: bool) -> None:
    with opened(one_at_a_time) as store:
        for text in installed:
            before = store.listing()
            outcome = store.install_root(DOMAIN, text, NOW)
            assert outcome.result is not InstallResult.WRITE_ERROR
            if outcome.accepted:
                assert outcome.certificate in store.roots(DOMAIN)
            else:
                assert store.listing() == before
                assert outcome.reason
                assert "\n" not in outcome.reason


@settings(max_examples=100, deadline=None)
@given(st.builds(CertificateHashData, st.sampled_from(HashAlgorithm), HEX, HEX, HEX))
def test_whatever_is_to_be_deleted(data: CertificateHashData) -> None:
    with opened() as store:
        assert store.delete_root(data).result is DeleteResult.NOT_FOUND


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("install"), st.sampled_from(MADE)),
            st.tuples(st.just("delete"), st.sampled_from(MADE[:-1])),
            st.tuples(st.just("confirm"), st.sampled_from(MADE)),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_any_sequence_of_changes_keeps_memory_and_disk_alike(steps: list[tuple[str, Made]], check: bool) -> None:
    with opened(check) as store:
        for act, made in steps:
            if act == "install":
                store.install_root(DOMAIN, made.pem, NOW)
            elif act == "confirm":
                store.confirm_root(made.certificate.der)
            else:
                issuer = ISSUERS.get(made.certificate.fingerprint, made)
                store.delete_root(CertificateHashData.compute(made.certificate, issuer.certificate))
            pems = store.root_pems(DOMAIN)
            assert pems or not store.roots(DOMAIN)
            assert len(pems) <= 1 or not check
            assert store.fallback_root is None or store.fallback_root.pem.encode() not in pems


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=100), st.sampled_from(["fallback: ab\n", "replaced: cd\n", "check: 00\n"])), texts)
def test_whatever_stands_in_a_roots_file(head: str, body: str) -> None:
    try:
        root = Root.parse(head + body)
    except CertificateError:
        return
    assert Root.parse(root.text) == root
    assert RootSet.of([root]).in_force == (root,)
