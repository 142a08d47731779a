"""[transfers] of config.toml: files that it names, and what is allowed but probably not meant."""

from dataclasses import replace
from pathlib import Path

import pytest

from chargepoint.mistake import MistakeList
from chargepoint.simulation.pki import Pki
from chargepoint.transfer_settings import (
    TransferSettings,
    check_form_field,
    check_transfers,
    transfer_warnings,
    with_absolute_paths,
)


def test_paths_count_from_the_file(tmp_path: Path) -> None:
    given = TransferSettings(ca_file=Path("ca.pem"), known_hosts=Path("/etc/ssh/ssh_known_hosts"))
    settings = with_absolute_paths(given, tmp_path)
    assert (settings.ca_file, settings.known_hosts) == (tmp_path / "ca.pem", Path("/etc/ssh/ssh_known_hosts"))
    assert with_absolute_paths(TransferSettings(), tmp_path) == TransferSettings()


def test_files_must_be_there_and_hold_what_they_should(tmp_path: Path) -> None:
    mistakes = MistakeList(tmp_path / "config.toml")
    check_transfers(TransferSettings(ca_file=tmp_path / "gone", known_hosts=tmp_path / "gone"), mistakes)
    assert [(mistake.key, "cannot be read" in str(mistake)) for mistake in mistakes] == [
        ("ca_file", True),
        ("known_hosts", True),
    ]

    (tmp_path / "ca.pem").write_text("no PEM")
    mistakes = MistakeList(tmp_path / "config.toml")
    check_transfers(TransferSettings(ca_file=tmp_path / "ca.pem"), mistakes)
    assert [mistake.key for mistake in mistakes] == ["ca_file"]


def test_good_files_are_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(Pki.create().root_pem)
    (tmp_path / "known_hosts").touch()
    mistakes = MistakeList(tmp_path / "config.toml")
    check_transfers(TransferSettings(ca_file=tmp_path / "ca.pem", known_hosts=tmp_path / "known_hosts"), mistakes)
    check_transfers(TransferSettings(), mistakes)
    assert not mistakes


@pytest.mark.parametrize("name", ['a"b', "a\\b", "ä"])
def test_a_form_field_fits_into_its_header(name: str) -> None:
    assert check_form_field(name) is not None
    assert check_form_field("log file") is None


def test_what_trusts_more_than_installed_roots_is_warned_of() -> None:
    settings = TransferSettings()
    assert list(transfer_warnings(settings)) == []
    careless = replace(settings, system_trust_store=True, trust_first_host_key=True)
    assert len(list(transfer_warnings(careless))) == 2


def test_a_proxy_is_not_shown() -> None:
    assert "secret" not in repr(TransferSettings(proxy="http://user:secret@proxy:3128"))
