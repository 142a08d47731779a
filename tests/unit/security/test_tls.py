import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from security.event import SecurityEventType
from security.tls import STATIC_RSA_SUITES, SUITES, Peer, client_context, judge_peer
from security.tls_fault import TlsFault
from tests.pki import DAY, NOW, Made, make, make_root, rsa_key
from tests.tls_pipe import KeyPair, server_context, shake_hands, write_pair

INVALID_CERTIFICATE = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
HOST = "cs.example.com"
ROOT = make_root()


def judge(
    certificate: Made,
    *intermediates: Made,
    roots: Sequence[Made] = (ROOT,),
    now: datetime | None = NOW,
    allow_wildcards: bool = False,
) -> Peer:
    pems = [root.pem.encode() for root in roots]
    ssl_object, _ = shake_hands(client_context(roots=pems, now=now), server_context(certificate, *intermediates), HOST)
    return judge_peer(ssl_object, host=HOST, now=now, allow_wildcards=allow_wildcards, roots=pems)


def refusal(certificate: Made, *intermediates: Made, now: datetime | None = NOW) -> TlsFault:
    with pytest.raises(TlsFault) as caught:
        judge(certificate, *intermediates, now=now)
    return caught.value


def test_a_good_peer_is_described() -> None:
    intermediate = make_root("Intermediate", issuer=ROOT)
    leaf = make(HOST, issuer=intermediate)
    peer = judge(leaf, intermediate)
    assert peer.version == "TLSv1.3"
    assert peer.suite.startswith("TLS_")
    assert peer.names == (HOST,)
    assert peer.chain == tuple(made.x509.public_bytes(Encoding.DER) for made in (leaf, intermediate, ROOT))
    assert peer.root == peer.chain[-1]


def test_offers_the_white_papers_suites_best_first() -> None:
    names = [suite["name"] for suite in client_context(roots=()).get_ciphers()]
    assert [name for name in names if not name.startswith("TLS_")] == [*SUITES, *STATIC_RSA_SUITES]
    assert names[0].startswith("TLS_")


def test_leaves_out_suites_without_forward_secrecy_where_told() -> None:
    names = {suite["name"] for suite in client_context(roots=(), static_rsa=False).get_ciphers()}
    assert not names & set(STATIC_RSA_SUITES)


def test_never_offers_less_than_tls_1_2_nor_compression_nor_a_second_handshake() -> None:
    context = client_context(roots=())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_trusts_nobody_but_the_installed_roots() -> None:
    assert client_context(roots=()).cert_store_stats()["x509"] == 0
    assert len(client_context(roots=[ROOT.pem.encode()]).get_ca_certs()) == 1


def test_trusts_the_machines_roots_only_when_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert client_context(roots=()).cert_store_stats()["x509"] == 0
    assert client_context(roots=(), system_trust_store=True).cert_store_stats()["x509"] == 1


def test_a_damaged_root_is_a_fault_of_ours_and_no_event() -> None:
    with pytest.raises(TlsFault, match="cannot be loaded") as caught:
        client_context(roots=[b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
    assert caught.value.event is None


@pytest.mark.parametrize(
    ("leaf", "now", "words"),
    [
        (make(HOST, issuer=ROOT, not_after=NOW - DAY, not_before=NOW - 2 * DAY), NOW, "has expired"),
        (make(HOST, issuer=ROOT, not_before=NOW + DAY), NOW, "not valid yet"),
        (make("other.example.com", issuer=ROOT), NOW, "is not for cs.example.com"),
        (make("*.example.com", issuer=ROOT), NOW, "is not for cs.example.com"),
        (make((), issuer=ROOT), NOW, "is not for cs.example.com"),
        (make(HOST, issuer=ROOT), NOW + 4000 * DAY, "a CA certificate of the peer's chain has expired"),
    ],
)
def test_refuses_wrong_names_and_dates(leaf: Made, now: datetime, words: str) -> None:
    fault = refusal(leaf, now=now)
    assert fault.event is INVALID_CERTIFICATE
    assert words in fault.what
    assert "Example CPO Root" in fault.peer


@pytest.mark.parametrize("chain", [(), (b"\x30\x03abc",), (make(HOST, issuer=ROOT).x509.public_bytes(Encoding.DER),)])
def test_a_certificate_that_cannot_be_read_is_an_invalid_one(
    chain: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_no_known_version = tuple(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x0b", 1) for der in chain)
    monkeypatch.setattr("security.tls.verified_chain", lambda _: of_no_known_version)
    fault = refusal(make(HOST, issuer=ROOT), now=NOW)
    assert fault.event is INVALID_CERTIFICATE
    assert "cannot be read" in fault.what


def test_names_every_fault_at_once() -> None:
    fault = refusal(make("other.example.com", issuer=ROOT, not_before=NOW + DAY))
    assert "not valid yet" in fault.what
    assert "is not for" in fault.what


def test_dates_are_judged_by_the_agents_clock_not_the_machines() -> None:
    assert judge(make(HOST, issuer=ROOT, not_before=NOW - DAY, not_after=NOW + DAY), now=NOW).version


@pytest.mark.parametrize("offset", [-10_000 * DAY, 10_000 * DAY])
def test_a_clock_that_is_not_set_judges_no_dates(offset: timedelta) -> None:
    leaf = make(HOST, issuer=ROOT, not_before=NOW + offset, not_after=NOW + offset + DAY)
    assert judge(leaf, now=None).version


def test_takes_the_name_from_a_dns_name_of_the_subject_alt_name() -> None:
    alternative = x509.SubjectAlternativeName([x509.DNSName("a.example.com"), x509.DNSName(HOST)])
    peer = judge(make("something else", issuer=ROOT, extensions=[alternative]))
    assert peer.names == ("something else", "a.example.com", HOST)


def test_takes_a_wildcard_only_where_it_is_allowed() -> None:
    assert judge(make("*.example.com", issuer=ROOT), allow_wildcards=True).version


def test_an_ip_address_needs_a_server_name() -> None:
    client = client_context(roots=[ROOT.pem.encode()])
    ssl_object, _ = shake_hands(client, server_context(make("10.0.0.1", issuer=ROOT)), "10.0.0.1")
    with pytest.raises(TlsFault, match="tls_server_name"):
        judge_peer(ssl_object, host="10.0.0.1", now=NOW, allow_wildcards=True)


@pytest.mark.parametrize(
    "leaf",
    [
        make(HOST, issuer=make_root()),
        make(HOST),
        make(HOST, issuer=ROOT, key=rsa_key(1024)),
        make(HOST, issuer=ROOT, extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]),
        make(HOST, issuer=make_root("Missing intermediate", issuer=ROOT)),
    ],
    ids=["stranger", "self-signed", "RSA 1024", "purpose", "no intermediate"],
)
def test_openssl_refuses_a_bad_path_even_with_its_clock_off(leaf: Made) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        judge(leaf)


def test_a_curve_below_224_bits_is_not_even_offered() -> None:
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        judge(make(HOST, issuer=ROOT, key=ec.generate_private_key(ec.SECP192R1())))


def test_a_hash_of_112_bits_is_taken_because_sha_256_is_only_advised() -> None:
    assert judge(make(HOST, issuer=ROOT, algorithm=hashes.SHA224())).version


def test_a_weak_root_is_refused_too() -> None:
    weak = make_root(key=rsa_key(1024))
    with pytest.raises(ssl.SSLCertVerificationError):
        judge(make(HOST, issuer=weak), roots=[weak])


def test_a_new_root_that_the_old_one_cross_signed_is_trusted_by_itself() -> None:
    cross_signed = make_root("New Root", issuer=ROOT)
    assert judge(make(HOST, issuer=cross_signed), roots=[cross_signed]).version


@pytest.mark.parametrize("expired", [False, True])
def test_a_connection_rests_on_the_installed_root_nearest_to_the_leaf(expired: bool) -> None:
    old = make_root("Old Root", not_before=NOW - 9 * DAY, not_after=NOW - DAY if expired else NOW + DAY)
    new = make_root("New Root", issuer=old)
    for sent in ([], [new]):
        assert judge(make(HOST, issuer=new), *sent, roots=[old, new]).root == new.certificate.der


def test_a_connection_may_rest_on_no_installed_root() -> None:
    pem = ROOT.pem.encode()
    ssl_object, _ = shake_hands(client_context(roots=[pem]), server_context(make(HOST, issuer=ROOT)), HOST)
    assert judge_peer(ssl_object, host=HOST, now=NOW, allow_wildcards=False, roots=()).root is None


@pytest.mark.parametrize("old_first", [True, False])
def test_an_expired_root_does_not_stand_in_the_way_of_its_renewal(old_first: bool) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    old = make_root("Renewed Root", key=key, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    new = make_root("Renewed Root", key=key)
    roots = [old, new] if old_first else [new, old]
    assert judge(make(HOST, issuer=new), roots=roots).version


def test_an_expired_root_that_nothing_replaces_is_named_as_expired() -> None:
    old = make_root("Old Root", not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    with pytest.raises(TlsFault, match="has expired"):
        judge(make(HOST, issuer=old), roots=[old, ROOT])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_refuses_an_old_version_though_the_context_let_it_through() -> None:
    lenient = lenient_context(ssl.TLSVersion.TLSv1_1)
    server = server_context(make(HOST, issuer=ROOT), minimum=ssl.TLSVersion.TLSv1, maximum=ssl.TLSVersion.TLSv1_1)
    ssl_object, _ = shake_hands(lenient, server, HOST)
    with pytest.raises(TlsFault, match=r"TLSv1\.1") as caught:
        judge_peer(ssl_object, host=HOST, now=NOW, allow_wildcards=False)
    assert caught.value.event is SecurityEventType.INVALID_TLS_VERSION


def test_refuses_a_suite_though_the_context_let_it_through() -> None:
    lenient = lenient_context(ssl.TLSVersion.TLSv1_2)
    server = server_context(
        make(HOST, issuer=ROOT), maximum=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"
    )
    ssl_object, _ = shake_hands(lenient, server, HOST)
    with pytest.raises(TlsFault, match="ECDHE-ECDSA-AES128-SHA") as caught:
        judge_peer(ssl_object, host=HOST, now=NOW, allow_wildcards=False)
    assert caught.value.event is SecurityEventType.INVALID_TLS_CIPHER_SUITE


def test_refuses_a_peer_without_a_verified_chain() -> None:
    unverified = lenient_context(ssl.TLSVersion.TLSv1_2)
    unverified.verify_mode = ssl.CERT_NONE
    ssl_object, _ = shake_hands(unverified, server_context(make(HOST)), HOST)
    with pytest.raises(TlsFault, match=r"cannot be read|is not for"):
        judge_peer(ssl_object, host="another.example.com", now=NOW, allow_wildcards=False)


def test_refuses_a_certificate_that_openssl_reads_and_we_cannot() -> None:
    class Odd:
        def version(self) -> str:
            return "TLSv1.3"

        def cipher(self) -> tuple[str, str, int]:
            return "TLS_AES_256_GCM_SHA384", "TLSv1.3", 256

        def compression(self) -> None:
            return None

        def get_verified_chain(self) -> list[bytes]:
            return [b"\x30\x03odd"]

    with pytest.raises(TlsFault, match="cannot be read") as caught:
        judge_peer(cast("ssl.SSLObject", Odd()), host=HOST, now=NOW, allow_wildcards=False)
    assert caught.value.event is INVALID_CERTIFICATE


def test_presents_the_charge_point_certificate(tmp_path: Path) -> None:
    pair = KeyPair(*write_pair(tmp_path, make("CP001", issuer=ROOT)))
    server = server_context(make(HOST, issuer=ROOT))
    server.load_verify_locations(cadata=ROOT.pem)
    server.verify_flags |= 0x200000
    server.verify_mode = ssl.CERT_REQUIRED
    _, server_end = shake_hands(client_context(roots=[ROOT.pem.encode()], client_certificate=pair), server, HOST)
    presented = server_end.getpeercert(binary_form=True)
    assert presented is not None
    assert "CN=CP001" in x509.load_der_x509_certificate(presented).subject.rfc4514_string()


def test_a_missing_or_foreign_key_is_a_fault_of_ours_and_no_event(tmp_path: Path) -> None:
    certificate_file, key_file = write_pair(tmp_path, make("CP001", issuer=ROOT))
    key_file.write_bytes(make("another").key_pem.reveal())
    for pair in (KeyPair(certificate_file, key_file), KeyPair(certificate_file, tmp_path / "missing")):
        with pytest.raises(TlsFault, match="Charge Point certificate") as caught:
            client_context(roots=(), client_certificate=pair)
        assert caught.value.event is None


def test_an_encrypted_key_is_refused_without_asking_a_terminal(tmp_path: Path) -> None:
    made = make("CP001", issuer=ROOT)
    certificate_file, key_file = write_pair(tmp_path, made)
    key_file.write_bytes(made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(TlsFault, match="cannot be loaded"):
        client_context(roots=(), client_certificate=KeyPair(certificate_file, key_file))


def lenient_context(maximum: ssl.TLSVersion) -> ssl.SSLContext:
    """A context that agrees to what ours never would, to see that the judgement does not rest on it."""
    context = client_context(roots=[ROOT.pem.encode()])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = maximum
    return context
