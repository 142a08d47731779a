"""A chain and its key: put in order, matched, and the right one chosen."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from security.client_certificate import ClientCertificate, match, newest
from security.errors import CertificateError
from security.secret import Secret
from tests.pki import DAY, NOW, Made, SigningKey, make, make_root, rsa_key

ROOT = make_root()
OUTER = make_root("Outer CA", issuer=ROOT)
INNER = make_root("Inner CA", issuer=OUTER, key=rsa_key())
LEAF = make(issuer=INNER)


def refusal(made: Sequence[Made], key_pem: Secret) -> str:
    with pytest.raises(CertificateError) as raised:
        match([one.certificate for one in made], key_pem)
    assert raised.value.__cause__ is None
    return raised.value.reason


def test_puts_the_chain_in_order_and_leaves_the_root_out() -> None:
    for given in itertools.permutations(one.certificate for one in (LEAF, INNER, OUTER, ROOT)):
        chain, _ = match(given, LEAF.key_pem)
        assert chain == (LEAF.certificate, INNER.certificate, OUTER.certificate)


def test_a_chain_may_come_without_its_root_and_with_repetitions() -> None:
    chain, _ = match([LEAF.certificate, INNER.certificate, LEAF.certificate, INNER.certificate], LEAF.key_pem)
    assert chain == (LEAF.certificate, INNER.certificate)


def test_a_self_signed_certificate_is_a_chain() -> None:
    made = make()
    assert match([made.certificate], made.key_pem)[0] == (made.certificate,)


@pytest.mark.parametrize("key", [rsa_key(), ed25519.Ed25519PrivateKey.generate()])
def test_hands_the_key_back_in_one_form(key: SigningKey) -> None:
    made = make(key=key)
    _, normal = match([made.certificate], Secret(b"\r\n" + made.key_pem.reveal().replace(b"\n", b"\r\n")))
    assert normal == made.key_pem


def test_refuses_a_key_of_somebody_else() -> None:
    assert refusal([LEAF, INNER], make().key_pem) == "the private key belongs to none of the certificates"


def test_refuses_a_key_that_is_none() -> None:
    assert refusal([LEAF], Secret(b"-----BEGIN PRIVATE KEY-----\nAAAA\n")) == "the private key is not a key in PEM"


def test_refuses_an_encrypted_key() -> None:
    encrypted = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    assert "encrypted" in refusal([LEAF], Secret(encrypted))


def test_refuses_a_certificate_that_does_not_belong_to_the_chain() -> None:
    stranger = make_root("Stranger")
    assert refusal([LEAF, INNER, stranger], LEAF.key_pem).startswith("1 of the certificates did not sign")
    assert refusal([LEAF, OUTER], LEAF.key_pem).startswith("1 of the certificates did not sign")


def test_refuses_an_issuer_by_name_only() -> None:
    assert "did not sign" in refusal([LEAF, make_root("Inner CA", issuer=OUTER)], LEAF.key_pem)


class TestNewest:
    @staticmethod
    def presented(*periods: tuple[int, int], now: datetime | None = NOW) -> int | None:
        """Install certificates of these periods, in days from now, and return which one is presented."""
        pairs = [
            ClientCertificate(
                Path(str(number)),
                Path("key"),
                (make(not_before=NOW + begin * DAY, not_after=NOW + end * DAY).certificate,),
            )
            for number, (begin, end) in enumerate(periods)
        ]
        chosen = newest(pairs, now)
        return None if chosen is None else int(str(chosen.certificate_file))

    def test_nothing_installed_is_nothing_presented(self) -> None:
        assert self.presented() is None

    @pytest.mark.requirement("A02.FR.09", "A03.FR.09")
    def test_the_newest_valid_one_by_its_begin_wins(self) -> None:
        assert self.presented((-30, 300), (-10, 20), (-20, 400)) == 1

    @pytest.mark.requirement("A02.FR.08", "A03.FR.08")
    def test_one_to_come_waits_for_its_begin(self) -> None:
        assert self.presented((-30, 300), (1, 365)) == 0
        assert self.presented((-30, 300), (1, 365), now=NOW + 2 * DAY) == 1

    def test_an_expired_one_gives_way_to_an_older_valid_one(self) -> None:
        assert self.presented((-300, 300), (-30, -1)) == 0

    def test_where_none_is_valid_the_one_that_was_so_last_is_presented(self) -> None:
        assert self.presented((-300, -200), (-30, -1), (10, 20)) == 1

    def test_where_all_are_to_come_the_first_to_come_is_presented(self) -> None:
        assert self.presented((20, 30), (10, 20)) == 1

    def test_a_clock_that_is_not_set_judges_no_date(self) -> None:
        assert self.presented((-300, -200), (-30, -1), now=None) == 1
