"""The files of the certificate store: what is damaged is set aside with a clear word, and the rest goes on."""

from pathlib import Path

import pytest

from security import durable
from security.errors import DurableError
from security.store import CaDomain, CertificateStore, Policy
from tests.pki import NOW, make, make_root

ROOT = make_root()
LEAF = make("CP001", issuer=ROOT)


def reopened(store: CertificateStore) -> CertificateStore:
    return CertificateStore.open(store.directory)


@pytest.fixture
def used(tmp_path: Path) -> CertificateStore:
    store = CertificateStore.open(tmp_path / "certificates")
    assert store.damage == ()
    store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW)
    store.install_root(CaDomain.CENTRAL_SYSTEM, make_root("Other").pem, NOW)
    store.install_charge_point_certificate(LEAF.pem, LEAF.key_pem, NOW)
    return store


@pytest.mark.parametrize(
    "content", [b"", bytes(500), b"\xff\xfe", ROOT.pem[:300].encode(), make_root().pem.encode(), b"x" * 200_000]
)
def test_a_damaged_root_is_set_aside_and_the_rest_goes_on(used: CertificateStore, content: bytes) -> None:
    path = used.directory / "central_system" / f"{ROOT.certificate.fingerprint}.pem"
    path.write_bytes(content)

    store = reopened(used)
    (damage,) = store.damage
    assert damage.path == path.with_name(f"{path.name}.damaged-1")
    assert str(damage).startswith(f"{damage.path}: damaged and set aside: ")
    assert "\n" not in str(damage)
    assert damage.path.read_bytes() == content
    assert [root.common_names for root in store.roots(CaDomain.CENTRAL_SYSTEM)] == [("Other",)]
    assert store.charge_point_certificate(NOW) is not None
    assert reopened(store).damage == ()


def test_a_damaged_successor_is_set_aside_and_the_root_before_it_is_in_force_again(tmp_path: Path) -> None:
    store = CertificateStore.open(tmp_path / "certificates", policy=lambda: Policy(one_at_a_time=True))
    successor = make_root("Successor", issuer=ROOT)
    for made in (ROOT, successor):
        assert store.install_root(CaDomain.CENTRAL_SYSTEM, made.pem, NOW).accepted
    assert store.fallback_root == ROOT.certificate
    path = store.directory / "central_system" / f"{successor.certificate.fingerprint}.pem"
    path.write_text(path.read_text().replace("fallback: ", "fallback: 0"))

    left = reopened(store)
    assert "checksum" in str(*left.damage)
    assert (left.roots(CaDomain.CENTRAL_SYSTEM), left.fallback_root) == ((ROOT.certificate,), None)


def test_a_root_that_was_lost_can_be_installed_again(used: CertificateStore) -> None:
    (used.directory / "central_system" / f"{ROOT.certificate.fingerprint}.pem").write_bytes(b"")
    store = reopened(used)
    assert store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW).accepted
    assert ROOT.certificate in reopened(store).roots(CaDomain.CENTRAL_SYSTEM)


def test_a_damaged_chain_is_set_aside_and_its_key_is_kept(used: CertificateStore) -> None:
    pair = used.charge_point_certificate(NOW)
    assert pair is not None
    pair.certificate_file.write_bytes(b"half")

    for store in (reopened(used), reopened(used)):
        assert store.charge_point_certificate(NOW) is None
        assert pair.key_file.exists()
    pair.certificate_file.write_text(LEAF.pem)
    assert reopened(used).charge_point_certificate(NOW) == pair


@pytest.mark.parametrize("content", [b"", b"half", make().key_pem.reveal()])
def test_a_chain_without_its_key_is_set_aside(used: CertificateStore, content: bytes) -> None:
    pair = used.charge_point_certificate(NOW)
    assert pair is not None
    pair.key_file.write_bytes(content)

    store = reopened(used)
    assert store.charge_point_certificate(NOW) is None
    assert "private key" in store.damage[0].reason
    assert len(store.roots(CaDomain.CENTRAL_SYSTEM)) == 2


def test_a_chain_whose_key_is_gone_is_set_aside(used: CertificateStore) -> None:
    pair = used.charge_point_certificate(NOW)
    assert pair is not None
    pair.key_file.unlink()
    assert reopened(used).damage[0].reason.endswith("its private key is not there")


def test_the_key_of_an_installation_that_was_cut_short_is_collected(used: CertificateStore) -> None:
    orphan = used.directory / "charge_point" / f"{'0' * 64}.key"
    orphan.write_bytes(make().key_pem.reveal())

    assert reopened(used).damage == ()
    assert not orphan.exists()
    assert reopened(used).charge_point_certificate(NOW) is not None


def test_a_file_that_cannot_be_read_is_left_where_it_is(
    used: CertificateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = durable.read

    def fail(path: Path, *, limit_bytes: int) -> bytes:
        if path.stem == ROOT.certificate.fingerprint or path.suffix == ".key":
            raise DurableError(str(path), "cannot be read: Input/output error")
        return read(path, limit_bytes=limit_bytes)

    monkeypatch.setattr(durable, "read", fail)
    store = reopened(used)
    assert [damage.reason for damage in store.damage] == ["cannot be read: Input/output error"] * 2
    assert len(store.roots(CaDomain.CENTRAL_SYSTEM)) == 1
    assert store.charge_point_certificate(NOW) is None

    monkeypatch.undo()
    assert reopened(used).listing() == used.listing()


def test_what_a_power_cut_left_is_swept_up(used: CertificateStore) -> None:
    for directory in ("central_system", "charge_point"):
        (used.directory / directory / f".{'0' * 64}.pem.0123.tmp").write_bytes(b"half")
    before = used.listing()
    store = reopened(used)
    assert store.listing() == before
    assert not list(store.directory.rglob("*.tmp"))


def test_a_directory_that_is_a_file_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "central_system").write_bytes(b"")
    with pytest.raises(DurableError):
        CertificateStore.open(tmp_path)
