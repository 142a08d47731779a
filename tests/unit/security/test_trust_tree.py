"""One tree on a real disk: replacing, confirming, deleting, and what a failing disk leaves."""

import errno
from pathlib import Path

import pytest

from security import durable
from security.errors import DurableError
from security.outcome import Installation, InstallResult
from security.root_set import RootSet
from security.trust_tree import TrustTree
from tests.pki import NOW, Made, make_root

OLD = make_root("Old root")
NEW = make_root("New root", issuer=OLD)
THIRD = make_root("Third root", issuer=NEW)


@pytest.fixture
def tree(tmp_path: Path) -> TrustTree:
    return TrustTree(tmp_path / "certificates" / "central_system")


def install(tree: TrustTree, made: Made, *, one_at_a_time: bool = True, room: int = 9) -> Installation:
    return tree.install(made.certificate, NOW, one_at_a_time=one_at_a_time, room=room)


def reloaded(tree: TrustTree) -> RootSet:
    other = TrustTree(tree._directory)
    assert other.load() == ()
    return other.roots


def shown(roots: RootSet) -> tuple[list[str], list[str]]:
    """The roots in force, and the fallback root."""
    fallback = [roots.fallback] if roots.fallback else []
    return [root.certificate.common_names[0] for root in roots.in_force], [
        root.certificate.common_names[0] for root in fallback
    ]


def check(tree: TrustTree, in_force: list[str], fallback: list[str]) -> None:
    """Memory and disk agree, down to the files."""
    assert shown(tree.roots) == (in_force, fallback)
    assert shown(reloaded(tree)) == (in_force, fallback)
    names = {root.fingerprint + ".pem" for root in tree.roots.roots}
    assert {path.name for path in tree._directory.iterdir()} == names


class Failing(durable.Operations):
    """A disk that refuses one kind of step."""

    def __init__(self, step: str) -> None:
        self._step = step

    def create(self, path: Path, mode: int) -> int:
        self._refuse("create")
        return super().create(path, mode)

    def unlink(self, path: Path) -> None:
        self._refuse("unlink")
        super().unlink(path)

    def _refuse(self, step: str) -> None:
        if step == self._step:
            raise OSError(errno.EIO, "Input/output error")


@pytest.mark.requirement("M05.FR.08", "M05.FR.11")
def test_the_replaced_root_stays_as_the_fallback_root(tree: TrustTree) -> None:
    install(tree, OLD)
    outcome = install(tree, NEW)
    assert (outcome.result, outcome.fallback, outcome.removed) == (InstallResult.ACCEPTED, OLD.certificate, ())
    check(tree, ["New root"], ["Old root"])


@pytest.mark.requirement("M05.FR.12")
def test_the_fallback_root_goes_when_the_new_one_has_verified_a_connection(tree: TrustTree) -> None:
    install(tree, OLD)
    install(tree, NEW)
    assert tree.confirm(OLD.certificate.der) is None
    check(tree, ["New root"], ["Old root"])
    assert tree.confirm(NEW.certificate.der) == OLD.certificate
    check(tree, ["New root"], [])
    assert tree.confirm(NEW.certificate.der) is None


def test_a_connection_by_a_root_that_is_not_installed_confirms_nothing(tree: TrustTree) -> None:
    install(tree, OLD)
    install(tree, NEW)
    assert tree.confirm(THIRD.certificate.der) is None
    check(tree, ["New root"], ["Old root"])


@pytest.mark.requirement("M05.FR.08", "M05.FR.11")
def test_a_second_replacement_before_the_first_ever_worked(tree: TrustTree) -> None:
    install(tree, OLD)
    install(tree, NEW)
    outcome = install(tree, THIRD)
    assert (outcome.fallback, outcome.removed) == (OLD.certificate, (NEW.certificate,))
    check(tree, ["Third root"], ["Old root"])
    assert tree.confirm(THIRD.certificate.der) == OLD.certificate
    check(tree, ["Third root"], [])


def test_a_second_replacement_after_the_first_has_worked(tree: TrustTree) -> None:
    install(tree, OLD)
    install(tree, NEW)
    tree.confirm(NEW.certificate.der)
    install(tree, THIRD)
    check(tree, ["Third root"], ["New root"])


@pytest.mark.requirement("M05.FR.03")
def test_a_full_store_takes_a_replacement_and_nothing_else(tree: TrustTree) -> None:
    install(tree, OLD)
    full = InstallResult.CERTIFICATE_STORE_MAX_LENGTH_EXCEEDED
    assert install(tree, make_root("Another"), one_at_a_time=False, room=0).result is full
    assert install(tree, NEW, room=0).accepted
    check(tree, ["New root"], ["Old root"])


def test_the_root_in_force_again_is_accepted_and_the_fallback_root_again_is_not(tree: TrustTree) -> None:
    install(tree, OLD)
    install(tree, NEW)
    again = install(tree, NEW)
    assert (again.accepted, again.is_new) == (True, False)
    assert not install(tree, OLD).accepted
    check(tree, ["New root"], ["Old root"])


def test_where_several_are_allowed_the_fallback_root_again_is_an_ordinary_one(tree: TrustTree) -> None:
    install(tree, OLD)
    install(tree, NEW)
    assert install(tree, OLD, one_at_a_time=False).accepted
    check(
        tree, ["Old root", "New root"] if OLD.certificate.rank < NEW.certificate.rank else ["New root", "Old root"], []
    )


def test_deleting_the_new_root_undoes_the_replacement(tree: TrustTree) -> None:
    install(tree, OLD)
    install(tree, NEW)
    assert tree.remove(tree.roots.in_force[0]) is None
    check(tree, ["Old root"], [])


def test_deleting_the_fallback_root_leaves_the_new_one(tree: TrustTree) -> None:
    install(tree, OLD)
    install(tree, NEW)
    assert tree.roots.fallback is not None
    tree.remove(tree.roots.fallback)
    check(tree, ["New root"], [])


def test_a_root_that_was_replaced_once_may_come_back(tree: TrustTree) -> None:
    for made in (OLD, NEW, THIRD):
        install(tree, made)
    tree.confirm(THIRD.certificate.der)
    for made in (NEW, OLD):
        accepted = install(tree, made, one_at_a_time=False).accepted
        assert accepted is (made is OLD)  # NEW's signer is not installed any more
    assert install(tree, NEW, one_at_a_time=False).accepted
    assert {root.certificate for root in reloaded(tree).in_force} == {each.certificate for each in (OLD, NEW, THIRD)}


def test_certificates_of_one_key_may_replace_each_other_to_and_fro(tree: TrustTree) -> None:
    first, second, third = (make_root("Root", key=OLD.key) for _ in range(3))
    for made in (first, second, third, second, third, second):
        assert install(tree, made).accepted
        assert {root.certificate for root in reloaded(tree).roots} <= {first.certificate, made.certificate}
    assert tree.confirm(second.certificate.der) == first.certificate
    assert reloaded(tree).roots == tree.roots.roots
    assert tree.roots.in_force[0].certificate == second.certificate


def test_what_could_not_be_removed_goes_at_the_next_start(tree: TrustTree, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tree, OLD)
    install(tree, NEW)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "operations", Failing("unlink"))
        assert install(tree, THIRD).accepted
    assert shown(tree.roots) == (["Third root"], ["Old root"])
    assert (tree._directory / f"{NEW.certificate.fingerprint}.pem").exists()
    assert shown(reloaded(tree)) == (["Third root"], ["Old root"])
    check(tree, ["Third root"], ["Old root"])


def test_what_could_not_be_removed_does_not_come_back_when_its_successor_goes(
    tree: TrustTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tree, OLD)
    install(tree, NEW)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "operations", Failing("unlink"))
        install(tree, THIRD)
    assert tree.remove(tree.roots.in_force[0]) is None
    check(tree, ["Old root"], [])


@pytest.mark.parametrize("made", [NEW, OLD], ids=["a replacement", "the fallback root again"])
def test_a_disk_that_takes_nothing_changes_nothing(
    tree: TrustTree, monkeypatch: pytest.MonkeyPatch, made: Made
) -> None:
    install(tree, OLD)
    if made is OLD:
        install(tree, NEW)
    before = shown(tree.roots)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "operations", Failing("create"))
        outcome = install(tree, made, one_at_a_time=made is NEW)
    assert outcome.result is InstallResult.WRITE_ERROR
    check(tree, *before)


def test_a_disk_that_removes_nothing_keeps_the_fallback_root(tree: TrustTree, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tree, OLD)
    install(tree, NEW)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "operations", Failing("unlink"))
        with pytest.raises(DurableError):
            tree.confirm(NEW.certificate.der)
    check(tree, ["New root"], ["Old root"])
    assert tree.confirm(NEW.certificate.der) == OLD.certificate
