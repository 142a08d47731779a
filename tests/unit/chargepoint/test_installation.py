"""The door to the certificate store: what is recorded of each change, and that a change that has begun is finished."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chargepoint.configuration import Origin
from chargepoint.foundation import Foundation, open_foundation
from chargepoint.installation import Use
from chargepoint.settings import load
from chargepoint.simulation.authority import Authority
from chargepoint.simulation.pki import Pki
from security import durable
from security.certificate import Certificate, parse_one
from security.hash_data import CertificateHashData
from security.outcome import DeleteResult
from security.secret import Secret
from tests.agent_process import write_config
from tests.roots import successor_of

OLD = Authority.root("Old root", "Example CPO")
NEW = successor_of(OLD, "New root")
THIRD = successor_of(NEW, "Third root")
ROOT = Use.CENTRAL_SYSTEM_ROOT


@pytest.fixture
async def foundation(tmp_path: Path) -> AsyncIterator[Foundation]:
    tables = {"configuration": {"AdditionalRootCertificateCheck": True}}
    async with open_foundation(load(write_config(tmp_path, "ws://127.0.0.1:1/ocpp", tables))) as foundation:
        yield foundation


def certificate(authority: Authority) -> Certificate:
    return parse_one(authority.pem.decode())


def named(authority: Authority, issuer: Authority | None = None) -> CertificateHashData:
    return CertificateHashData.compute(certificate(authority), certificate(issuer or authority))


async def install(foundation: Foundation, authority: Authority, origin: Origin = Origin.LOCAL) -> bool:
    return (await foundation.installer.install(ROOT, authority.pem.decode(), origin=origin)).accepted


async def recorded(foundation: Foundation) -> list[str]:
    return [(each.event.tech_info or "").partition(",")[0] for each in await foundation.security_log.read()]


async def test_each_change_is_recorded_with_who_wanted_it(foundation: Foundation) -> None:
    assert await install(foundation, OLD)
    assert await install(foundation, NEW, Origin.CENTRAL_SYSTEM)
    assert await install(foundation, THIRD, Origin.CENTRAL_SYSTEM)
    await foundation.installer.confirm_root(certificate(THIRD).der)
    await foundation.installer.delete_root(named(THIRD, NEW), in_use=None, origin=Origin.CENTRAL_SYSTEM)
    assert await recorded(foundation) == [
        "central-system-root installed locally: CN=Old root",
        "central-system-root installed by the Central System: CN=New root",
        "central-system-root replaced and kept as the fallback root: CN=Old root",
        "central-system-root installed by the Central System: CN=Third root",
        "central-system-root replaced and kept as the fallback root: CN=Old root",
        "central-system-root replaced and removed: CN=New root",
        "fallback root removed because the new root has verified a connection: CN=Old root",
        "root deleted by the Central System: CN=Third root",
    ]


async def test_what_changes_nothing_is_not_recorded(foundation: Foundation) -> None:
    await install(foundation, OLD)
    before = await recorded(foundation)
    assert await install(foundation, OLD)
    assert not await install(foundation, successor_of(NEW))
    outcome = await foundation.installer.delete_root(named(OLD), in_use=certificate(OLD).der, origin=Origin.LOCAL)
    assert outcome.result is DeleteResult.FAILED
    await foundation.installer.confirm_root(certificate(OLD).der)
    await foundation.installer.confirm_root(None)
    assert await recorded(foundation) == before


async def test_what_advice_a_root_ignores_is_a_line_in_the_log(
    foundation: Foundation, caplog: pytest.LogCaptureFixture
) -> None:
    root = successor_of(OLD)
    await install(foundation, OLD)
    await install(foundation, root)
    assert "no KeyUsage limits what the certificate is good for" in caplog.text


async def test_says_what_is_missing_and_warns_when_the_last_root_goes(
    foundation: Foundation, caplog: pytest.LogCaptureFixture
) -> None:
    installer = foundation.installer
    assert [note.split()[1] for note in installer.notes()] == [
        "CentralSystemRootCertificate",
        "ManufacturerRootCertificate",
    ]
    await install(foundation, OLD)
    await install(foundation, NEW)
    assert installer.notes()[-1].startswith("the fallback root stays")
    await installer.delete_root(named(NEW, OLD), in_use=None, origin=Origin.LOCAL)
    assert "CentralSystemRootCertificate" not in caplog.text
    await installer.delete_root(named(OLD), in_use=None, origin=Origin.LOCAL)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings[-1].startswith("no CentralSystemRootCertificate is installed")


async def test_a_fallback_root_that_cannot_be_removed_is_no_reason_to_hang_up(
    foundation: Foundation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await install(foundation, OLD)
    await install(foundation, NEW)

    def refuse(operations: durable.Operations, path: Path) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(durable.Operations, "unlink", refuse)
        await foundation.installer.confirm_root(certificate(NEW).der)
    assert "the fallback root stays until the next connection" in caplog.text
    assert foundation.certificates.fallback_root == certificate(OLD)
    await foundation.installer.confirm_root(certificate(NEW).der)
    assert foundation.certificates.fallback_root is None


async def test_a_change_is_finished_and_recorded_although_nobody_waits_for_it_any_more(
    foundation: Foundation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()
    write = durable.write

    def slow(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        begun.set()
        assert go.wait(10)
        write(path, data, mode=mode)

    monkeypatch.setattr(durable, "write", slow)
    wish = asyncio.create_task(install(foundation, OLD))
    assert await asyncio.to_thread(begun.wait, 10)
    wish.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wish
    go.set()
    await foundation.installer.close()
    assert foundation.installer.installed(ROOT) == (named(OLD),)
    assert await recorded(foundation) == ["central-system-root installed locally: CN=Old root"]


@pytest.mark.parametrize(("use", "has_key"), [(ROOT, True), (Use.CHARGE_POINT_CERTIFICATE, False)])
async def test_a_key_comes_with_a_charge_point_certificate_only(
    foundation: Foundation, use: Use, has_key: bool
) -> None:
    with pytest.raises(ValueError, match="private key"):
        await foundation.installer.install(use, OLD.pem.decode(), Secret(b"key") if has_key else None)


async def test_the_keys_of_the_configuration_hold_from_their_change_on(foundation: Foundation) -> None:
    await install(foundation, OLD)
    other = Pki.create().central_system_root
    assert not await install(foundation, other)
    await foundation.configuration.change("AdditionalRootCertificateCheck", "false", Origin.LOCAL)
    assert await install(foundation, other)
    await foundation.configuration.change("CertificateStoreMaxLength", "2", Origin.LOCAL)
    assert not await install(foundation, Authority.root("Third", "Example CPO"))
