"""The PEM door and the rules of A00.FR.501 to 512, one broken thing at a time."""

import base64
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding

from security.certificate import (
    MAX_CERTIFICATES,
    MAX_PEM_CHARACTERS,
    Certificate,
    Purpose,
    faults_of,
    looks_like_an_address,
    parse_chain,
    parse_one,
    remarks_of,
)
from security.errors import CertificateError
from tests.pki import DAY, NOW, Made, dsa_key, make, make_root, rsa_key

VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="module")
def root() -> Made:
    return make_root()


def refusal(text: str) -> str:
    with pytest.raises(CertificateError) as raised:
        parse_one(text)
    reason = raised.value.reason
    assert "\n" not in reason
    assert str(raised.value) == reason
    return reason


def patched(pem: str, old: bytes, new: bytes) -> str:
    """The same certificate with some of its bytes replaced; its signature is wrong then."""
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    assert der.count(old) >= 1
    return (
        f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der.replace(old, new)).decode()}-----END CERTIFICATE-----\n"
    )


class TestTheDoor:
    def test_reads_all_that_is_ever_asked_of_a_certificate(self) -> None:
        made = make("CP001", serial_number=0x0A1B)
        certificate = parse_one(made.pem)

        assert certificate.pem == made.pem
        assert certificate.subject == "O=Example CPO,CN=CP001"
        assert certificate.issuer == certificate.subject
        assert certificate.common_names == ("CP001",)
        assert certificate.organisations == ("Example CPO",)
        assert certificate.serial_number == "A1B"
        assert certificate.not_before == NOW - DAY
        assert certificate.not_before.tzinfo is not None
        assert certificate.not_after == NOW + 365 * DAY
        assert certificate.fingerprint == made.x509.fingerprint(hashes.SHA256()).hex()

    def test_shows_its_subject_but_not_its_bytes(self, root: Made) -> None:
        shown = repr(root.certificate)
        assert "Example CPO Root" in shown
        assert "BEGIN" not in shown
        assert len(shown) < 400

    def test_certificates_are_equal_when_their_bytes_are(self, root: Made) -> None:
        assert parse_one(root.pem) == root.certificate
        assert hash(parse_one(root.pem)) == hash(root.certificate)
        assert make_root().certificate != root.certificate

    @pytest.mark.parametrize(
        "change",
        [
            lambda pem: pem.replace("\n", "\r\n"),
            lambda pem: f"\r\n \t\n{pem}\n\n  ",
            lambda pem: pem.rstrip("\n"),
            lambda pem: "".join(f"  {line}\n" for line in pem.splitlines()),
            lambda pem: f"# Autorité de certification\n{pem}# the end\n",
            lambda pem: f"\ufeff{pem}",
            lambda pem: f"\ud800{pem}",
        ],
        ids=["CRLF", "white space", "no last newline", "indented", "text around", "byte order mark", "lone surrogate"],
    )
    def test_tolerates_what_does_not_change_the_meaning(self, root: Made, change: Callable[[str], str]) -> None:
        assert parse_one(change(root.pem)) == root.certificate

    @pytest.mark.parametrize("text", ["", " \n", "hello", "-----END CERTIFICATE-----"])
    def test_refuses_what_is_not_pem(self, text: str) -> None:
        assert refusal(text) == "no certificate in PEM was found"

    @pytest.mark.requirement("M05.FR.06")
    def test_insists_on_exactly_one(self, root: Made) -> None:
        assert refusal(root.pem * 2) == "2 certificates came, exactly one is wanted"

    def test_refuses_too_much_text_before_it_looks_at_it(self, root: Made) -> None:
        assert "longer than" in refusal(root.pem + " " * MAX_PEM_CHARACTERS)
        assert parse_one(root.pem.ljust(MAX_PEM_CHARACTERS)) == root.certificate

    def test_refuses_too_many(self, root: Made) -> None:
        assert len(parse_chain(root.pem * MAX_CERTIFICATES)) == MAX_CERTIFICATES
        with pytest.raises(CertificateError, match="more than"):
            parse_chain(root.pem * (MAX_CERTIFICATES + 1))

    def test_keeps_the_order(self, root: Made) -> None:
        leaf = make(issuer=root)
        assert parse_chain(leaf.pem + root.pem) == (leaf.certificate, root.certificate)

    def test_refuses_a_private_key_and_says_nothing_of_it(self, root: Made) -> None:
        key = root.key_pem.reveal().decode()
        assert "not a certificate" in refusal(key)
        reason = refusal(root.pem + key)
        assert "private key" in reason
        assert key.splitlines()[1] not in reason

    def test_refuses_damaged_content(self, root: Made) -> None:
        assert "damaged" in refusal(root.pem.replace("MII", "AII"))
        assert "damaged" in refusal(root.pem[:200] + root.pem[-60:])
        assert "damaged" in refusal(root.pem[:200])

    def test_refuses_an_extension_that_cannot_be_read(self) -> None:
        made = make(is_ca=False)
        # BasicConstraints 30 00 becomes an INTEGER.
        assert "part of the certificate" in refusal(patched(made.pem, b"\x04\x02\x30\x00", b"\x04\x02\x02\x00"))

    @pytest.mark.requirement("A00.FR.508")
    @pytest.mark.parametrize("first", [0x00, 0x80], ids=["zero", "negative"])
    @pytest.mark.filterwarnings("ignore:Parsed a serial number")
    def test_refuses_a_serial_number_that_is_not_positive(self, first: int) -> None:
        text = patched(make(serial_number=0x55).pem, b"\x02\x01\x55", bytes((2, 1, first)))
        assert "serial number" in refusal(text) or "damaged" in refusal(text)

    def test_refuses_a_signature_of_which_bits_do_not_count(self, root: Made) -> None:
        # The parser takes it where those bits are zero, which those of one signature in two are.
        made = next(made for made in (make(issuer=root) for _ in range(200)) if not made.x509.signature[-1] & 1)
        der = bytearray(made.x509.public_bytes(Encoding.DER))
        der[-len(made.x509.signature) - 1] = 1
        text = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
        with pytest.raises(CertificateError, match="not a whole number of bytes"):
            parse_one(text)

    @pytest.mark.requirement("A00.FR.508")
    def test_refuses_a_serial_number_that_hash_data_cannot_hold(self) -> None:
        assert make(serial_number=(1 << 159) - 1).certificate.serial_number == "7" + "F" * 39
        assert "at most 20 bytes" in refusal((VECTORS / "serial_of_21_bytes.pem").read_text())

    def test_puts_a_subject_on_one_line(self) -> None:
        subject = make("CP001\nERROR all is lost\x1b[2J").certificate.subject
        assert "\n" not in subject
        assert "\x1b" not in subject


class TestSignature:
    def test_knows_who_signed(self, root: Made) -> None:
        leaf = make(issuer=root).certificate
        assert leaf.is_signed_by(root.certificate)
        assert not leaf.is_self_issued
        assert root.certificate.is_self_issued
        assert root.certificate.is_signed_by(root.certificate)

    def test_a_name_alone_is_no_signature(self, root: Made) -> None:
        assert not make(issuer=root).certificate.is_signed_by(make_root().certificate)

    def test_a_signature_that_cannot_be_checked_is_none(self) -> None:
        md5 = parse_one((VECTORS / "md5_root.pem").read_text())
        assert not md5.is_signed_by(md5)

    @pytest.mark.parametrize("name", ["rsa_pss_root.pem", "brainpool_root.pem"])
    @pytest.mark.requirement("A00.FR.505")
    def test_takes_the_algorithms_of_the_white_paper(self, name: str) -> None:
        root = parse_one((VECTORS / name).read_text())
        assert root.is_signed_by(root)
        assert faults_of(root, None, Purpose.ROOT) == []


class TestKeys:
    @pytest.mark.requirement("A00.FR.501", "A00.FR.502")
    def test_rsa_needs_2048_bits(self) -> None:
        weak = make(key=rsa_key(1024)).certificate
        assert faults_of(weak, NOW, Purpose.CHARGE_POINT) == ["the key has 1024 bits, at least 2048 are wanted"]
        assert faults_of(make(key=rsa_key()).certificate, NOW, Purpose.CHARGE_POINT) == []

    @pytest.mark.requirement("A00.FR.502")
    def test_dsa_needs_2048_bits(self) -> None:
        weak = make(key=dsa_key(1024)).certificate
        assert faults_of(weak, NOW, Purpose.CHARGE_POINT) == ["the key has 1024 bits, at least 2048 are wanted"]

    @pytest.mark.requirement("A00.FR.503")
    def test_elliptic_curves_need_224_bits(self) -> None:
        weak = make(key=ec.generate_private_key(ec.SECP192R1())).certificate
        assert faults_of(weak, NOW, Purpose.CHARGE_POINT) == ["the key has 192 bits, at least 224 are wanted"]
        good = make(key=ec.generate_private_key(ec.SECP224R1())).certificate
        assert faults_of(good, NOW, Purpose.CHARGE_POINT) == []

    @pytest.mark.parametrize("kind", [ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey])
    def test_eddsa_is_taken_with_a_remark(
        self, kind: type[ed25519.Ed25519PrivateKey] | type[ed448.Ed448PrivateKey]
    ) -> None:
        certificate = make(key=kind.generate()).certificate
        assert faults_of(certificate, NOW, Purpose.CHARGE_POINT) == []
        assert any("EdDSA" in remark for remark in remarks_of(certificate, Purpose.CHARGE_POINT))

    @pytest.mark.requirement("A00.FR.504")
    def test_a_key_that_cannot_sign_is_refused(self, root: Made) -> None:
        made = make(issuer=root, public_key=x25519.X25519PrivateKey.generate().public_key())
        assert any("cannot sign" in fault for fault in faults_of(made.certificate, NOW, Purpose.CHARGE_POINT))

    @pytest.mark.parametrize("name", ["md5_root.pem", "sha1_root.pem"])
    @pytest.mark.requirement("A00.FR.506")
    def test_a_broken_hash_is_refused(self, name: str) -> None:
        (fault,) = faults_of(parse_one((VECTORS / name).read_text()), None, Purpose.ROOT)
        assert fault == f"it is signed over {name[:4].strip('_').upper()}, at least SHA256 is wanted"

    @pytest.mark.requirement("A00.FR.506")
    def test_a_hash_below_sha256_is_refused(self) -> None:
        weak = make(algorithm=hashes.SHA224()).certificate
        assert faults_of(weak, NOW, Purpose.CHARGE_POINT) == ["it is signed over SHA224, at least SHA256 is wanted"]
        assert faults_of(make(algorithm=hashes.SHA384()).certificate, NOW, Purpose.CHARGE_POINT) == []


class TestValidity:
    def test_an_expired_one_is_refused_with_its_date(self) -> None:
        certificate = make(not_after=NOW - timedelta(seconds=1)).certificate
        assert faults_of(certificate, NOW, Purpose.CHARGE_POINT) == ["it expired at 2030-06-01T11:59:59Z"]

    def test_the_last_second_still_counts(self) -> None:
        assert faults_of(make(not_after=NOW).certificate, NOW, Purpose.CHARGE_POINT) == []

    @pytest.mark.requirement("A02.FR.08")
    def test_one_that_begins_in_the_future_is_taken(self) -> None:
        certificate = make(not_before=NOW + DAY).certificate
        assert not certificate.has_begun(NOW)
        assert certificate.has_begun(NOW + DAY)
        assert faults_of(certificate, NOW, Purpose.CHARGE_POINT) == []

    def test_a_clock_that_is_not_set_speaks_against_nobody(self) -> None:
        certificate = make(not_after=NOW - timedelta(hours=1)).certificate
        assert certificate.has_begun(None)
        assert not certificate.has_expired(None)
        assert faults_of(certificate, None, Purpose.CHARGE_POINT) == []

    def test_an_end_before_the_begin_is_refused_even_then(self) -> None:
        made = make(not_before=NOW, not_after=NOW + DAY)
        certificate = parse_one(patched(made.pem, b"300601120000Z", b"490601120000Z"))
        assert faults_of(certificate, None, Purpose.CHARGE_POINT) == ["its validity ends before it begins"]


class TestSubject:
    @pytest.mark.requirement("A00.FR.509")
    @pytest.mark.parametrize("purpose", [Purpose.CENTRAL_SYSTEM, Purpose.CHARGE_POINT, Purpose.FIRMWARE_SIGNING])
    def test_an_organisation_is_a_must(self, purpose: Purpose) -> None:
        certificate = make(organisation=None).certificate
        assert faults_of(certificate, NOW, purpose) == ["the subject has no organisation (O)"]

    @pytest.mark.requirement("A00.FR.509")
    def test_a_root_without_an_organisation_is_worth_a_remark(self) -> None:
        certificate = make_root(organisation=None).certificate
        assert faults_of(certificate, NOW, Purpose.ROOT) == []
        assert remarks_of(certificate, Purpose.ROOT) == ["the subject has no organisation (O)"]

    @pytest.mark.requirement("A00.FR.511")
    @pytest.mark.parametrize("names", [(), ("CP001", "CP002")])
    def test_a_charge_point_has_one_common_name(self, names: tuple[str, ...]) -> None:
        certificate = make(names).certificate
        (fault,) = faults_of(certificate, NOW, Purpose.CHARGE_POINT)
        assert fault.startswith(f"the subject has {len(names)} common names")
        assert faults_of(certificate, NOW, Purpose.CENTRAL_SYSTEM) == []  # its name is judged in the handshake

    @pytest.mark.requirement("A00.FR.511")
    @pytest.mark.parametrize(
        "name", ["https://cp.example.com/1", "WSS://x", "www.example.com", "10.0.0.1", "::1", "[2001:db8::1]"]
    )
    def test_a_serial_number_looks_like_no_address(self, name: str) -> None:
        assert looks_like_an_address(name)
        certificate = make(name).certificate
        assert faults_of(certificate, NOW, Purpose.CHARGE_POINT) == [
            "the common name looks like a URL or an IP address"
        ]

    @pytest.mark.parametrize("name", ["CP001", "SN-2024.10.1", "10.0.0", "urn-7", "AA:BB:CC"])
    def test_an_ordinary_serial_number_is_none(self, name: str) -> None:
        assert not looks_like_an_address(name)

    @pytest.mark.requirement("A00.FR.511")
    def test_a_dns_name_beside_the_common_name_is_worth_a_remark(self) -> None:
        made = make(extensions=[x509.SubjectAlternativeName([x509.DNSName("cs.example.com")])])
        for purpose in (Purpose.CENTRAL_SYSTEM, Purpose.CHARGE_POINT):
            assert faults_of(made.certificate, NOW, purpose) == []
            assert any("subjectAltName" in remark for remark in remarks_of(made.certificate, purpose))
        assert remarks_of(made.certificate, Purpose.FIRMWARE_SIGNING) == []


class TestUsage:
    @pytest.mark.requirement("A00.FR.512")
    @pytest.mark.parametrize(
        ("purpose", "allowed"),
        [
            (Purpose.ROOT, {"key_cert_sign"}),
            (Purpose.CENTRAL_SYSTEM, {"digital_signature", "key_encipherment", "key_agreement"}),
            (Purpose.CHARGE_POINT, {"digital_signature"}),
            (Purpose.FIRMWARE_SIGNING, {"digital_signature"}),
        ],
    )
    def test_the_key_usage_has_to_fit_where_there_is_one(self, purpose: Purpose, allowed: set[str]) -> None:
        for usage in ("digital_signature", "key_encipherment", "key_agreement", "key_cert_sign", "crl_sign"):
            certificate = make(usages=[usage], is_ca=purpose is Purpose.ROOT).certificate
            faults = faults_of(certificate, NOW, purpose)
            assert faults == (
                [] if usage in allowed else [f"its KeyUsage does not allow its use as a {purpose} certificate"]
            )

    @pytest.mark.requirement("A00.FR.512")
    def test_no_key_usage_is_worth_a_remark(self) -> None:
        certificate = make_root(usages=None).certificate
        assert faults_of(certificate, NOW, Purpose.ROOT) == []
        assert any("KeyUsage" in remark for remark in remarks_of(certificate, Purpose.ROOT))

    @pytest.mark.parametrize("is_ca", [None, False])
    def test_a_root_is_a_certificate_authority(self, is_ca: bool | None) -> None:
        certificate = make_root(is_ca=is_ca).certificate
        assert faults_of(certificate, NOW, Purpose.ROOT) == ["it is not a certificate authority (BasicConstraints)"]

    def test_all_faults_are_named_at_once(self) -> None:
        certificate = make(key=rsa_key(1024), organisation=None, not_after=NOW - DAY / 2, is_ca=False).certificate
        assert len(faults_of(certificate, NOW, Purpose.ROOT)) == 4


def test_a_certificate_object_from_elsewhere_is_read_at_the_same_door(root: Made) -> None:
    assert Certificate.of(root.x509) == root.certificate
