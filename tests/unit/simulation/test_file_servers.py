"""All file servers of a site together."""

import subprocess
import sys
from pathlib import Path

import pytest

from chargepoint.simulation.file_account import WRITER
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.pki import Pki
from tests.curl import Exit, curl, needs_curl

ROOT = Path(__file__).parents[3]


@needs_curl
async def test_every_scheme_takes_a_file_and_keeps_it_apart(tmp_path: Path) -> None:
    log = tmp_path / "security.log"
    log.write_bytes(b"what happened")
    async with FileServers(tmp_path / "site", Pki.create()) as servers:
        assert [server.scheme for server in servers] == ["http", "https", "ftp", "ftpes", "ftps", "sftp"]
        for server in servers:
            url = server.url(f"inbox/{server.scheme}.log", account=WRITER).replace("ftpes://", "ftp://")
            ssl = ("--ssl-reqd",) if server.scheme == "ftpes" else ()
            assert (await curl("--insecure", *ssl, "--upload-file", log, url)).code == 0
            assert [each.name for each in (server.directory / "inbox").iterdir()] == [f"{server.scheme}.log"]
            assert servers.of(server.scheme) is server
        assert (tmp_path / "site" / "sftp_host_key").exists()


def test_a_missing_library_costs_only_its_own_servers(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["pyftpdlib"] = sys.modules["asyncssh"] = None
import subprocess
import sys
from pathlib import Path
from chargepoint.simulation.file_servers import FileServers, LibraryMissing
from chargepoint.simulation.pki import Pki
servers = FileServers(Path({str(tmp_path)!r}), Pki.create())
print([server.scheme for server in servers], servers.lacking)
for scheme in ("ftp", "ftpes", "ftps", "sftp"):
    try:
        getattr(servers, scheme)
    except LibraryMissing as missing:
        print(missing)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=50)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['http', 'https'] {'ftp': 'pyftpdlib', 'ftpes': 'pyftpdlib', 'ftps': 'pyftpdlib', 'sftp': 'asyncssh'}",
        "ftp needs pyftpdlib: pip install 'chargepoint[simulation]'",
        "ftpes needs pyftpdlib: pip install 'chargepoint[simulation]'",
        "ftps needs pyftpdlib: pip install 'chargepoint[simulation]'",
        "sftp needs asyncssh: pip install 'chargepoint[simulation]'",
    ]


@needs_curl
async def test_where_one_server_cannot_start_none_is_left_running(tmp_path: Path) -> None:
    second = FileServers(tmp_path / "second", Pki.create())
    async with FileServers(tmp_path / "first", Pki.create()) as first:
        second.sftp.port = first.sftp.port
        with pytest.raises(OSError, match="in use"):
            await second.__aenter__()
        assert second.http.port != 0
        assert (await curl(second.http.url("x"))).code == Exit.UNREACHABLE
