"""Whom an sftp server is trusted by: its host key, known or met before."""

import stat
from pathlib import Path

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.file_account import WRITER
from chargepoint.simulation.sftp_server import SftpServer
from chargepoint.transfer import TransferFault, Transfers
from tests.transfers.conftest import Make
from tests.transfers.stage import CONTENT, failure_to_send, inbox, send

pytestmark = pytest.mark.parametrize("server", ["sftp"], indirect=True)


async def test_an_unknown_key_is_refused_and_named(
    make: Make, server: SftpServer, source: Path, tmp_path: Path
) -> None:
    failed = await failure_to_send(make(known_hosts=None), source, server.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.HOST_KEY_NOT_TRUSTED
    assert f"SHA256:{server.host_key_sha256}" in str(failed)
    assert server.record.arrivals == []
    assert not (tmp_path / "transfers" / "known_hosts").exists()


async def test_another_key_than_the_known_one_is_refused(
    transfers: Transfers, server: SftpServer, source: Path
) -> None:
    server.add_fault(fault.OtherHostKey())
    failed = await failure_to_send(transfers, source, server.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.HOST_KEY_NOT_TRUSTED
    assert server.record.arrivals == []
    await send(transfers, source, server.url("inbox/", account=WRITER))


async def test_by_setting_the_first_key_is_remembered_and_no_other_taken(
    make: Make, server: SftpServer, source: Path, tmp_path: Path
) -> None:
    location = server.url("inbox/", account=WRITER)
    await send(make(known_hosts=None, trust_first_host_key=True), source, location)
    remembered = tmp_path / "transfers" / "known_hosts"
    assert remembered.read_text() == f"{server.host_key_line}\n"
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600

    later = make(known_hosts=None, trust_first_host_key=True)
    server.add_fault(fault.OtherHostKey())
    failed = await failure_to_send(later, source, location)
    assert failed.fault is TransferFault.HOST_KEY_NOT_TRUSTED
    assert "another one is known" in str(failed)
    assert remembered.read_text() == f"{server.host_key_line}\n"
    await send(later, source, location)


async def test_a_remembered_key_holds_also_when_the_setting_is_taken_back(
    make: Make, server: SftpServer, source: Path
) -> None:
    location = server.url("inbox/", account=WRITER)
    await send(make(known_hosts=None, trust_first_host_key=True), source, location)
    await send(make(known_hosts=None), source, location)
    assert inbox(server) == {"security.log": CONTENT}


async def test_a_file_of_known_hosts_that_cannot_be_read_trusts_nobody(
    make: Make, server: SftpServer, source: Path, tmp_path: Path
) -> None:
    failed = await failure_to_send(make(known_hosts=tmp_path / "gone"), source, server.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.NOT_TRUSTED
    assert "known_hosts" in str(failed)


async def test_remembered_keys_are_bounded(make: Make, server: SftpServer, source: Path, tmp_path: Path) -> None:
    transfers = make(known_hosts=None, trust_first_host_key=True)
    (tmp_path / "transfers" / "known_hosts").write_text("other.example ssh-ed25519 AAAA\n" * 100)
    failed = await failure_to_send(transfers, source, server.url("inbox/", account=WRITER))
    assert failed.fault is TransferFault.HOST_KEY_NOT_TRUSTED
    assert server.record.arrivals == []
