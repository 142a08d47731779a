"""The enrolment on the disk: each step kept, each key owned, and what came judged."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from security.certificate import Certificate
from security.enrolment import MAX_STATE_BYTES, Enrolment
from security.enrolment_state import EnrolmentState, Request, Stage
from security.errors import CertificateError, KeyStoreError
from security.keys import FileKeys, KeyPair, fingerprint, read_key
from security.secret import Secret
from security.store import CaDomain, CertificateStore
from tests.pki import DAY, NOW, Made, key_usage, make, make_root, rsa_key

ROOT = make_root()
OTHER_ROOT = make_root("Another Root")


@pytest.fixture
def enrolment(tmp_path: Path) -> Enrolment:
    store = CertificateStore.open(tmp_path / "certificates")
    assert store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW).accepted
    return Enrolment.open(store, FileKeys())


def store_of(enrolment: Enrolment) -> CertificateStore:
    return enrolment._store


def reopened(enrolment: Enrolment) -> Enrolment:
    return Enrolment.open(CertificateStore.open(store_of(enrolment).directory), FileKeys())


def ask(enrolment: Enrolment, *, triggered: bool = True) -> Request:
    """Bring a request so far that its certificate may come."""
    enrolment.want(NOW, triggered=triggered)
    enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
    assert enrolment.state.request is not None
    enrolment.note_answer(enrolment.state.request.csr, accepted=True)
    return enrolment.state.request


def sign(
    request: Request,
    issuer: Made = ROOT,
    *,
    subject: x509.Name | None = None,
    begins: datetime = NOW - DAY,
    ends: datetime = NOW + 365 * DAY,
    usage: x509.KeyUsage | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
) -> Made:
    """Sign a request as an authority would; a keyword makes one thing different."""
    csr = x509.load_pem_x509_csr(request.csr.encode())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or csr.subject)
        .issuer_name(issuer.x509.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(usage or key_usage("digital_signature"), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return Made(builder.sign(issuer.key, SHA256()), issuer.key)


def judged(enrolment: Enrolment, text: str, *, max_characters: int = 10_000) -> tuple[Certificate, tuple[str, ...]]:
    return enrolment.judge(text, NOW, serial_number="SN-0001", max_characters=max_characters)


def refusal(enrolment: Enrolment, text: str, **limits: int) -> str:
    with pytest.raises(CertificateError) as raised:
        judged(enrolment, text, **limits)
    return raised.value.reason


def install(enrolment: Enrolment, made: Made) -> None:
    request = enrolment.state.request
    assert request is not None
    assert request.key is not None
    outcome = store_of(enrolment).install_charge_point_certificate(made.pem, request.key, NOW)
    assert outcome.accepted, outcome.reason


class TestRequest:
    def test_each_step_is_there_after_a_restart(self, enrolment: Enrolment) -> None:
        states = [enrolment.state]
        enrolment.want(None, triggered=True)
        states.append(enrolment.state)
        enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
        states.append(enrolment.state)
        assert reopened(enrolment).state == enrolment.state
        request = enrolment.state.request
        assert request is not None
        enrolment.note_answer(request.csr, accepted=True)
        states.append(enrolment.state)
        assert [state.request and state.request.stage for state in states] == [
            None,
            Stage.WANTED,
            Stage.OWED,
            Stage.ANSWERED,
        ]
        assert reopened(enrolment).state == enrolment.state

    @pytest.mark.requirement("A02.FR.05", "A03.FR.05")
    def test_the_key_is_readable_by_its_owner_alone(self, enrolment: Enrolment) -> None:
        ask(enrolment)
        (file,) = store_of(enrolment).directory.glob("enrolment*")
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        assert "PRIVATE KEY" not in repr(enrolment.state)

    def test_a_new_one_replaces_it_and_its_key(self, enrolment: Enrolment) -> None:
        first = ask(enrolment)
        second = ask(enrolment)
        assert first.key is not None
        assert second.key is not None
        assert read_key(first.key)[0] != read_key(second.key)[0]
        (file,) = store_of(enrolment).directory.glob("enrolment*")
        assert json.loads(file.read_bytes())["request"]["key"] == second.key.reveal().decode()
        assert file.read_bytes().count(b"BEGIN PRIVATE KEY") == 1

    def test_a_rejected_one_ends_and_takes_its_key_along(self, enrolment: Enrolment) -> None:
        enrolment.want(NOW, triggered=False)
        enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
        assert enrolment.state.request is not None
        enrolment.note_answer(enrolment.state.request.csr, accepted=False)
        assert enrolment.state.request == Request(Stage.ENDED, triggered=False, asked_at=NOW)

    def test_the_answer_to_one_that_was_replaced_says_nothing(self, enrolment: Enrolment) -> None:
        enrolment.want(NOW, triggered=True)
        enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")
        assert enrolment.state.request is not None
        csr = enrolment.state.request.csr
        enrolment.want(NOW, triggered=True)
        enrolment.note_answer(csr, accepted=False)
        assert enrolment.state.request is not None
        assert enrolment.state.request.stage is Stage.WANTED

    def test_a_key_store_that_fails_leaves_it_wanted(self, enrolment: Enrolment) -> None:
        class Broken:
            place = "nowhere"

            def generate(self) -> KeyPair:
                raise KeyStoreError("no entropy")

        broken = Enrolment.open(store_of(enrolment), Broken())
        broken.want(NOW, triggered=True)
        with pytest.raises(KeyStoreError):
            broken.make_request(serial_number="SN-0001", organisation="Example CPO")
        assert broken.state.request is not None
        assert broken.state.request.stage is Stage.WANTED

    def test_a_name_that_no_certificate_can_bear_leaves_it_wanted(self, enrolment: Enrolment) -> None:
        enrolment.want(NOW, triggered=True)
        with pytest.raises(KeyStoreError, match="CpoName"):
            enrolment.make_request(serial_number="SN-0001", organisation="half a surrogate: \ud800")
        assert enrolment.state.request is not None
        assert enrolment.state.request.stage is Stage.WANTED

    def test_a_request_whose_certificate_is_installed_has_ended(self, enrolment: Enrolment) -> None:
        made = sign(ask(enrolment))
        install(enrolment, made)
        # The power goes here, before the request is ended.
        assert reopened(enrolment).state.request is None
        enrolment.note_installed()
        assert enrolment.state.request is None
        assert reopened(enrolment).state.asked_at == NOW

    def test_what_an_earlier_release_has_written_is_read(self) -> None:
        written = json.loads(EnrolmentState(latest="name").to_json())
        del written["asked_at"]
        assert EnrolmentState.from_json(json.dumps(written).encode()) == EnrolmentState(latest="name")

    @pytest.mark.parametrize("content", [b"", b"[]", b'{"request": 1}', b"\xff", b"[" * MAX_STATE_BYTES])
    def test_a_damaged_file_is_set_aside(self, enrolment: Enrolment, content: bytes) -> None:
        ask(enrolment)
        (file,) = store_of(enrolment).directory.glob("enrolment*")
        file.write_bytes(content)
        again = reopened(enrolment)
        assert again.damage is not None
        assert again.state == EnrolmentState()
        assert again.damage.path.read_bytes() == content


class TestJudge:
    @pytest.mark.requirement("A02.FR.06", "A03.FR.06")
    def test_takes_what_was_asked_for_in_any_order_with_or_without_the_root(self, enrolment: Enrolment) -> None:
        intermediate = make_root("Intermediate", issuer=ROOT)
        leaf = sign(ask(enrolment), intermediate)
        for chain in ([leaf, intermediate], [intermediate, leaf], [ROOT, intermediate, leaf]):
            assert judged(enrolment, "".join(one.pem for one in chain)) == (leaf.certificate, ())

    def test_takes_one_whose_time_is_still_to_come(self, enrolment: Enrolment) -> None:
        leaf = sign(ask(enrolment), begins=NOW + DAY)
        assert judged(enrolment, leaf.pem)[0] == leaf.certificate

    def test_remarks_another_subject(self, enrolment: Enrolment) -> None:
        request = ask(enrolment)
        names = make("SN-0001", organisation="Somebody Else").x509.subject
        (remark,) = judged(enrolment, sign(request, subject=names).pem)[1]
        assert "O=Example CPO" in remark
        assert "O=Somebody Else" in remark

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"issuer": OTHER_ROOT}, "no installed root vouches for it"),
            ({"ends": NOW - timedelta(hours=1)}, "expired"),
            ({"subject": make("SN-0002").x509.subject}, "not the serial number"),
            ({"subject": make("SN-0001", organisation=None).x509.subject}, "no organisation"),
            ({"usage": key_usage("key_encipherment")}, "KeyUsage"),
            ({"extensions": [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]}, "ExtendedKeyUsage"),
        ],
    )
    @pytest.mark.requirement("A00.FR.509", "A00.FR.511", "A00.FR.512", "A02.FR.06")
    def test_refuses(self, enrolment: Enrolment, wrong: dict[str, Any], reason: str) -> None:
        assert reason in refusal(enrolment, sign(ask(enrolment), **wrong).pem)

    def test_refuses_the_certificate_of_another_key(self, enrolment: Enrolment) -> None:
        ask(enrolment)
        assert refusal(enrolment, make("SN-0001", issuer=ROOT).pem) == (
            "its public key is not that of the certificate request"
        )

    def test_refuses_one_for_the_request_before(self, enrolment: Enrolment) -> None:
        late = sign(ask(enrolment))
        ask(enrolment)
        assert "not that of the certificate request" in refusal(enrolment, late.pem)

    def test_refuses_one_that_nobody_asked_for(self, enrolment: Enrolment) -> None:
        assert refusal(enrolment, make("SN-0001", issuer=ROOT).pem) == "no certificate request waits for it"

    def test_refuses_what_is_too_long_or_no_certificate(self, enrolment: Enrolment) -> None:
        leaf = sign(ask(enrolment))
        assert "longer than 100 characters" in refusal(enrolment, leaf.pem, max_characters=100)
        assert judged(enrolment, leaf.pem, max_characters=len(leaf.pem))
        assert refusal(enrolment, "garbage") == "no certificate in PEM was found"

    def test_roots_for_charge_points_vouch_for_them_alone(self, enrolment: Enrolment) -> None:
        store = store_of(enrolment)
        assert store.install_root(CaDomain.CHARGE_POINT_ISSUER, OTHER_ROOT.pem, NOW).accepted
        assert judged(enrolment, sign(ask(enrolment), OTHER_ROOT).pem)
        assert OTHER_ROOT.certificate not in store.roots(CaDomain.CENTRAL_SYSTEM)

    def test_a_manufacturer_root_does_not_vouch(self, enrolment: Enrolment) -> None:
        assert store_of(enrolment).install_root(CaDomain.MANUFACTURER, OTHER_ROOT.pem, NOW).accepted
        assert "no installed root" in refusal(enrolment, sign(ask(enrolment), OTHER_ROOT).pem)

    def test_an_rsa_authority_is_as_good(self, enrolment: Enrolment) -> None:
        root = make_root("RSA Root", key=rsa_key())
        assert store_of(enrolment).install_root(CaDomain.CENTRAL_SYSTEM, root.pem, NOW).accepted
        assert judged(enrolment, sign(ask(enrolment), root).pem)

    def test_knows_what_is_installed_already(self, enrolment: Enrolment) -> None:
        leaf = sign(ask(enrolment))
        assert not enrolment.is_installed(leaf.pem)
        install(enrolment, leaf)
        assert enrolment.is_installed(ROOT.pem + leaf.pem)


def test_a_key_in_hardware_is_told_by_the_line_before_its_name(enrolment: Enrolment) -> None:
    hardware = ec.generate_private_key(ec.SECP256R1())
    public_key = hardware.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name = Secret(
        f"public key: {fingerprint(public_key)}\n".encode()
        + b"-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n"
    )
    made = make("SN-0001", issuer=ROOT, key=hardware)
    store = store_of(enrolment)
    assert store.install_charge_point_certificate(made.pem, name, NOW).accepted
    (listed,) = CertificateStore.open(store.directory).listing()["charge_point"]
    assert listed["key_place"] == "TPM"
