"""A power cut at any instant of a renewal leaves a certificate that works, and a request that can be fulfilled."""

from datetime import timedelta
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from security.certificate import Certificate
from security.enrolment import Enrolment
from security.enrolment_state import Stage
from security.keys import FileKeys, fingerprint, read_key
from security.secret import Secret
from security.store import CaDomain, CertificateStore
from security.stored_keys import find_locked
from tests.pki import DAY, NOW, Made, key_usage, make, make_root
from tests.recorder import Recorder

ROOT = make_root()
OLD = make("SN-0001", issuer=ROOT, not_before=NOW - 300 * DAY, not_after=NOW + 20 * DAY)
PASSPHRASE = Secret(b"correct horse battery staple")
LATER = NOW + timedelta(days=40)


def opened(state: Path, passphrase: Secret | None = None) -> tuple[CertificateStore, Enrolment]:
    store = CertificateStore.open(state / "certificates", key_passphrase=passphrase)
    return store, Enrolment.open(store, FileKeys(passphrase=passphrase))


def sign(csr: str) -> Made:
    request = x509.load_pem_x509_csr(csr.encode())
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(ROOT.x509.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 365 * DAY)
        .add_extension(key_usage("digital_signature"), critical=True)
    )
    return Made(builder.sign(ROOT.key, SHA256()), ROOT.key)


def renew(state: Path, *, triggered: bool = False, passphrase: Secret | None = None) -> Certificate:
    """Go on from wherever the disk is to a renewal that is done, and to the end of the old certificate's month."""
    store, enrolment = opened(state, passphrase)
    request = enrolment.state.request
    if request is None and len(enrolment.certificates) == 1:
        enrolment.want(NOW, triggered=triggered)
        request = enrolment.state.request
    if request is not None and request.stage is Stage.WANTED:
        enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
        request = enrolment.state.request
    if request is not None and request.stage is Stage.OWED:
        enrolment.note_answer(request.csr, accepted=True)
    if request is not None:
        made = sign(request.csr)
        enrolment.judge(made.pem, NOW, serial_number="SN-0001", max_characters=10_000)
        assert request.key is not None
        assert store.install_charge_point_certificate(made.pem, request.key, NOW).accepted
        enrolment.note_installed()
    chosen = enrolment.choose(NOW)
    assert chosen is not None
    enrolment.note_good_connection(chosen.leaf, NOW)
    enrolment.discard(LATER)
    return chosen.leaf


def assert_legal(state: Path, after: str) -> None:
    """A certificate is there and TLS loads it with its key; each key has an owner, and only its owner reads it."""
    store, enrolment = opened(state)
    assert store.damage == (), after
    assert enrolment.damage is None, after
    pair = enrolment.choose(NOW)
    assert pair is not None, after
    SSLContext(PROTOCOL_TLS_CLIENT).load_cert_chain(pair.certificate_file, pair.key_file)
    request = enrolment.state.request
    if request is not None and request.key is not None:
        asked = x509.load_pem_x509_csr(request.csr.encode()).public_key()
        public_key = asked.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert read_key(request.key)[0] == fingerprint(public_key), after
    owned = {pair.key_file.name for pair in enrolment.certificates}
    owned |= {"enrolment.json"} if request is not None and request.key is not None else set()
    found = {path.name for path in state.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()}
    assert found == owned, after
    assert not [path for path in state.rglob("*") if path.suffix == ".tmp"], after


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A Charge Point whose certificate works and ends in 20 days."""
    state = tmp_path / "state"
    state.mkdir()
    store, enrolment = opened(state)
    assert store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW).accepted
    assert store.install_charge_point_certificate(OLD.pem, OLD.key_pem, NOW).accepted
    enrolment.note_good_connection(OLD.certificate, NOW)
    return state


@pytest.mark.requirement("A02.FR.10", "A03.FR.10")
def test_every_step_of_a_renewal_may_be_the_last(state: Path, tmp_path: Path) -> None:
    with Recorder(state) as recorder:
        assert renew(state) != OLD.certificate
    steps = 0
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        steps += 1
        assert_legal(cut.directory, cut.after)
        # The second attempt succeeds, from wherever the first was cut off.
        assert renew(cut.directory) != OLD.certificate, cut.after
        assert_legal(cut.directory, cut.after)
        _, enrolment = opened(cut.directory)
        assert len(enrolment.certificates) == 1, cut.after
    assert steps > len(recorder.steps)


def test_a_request_that_is_replaced_is_there_or_gone_with_its_key(state: Path, tmp_path: Path) -> None:
    _, enrolment = opened(state)
    enrolment.want(NOW, triggered=False)
    enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
    with Recorder(state) as recorder:
        enrolment.want(NOW, triggered=True)
        enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        assert_legal(cut.directory, cut.after)
        request = opened(cut.directory)[1].state.request
        assert request is not None, cut.after
        assert request.triggered or not cut.finished


@pytest.mark.requirement("A02.FR.05", "A03.FR.05")
def test_with_a_passphrase_no_step_of_a_renewal_leaves_an_unencrypted_key(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    store, _ = opened(state, PASSPHRASE)
    assert store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW).accepted
    with Recorder(state) as recorder:
        assert store.install_charge_point_certificate(OLD.pem, OLD.key_pem, NOW).accepted
        assert renew(state, passphrase=PASSPHRASE) != OLD.certificate
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        found = [path for path in cut.directory.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
        assert all(b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes() for path in found), cut.after
        assert not any(b"BEGIN PRIVATE KEY" in path.read_bytes() for path in found), cut.after
        assert find_locked(cut.directory / "certificates", PASSPHRASE) is None, cut.after
        left, enrolment = opened(cut.directory, PASSPHRASE)
        assert (left.damage, enrolment.damage) == ((), None), cut.after
        if pair := enrolment.choose(NOW):
            context = SSLContext(PROTOCOL_TLS_CLIENT)
            context.load_cert_chain(pair.certificate_file, pair.key_file, PASSPHRASE.reveal())
            assert renew(cut.directory, passphrase=PASSPHRASE) != OLD.certificate, cut.after
