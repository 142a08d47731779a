"""The firmware signing certificate: who may vouch for it, what it must be like, and what its revocation means."""

import itertools
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from security.inquiry import Finding, RevocationStatus
from security.signing_certificate import SigningCertificateResult, SigningVerdict, judge, with_finding
from tests.pki import DAY, NOW, Made, dsa_key, make, make_root, rsa_key

ROOT = make_root("Example Maker Root", organisation="Example Maker")
ELLIPTIC = ec.SECP256R1()
CODE_SIGNING, CLIENT_AUTH, ANY = (
    ExtendedKeyUsageOID.CODE_SIGNING,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)


def signing(issuer: Made | None = ROOT, **properties: Any) -> Made:
    """A signing certificate, good unless a keyword changes it."""
    return make("Example Maker firmware", **({"organisation": "Example Maker", "issuer": issuer} | properties))


def verdict_on(pem: str | Made, *roots: Made, now: datetime | None = NOW) -> SigningVerdict:
    text = pem if isinstance(pem, str) else pem.pem
    return judge(text, [each.certificate for each in roots or (ROOT,)], now)


def refusal(pem: str | Made, *roots: Made, now: datetime | None = NOW) -> str:
    verdict = verdict_on(pem, *roots, now=now)
    assert verdict.result is SigningCertificateResult.INVALID
    assert not verdict.accepted
    assert verdict.path == ()
    assert "\n" not in verdict.reason
    return verdict.reason


def with_critical(made: Made, extension: x509.ExtensionType, *, is_root: bool = False) -> Made:
    """The same certificate with one more extension, which is critical; signed again."""
    signer = made if is_root else ROOT
    builder = (
        x509.CertificateBuilder()
        .subject_name(made.x509.subject)
        .issuer_name(signer.x509.subject)
        .public_key(made.x509.public_key())
        .serial_number(made.x509.serial_number)
        .not_valid_before(made.x509.not_valid_before_utc)
        .not_valid_after(made.x509.not_valid_after_utc)
    )
    for each in made.x509.extensions:
        builder = builder.add_extension(each.value, critical=each.critical)
    return Made(builder.add_extension(extension, critical=True).sign(signer.key, hashes.SHA256()), made.key)


def test_a_good_one_is_accepted_with_its_root() -> None:
    made = signing()
    verdict = verdict_on(made, make_root("Another"), ROOT)
    assert verdict == SigningVerdict(
        SigningCertificateResult.ACCEPTED, path=(made.certificate, ROOT.certificate), remarks=()
    )
    assert verdict.accepted


@pytest.mark.parametrize(
    "properties",
    [
        {"key": rsa_key()},
        {"key": ec.generate_private_key(ec.SECP384R1())},
        {"key": ec.generate_private_key(ec.BrainpoolP256R1())},
        {"usages": ("digital_signature", "content_commitment")},
        {"extensions": (x509.ExtendedKeyUsage([CODE_SIGNING]),)},
        {"extensions": (x509.ExtendedKeyUsage([CLIENT_AUTH, ANY]),)},
        {"is_ca": False},
        {"not_before": NOW},
        {"not_after": NOW},
    ],
)
def test_what_the_field_has_is_accepted(properties: dict[str, Any]) -> None:
    assert verdict_on(signing(**properties)).accepted


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"not_after": NOW - DAY, "not_before": NOW - 9 * DAY}, "it expired at 2030-05-31T12:00:00Z"),
        ({"not_before": NOW + DAY}, "its validity begins at 2030-06-02T12:00:00Z"),
        ({"key": rsa_key(1024)}, "the key has 1024 bits, at least 2048 are wanted"),  # A00.FR.502
        ({"key": ec.generate_private_key(ec.SECP192R1())}, "the key has 192 bits, at least 224 are wanted"),
        ({"key": dsa_key(2048)}, "its key is neither RSA nor elliptic curve"),
        ({"key": Ed25519PrivateKey.generate()}, "its key is neither RSA nor elliptic curve"),
        ({"algorithm": hashes.SHA224()}, "it is signed over SHA224, at least SHA256 is wanted"),  # A00.FR.506
        ({"organisation": None}, "the subject has no organisation"),  # A00.FR.509
        ({"usages": ("key_encipherment",)}, "its KeyUsage does not allow its use"),  # A00.FR.512
        ({"extensions": (x509.ExtendedKeyUsage([CLIENT_AUTH]),)}, "does not allow the signing of code"),
        ({"is_ca": True}, "it is a certificate authority"),
    ],
)
def test_what_is_wrong_with_it_is_named(properties: dict[str, Any], reason: str) -> None:
    assert reason in refusal(signing(**properties))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    reason = refusal(signing(not_after=NOW - DAY, not_before=NOW - 9 * DAY, organisation=None, is_ca=True))
    assert reason.count(";") == 2


def test_an_intermediate_may_not_stand_between_it_and_the_root() -> None:
    intermediate = make_root("Example Maker CA", issuer=ROOT)
    made = signing(intermediate)
    words = "no installed ManufacturerRootCertificate has signed it itself: issued by O=Example CPO,CN=Example Maker CA"
    assert refusal(made) == words
    assert "2 certificates came" in refusal(made.pem + intermediate.pem)
    assert verdict_on(made, intermediate).accepted  # an installed authority is a root


def test_roots_that_are_not_handed_in_do_not_vouch() -> None:
    assert refusal(signing(make_root("Example CPO Root"))).startswith("no installed ManufacturerRootCertificate")
    assert judge(signing().pem, (), NOW).reason.startswith("no installed ManufacturerRootCertificate")


def test_a_stranger_of_the_same_name_does_not_vouch() -> None:
    stranger = make_root("Example Maker Root", organisation="Example Maker")
    assert refusal(signing(stranger)).startswith("no installed ManufacturerRootCertificate")


def test_a_root_signs_no_firmware_itself() -> None:
    assert refusal(ROOT) == "it is an installed root itself"
    own = make("Self", organisation="Example Maker")  # signed by itself, and no authority
    assert refusal(own).startswith("no installed ManufacturerRootCertificate")
    assert refusal(own, own) == "it is an installed root itself"


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"not_after": NOW - DAY, "not_before": NOW - 9 * DAY}, "expired at"),
        ({"not_before": NOW + DAY}, "its validity begins at"),
        ({"is_ca": None}, "it is not a certificate authority"),
        ({"usages": ("crl_sign",)}, "its KeyUsage does not allow its use as a root certificate"),
        ({"key": rsa_key(1024)}, "1024 bits"),
    ],
)
def test_a_root_that_may_not_vouch_is_named(properties: dict[str, Any], reason: str) -> None:
    root = make_root("Old Root", **properties)
    said = refusal(signing(root), root)
    assert said.startswith("its root O=Example CPO,CN=Old Root cannot vouch for it: ")
    assert reason in said


def test_a_good_root_of_the_same_name_and_key_vouches_instead() -> None:
    old = make_root("Maker", key=ROOT.key, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    new = make_root("Maker", key=ROOT.key)
    made = signing(new)
    for roots in itertools.permutations((old, new)):
        assert verdict_on(made, *roots).path == (made.certificate, new.certificate)


@pytest.mark.parametrize("is_root", [False, True])
def test_a_critical_extension_that_is_not_understood_is_refused(is_root: bool) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    if is_root:
        root = with_critical(ROOT, unknown, is_root=True)
        reason = refusal(signing(root), root)
    else:
        reason = refusal(with_critical(signing(), unknown))
    assert "the critical extension 1.3.6.1.4.1.99999.1 is not supported" in reason


def test_an_extension_that_is_not_critical_is_passed_over() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    assert verdict_on(signing(extensions=(unknown,))).accepted


@pytest.mark.parametrize(
    "begin",
    [{"not_before": NOW + DAY}, {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY}],
    ids=["to come", "over"],
)
def test_a_clock_that_is_not_set_judges_no_dates_and_all_the_rest(begin: dict[str, Any]) -> None:
    root = make_root("Maker", **begin)
    assert verdict_on(signing(root, **begin), root, now=None).accepted
    assert "1024 bits" in refusal(signing(root, key=rsa_key(1024), **begin), root, now=None)
    assert "has signed it itself" in refusal(signing(make_root("Stranger"), **begin), root, now=None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no certificate in PEM was found"),
        ("garbage", "no certificate in PEM was found"),
        (signing().pem * 2, "2 certificates came, exactly one is wanted"),
        (signing().pem[:-60], "the PEM is damaged"),
        (signing().key_pem.reveal().decode(), "the PEM is damaged"),
    ],
)
def test_what_is_not_one_certificate_is_refused(text: str, reason: str) -> None:
    assert reason in refusal(text)


@pytest.mark.parametrize(
    "written",
    [
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.strip(),
        lambda pem: f"\n\n subject=CN = Example\n{pem}\n-- \n",
    ],
)
def test_it_is_read_however_it_is_written(written: Any) -> None:
    assert verdict_on(written(signing().pem)).accepted


def test_advice_that_is_not_followed_is_a_remark() -> None:
    verdict = verdict_on(signing(usages=None))
    assert verdict.accepted
    assert verdict.remarks == ("no KeyUsage limits what the certificate is good for (A00.FR.512)",)


ACCEPTED = verdict_on(signing(usages=None))
GOOD = Finding(RevocationStatus.GOOD, "good since today")
REVOKED = Finding.revoked(None, NOW, None)
NOT_KNOWN = Finding.unknown("nobody there")


@pytest.mark.parametrize("must_be_known", [False, True])
def test_a_revoked_one_is_refused_as_such_under_each_policy(must_be_known: bool) -> None:
    verdict = with_finding(ACCEPTED, REVOKED, must_be_known=must_be_known)
    assert verdict.result is SigningCertificateResult.REVOKED
    assert verdict.reason == "revoked since 2030-06-01 12:00 UTC (no reason given)"
    assert verdict.path == ()
    assert with_finding(ACCEPTED, GOOD, must_be_known=must_be_known) == ACCEPTED


def test_where_nobody_knows_the_policy_decides() -> None:
    soft = with_finding(ACCEPTED, NOT_KNOWN, must_be_known=False)
    assert soft.path == ACCEPTED.path
    assert soft.remarks == (
        *ACCEPTED.remarks,
        "it is not known whether it is revoked, it is accepted: nobody there",
    )
    hard = with_finding(ACCEPTED, NOT_KNOWN, must_be_known=True)
    assert hard == SigningVerdict.invalid("it is not known whether it is revoked: nobody there")
