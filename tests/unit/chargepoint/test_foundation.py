"""Everything that is opened from the state directory: in order, once, and closed again whatever happens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chargepoint.clock import Floor
from chargepoint.database import Database
from chargepoint.foundation import open_foundation
from chargepoint.hardware.discovery import DriverUnusable
from chargepoint.settings import Settings, load
from chargepoint.state import StateUnusable
from chargepoint.state_schema import MIGRATIONS
from tests.agent_process import PKI, Tables, write_config


def settings_in(directory: Path, tables: Tables | None = None) -> Settings:
    return load(write_config(directory, "ws://127.0.0.1:1/ocpp", tables))


async def test_one_process_has_it_at_a_time(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with open_foundation(settings):
        with pytest.raises(StateUnusable, match="another agent uses it"):
            async with open_foundation(settings):
                pass
    async with open_foundation(settings):
        pass


async def test_whatever_fails_lets_go_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)

    def no_driver(*_: object) -> None:
        raise DriverUnusable("acme", "it cannot be loaded")

    with monkeypatch.context() as patched:
        patched.setattr("chargepoint.foundation.open_hardware", no_driver)
        with pytest.raises(DriverUnusable):
            async with open_foundation(settings):
                pass
    (tmp_path / "state" / "state.db").write_bytes(b"no database, " * 100)
    with pytest.raises(StateUnusable, match=r"state\.db"):
        async with open_foundation(settings):
            pass
    (tmp_path / "state" / "state.db").unlink()
    with pytest.raises(ZeroDivisionError):
        async with open_foundation(settings):
            raise ZeroDivisionError
    async with open_foundation(settings):
        pass


async def test_the_newest_time_is_kept_at_the_end(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    async with open_foundation(settings_in(tmp_path)):
        pass
    database = await Database.open(tmp_path / "state" / "state.db", MIGRATIONS)
    assert await Floor(database).load() >= before
    await database.close()


@pytest.mark.parametrize(("given", "expected"), [({}, 42), ({"HeartbeatInterval": 7}, 7)])
async def test_the_heartbeat_is_that_of_the_session_unless_the_key_is_given(
    tmp_path: Path, given: dict[str, int], expected: int
) -> None:
    settings = settings_in(tmp_path, {"session": {"default_heartbeat_s": 42}, "configuration": given})
    async with open_foundation(settings) as foundation:
        assert foundation.configuration.integer("HeartbeatInterval") == expected


async def test_a_provisioned_root_is_installed_once_and_does_not_come_back(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(PKI.root_pem)
    settings = settings_in(tmp_path, {"provisioning": {"central_system_roots": ["root.pem"]}})
    for _ in range(2):
        async with open_foundation(settings) as foundation:
            assert len(foundation.certificates.listing()["central_system"]) == 1
            events = await foundation.security_log.read(None, None, 100)
            assert [event.event.type for event in events] == ["ReconfigurationOfSecurityParameters"]
    for path in (tmp_path / "state" / "certificates").rglob("*.pem"):
        path.unlink()
    async with open_foundation(settings) as foundation:
        assert foundation.certificates.listing()["central_system"] == []


async def test_a_damaged_certificate_is_an_event_and_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(PKI.root_pem)
    settings = settings_in(tmp_path, {"provisioning": {"central_system_roots": ["root.pem"]}})
    async with open_foundation(settings):
        pass
    [path] = (tmp_path / "state" / "certificates").rglob("*.pem")
    path.write_bytes(path.read_bytes()[:100])
    async with open_foundation(settings) as foundation:
        events = await foundation.security_log.read(datetime.now(UTC) - timedelta(hours=1), None, 100)
        assert "damaged and not used" in str(events[-1].event.tech_info)
