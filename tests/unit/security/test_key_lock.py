"""Private keys in encrypted files: written so, read both ways, and never taken for damaged."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from security.enrolment import Enrolment
from security.enrolment_state import Stage
from security.errors import CertificateError, KeyLocked
from security.keys import FileKeys, KeyType, fingerprint, is_locked, lock, name_key, place_of, read_key
from security.secret import Secret
from security.store import CertificateStore
from security.stored_keys import find_locked
from security.tls import client_context
from tests.pki import DAY, NOW, make, make_root

PASSPHRASE = Secret(b"correct horse battery staple")
WRONG = Secret(b"incorrect horse")
ROOT = make_root()
OWN = make("SN-0001", issuer=ROOT)
OTHER = make("SN-0001", issuer=ROOT, not_before=NOW - 2 * DAY)


def opened(directory: Path, passphrase: Secret | None = PASSPHRASE) -> CertificateStore:
    return CertificateStore.open(directory / "certificates", key_passphrase=passphrase)


@pytest.mark.parametrize("key_type", list(KeyType))
def test_a_new_key_is_encrypted_and_opened_by_the_passphrase_alone(key_type: KeyType) -> None:
    key = FileKeys(key_type, PASSPHRASE).generate()
    assert is_locked(key.pem)
    assert place_of(key.pem) == FileKeys(key_type, PASSPHRASE).place == "encrypted file"
    public_key, stored = read_key(key.pem, PASSPHRASE)
    assert public_key == fingerprint(key.public_key)
    assert is_locked(stored)
    with pytest.raises(KeyLocked, match="does not open"):
        read_key(key.pem, WRONG)
    with pytest.raises(KeyLocked, match="names no passphrase"):
        read_key(key.pem)


def test_an_older_form_of_encryption_is_opened_and_stored_in_the_new_one() -> None:
    encryption = BestAvailableEncryption(PASSPHRASE.reveal())
    old = Secret(OWN.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption))
    assert is_locked(old)
    _, stored = read_key(old, PASSPHRASE)
    assert stored.reveal().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_what_is_no_plain_key_is_locked_as_it_is() -> None:
    named = name_key(b"-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n", b"public key")
    locked = lock(OWN.key_pem, PASSPHRASE)
    assert lock(named, PASSPHRASE) is named
    assert is_locked(locked)
    assert lock(locked, PASSPHRASE) is locked
    assert lock(OWN.key_pem, None) == OWN.key_pem
    with pytest.raises(CertificateError):
        lock(Secret(b"rubbish"), PASSPHRASE)


def test_an_installed_key_is_encrypted_on_the_disk_and_loaded_by_tls(tmp_path: Path) -> None:
    assert opened(tmp_path).install_charge_point_certificate(OWN.pem, OWN.key_pem, NOW).accepted
    store = opened(tmp_path)
    (pair,) = store.charge_point_certificates
    assert is_locked(Secret(pair.key_file.read_bytes()))
    assert pair.key_place == "encrypted file"
    assert isinstance(client_context(roots=(), client_certificate=pair), ssl.SSLContext)
    assert PASSPHRASE.reveal().decode() not in repr(pair) + repr(store.listing())


def test_a_key_that_comes_encrypted_is_installed_with_the_passphrase_only(tmp_path: Path) -> None:
    came = lock(OWN.key_pem, PASSPHRASE)
    for other in (None, WRONG):
        outcome = opened(tmp_path, other).install_charge_point_certificate(OWN.pem, came, NOW)
        assert not outcome.accepted
        assert "passphrase" in outcome.reason
    assert opened(tmp_path).install_charge_point_certificate(OWN.pem, came, NOW).accepted


def test_keys_of_earlier_starts_stay_readable_and_are_not_rewritten(tmp_path: Path) -> None:
    assert opened(tmp_path, None).install_charge_point_certificate(OWN.pem, OWN.key_pem, NOW).accepted
    store = opened(tmp_path)
    (pair,) = store.charge_point_certificates
    assert (store.damage, pair.key_place) == ((), "file")
    assert isinstance(client_context(roots=(), client_certificate=pair), ssl.SSLContext)
    assert find_locked(store.directory, None) is None


def test_a_pending_key_of_an_earlier_start_is_encrypted_by_the_next_write(tmp_path: Path) -> None:
    store = opened(tmp_path, None)
    enrolment = Enrolment.open(store, FileKeys())
    enrolment.want(NOW, triggered=True)
    enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
    file = store.directory / "enrolment.json"
    assert b"BEGIN PRIVATE KEY" in file.read_bytes()
    later = Enrolment.open(opened(tmp_path), FileKeys(passphrase=PASSPHRASE))
    request = later.state.request
    assert request is not None
    later.note_answer(request.csr, accepted=True)
    assert b"BEGIN PRIVATE KEY" not in file.read_bytes()
    again = Enrolment.open(opened(tmp_path), FileKeys(passphrase=PASSPHRASE)).state.request
    assert again is not None
    assert again.stage is Stage.ANSWERED
    assert again.key is not None
    assert request.key is not None
    assert read_key(again.key, PASSPHRASE)[0] == read_key(request.key)[0]


def test_a_wrong_passphrase_is_found_and_sets_nothing_aside(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.install_charge_point_certificate(OWN.pem, OWN.key_pem, NOW).accepted
    (pair,) = store.charge_point_certificates
    before = sorted(path.name for path in pair.key_file.parent.iterdir())
    for other in (None, WRONG):
        assert find_locked(store.directory, other) == pair.key_file
        without = opened(tmp_path, other)
        assert without.charge_point_certificates == ()
        assert [damage.path for damage in without.damage] == [pair.certificate_file]
    assert sorted(path.name for path in pair.key_file.parent.iterdir()) == before
    assert opened(tmp_path).charge_point_certificates == (pair,)


def test_a_wrong_passphrase_is_found_by_a_pending_key_too(tmp_path: Path) -> None:
    store = opened(tmp_path)
    enrolment = Enrolment.open(store, FileKeys(passphrase=PASSPHRASE))
    enrolment.want(NOW, triggered=True)
    enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
    assert find_locked(store.directory, WRONG) == store.directory / "enrolment.json"
    assert find_locked(store.directory, PASSPHRASE) is None


def test_a_damaged_key_among_good_ones_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for made in (OWN, OTHER):
        assert store.install_charge_point_certificate(made.pem, made.key_pem, NOW).accepted
    bad, good = store.charge_point_certificates
    bad.key_file.write_bytes(lock(OWN.key_pem, WRONG).reveal())
    assert find_locked(store.directory, PASSPHRASE) is None
    after = opened(tmp_path)
    assert after.charge_point_certificates == (good,)
    assert len(after.damage) == 1
    assert bad.key_file.exists()


def test_what_is_no_store_has_no_locked_keys(tmp_path: Path) -> None:
    assert find_locked(tmp_path / "certificates", None) is None
    (tmp_path / "enrolment.json").write_bytes(b"rubbish")
    assert find_locked(tmp_path, None) is None
