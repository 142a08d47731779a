"""The passphrase of the private keys: its file, and what is said where it does not fit."""

import logging
from pathlib import Path

import pytest

from chargepoint import log
from chargepoint.passphrase import MAX_PASSPHRASE_BYTES, open_passphrase, read_passphrase
from chargepoint.state import StateUnusable
from security.secret import Secret
from security.store import CertificateStore
from tests.pki import NOW, make

PASSPHRASE = "correct horse battery staple"


def written(directory: Path, content: str) -> Path:
    file = directory / "passphrase"
    file.write_text(content)
    file.chmod(0o600)
    return file


def test_no_file_is_no_passphrase(tmp_path: Path) -> None:
    assert read_passphrase(None) is None
    assert open_passphrase(None, tmp_path / "certificates") is None


@pytest.mark.parametrize("end", ["", "\n", " \r\n", "\nsecond line\n"])
def test_it_is_the_first_line_stripped_and_masked_in_the_log(tmp_path: Path, end: str) -> None:
    assert read_passphrase(written(tmp_path, PASSPHRASE + end)) == Secret(PASSPHRASE.encode())
    record = logging.LogRecord("test", logging.INFO, "", 0, "it is %s", (PASSPHRASE,), None)
    assert PASSPHRASE not in log.TextFormatter(log._mask).format(record)


@pytest.mark.parametrize("content", ["", "\nbehind an empty line", "   \n", "x" * (MAX_PASSPHRASE_BYTES + 1)])
def test_a_file_without_a_passphrase_stops_the_start_and_is_named(tmp_path: Path, content: str) -> None:
    file = written(tmp_path, content)
    with pytest.raises(StateUnusable, match="holds") as caught:
        open_passphrase(file, tmp_path / "certificates")
    assert caught.value.path == file


def test_a_file_that_is_not_there_stops_the_start_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="cannot be read: No such file") as caught:
        open_passphrase(tmp_path / "missing", tmp_path / "certificates")
    assert caught.value.path == tmp_path / "missing"


def test_one_that_does_not_fit_or_is_gone_stops_the_start(tmp_path: Path) -> None:
    store = CertificateStore.open(tmp_path / "certificates", key_passphrase=Secret(PASSPHRASE.encode()))
    made = make("SN-0001")
    assert store.install_charge_point_certificate(made.pem, made.key_pem, NOW).accepted
    assert open_passphrase(written(tmp_path, PASSPHRASE), store.directory) == Secret(PASSPHRASE.encode())
    file = written(tmp_path, "another one")
    with pytest.raises(StateUnusable, match="does not open the private key of") as caught:
        open_passphrase(file, store.directory)
    assert caught.value.path == file
    assert "another one" not in str(caught.value)
    with pytest.raises(StateUnusable, match="key_passphrase_file is not set"):
        open_passphrase(None, store.directory)
