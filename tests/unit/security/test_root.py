"""The file of a root: what it remembers, and that damage is noticed."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from security.errors import CertificateError
from security.hash_data import CertificateHashData, HashAlgorithm
from security.root import Root
from tests import openssl
from tests.pki import Made, make_root, rsa_key

OLD = make_root("Old root", key=rsa_key())
NEW = make_root("New root", issuer=OLD)


def root_of(made: Made, issuer: Made | None = None) -> Root:
    return Root.of(made.certificate, (issuer or made).certificate)


SUCCESSOR = replace(root_of(NEW, OLD), fallback=OLD.certificate.fingerprint, replaced=frozenset({"ab", "cd"}))


def test_a_root_that_has_signed_itself_is_its_plain_pem() -> None:
    assert root_of(OLD).text == OLD.pem
    assert Root.parse(OLD.pem) == root_of(OLD)


@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_is_named_by_the_key_of_its_issuer(algorithm: HashAlgorithm) -> None:
    expected = CertificateHashData.compute(NEW.certificate, OLD.certificate, algorithm)
    assert SUCCESSOR.hash_data[algorithm] == expected
    assert Root.parse(SUCCESSOR.text).hash_data[algorithm] == expected


def test_a_successor_remembers_what_it_has_taken_the_place_of() -> None:
    read = Root.parse(SUCCESSOR.text)
    assert (read, read.fallback, read.replaced) == (SUCCESSOR, OLD.certificate.fingerprint, SUCCESSOR.replaced)
    assert read.text == SUCCESSOR.text


def test_a_new_certificate_for_the_old_key_has_no_hashes_to_remember_but_its_fallback_root() -> None:
    renewed = replace(root_of(make_root("Old root", key=OLD.key)), fallback="ab")
    assert "hash" not in renewed.text
    assert Root.parse(renewed.text).fallback == "ab"


def test_forgets_one_and_keeps_the_others() -> None:
    assert SUCCESSOR.mentions("ab")
    assert SUCCESSOR.mentions(OLD.certificate.fingerprint)
    left = SUCCESSOR.forgetting("ab").forgetting(OLD.certificate.fingerprint)
    assert (left.fallback, left.replaced) == ("", frozenset({"cd"}))
    assert not left.mentions("ab")
    assert Root.parse(left.text).hash_data == SUCCESSOR.hash_data


@pytest.mark.skipif(openssl.OPENSSL is None, reason="the openssl program is not installed")
def test_an_operator_reads_it_with_openssl(tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_text(SUCCESSOR.text)
    assert openssl.subject(file) == "subject=O=Example CPO,CN=New root"
    command = [str(shutil.which("openssl")), "verify", "-partial_chain", "-no_check_time", "-CAfile", str(file)]
    subprocess.run([*command, str(file)], check=True, capture_output=True, timeout=20)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SHA384: ", "SHA384:"),
        ("fallback: ", "fallback: 00"),
        ("replaced: ab\n", ""),
        ("check: ", "check: 0"),
        ("check: ", "chick: "),
        ("issuer key hash SHA512: ", "issuer key hash SHA1: "),
    ],
)
def test_a_line_that_was_changed_is_noticed(old: str, new: str) -> None:
    assert old in SUCCESSOR.text
    with pytest.raises(CertificateError):
        Root.parse(SUCCESSOR.text.replace(old, new, 1))


def test_every_changed_character_before_the_certificate_is_noticed() -> None:
    text = SUCCESSOR.text
    for place in range(text.index("-----BEGIN")):
        with pytest.raises(CertificateError):
            Root.parse(text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :])


def test_a_successor_without_what_was_known_of_its_issuer_is_damaged() -> None:
    with pytest.raises(CertificateError, match="issuer"):
        Root.parse(NEW.pem)
