"""The table [transfers] of config.toml: how files get to and from the servers that a Central System names."""
# ruff: noqa: RUF009 - `setting` returns a dataclass field, as dataclasses.field does

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from chargepoint.mistake import MistakeList
from chargepoint.pem_check import read_pem
from chargepoint.setting import setting
from chargepoint.setting_check import check_proxy

TABLE: Final = "transfers"


def check_form_field(name: str) -> str | None:
    """Judge the name of a form's field, which stands between quotes in a header."""
    return None if name.isascii() and '"' not in name and "\\" not in name else "must be ASCII without quotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSettings:
    """[transfers]: whom file servers are trusted by, how long they are waited for, and how files are handed over."""

    ca_file: Path | None = setting(None, why="file servers are trusted by the installed Central System roots")
    system_trust_store: bool = setting(default=False, why="as A00.FR.307 has it; true adds the roots of the machine")
    known_hosts: Path | None = setting(None, why="no host key of an sftp server is known; else those of this file are")
    trust_first_host_key: bool = setting(
        default=False, why="the first one may be an attacker's; true remembers it and takes no other afterwards"
    )
    connect_timeout: timedelta = setting(
        timedelta(seconds=30), unit="s", low=1, high=300, why="DNS, TCP, TLS and login over a slow mobile link"
    )
    stall_timeout: timedelta = setting(
        timedelta(seconds=60), unit="s", low=2, high=3600, why="a server may work a while on what it got"
    )
    max_upload_kib_s: int = setting(
        0, unit="KiB/s", low=0, high=1_000_000, why="as fast as it goes; else the mobile link is shared"
    )
    max_download_kib_s: int = setting(
        0, unit="KiB/s", low=0, high=1_000_000, why="as fast as it goes; else the mobile link is shared"
    )
    max_redirects: int = setting(5, unit="redirects", low=0, high=20, why="mirrors need one or two, a loop has no end")
    http_upload: Literal["put", "post"] = setting("put", why="RFC 9110; post sends a form (RFC 7578)")
    http_form_field: str = setting(
        "file", unit="characters", low=1, high=64, check=check_form_field, why="the name that forms mostly give it"
    )
    append_file_name: Literal["to-directory", "always"] = setting(
        "to-directory", why="a location that does not end in / names the file itself"
    )
    ftp_demands_tls: bool = setting(default=False, why="ftp:// is what it says; true lets no file or password go bare")
    proxy: str = setting(
        "", unit="characters", high=512, check=check_proxy, secret=True, why="none, whatever the environment says"
    )


def with_absolute_paths(settings: TransferSettings, home: Path) -> TransferSettings:
    """Return the settings with the paths counted from a directory."""
    return replace(
        settings,
        ca_file=settings.ca_file and home / settings.ca_file,
        known_hosts=settings.known_hosts and home / settings.known_hosts,
    )


def check_transfers(settings: TransferSettings, mistakes: MistakeList) -> None:
    """Add to `mistakes` what is wrong with the files of [transfers]; all paths are absolute."""
    if settings.ca_file is not None:
        try:
            read_pem(settings.ca_file)
        except ValueError as error:
            mistakes.add(TABLE, "ca_file", str(settings.ca_file), str(error))
    if settings.known_hosts is not None:
        try:
            with settings.known_hosts.open("rb"):
                pass
        except OSError as error:
            mistakes.add(TABLE, "known_hosts", str(settings.known_hosts), f"cannot be read: {error.strerror}")


def transfer_warnings(settings: TransferSettings) -> Iterator[str]:
    """Yield what is allowed but probably not meant."""
    if settings.system_trust_store:
        yield "[transfers] system_trust_store: every authority that this machine trusts may vouch for a file server"
    if settings.trust_first_host_key:
        yield "[transfers] trust_first_host_key: whoever answers first for the name of an sftp server is believed"
