"""What the installer puts in is installed once, and never again behind the Central System's back."""

import errno
from pathlib import Path

import pytest

from security import durable
from security.outcome import InstallResult
from security.provisioning import Provisioned, Provisioning
from security.store import CaDomain, CertificateStore
from tests.pki import DAY, NOW, Made, make, make_root

ROOT = make_root()
OTHER = make_root("Other")
LEAF = make("CP001", issuer=ROOT)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "files"
    directory.mkdir()
    for name, text in (("root.pem", ROOT.pem), ("bundle.pem", ROOT.pem + OTHER.pem), ("cp.pem", LEAF.pem)):
        (directory / name).write_text(text)
    (directory / "cp.key").write_bytes(LEAF.key_pem.reveal())
    return directory


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "certificates"


def start(state: Path) -> tuple[CertificateStore, Provisioning]:
    store = CertificateStore.open(state)
    return store, Provisioning.open(store)


def delete(store: CertificateStore, made: Made) -> None:
    """What a DeleteCertificate.req will do."""
    durable.remove(store.directory / "central_system" / f"{made.certificate.fingerprint}.pem")


def results(outcomes: tuple[Provisioned, ...]) -> list[InstallResult | None]:
    return [one.installation.result if one.installation else None for one in outcomes]


def test_installs_each_root_once(state: Path, files: Path) -> None:
    both = [files / "root.pem", files / "bundle.pem"]
    store, provisioning = start(state)

    outcomes = provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, both, NOW)

    assert results(outcomes) == [InstallResult.ACCEPTED, None, InstallResult.ACCEPTED]
    assert [one.file.name for one in outcomes] == ["root.pem", "bundle.pem", "bundle.pem"]
    assert set(store.roots(CaDomain.CENTRAL_SYSTEM)) == {ROOT.certificate, OTHER.certificate}
    _, provisioning = start(state)
    assert results(provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, both, NOW)) == [None, None, None]


def test_a_root_that_was_deleted_does_not_come_back(state: Path, files: Path) -> None:
    store, provisioning = start(state)
    provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [files / "root.pem"], NOW)
    delete(store, ROOT)

    store, provisioning = start(state)
    provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [files / "bundle.pem"], NOW)
    assert store.roots(CaDomain.CENTRAL_SYSTEM) == (OTHER.certificate,)


def test_nothing_is_removed_when_a_file_is_no_longer_named(state: Path, files: Path) -> None:
    _, provisioning = start(state)
    provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [files / "root.pem"], NOW)
    store, provisioning = start(state)
    provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [], NOW)
    assert store.roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)


def test_one_root_for_two_domains_is_provisioned_twice(state: Path, files: Path) -> None:
    store, provisioning = start(state)
    for domain in (CaDomain.CENTRAL_SYSTEM, CaDomain.MANUFACTURER):
        provisioning.install_roots(domain, [files / "root.pem"], NOW)
        assert store.roots(domain) == (ROOT.certificate,)


def test_the_charge_point_certificate_is_installed_once(state: Path, files: Path) -> None:
    certificate, key = files / "cp.pem", files / "cp.key"
    store, provisioning = start(state)
    outcome = provisioning.install_charge_point_certificate(certificate, key, NOW, serial_number="CP001")
    assert results((outcome,)) == [InstallResult.ACCEPTED]
    assert store.charge_point_certificate(NOW) is not None

    key.unlink()  # the installer may take the files away, or only the key
    _, provisioning = start(state)
    assert provisioning.install_charge_point_certificate(certificate, key, NOW).installation is None


def test_what_was_refused_is_tried_again_at_the_next_start(state: Path, files: Path) -> None:
    expired = make_root(not_after=NOW)
    (files / "root.pem").write_text(expired.pem)
    for now, result in ((NOW + DAY, InstallResult.EXPIRED), (NOW, InstallResult.ACCEPTED), (NOW, None)):
        _, provisioning = start(state)
        outcomes = provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [files / "root.pem"], now)
        assert results(outcomes) == [result]


def test_a_file_that_cannot_be_used_is_one_outcome_and_the_others_are_installed(state: Path, files: Path) -> None:
    (files / "bundle.pem").write_text("no PEM")
    store, provisioning = start(state)
    outcomes = provisioning.install_roots(
        CaDomain.CENTRAL_SYSTEM, [files / "missing.pem", files / "bundle.pem", files / "root.pem"], NOW
    )
    assert results(outcomes) == [InstallResult.INVALID_FORMAT, InstallResult.INVALID_FORMAT, InstallResult.ACCEPTED]
    assert outcomes[0].installation is not None
    assert "No such file" in outcomes[0].installation.reason
    assert store.roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)


@pytest.mark.parametrize("missing", ["cp.pem", "cp.key"])
def test_a_missing_half_of_the_charge_point_certificate_is_told(state: Path, files: Path, missing: str) -> None:
    (files / missing).unlink()
    _, provisioning = start(state)
    outcome = provisioning.install_charge_point_certificate(files / "cp.pem", files / "cp.key", NOW)
    assert outcome.installation is not None
    assert outcome.installation.result is InstallResult.INVALID_FORMAT
    assert missing in outcome.installation.reason


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000])
def test_a_damaged_memory_is_set_aside_and_provisioned_anew(state: Path, files: Path, content: bytes) -> None:
    _, provisioning = start(state)
    provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [files / "root.pem"], NOW)
    (state / "provisioned.json").write_bytes(content)

    store, provisioning = start(state)
    assert provisioning.damage is not None
    assert provisioning.damage.path.read_bytes() == content
    outcomes = provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [files / "root.pem"], NOW)
    assert results(outcomes) == [InstallResult.ACCEPTED]
    assert store.roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)
    assert start(state)[1].damage is None


class ForgetfulDisk(durable.Operations):
    """A disk that is full when the memory is to be written."""

    def create(self, path: Path, mode: int) -> int:
        if "provisioned" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path, mode)


def test_a_memory_that_cannot_be_written_is_told_and_tried_again(
    state: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(durable, "operations", ForgetfulDisk())
        store, provisioning = start(state)
        outcomes = provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [files / "root.pem"], NOW)
        assert results(outcomes) == [InstallResult.WRITE_ERROR]
        assert store.roots(CaDomain.CENTRAL_SYSTEM) == (ROOT.certificate,)

    _, provisioning = start(state)
    outcomes = provisioning.install_roots(CaDomain.CENTRAL_SYSTEM, [files / "root.pem"], NOW)
    assert results(outcomes) == [InstallResult.ACCEPTED]
