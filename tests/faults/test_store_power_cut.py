"""A power cut at any instant of a change leaves the old certificate store or the new one, never half of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

import pytest

from security.provisioning import Provisioning
from security.store import CaDomain, CertificateStore
from tests.pki import DAY, NOW, make, make_root
from tests.recorder import Recorder

ROOT = make_root("First root")
NEW_ROOT = make_root("New root")
LEAF = make("CP001", issuer=ROOT, not_before=NOW - 2 * DAY)
INTERMEDIATE = make_root("Intermediate", issuer=ROOT)
NEW_LEAF = make("CP001", issuer=INTERMEDIATE)

Change = Callable[[CertificateStore, Path], bool]


@dataclass(frozen=True)
class Disk:
    """A state directory in its place, with or without a store that is in use."""

    directory: Path
    files: Path

    @property
    def store(self) -> Path:
        return self.directory / "certificates"


@pytest.fixture(params=["fresh", "in use"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "state", tmp_path / "files")
    disk.directory.mkdir()
    disk.files.mkdir()
    (disk.files / "roots.pem").write_text(NEW_ROOT.pem + make_root("Another").pem)
    if request.param == "in use":
        store = CertificateStore.open(disk.store)
        assert store.install_root(CaDomain.CENTRAL_SYSTEM, ROOT.pem, NOW).accepted
        assert store.install_charge_point_certificate(LEAF.pem, LEAF.key_pem, NOW).accepted
    return disk


def install_root(store: CertificateStore, files: Path) -> bool:
    return store.install_root(CaDomain.CENTRAL_SYSTEM, NEW_ROOT.pem, NOW).accepted


def install_charge_point_certificate(store: CertificateStore, files: Path) -> bool:
    chain = NEW_LEAF.pem + INTERMEDIATE.pem
    return store.install_charge_point_certificate(chain, NEW_LEAF.key_pem, NOW).accepted


def install_longer_chain(store: CertificateStore, files: Path) -> bool:
    """The same certificate comes again, this time with its intermediate: the one case of a replaced file."""
    assert store.install_charge_point_certificate(NEW_LEAF.pem, NEW_LEAF.key_pem, NOW).accepted
    return install_charge_point_certificate(store, files)


def presented(store: CertificateStore) -> object:
    """The certificate that would be presented, after TLS itself has loaded it with its key."""
    pair = store.charge_point_certificate(NOW)
    if pair is None:
        return None
    assert pair.key_file.stat().st_mode & 0o777 == 0o600
    SSLContext(PROTOCOL_TLS_CLIENT).load_cert_chain(pair.certificate_file, pair.key_file)
    return pair.chain


def content(store: CertificateStore) -> tuple[object, ...]:
    return store.roots(CaDomain.CENTRAL_SYSTEM), presented(store)


@pytest.mark.parametrize("change", [install_root, install_charge_point_certificate, install_longer_chain])
@pytest.mark.requirement("M05.FR.02")
def test_leaves_the_old_or_the_new_and_what_was_accepted_stays(disk: Disk, tmp_path: Path, change: Change) -> None:
    store = CertificateStore.open(disk.store)
    legal = [content(store)]
    if change is install_longer_chain:
        legal.append((legal[0][0], (NEW_LEAF.certificate,)))

    with Recorder(disk.directory) as recorder:
        assert change(store, disk.files)
    legal.append(content(store))

    cuts = 0
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        cuts += 1
        left = CertificateStore.open(cut.directory / "certificates")
        assert left.damage == (), cut.after
        assert content(left) in legal, cut.after
        assert content(left) == legal[-1] or not cut.finished
        # What was left can be opened again, and the second attempt succeeds.
        assert change(left, disk.files), cut.after
        assert content(CertificateStore.open(cut.directory / "certificates")) == legal[-1], cut.after
        assert not [path for path in cut.directory.rglob("*") if path.suffix == ".tmp"]
    assert cuts > len(recorder.steps)


def test_no_cut_ever_shows_a_key_to_others(disk: Disk, tmp_path: Path) -> None:
    store = CertificateStore.open(disk.store)
    with Recorder(disk.directory) as recorder:
        assert install_charge_point_certificate(store, disk.files)

    for cut in recorder.power_cuts(tmp_path / "cuts"):
        for path in cut.directory.rglob("*"):
            assert path.is_dir() or path.stat().st_mode & 0o077 == 0, cut.after


def test_the_key_of_an_unfinished_installation_is_collected_at_the_next_start(disk: Disk, tmp_path: Path) -> None:
    store = CertificateStore.open(disk.store)
    with Recorder(disk.directory) as recorder:
        assert install_charge_point_certificate(store, disk.files)

    name = f"{NEW_LEAF.certificate.fingerprint}.key"
    collected = 0
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        key_file = cut.directory / "certificates" / "charge_point" / name
        before = key_file.exists()
        pair = CertificateStore.open(cut.directory / "certificates").charge_point_certificate(NOW)
        installed = pair is not None and pair.key_file == key_file
        assert key_file.exists() == installed, cut.after
        collected += before and not installed
    assert collected


def provision(state: Path, files: Path) -> CertificateStore:
    store = CertificateStore.open(state)
    Provisioning.open(store).install_roots(CaDomain.CENTRAL_SYSTEM, [files / "roots.pem"], NOW)
    return store


def test_provisioning_that_was_cut_short_is_finished_by_the_next_start(disk: Disk, tmp_path: Path) -> None:
    old = set(CertificateStore.open(disk.store).roots(CaDomain.CENTRAL_SYSTEM))
    with Recorder(disk.directory) as recorder:
        store = provision(disk.store, disk.files)
    new = set(store.roots(CaDomain.CENTRAL_SYSTEM))
    assert len(new) == len(old) + 2

    for cut in recorder.power_cuts(tmp_path / "cuts"):
        state = cut.directory / "certificates"
        left = CertificateStore.open(state)
        assert old <= set(left.roots(CaDomain.CENTRAL_SYSTEM)) <= new, cut.after
        assert Provisioning.open(left).damage is None, cut.after
        assert set(provision(state, disk.files).roots(CaDomain.CENTRAL_SYSTEM)) == new, cut.after


def test_a_provisioned_root_that_is_deleted_later_does_not_come_back(disk: Disk, tmp_path: Path) -> None:
    with Recorder(disk.directory) as recorder:
        provision(disk.store, disk.files)

    for cut in recorder.power_cuts(tmp_path / "cuts"):
        if cut.finished:
            state = cut.directory / "certificates"
            (state / "central_system" / f"{NEW_ROOT.certificate.fingerprint}.pem").unlink()
            assert NEW_ROOT.certificate not in provision(state, disk.files).roots(CaDomain.CENTRAL_SYSTEM)
