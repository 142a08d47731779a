"""The local commands without an agent, on a real state directory: what is changed, what is kept, what is recorded."""

import io
import logging
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chargepoint import local
from chargepoint.cli import main
from chargepoint.foundation import Foundation, open_foundation
from chargepoint.settings import Settings, load
from chargepoint.simulation.pki import Pki
from chargepoint.state import StateDirectory, StateUnusable
from security.store import CaDomain

KEY = "00112233445566778899aabbccddeeff"
CONFIG = """
[charge_point]
identity = "CP001"
vendor = "Example Vendor"
model = "Example Model"
serial_number = "SN-0001"
[central_system]
url = "ws://127.0.0.1:1/ocpp"
[state]
directory = "state"
[provisioning]
manufacturer_roots = ["state/given.pem"]
[configuration]
CpoName = "Example CPO"
HeartbeatInterval = 60
"""


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki.create()


@pytest.fixture
def settings(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "given.pem").write_bytes(pki.manufacturer_root_pem)
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    return load(tmp_path / "config.toml")


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook = hook
    logging.captureWarnings(capture=False)


async def _recorded(foundation: Foundation) -> list[str]:
    """Return what the commands have recorded, without what the provisioning did before them."""
    events = [each.event for each in await foundation.security_log.read()]
    assert {event.type for event in events} == {"ReconfigurationOfSecurityParameters"}
    return [event.tech_info or "" for event in events if "manufacturer-root" not in (event.tech_info or "")]


@pytest.mark.requirement("A00.FR.005")
async def test_configure_may_lower_the_profile_and_is_recorded_without_the_value(settings: Settings) -> None:
    assert await local.configure(settings, {"authorizationkey": KEY, "SecurityProfile": "1"}) == []
    async with open_foundation(settings) as foundation:
        assert foundation.configuration.integer("SecurityProfile") == 1
    assert await local.configure(settings, {"SecurityProfile": "0"}) == []
    async with open_foundation(settings) as foundation:
        assert foundation.configuration.integer("SecurityProfile") == 0
        secret = foundation.configuration.authorization_key()
        assert secret is not None
        assert secret.reveal() == KEY.encode()
        assert await _recorded(foundation) == [
            "AuthorizationKey set by a local command",
            "SecurityProfile set by a local command",
            "SecurityProfile set by a local command",
        ]


async def test_configure_names_each_key_that_is_refused_and_sets_the_others(settings: Settings) -> None:
    problems = await local.configure(
        settings, {"Nonsense": "1", "HeartbeatInterval": "7", "AuthorizationKey": "secret", "NumberOfConnectors": "2"}
    )
    assert [problem.partition(":")[0] for problem in problems] == ["Nonsense", "AuthorizationKey", "NumberOfConnectors"]
    assert "secret" not in " ".join(problems)
    async with open_foundation(settings) as foundation:
        assert foundation.configuration.integer("HeartbeatInterval") == 7


async def test_install_keeps_roots_apart_and_is_recorded(settings: Settings, pki: Pki) -> None:
    root = pki.root_pem.decode()
    assert await local.install(settings, pem=root, use="central-system-root", key=None) is None
    async with open_foundation(settings) as foundation:
        assert [each.pem for each in foundation.certificates.roots(CaDomain.CENTRAL_SYSTEM)] == [root]
        assert await _recorded(foundation) == [f"central-system-root installed locally: {_subject(pki)}"]


async def test_install_takes_a_charge_point_certificate_of_this_serial_number_only(
    settings: Settings, pki: Pki
) -> None:
    other, own = pki.charge_point_certificate("SN-0002"), pki.charge_point_certificate("SN-0001")
    use = "charge-point-certificate"
    reason = await local.install(settings, pem=other.chain_pem.decode(), use=use, key=other.key_pem.decode())
    assert reason is not None
    assert "serial number" in reason
    assert await local.install(settings, pem=own.chain_pem.decode(), use=use, key=own.key_pem.decode()) is None
    async with open_foundation(settings) as foundation:
        assert foundation.certificates.charge_point_certificate(None) is not None


async def test_reset_forgets_everything_but_the_security_log(settings: Settings, pki: Pki) -> None:
    await local.configure(settings, {"AuthorizationKey": KEY, "CpoName": "Another CPO"})
    await local.install(settings, pem=pki.root_pem.decode(), use="central-system-root", key=None)
    directory = settings.state.directory
    (directory / "state.db.before-2").write_text("a copy that was set aside", encoding="utf-8")
    await local.reset(settings)
    files = {path.name for path in directory.rglob("*") if path.is_file()}
    assert files == {"state.db", "lock", "given.pem"}
    assert KEY.encode() not in (directory / "state.db").read_bytes()
    async with open_foundation(settings) as foundation:
        assert foundation.configuration.authorization_key() is None
        assert foundation.configuration.text("CpoName") == "Example CPO"
        assert foundation.certificates.roots(CaDomain.CENTRAL_SYSTEM) == ()
        assert await _recorded(foundation) == [
            "AuthorizationKey set by a local command",
            "CpoName set by a local command",
            f"central-system-root installed locally: {_subject(pki)}",
            "reset to factory by a local command",
        ]


async def test_reset_leaves_the_files_that_config_toml_names(settings: Settings, tmp_path: Path, pki: Pki) -> None:
    state = tmp_path / "state"
    tables = (
        f'[transfers]\nca_file = "state/ca.pem"\nknown_hosts = "state/known_hosts"\n'
        f'[firmware]\ninstaller = "command"\ninstall_command = ["{state}/install", "--conf", "{state}/install.conf"]\n'
    )
    settings.path.write_text(CONFIG + tables, encoding="utf-8")
    named = ("ca.pem", "install", "install.conf", "known_hosts")
    for name in named:
        (state / name).write_bytes(pki.root_pem)
        (state / name).chmod(0o700)
    remembered = state / "transfers" / "known_hosts"
    remembered.parent.mkdir()
    remembered.write_text("what was trusted once is forgotten", encoding="utf-8")
    await local.reset(load(settings.path))
    assert all((state / name).exists() for name in named)
    assert not remembered.exists()


async def test_reset_forgets_how_much_was_counted(settings: Settings) -> None:
    async with open_foundation(settings) as foundation:
        await foundation.database.write(
            lambda connection: connection.execute("INSERT INTO sqlite_sequence VALUES ('charging_transaction', 41)")
        )
    await local.reset(settings)
    with closing(sqlite3.connect(settings.state.directory / "state.db")) as database:
        counted = dict(database.execute("SELECT name, seq FROM sqlite_sequence"))
    assert counted.keys() <= {"security_event"}


def _subject(pki: Pki) -> str:
    return pki.central_system_root.certificate.subject.rfc4514_string()


async def test_reset_leaves_a_config_file_that_lies_in_the_state_directory(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "state" / "config.toml"
    path.write_text(CONFIG.replace('"state"', '"."').replace("state/given", "given"), encoding="utf-8")
    await local.reset(load(path))
    assert path.exists()
    assert (tmp_path / "state" / "given.pem").exists()


async def test_all_refuse_while_an_agent_has_the_state(settings: Settings) -> None:
    state = StateDirectory.open(settings.state.directory)
    try:
        for work in (
            local.configure(settings, {"CpoName": "x"}),
            local.install(settings, pem="x", use="manufacturer-root", key=None),
            local.reset(settings),
        ):
            with pytest.raises(StateUnusable, match="another agent uses it"):
                await work
    finally:
        state.close()


async def test_overridden_names_what_was_set_to_another_value(settings: Settings) -> None:
    assert local.overridden(settings) == []
    assert not (settings.state.directory / "state.db").exists()
    await local.configure(settings, {"cponame": "Another CPO", "HeartbeatInterval": "60", "LocalPreAuthorize": "true"})
    assert local.overridden(settings) == ["CpoName"]
    async with open_foundation(settings) as foundation:
        assert foundation.configuration.overridden() == ("CpoName",)
        assert local.overridden(settings) == ["CpoName"]  # an agent that runs is no obstacle


def test_overridden_is_silent_where_the_database_cannot_be_read(settings: Settings) -> None:
    (settings.state.directory / "state.db").write_bytes(b"not a database, whatever it says" * 100)
    assert local.overridden(settings) == []


def test_the_commands_work_without_an_agent(
    settings: Settings,
    pki: Pki,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "root.pem").write_bytes(pki.root_pem)
    assert main(["configure", "CpoName=Another CPO"]) == 0
    assert main(["check"]) == 0
    assert "note: CpoName has been set since" in capsys.readouterr().out
    assert main(["install", "root.pem", "--as", "central-system-root"]) == 0
    assert main(["install", "config.toml", "--as", "central-system-root"]) == 2
    assert main(["configure", "CpoName=x", "HeartbeatInterval=soon"]) == 2
    refused = capsys.readouterr().err
    assert "HeartbeatInterval: must be a whole number" in refused
    assert "CpoName was set" in refused
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["reset", "--to-factory"]) == 0
    assert main(["reset", "--to-factory", "--yes"]) == 0
    with closing(sqlite3.connect(settings.state.directory / "state.db")) as database:
        assert database.execute("SELECT count(*) FROM configuration").fetchone() == (0,)


def test_a_command_beside_an_agent_without_a_socket_says_who_has_the_state(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    state = StateDirectory.open(settings.state.directory)
    try:
        assert main(["reset", "--to-factory", "--yes"]) == 3
        assert main(["configure", "CpoName=x"]) == 3
    finally:
        state.close()
    assert "another agent uses it" in capsys.readouterr().err


def _settings(tmp_path: Path, profile: int, url: str) -> Settings:
    text = CONFIG.replace("ws://127.0.0.1:1/ocpp", url) + f"SecurityProfile = {profile}\n"
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    return load(tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("profile", "url", "remedies"),
    [
        (0, "ws://h", []),
        (0, "wss://h", ["install FILE --as central-system-root"]),
        (1, "ws://h", ["configure AuthorizationKey=-"]),
        (2, "wss://h", ["configure AuthorizationKey=-", "install FILE --as central-system-root"]),
        (3, "wss://h", ["install FILE --as central-system-root", "--as charge-point-certificate --key FILE"]),
    ],
)
@pytest.mark.usefixtures("settings")
def test_what_the_profile_lacks_is_named_with_its_remedy(
    tmp_path: Path, profile: int, url: str, remedies: list[str]
) -> None:
    lacking = list(local.lacking(_settings(tmp_path, profile, url)))
    assert len(lacking) == len(remedies)
    assert all(remedy in line for remedy, line in zip(remedies, lacking, strict=True))


@pytest.mark.usefixtures("settings")
async def test_what_was_set_since_lacks_no_more(tmp_path: Path, pki: Pki) -> None:
    settings = _settings(tmp_path, 3, "wss://h")
    issued = pki.charge_point_certificate("SN-0001")
    root = pki.root_pem.decode()
    assert await local.install(settings, pem=root, use="central-system-root", key=None) is None
    chain, key = issued.chain_pem.decode(), issued.key_pem.decode()
    assert await local.install(settings, pem=chain, use="charge-point-certificate", key=key) is None
    assert not list(local.lacking(settings))
    assert not await local.configure(settings, {"AuthorizationKey": KEY, "SecurityProfile": "2"})
    assert not list(local.lacking(settings))
