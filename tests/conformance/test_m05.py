"""M05: the Central System installs a root certificate, and replaces its own."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from chargepoint.simulation.authority import Authority
from chargepoint.simulation.certificate_hash import to_der
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.recorder import Refusal
from tests import bad_disk
from tests.certificate_site import (
    CENTRAL_SYSTEM,
    CONNECTED_BY,
    IDENTITY,
    MANUFACTURER,
    PKI,
    ROOT_TYPES,
    RootType,
    Site,
    named,
    site,
)
from tests.pki import make_root, rsa_key
from tests.roots import successor_of

VECTORS: Final = Path(__file__).parents[1] / "unit" / "security" / "vectors"
ONE_AT_A_TIME: Final[Mapping[str, Any]] = {"AdditionalRootCertificateCheck": True}
OTHER: Final = Authority.root("Other root", "Example CPO")
NEW: Final = successor_of(CONNECTED_BY, "New root")
THIRD: Final = successor_of(NEW, "Third root")
UNDER_OLD: Final = PKI.server_certificate()
UNDER_NEW: Final = PKI.server_certificate(issuer=NEW)
UNDER_THIRD: Final = PKI.server_certificate(issuer=THIRD)


@pytest.mark.requirement("M05.FR.01", "M05.FR.02")
@pytest.mark.parametrize("root_type", ROOT_TYPES)
async def test_a_good_root_is_installed_and_still_there_after_a_restart(tmp_path: Path, root_type: RootType) -> None:
    async with site(tmp_path) as here:
        before = await here.listed(root_type)
        assert await here.install(OTHER, root_type) == "Accepted"
        assert await here.lists(*before, named(OTHER), root_type=root_type)
        assert any("installed by the Central System: CN=Other root" in change for change in await here.changes())
        connection = await here.central_system.connected(IDENTITY)
        await here.central_system.call("Reset", {"type": "Hard"})
        await here.central_system.connected(IDENTITY, after=connection)
        assert await here.lists(*before, named(OTHER), root_type=root_type)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in here.files(root_type))


@pytest.mark.requirement("M05.FR.02")
async def test_the_same_certificate_in_every_spelling_is_stored_once(tmp_path: Path) -> None:
    pem = OTHER.pem.decode()
    spellings = [pem, pem.replace("\n", "\r\n"), f"\n  \t{pem} \r\n\n", pem.rstrip("\n"), "Root of all\n" + pem]
    async with site(tmp_path) as here:
        for spelling in spellings:
            assert await here.install(spelling) == "Accepted"
        assert await here.lists(named(CONNECTED_BY), named(OTHER))
        assert sum("Other root" in change for change in await here.changes()) == 1


@pytest.mark.requirement("M05.FR.06")
@pytest.mark.parametrize("root_type", ROOT_TYPES)
async def test_what_is_no_good_root_is_rejected_and_the_log_says_why(tmp_path: Path, root_type: RootType) -> None:
    now = datetime.now(UTC)
    expired = Authority.root("Expired", "X", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1))
    server = PKI.server_certificate()
    wrong = {
        "not a certificate authority": server.certificate_pem.decode(),
        "it expired at": expired.pem.decode(),
        "1024 bits": make_root(key=rsa_key(1024)).pem,
        "SHA1": (VECTORS / "sha1_root.pem").read_text(),
        "20 bytes": (VECTORS / "serial_of_21_bytes.pem").read_text(),
        "no certificate in PEM": "no certificate at all",
        "the PEM is damaged": OTHER.pem.decode()[:200] + OTHER.pem.decode()[220:],
        "2 certificates came": OTHER.pem.decode() * 2,
        "perhaps a private key": OTHER.pem.decode() + OTHER.key_pem.decode(),
        "not signed by itself": successor_of(OTHER).pem.decode(),
    }
    async with site(tmp_path) as here:
        before = await here.listed(root_type)
        for why, certificate in wrong.items():
            assert await here.install(certificate, root_type) == "Rejected", why
            assert why in await here.agent.logged(f"InstallCertificate.req ({root_type})", list(wrong).index(why) + 1)
        assert await here.lists(*before, root_type=root_type)
        assert OTHER.key_pem.decode().splitlines()[1] not in here.agent.said()


@pytest.mark.requirement("M05.FR.03")
async def test_one_root_more_than_fits_is_rejected(tmp_path: Path) -> None:
    async with site(tmp_path, configuration={"CertificateStoreMaxLength": 2}) as here:
        assert await here.install(OTHER, MANUFACTURER) == "Accepted"
        for root_type in ROOT_TYPES:
            assert await here.install(Authority.root("One too many", "Example CPO"), root_type) == "Rejected"
        assert "CertificateStoreMaxLength" in await here.agent.logged("InstallCertificate.req")
        assert await here.lists(named(CONNECTED_BY))
        assert await here.lists(named(OTHER), root_type=MANUFACTURER)
        # The same certificate again needs no room, and a deletion makes some.
        assert await here.install(OTHER, MANUFACTURER) == "Accepted"
        assert await here.delete(named(OTHER)) == "Accepted"
        assert await here.install(OTHER) == "Accepted"


@pytest.mark.requirement("M05.FR.04")
async def test_a_disk_that_refuses_is_told_and_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = tmp_path / "bad"
    monkeypatch.setenv(bad_disk.VARIABLE, str(switch))
    async with site(tmp_path, program=bad_disk.PROGRAM, configuration=ONE_AT_A_TIME) as here:
        switch.touch()
        assert await here.install(OTHER, MANUFACTURER) == "Failed"
        assert await here.install(NEW) == "Failed"
        assert await here.lists(root_type=MANUFACTURER)
        assert await here.lists(named(CONNECTED_BY))
        switch.unlink()
        assert await here.install(NEW) == "Accepted"


@pytest.mark.requirement("M05.FR.08")
async def test_the_first_root_of_all_is_accepted(tmp_path: Path) -> None:
    async with site(tmp_path, profile=0, configuration=ONE_AT_A_TIME) as here:
        assert await here.install(OTHER) == "Accepted"
        assert await here.install(Authority.root("Second", "Example CPO")) == "Rejected"
        assert await here.lists(named(OTHER))
        assert await here.install(CONNECTED_BY, MANUFACTURER) == "Accepted"
        assert await here.install(OTHER, MANUFACTURER) == "Accepted"


@pytest.mark.requirement("M05.FR.08", "M05.FR.10")
async def test_a_root_that_the_old_one_has_not_signed_is_rejected(tmp_path: Path) -> None:
    same_name = Authority.root("Example CPO Root", "Example CPO")
    async with site(tmp_path, configuration=ONE_AT_A_TIME) as here:
        for root in (OTHER, same_name, successor_of(OTHER)):
            assert await here.install(root) == "Rejected"
        assert await here.lists(named(CONNECTED_BY))
        assert len(here.files()) == 1


@pytest.mark.requirement("M05.FR.09", "M05.FR.11", "M05.FR.12", "M05.FR.13")
async def test_the_new_root_takes_over_and_the_old_one_stays_until_it_works(tmp_path: Path) -> None:
    old, new = named(CONNECTED_BY), named(NEW, CONNECTED_BY)
    async with site(tmp_path, configuration=ONE_AT_A_TIME) as here:
        assert await here.install(NEW) == "Accepted"
        assert await here.lists(old, new)
        # The server is not ready yet: it still shows what the old root has signed.
        await here.reconnects(UNDER_OLD)
        assert "unable to get local issuer" in await here.agent.logged("connected by the fallback root")
        assert await here.lists(old, new)
        assert await here.delete(old) == "Failed"  # M04.FR.06: the connection rests on it
        await here.reconnects(UNDER_NEW)
        assert await here.lists(new)
        assert [to_der(file.read_text()) for file in here.files()] == [to_der(NEW.pem)]
        assert await here.agent.events("InvalidCentralSystemCertificate") == []
        await here.reconnects(UNDER_NEW)
        changes = " | ".join(await here.changes())
    assert "CN=New root" in changes
    assert "kept as the fallback root: CN=Example CPO Root" in changes
    assert "fallback root removed because the new root has verified a connection: CN=Example CPO Root" in changes


@pytest.mark.requirement("M05.FR.08", "M05.FR.11", "M05.FR.12", "M05.FR.13")
async def test_a_second_replacement_before_the_first_has_worked_keeps_what_works(tmp_path: Path) -> None:
    old, third = named(CONNECTED_BY), named(THIRD, NEW)
    async with site(tmp_path, configuration=ONE_AT_A_TIME) as here:
        assert await here.install(NEW) == "Accepted"
        assert await here.install(THIRD) == "Accepted"
        assert await here.lists(old, third)
        await here.reconnects(UNDER_OLD)
        assert await here.lists(old, third)
        await here.reconnects(UNDER_THIRD)
        assert await here.lists(third)


@pytest.mark.requirement("M05.FR.13")
async def test_a_server_that_neither_root_verifies_is_an_invalid_one(tmp_path: Path) -> None:
    async with site(tmp_path, configuration=ONE_AT_A_TIME) as here:
        await here.install(NEW)
        await shows_a_stranger(here)
        await here.agent.logged("by the fallback root: ", times=2)
        assert len(await here.agent.events("InvalidCentralSystemCertificate")) == 1
        here.central_system.present(UNDER_NEW)
        await here.central_system.connected(IDENTITY)
        assert await here.lists(named(NEW, CONNECTED_BY))


async def shows_a_stranger(here: Site) -> None:
    """Let the Central System come back with the certificate of a stranger's CA."""
    here.central_system.present(PKI.server_certificate(issuer=Pki.create().central_system_root))
    await here.central_system.drop()
    for _ in range(2):
        await here.central_system.recorder.take(Refusal, lambda entry: entry.stage == "tls")


@pytest.mark.requirement("M05.FR.11", "M05.FR.12", "M05.FR.13")
async def test_the_fallback_root_survives_a_restart(tmp_path: Path) -> None:
    async with site(tmp_path, configuration=ONE_AT_A_TIME) as here:
        assert await here.install(NEW) == "Accepted"
        connection = await here.central_system.connected(IDENTITY)
        await here.central_system.call("Reset", {"type": "Hard"})
        await here.central_system.connected(IDENTITY, after=connection)
        assert await here.lists(named(CONNECTED_BY), named(NEW, CONNECTED_BY))
        notes = (await here.agent.call("status"))["certificates"]["notes"]
        assert any(note.startswith("the fallback root stays") for note in notes)
        await here.reconnects(UNDER_NEW)
        assert await here.lists(named(NEW, CONNECTED_BY))


@pytest.mark.requirement("M05.FR.08", "M05.FR.09")
async def test_a_full_store_takes_a_replacement(tmp_path: Path) -> None:
    configuration = {**ONE_AT_A_TIME, "CertificateStoreMaxLength": 1}
    async with site(tmp_path, configuration=configuration) as here:
        assert await here.install(NEW) == "Accepted"
        assert await here.install(OTHER, MANUFACTURER) == "Rejected"
        assert await here.lists(named(CONNECTED_BY), named(NEW, CONNECTED_BY))


async def test_without_the_check_a_successor_comes_beside_the_old_root(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        assert await here.install(NEW) == "Accepted"
        for shown in (UNDER_OLD, UNDER_NEW):
            await here.reconnects(shown)
            assert await here.lists(named(CONNECTED_BY), named(NEW, CONNECTED_BY))


async def test_the_two_trees_never_vouch_for_each_other(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        assert await here.install(successor_of(CONNECTED_BY), MANUFACTURER) == "Rejected"
        assert await here.install(PKI.manufacturer_root, MANUFACTURER) == "Accepted"
        here.central_system.present(PKI.server_certificate(issuer=PKI.manufacturer_root))
        await here.central_system.drop()
        await here.central_system.recorder.take(Refusal, lambda entry: entry.stage == "tls")
        await here.agent.logged("unable to get local issuer")
        here.central_system.present()
        await here.central_system.connected(IDENTITY)
        assert [each["type"] for each in await here.agent.events("InvalidCentralSystemCertificate")]
        assert await here.lists(named(CONNECTED_BY), root_type=CENTRAL_SYSTEM)
