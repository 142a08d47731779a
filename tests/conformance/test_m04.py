"""M04: the Central System deletes a root certificate."""

from pathlib import Path

import pytest

from chargepoint.simulation import certificate_hash
from chargepoint.simulation.authority import Authority
from chargepoint.simulation.recorder import Upgrade
from tests import bad_disk
from tests.certificate_site import (
    CENTRAL_SYSTEM,
    CONNECTED_BY,
    IDENTITY,
    MANUFACTURER,
    PKI,
    ROOT_TYPES,
    RootType,
    named,
    site,
)
from tests.roots import successor_of

OTHER = Authority.root("Other root", "Example CPO")


@pytest.mark.requirement("M04.FR.01", "M04.FR.02", "M04.FR.04")
@pytest.mark.parametrize("root_type", ROOT_TYPES)
async def test_deletes_what_is_named_and_then_finds_it_no_more(tmp_path: Path, root_type: RootType) -> None:
    async with site(tmp_path) as here:
        before = await here.listed(root_type)
        for algorithm in certificate_hash.ALGORITHMS:
            for spelling in (str.lower, str.upper):
                assert await here.install(OTHER, root_type) == "Accepted"
                data = certificate_hash.hash_data(OTHER.pem, algorithm=algorithm)
                data = {key: value if key == "hashAlgorithm" else spelling(value) for key, value in data.items()}
                assert await here.delete(data) == "Accepted"
                assert await here.lists(*before, root_type=root_type)
                assert await here.delete(data) == "NotFound"
        assert len(here.files(root_type)) == len(before)
        assert any("root deleted by the Central System" in change for change in await here.changes())


@pytest.mark.requirement("M04.FR.02", "M04.FR.07")
async def test_deletes_by_the_entry_of_the_list(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.install(OTHER)
        entry = certificate_hash.find(await here.listed(), OTHER.pem)
        assert entry is not None
        assert await here.delete(entry) == "Accepted"
        assert await here.lists(named(CONNECTED_BY))


@pytest.mark.requirement("M04.FR.02")
async def test_deletes_a_cross_signed_root_whose_issuer_is_gone(tmp_path: Path) -> None:
    successor = successor_of(OTHER)
    async with site(tmp_path) as here:
        for root in (OTHER, successor):
            assert await here.install(root) == "Accepted"
        assert await here.delete(named(OTHER)) == "Accepted"
        assert await here.lists(named(CONNECTED_BY), named(successor, OTHER))
        data = certificate_hash.hash_data(successor.pem, OTHER.pem, "SHA384")
        assert await here.delete(data) == "Accepted"
        assert await here.lists(named(CONNECTED_BY))


@pytest.mark.requirement("M04.FR.03")
async def test_a_disk_that_refuses_is_told_and_the_root_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = tmp_path / "bad"
    monkeypatch.setenv(bad_disk.VARIABLE, str(switch))
    async with site(tmp_path, program=bad_disk.PROGRAM) as here:
        await here.install(OTHER)
        switch.touch()
        assert await here.delete(named(OTHER)) == "Failed"
        assert await here.lists(named(CONNECTED_BY), named(OTHER))
        await here.agent.logged("Read-only file system")
        switch.unlink()
        assert await here.delete(named(OTHER)) == "Accepted"


@pytest.mark.requirement("M04.FR.04")
async def test_a_name_that_fits_no_root_in_every_part_is_not_found(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.install(OTHER)
        for part in ("issuerNameHash", "issuerKeyHash", "serialNumber"):
            assert await here.delete({**named(OTHER), part: named(CONNECTED_BY)[part]}) == "NotFound"
        assert await here.lists(named(CONNECTED_BY), named(OTHER))


@pytest.mark.requirement("M04.FR.05")
@pytest.mark.parametrize("algorithm", certificate_hash.ALGORITHMS)
async def test_the_charge_point_certificate_cannot_be_deleted(
    tmp_path: Path, algorithm: certificate_hash.Algorithm
) -> None:
    async with site(tmp_path, profile=3) as here:
        own = here.certificate.certificate_pem
        assert await here.delete(certificate_hash.hash_data(own, CONNECTED_BY.pem, algorithm)) == "Failed"
        await here.reconnects()
        upgrades = here.central_system.recorder
        for _ in range(2):
            upgrade = await upgrades.take(Upgrade)
            assert upgrade.tls is not None
            assert upgrade.tls.client_certificate == certificate_hash.to_der(own)


@pytest.mark.requirement("M04.FR.06")
async def test_the_root_that_the_connection_rests_on_cannot_be_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.install(OTHER)
        for algorithm in certificate_hash.ALGORITHMS:
            assert await here.delete(certificate_hash.hash_data(CONNECTED_BY.pem, algorithm=algorithm)) == "Failed"
        assert await here.lists(named(CONNECTED_BY), named(OTHER))
        # Another connection rests on another root.
        await here.reconnects(PKI.server_certificate(issuer=OTHER))
        assert await here.delete(named(OTHER)) == "Failed"
        assert await here.delete(named(CONNECTED_BY)) == "Accepted"
        assert await here.lists(named(OTHER))


@pytest.mark.requirement("M04.FR.06")
async def test_of_a_root_and_its_successor_only_the_one_that_is_needed_is_in_use(tmp_path: Path) -> None:
    successor = successor_of(CONNECTED_BY)
    async with site(tmp_path) as here:
        await here.install(successor)
        await here.reconnects(PKI.server_certificate(issuer=successor))
        assert await here.delete(named(successor, CONNECTED_BY)) == "Failed"
        assert await here.delete(named(CONNECTED_BY)) == "Accepted"
        await here.reconnects(PKI.server_certificate(issuer=successor))
        assert await here.lists(named(successor, CONNECTED_BY))


@pytest.mark.requirement("M04.FR.02")
async def test_the_last_root_may_go_and_that_is_said(tmp_path: Path) -> None:
    async with site(tmp_path, profile=0) as here:
        for root_type in ROOT_TYPES:
            assert await here.install(OTHER, root_type) == "Accepted"
        assert (await here.agent.call("status"))["certificates"]["notes"] == []
        assert await here.delete(named(OTHER)) == "Accepted"
        for root_type in ROOT_TYPES:
            assert await here.lists(root_type=root_type)
            await here.agent.logged(f"no {root_type} is installed")
        notes = (await here.agent.call("status"))["certificates"]["notes"]
        assert [note.partition(" is")[0] for note in notes] == [f"no {CENTRAL_SYSTEM}", f"no {MANUFACTURER}"]
        await here.central_system.connected(IDENTITY)
