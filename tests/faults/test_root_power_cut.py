"""A power cut at any instant of a deletion or a root replacement: the store tells the truth, and the agent connects."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chargepoint.clock import Clock
from chargepoint.link import Opening
from chargepoint.simulation.authority import Authority
from security.certificate import Certificate, parse_one
from security.hash_data import CertificateHashData
from security.store import CaDomain, CertificateStore, Policy
from tests.connecting import PKI, SETTINGS, attempt, serving
from tests.peer import Peer, over_tls, upgrading
from tests.recorder import Recorder
from tests.roots import successor_of

CENTRAL_SYSTEM = CaDomain.CENTRAL_SYSTEM
NOW = datetime.now(UTC)
OLD = PKI.central_system_root
NEW = successor_of(OLD, "New root")
THIRD = successor_of(NEW, "Third root")
OTHER = PKI.manufacturer_root

State = tuple[frozenset[CertificateHashData], str, tuple[bytes, ...]]


@dataclass(frozen=True)
class Change:
    """What is done while the current may go, and what was done before."""

    before: Callable[[CertificateStore], object]
    during: Callable[[CertificateStore], bool]
    one_at_a_time: bool = True
    one_at_a_time_before: bool = True


def install(*authorities: Authority) -> Callable[[CertificateStore], bool]:
    def change(store: CertificateStore) -> bool:
        return all(store.install_root(CENTRAL_SYSTEM, each.pem.decode(), NOW).accepted for each in authorities)

    return change


def delete(store: CertificateStore) -> bool:
    """Delete the successor; that it is gone already is as good."""
    data = CertificateHashData.compute(certificate(NEW), certificate(OLD))
    return store.delete_root(data).result in ("Accepted", "NotFound")


def confirm(store: CertificateStore) -> bool:
    store.confirm_root(certificate(NEW).der)
    return store.fallback_root is None


def certificate(authority: Authority) -> Certificate:
    return parse_one(authority.pem.decode())


CHANGES = {
    "the first root": Change(lambda store: None, install(OLD)),
    "another root": Change(install(OLD), install(OTHER), one_at_a_time=False),
    "a successor beside the old root": Change(install(OLD), install(NEW), one_at_a_time=False),
    "a deletion": Change(install(OLD, NEW), delete, one_at_a_time=False, one_at_a_time_before=False),
    "a deletion that undoes a replacement": Change(install(OLD, NEW), delete),
    "a replacement": Change(install(OLD), install(NEW)),
    "a second replacement before the first has worked": Change(install(OLD, NEW), install(THIRD)),
    "the end of the fallback root": Change(install(OLD, NEW), confirm),
    "the fallback root again, as an ordinary one": Change(install(OLD, NEW), install(OLD), one_at_a_time=False),
    "a root that was replaced once again": Change(install(OLD, NEW, THIRD), install(NEW), one_at_a_time=False),
}


def state(store: CertificateStore) -> State:
    fallback = store.fallback_root
    return (
        frozenset(store.hash_data(CENTRAL_SYSTEM)),
        fallback.fingerprint if fallback else "",
        store.root_pems(CENTRAL_SYSTEM),
    )


def opened(directory: Path, *, one_at_a_time: bool) -> CertificateStore:
    return CertificateStore.open(directory / "certificates", policy=lambda: Policy(one_at_a_time=one_at_a_time))


@pytest.mark.requirement("M04.FR.02", "M05.FR.02", "M05.FR.08", "M05.FR.11")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_leaves_the_roots_before_or_those_after(tmp_path: Path, change: Change) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    change.before(opened(directory, one_at_a_time=change.one_at_a_time_before))
    store = opened(directory, one_at_a_time=change.one_at_a_time)
    legal = [state(store)]
    with Recorder(directory) as recorder:
        assert change.during(store)
    legal.append(state(store))
    assert legal[0] != legal[1]

    for cut in recorder.power_cuts(tmp_path / "cuts"):
        left = opened(cut.directory, one_at_a_time=change.one_at_a_time)
        assert left.damage == (), cut.after
        assert state(left) in legal, cut.after
        assert state(left) == legal[1] or not cut.finished
        files = {path.stem for path in (cut.directory / "certificates" / "central_system").glob("*.pem")}
        assert files == {root.fingerprint for root in left.roots(CENTRAL_SYSTEM)}, cut.after
        # The second attempt succeeds.
        assert change.during(left), cut.after
        assert state(opened(cut.directory, one_at_a_time=change.one_at_a_time)) == legal[1], cut.after
        assert not list(cut.directory.rglob("*.tmp"))


@pytest.mark.requirement("M05.FR.11", "M05.FR.12", "M05.FR.13")
@pytest.mark.parametrize("change", ["a replacement", "a second replacement before the first has worked"])
async def test_connects_after_each_cut_to_the_old_central_system(tmp_path: Path, change: str) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    store = opened(directory, one_at_a_time=True)
    CHANGES[change].before(store)
    with Recorder(directory) as recorder:
        assert CHANGES[change].during(store)

    opening = Opening(SETTINGS, static_rsa=True, system_trust_store=False)
    with Peer(over_tls(serving(), upgrading)) as peer:
        for cut in recorder.power_cuts(tmp_path / "cuts"):
            left = opened(cut.directory, one_at_a_time=True)
            fallback = left.fallback_root
            link = await opening.open(
                attempt(
                    peer.port,
                    roots=left.root_pems(CENTRAL_SYSTEM),
                    fallback_roots=(fallback.pem.encode(),) if fallback else (),
                ),
                Clock(),
            )
            assert link.peer is not None
            assert link.peer.root == certificate(OLD).der, cut.after
            await link.close()
