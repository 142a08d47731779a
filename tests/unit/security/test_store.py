"""The certificate store: what it takes, what it refuses, what it hands out, and how it lives with damage."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

import pytest

from security import durable
from security.errors import StorageFull
from security.hash_data import CertificateHashData
from security.outcome import Installation, InstallResult
from security.store import MAX_CHARGE_POINT_CERTIFICATES, CaDomain, CertificateStore, Policy
from tests.pki import DAY, NOW, Made, SigningKey, make, make_root, rsa_key

VECTORS = Path(__file__).parent / "vectors"
ROOT = make_root()
LEAF = make("CP001", issuer=ROOT)


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    return CertificateStore.open(tmp_path / "certificates")


class FullDisk(durable.Operations):
    """A disk on which nothing can be written from a given number of files on."""

    def __init__(self, files_left: int = 0) -> None:
        self._files_left = files_left

    def create(self, path: Path, mode: int) -> int:
        if self._files_left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._files_left -= 1
        return super().create(path, mode)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "operations", FullDisk())


def reopened(store: CertificateStore) -> CertificateStore:
    return CertificateStore.open(store.directory)


def install(store: CertificateStore, made: Made, *others: Made, serial_number: str | None = None) -> Installation:
    chain = "".join(one.pem for one in (made, *others))
    return store.install_charge_point_certificate(chain, made.key_pem, NOW, serial_number=serial_number)


def snapshot(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class TestRoots:
    def test_a_store_without_a_directory_is_empty_and_makes_none(self, store: CertificateStore) -> None:
        assert all(store.roots(domain) == () for domain in CaDomain)
        assert store.charge_point_certificate(NOW) is None
        assert not store.directory.exists()

    @pytest.mark.requirement("M05.FR.02", "A00.FR.507")
    def test_an_accepted_root_is_on_the_disk_as_plain_pem_for_its_owner_only(self, store: CertificateStore) -> None:
        outcome = store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem.replace("\n", "\r\n"), NOW)

        assert outcome.accepted
        assert outcome.certificate == ROOT.certificate
        assert (outcome.reason, outcome.remarks) == ("", ())
        assert store.roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)
        assert reopened(store).roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)
        (file,) = (store.directory / "central_system").iterdir()
        assert file.name == f"{ROOT.certificate.fingerprint}.pem"
        assert file.read_text() == ROOT.pem
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700

    def test_the_same_again_is_accepted_and_stored_once(self, store: CertificateStore) -> None:
        for _ in range(2):
            assert store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW).accepted
        assert store.roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)

    def test_a_root_vouches_in_its_own_domain_only(self, store: CertificateStore) -> None:
        store.install_root(CaDomain.MANUFACTURER, ROOT.pem, NOW)

        for one in (store, reopened(store)):
            assert one.roots(CaDomain.MANUFACTURER) == (ROOT.certificate,)
            assert one.root_pems(CaDomain.CENTRAL_SYSTEM) == ()
            assert one.root_pems(CaDomain.V2G) == one.root_pems(CaDomain.MO) == ()

    def test_the_same_root_may_vouch_in_two_domains(self, store: CertificateStore) -> None:
        for domain in CaDomain:
            assert store.install_root(domain, ROOT.pem, NOW).accepted
        assert all(reopened(store).roots(domain) == (ROOT.certificate,) for domain in CaDomain)

    def test_hands_out_what_a_tls_context_takes(self, store: CertificateStore) -> None:
        store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW)
        context = SSLContext(PROTOCOL_TLS_CLIENT)
        for pem in store.root_pems(CaDomain.CENTRAL_SYSTEM):
            context.load_verify_locations(cadata=pem.decode())
        assert context.cert_store_stats()["x509_ca"] == 1

    def test_roots_come_oldest_first(self, store: CertificateStore) -> None:
        made = [make_root(f"Root {day}", not_before=NOW - day * DAY) for day in (2, 3, 1)]
        for one in made:
            store.install_root(CaDomain.CENTRAL_SYSTEM, one.pem, NOW)

        expected = tuple(made[number].certificate for number in (1, 0, 2))
        assert store.roots(CaDomain.CENTRAL_SYSTEM) == expected
        assert reopened(store).roots(CaDomain.CENTRAL_SYSTEM) == expected

    def test_a_remark_is_handed_on_with_the_acceptance(self, store: CertificateStore) -> None:
        outcome = store.install_root(CaDomain.CENTRAL_SYSTEM, make_root(organisation=None).pem, NOW)
        assert outcome.accepted
        assert outcome.remarks == ("the subject has no organisation (O)",)

    @pytest.mark.requirement("M05.FR.06")
    @pytest.mark.parametrize(
        ("pem", "result", "reason"),
        [
            ("no PEM", InstallResult.INVALID_FORMAT, "no certificate in PEM"),
            (ROOT.pem * 2, InstallResult.INVALID_FORMAT, "2 certificates came"),
            (LEAF.pem, InstallResult.INVALID_CERTIFICATE_CHAIN, "not a root"),
            (make().pem, InstallResult.INVALID_CERTIFICATE_CHAIN, "not a root"),
            (make_root(issuer=make_root()).pem, InstallResult.INVALID_SIGNATURE, "not made by its own key"),
            (make_root("Intermediate", issuer=ROOT).pem, InstallResult.INVALID_CERTIFICATE_CHAIN, "not a root"),
            (make_root(not_after=NOW - DAY / 2).pem, InstallResult.EXPIRED, "it expired at"),
            (make_root(key=rsa_key(1024)).pem, InstallResult.INVALID_FORMAT, "1024 bits"),
            (make_root(usages=["digital_signature"]).pem, InstallResult.INVALID_FORMAT, "KeyUsage"),
            ((VECTORS / "sha1_root.pem").read_text(), InstallResult.INVALID_FORMAT, "SHA1"),
        ],
    )
    def test_refuses_and_says_why(self, store: CertificateStore, pem: str, result: InstallResult, reason: str) -> None:
        outcome = store.install_root(CaDomain.CENTRAL_SYSTEM, pem, NOW)

        assert outcome.result is result
        assert reason in outcome.reason
        assert not outcome.accepted
        assert not store.directory.exists()

    def test_a_clock_that_is_not_set_refuses_no_root(self, store: CertificateStore) -> None:
        expired = make_root(not_after=NOW - DAY / 2)
        assert store.install_root(CaDomain.CENTRAL_SYSTEM, expired.pem, None).accepted

    def test_what_is_installed_stays_when_it_expires(self, store: CertificateStore) -> None:
        store.install_root(CaDomain.CENTRAL_SYSTEM, make_root(not_after=NOW + DAY).pem, NOW)
        assert len(reopened(store).roots(CaDomain.CENTRAL_SYSTEM)) == 1

    @pytest.mark.requirement("M05.FR.03")
    def test_a_full_store_refuses_another_root_but_not_the_same(self, tmp_path: Path) -> None:
        store = CertificateStore.open(tmp_path / "certificates", policy=lambda: Policy(max_roots=2))
        store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW)
        store.install_root(CaDomain.MANUFACTURER, ROOT.pem, NOW)

        outcome = store.install_root(CaDomain.CENTRAL_SYSTEM, make_root().pem, NOW)
        assert outcome.result is InstallResult.CERTIFICATE_STORE_MAX_LENGTH_EXCEEDED
        assert "CertificateStoreMaxLength" in outcome.reason
        assert store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW).accepted

    @pytest.mark.requirement("M05.FR.04")
    @pytest.mark.usefixtures("full_disk")
    def test_a_full_disk_changes_nothing_and_is_told(self, store: CertificateStore) -> None:
        outcome = store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW)

        assert outcome.result is InstallResult.WRITE_ERROR
        assert StorageFull.advice in outcome.reason
        assert store.roots(CaDomain.CENTRAL_SYSTEM) == ()
        assert snapshot(store.directory) == {}


class TestChargePointCertificates:
    @pytest.mark.parametrize("key", [None, rsa_key()], ids=["EC", "RSA"])
    def test_an_accepted_pair_can_be_loaded_by_a_tls_context(
        self, store: CertificateStore, key: SigningKey | None
    ) -> None:
        issuer = make_root("Intermediate", issuer=ROOT)
        made = make("CP001", issuer=issuer, key=key)
        text = ROOT.pem + issuer.pem + made.pem
        outcome = store.install_charge_point_certificate(text, made.key_pem, NOW, serial_number="CP001")

        assert outcome.accepted
        for one in (store, reopened(store)):
            pair = one.charge_point_certificate(NOW)
            assert pair is not None
            assert pair.chain == (made.certificate, issuer.certificate)
            assert pair.leaf == made.certificate
            assert pair.key_file.stat().st_mode & 0o777 == 0o600
            SSLContext(PROTOCOL_TLS_CLIENT).load_cert_chain(pair.certificate_file, pair.key_file)

    def test_the_same_again_is_accepted_and_writes_nothing(self, store: CertificateStore) -> None:
        install(store, LEAF)
        before = {path: path.stat().st_ino for path in store.directory.rglob("*")}
        assert install(store, LEAF).accepted
        assert {path: path.stat().st_ino for path in store.directory.rglob("*")} == before

    def test_the_same_certificate_with_a_longer_chain_replaces_the_shorter(self, store: CertificateStore) -> None:
        issuer = make_root("Intermediate", issuer=ROOT)
        made = make(issuer=issuer)
        install(store, made)
        install(store, made, issuer)

        for one in (store, reopened(store)):
            pair = one.charge_point_certificate(NOW)
            assert pair is not None
            assert len(pair.chain) == 2
            assert len(one.listing()["charge_point"]) == 1

    @pytest.mark.requirement("A02.FR.09")
    def test_several_may_be_installed_and_the_newest_valid_one_is_presented(self, store: CertificateStore) -> None:
        old, new = (make(not_before=NOW - days * DAY) for days in (20, 10))
        to_come = make(not_before=NOW + DAY)
        for one in (new, old, to_come):
            assert install(store, one).accepted

        for now, expected in ((NOW, new), (NOW + DAY, to_come)):
            pair = reopened(store).charge_point_certificate(now)
            assert pair is not None
            assert pair.leaf == expected.certificate

    @pytest.mark.parametrize(
        ("made", "result", "reason"),
        [
            (make(organisation=None), InstallResult.INVALID_FORMAT, "no organisation"),
            (make("10.0.0.1"), InstallResult.INVALID_FORMAT, "IP address"),
            (make(not_after=NOW - timedelta(seconds=1)), InstallResult.EXPIRED, "it expired at"),
        ],
    )
    @pytest.mark.requirement("A00.FR.509", "A00.FR.511")
    def test_refuses_a_certificate_that_breaks_a_rule(
        self, store: CertificateStore, made: Made, result: InstallResult, reason: str
    ) -> None:
        outcome = install(store, made)
        assert outcome.result is result
        assert reason in outcome.reason
        assert store.charge_point_certificate(NOW) is None
        assert not store.directory.exists()

    @pytest.mark.requirement("A00.FR.511")
    def test_refuses_the_certificate_of_another_charge_point(self, store: CertificateStore) -> None:
        outcome = install(store, LEAF, serial_number="CP002")
        assert outcome.result is InstallResult.INVALID_COMMON_NAME
        assert install(store, LEAF, serial_number="CP001").accepted

    def test_refuses_a_key_of_somebody_else_without_a_word_of_it(self, store: CertificateStore) -> None:
        key = make().key_pem
        outcome = store.install_charge_point_certificate(LEAF.pem, key, NOW)
        assert outcome.result is InstallResult.INVALID_FORMAT
        assert key.reveal().decode().splitlines()[1] not in repr(outcome)

    def test_takes_a_bounded_number(self, store: CertificateStore) -> None:
        for _ in range(MAX_CHARGE_POINT_CERTIFICATES):
            assert install(store, make()).accepted
        assert install(store, make()).result is InstallResult.CERTIFICATE_STORE_MAX_LENGTH_EXCEEDED

    @pytest.mark.parametrize("files_left", [0, 1], ids=["no key", "a key but no chain"])
    def test_a_full_disk_leaves_neither_key_nor_chain(
        self, store: CertificateStore, monkeypatch: pytest.MonkeyPatch, files_left: int
    ) -> None:
        monkeypatch.setattr(durable, "operations", FullDisk(files_left))

        assert install(store, LEAF).result is InstallResult.WRITE_ERROR
        assert store.charge_point_certificate(NOW) is None
        assert snapshot(store.directory) == {}


class TestListing:
    def test_lists_everything_by_domain_as_plain_data(self, store: CertificateStore) -> None:
        store.install_root(CaDomain.MANUFACTURER, ROOT.pem, NOW)
        install(store, LEAF)

        listing = store.listing()
        assert list(listing) == ["central_system", "manufacturer", "v2g", "mo", "charge_point_roots", "charge_point"]
        (root,) = listing["manufacturer"]
        assert root == {
            "subject": "O=Example CPO,CN=Example CPO Root",
            "issuer": "O=Example CPO,CN=Example CPO Root",
            "serial_number": ROOT.certificate.serial_number,
            "not_before": "2030-05-31T12:00:00Z",
            "not_after": "2040-05-29T12:00:00Z",
            "fingerprint": ROOT.certificate.fingerprint,
            "fallback": False,
            "certificate_hash_data": CertificateHashData.compute(ROOT.certificate, ROOT.certificate).to_mapping(),
        }
        (leaf,) = listing["charge_point"]
        assert leaf["subject"] == "O=Example CPO,CN=CP001"
        assert leaf["key_place"] == "file"
        assert "certificate_hash_data" not in leaf

    def test_reads_no_disk_after_the_first(self, store: CertificateStore, monkeypatch: pytest.MonkeyPatch) -> None:
        store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW)
        install(store, LEAF)

        def read(path: Path, *, limit_bytes: int) -> bytes:
            raise AssertionError(f"{path} was read ({limit_bytes})")

        monkeypatch.setattr(durable, "read", read)
        assert store.listing()["central_system"]
        assert store.hash_data(CaDomain.CENTRAL_SYSTEM)
        assert store.root_pems(CaDomain.CENTRAL_SYSTEM)
        assert store.charge_point_certificate(NOW)


def test_many_threads_install_at_once_and_nothing_is_lost(store: CertificateStore) -> None:
    made = [make_root(f"Root {number}") for number in range(8)]
    together = threading.Barrier(8)

    def work(one: Made) -> bool:
        together.wait(timeout=10)
        return store.install_root(CaDomain.CENTRAL_SYSTEM, one.pem, NOW).accepted

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, made))
    assert set(store.roots(CaDomain.CENTRAL_SYSTEM)) == {one.certificate for one in made}
    assert set(reopened(store).roots(CaDomain.CENTRAL_SYSTEM)) == {one.certificate for one in made}


def test_secrets_are_in_no_outcome(store: CertificateStore) -> None:
    outcome = install(store, LEAF)
    body = LEAF.key_pem.reveal().decode().splitlines()[1]
    assert body not in repr((outcome, store.listing(), store.charge_point_certificate(NOW)))
