"""The roots of the certificate store: what is deleted and what never is, and the trees that stay apart."""

import errno
from pathlib import Path

import pytest

from security import durable
from security.errors import StorageReadOnly
from security.hash_data import CertificateHashData, HashAlgorithm
from security.outcome import DeleteResult, InstallResult
from security.store import CaDomain, CertificateStore, Policy
from tests.pki import NOW, Made, make, make_root

ROOT = make_root()
OTHER = make_root("Other")
LEAF = make("CP001", issuer=ROOT)


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    return CertificateStore.open(tmp_path / "certificates")


def reopened(store: CertificateStore) -> CertificateStore:
    return CertificateStore.open(store.directory)


def named(
    made: Made, issuer: Made | None = None, algorithm: HashAlgorithm = HashAlgorithm.SHA256
) -> CertificateHashData:
    return CertificateHashData.compute(made.certificate, (issuer or made).certificate, algorithm)


class TestDeletion:
    @pytest.mark.requirement("M04.FR.02")
    @pytest.mark.parametrize("algorithm", HashAlgorithm)
    def test_deletes_what_is_named_under_each_algorithm(
        self, store: CertificateStore, algorithm: HashAlgorithm
    ) -> None:
        for made in (ROOT, OTHER):
            store.install_root(CaDomain.CENTRAL_SYSTEM, made.pem, NOW)
        outcome = store.delete_root(named(ROOT, algorithm=algorithm))

        assert (outcome.result, outcome.deleted) == (DeleteResult.ACCEPTED, (ROOT.certificate,))
        for one in (store, reopened(store)):
            assert one.roots(CaDomain.CENTRAL_SYSTEM) == (OTHER.certificate,)
        assert not list(store.directory.rglob(f"{ROOT.certificate.fingerprint}*"))

    @pytest.mark.requirement("M04.FR.04")
    def test_does_not_find_what_is_not_there(self, store: CertificateStore) -> None:
        store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW)
        assert store.delete_root(named(OTHER)).result is DeleteResult.NOT_FOUND
        assert store.delete_root(named(ROOT)).result is DeleteResult.ACCEPTED
        assert store.delete_root(named(ROOT)).result is DeleteResult.NOT_FOUND

    def test_deletes_a_root_from_every_tree_that_it_stands_in(self, store: CertificateStore) -> None:
        for domain in CaDomain:
            store.install_root(domain, ROOT.pem, NOW)
        assert store.delete_root(named(ROOT)).deleted == (ROOT.certificate,)
        assert all(reopened(store).roots(domain) == () for domain in CaDomain)

    @pytest.mark.requirement("M04.FR.02")
    def test_finds_a_successor_by_its_issuer_although_that_one_is_gone(self, store: CertificateStore) -> None:
        successor = make_root("Successor", issuer=ROOT)
        for made in (ROOT, successor):
            assert store.install_root(CaDomain.CENTRAL_SYSTEM, made.pem, NOW).accepted
        store.delete_root(named(ROOT))

        for one in (reopened(store), store):
            assert one.hash_data(CaDomain.CENTRAL_SYSTEM) == (named(successor, ROOT),)
        assert store.delete_root(named(successor, ROOT, HashAlgorithm.SHA512)).result is DeleteResult.ACCEPTED

    @pytest.mark.requirement("M04.FR.05")
    @pytest.mark.parametrize("algorithm", HashAlgorithm)
    def test_never_deletes_the_charge_point_certificate(
        self, store: CertificateStore, algorithm: HashAlgorithm
    ) -> None:
        assert store.install_charge_point_certificate(LEAF.pem, LEAF.key_pem, NOW).accepted
        outcome = store.delete_root(named(LEAF, ROOT, algorithm))
        assert (outcome.result, outcome.reason) == (DeleteResult.FAILED, "it is the Charge Point certificate")
        assert reopened(store).charge_point_certificate(NOW) is not None

    @pytest.mark.requirement("M04.FR.06")
    def test_never_deletes_the_root_that_the_connection_rests_on(self, store: CertificateStore) -> None:
        store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW)
        outcome = store.delete_root(named(ROOT), in_use=ROOT.certificate.der)
        assert (outcome.result, outcome.reason) == (DeleteResult.FAILED, "the open connection rests on it")
        assert reopened(store).roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)

    def test_the_same_root_of_the_manufacturer_only_is_not_in_use(self, store: CertificateStore) -> None:
        store.install_root(CaDomain.MANUFACTURER, ROOT.pem, NOW)
        assert store.delete_root(named(ROOT), in_use=ROOT.certificate.der).result is DeleteResult.ACCEPTED

    @pytest.mark.requirement("M04.FR.03")
    def test_a_disk_that_removes_nothing_is_told(
        self, store: CertificateStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW)

        def refuse(operations: durable.Operations, path: Path) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(durable.Operations, "unlink", refuse)
        outcome = store.delete_root(named(ROOT))
        assert outcome.result is DeleteResult.FAILED
        assert StorageReadOnly.advice in outcome.reason
        assert store.roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)


class TestTrees:
    def test_a_root_signs_no_successor_in_another_tree(self, store: CertificateStore) -> None:
        successor = make_root("Successor", issuer=ROOT)
        store.install_root(CaDomain.MANUFACTURER, ROOT.pem, NOW)
        outcome = store.install_root(CaDomain.CENTRAL_SYSTEM, successor.pem, NOW)
        assert outcome.result is InstallResult.INVALID_CERTIFICATE_CHAIN
        assert store.install_root(CaDomain.MANUFACTURER, successor.pem, NOW).accepted

    @pytest.mark.requirement("M05.FR.08")
    def test_one_at_a_time_is_a_rule_for_the_central_system_only(self, tmp_path: Path) -> None:
        store = CertificateStore.open(tmp_path / "certificates", policy=lambda: Policy(one_at_a_time=True))
        for domain in (CaDomain.CENTRAL_SYSTEM, CaDomain.MANUFACTURER):
            assert store.install_root(domain, ROOT.pem, NOW).accepted
            assert store.install_root(domain, OTHER.pem, NOW).accepted is (domain is CaDomain.MANUFACTURER)

    def test_the_fallback_root_is_listed_and_not_in_force(self, tmp_path: Path) -> None:
        store = CertificateStore.open(tmp_path / "certificates", policy=lambda: Policy(one_at_a_time=True))
        successor = make_root("Successor", issuer=ROOT)
        for made in (ROOT, successor):
            store.install_root(CaDomain.CENTRAL_SYSTEM, made.pem, NOW)

        for one in (store, reopened(store)):
            assert one.fallback_root == ROOT.certificate
            assert one.root_pems(CaDomain.CENTRAL_SYSTEM) == (successor.pem.encode(),)
            assert set(one.hash_data(CaDomain.CENTRAL_SYSTEM)) == {named(ROOT), named(successor, ROOT)}
            assert {each["fallback"] for each in one.listing()["central_system"]} == {True, False}
        assert store.confirm_root(successor.certificate.der) == ROOT.certificate
        assert store.fallback_root is None
