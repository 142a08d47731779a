"""What the next attempt is made with, on a real state directory."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.foundation import Foundation, open_foundation
from chargepoint.settings import load
from chargepoint.simulation.pki import Pki
from security.profile import SecurityProfile
from tests.agent_process import PKI, write_config

KEY = "ab" * 20
DAY = timedelta(days=1)
URL = "ws://cs.example.com:8080/ocpp"


def provisioned(directory: Path, pki: Pki = PKI, **certificate: Any) -> dict[str, Any]:
    (directory / "root.pem").write_bytes(pki.root_pem)
    own = pki.charge_point_certificate("SN-0001", **certificate)
    (directory / "cp.pem").write_bytes(own.certificate_pem)
    (directory / "cp.key").write_bytes(own.key_pem)
    (directory / "cp.key").chmod(0o600)
    return {"central_system_roots": ["root.pem"], "certificate": "cp.pem", "private_key": "cp.key"}


async def test_an_attempt_is_made_in_the_configured_profile_alone(tmp_path: Path) -> None:
    tables = {"configuration": {"AuthorizationKey": KEY}, "provisioning": provisioned(tmp_path)}
    async with open_foundation(load(write_config(tmp_path, URL, tables))) as foundation:
        for profile, url in enumerate((URL, URL, "wss://cs.example.com:8080/ocpp", "wss://cs.example.com:8080/ocpp")):
            if profile:
                assert (await foundation.configuration.change("SecurityProfile", str(profile))).reason is None
            attempt = await foundation.planner.plan()
            assert (attempt.profile, attempt.url, attempt.identity) == (SecurityProfile(profile), url, "CP001")
            assert attempt.authorization_key is not None
            assert attempt.authorization_key.reveal() == bytes.fromhex(KEY)
            assert len(attempt.roots) == 1
            assert attempt.client_certificate is not None


async def test_a_profile_may_have_an_address_of_its_own(tmp_path: Path) -> None:
    tables = {
        "configuration": {"AuthorizationKey": KEY},
        "central_system.urls": {"1": "ws://10.0.0.1:81/one"},
    }
    async with open_foundation(load(write_config(tmp_path, URL, tables))) as foundation:
        assert (await foundation.planner.plan()).url == URL
        await foundation.configuration.change("SecurityProfile", "1")
        assert (await foundation.planner.plan()).url == "ws://10.0.0.1:81/one"


async def test_what_a_profile_lacks_is_named(tmp_path: Path) -> None:
    async with open_foundation(load(write_config(tmp_path, URL))) as foundation:
        missing = [foundation.planner.missing_prerequisite(profile) for profile in range(4)]
    assert missing[0] is None
    assert "AuthorizationKey" in str(missing[1])
    assert None not in missing[1:]


async def test_with_everything_installed_nothing_lacks(tmp_path: Path) -> None:
    tables = {"configuration": {"AuthorizationKey": KEY}, "provisioning": provisioned(tmp_path)}
    async with open_foundation(load(write_config(tmp_path, URL, tables))) as foundation:
        assert [foundation.planner.missing_prerequisite(profile) for profile in range(4)] == [None] * 4


@pytest.fixture
def soon_over(tmp_path: Path) -> dict[str, Any]:
    return {
        "configuration": {"AuthorizationKey": KEY},
        "provisioning": provisioned(tmp_path, not_after=datetime.now(UTC) + DAY),
    }


def put_clock(foundation: Foundation, offset: timedelta) -> None:
    foundation.hardware.set_clock(offset.total_seconds())  # type: ignore[attr-defined] # the simulated board has it


async def test_an_expired_certificate_allows_no_upgrade_but_is_tried_where_it_is_in_use(
    tmp_path: Path, soon_over: dict[str, Any]
) -> None:
    async with open_foundation(load(write_config(tmp_path, URL, soon_over))) as foundation:
        assert foundation.planner.missing_prerequisite(3) is None
        put_clock(foundation, 3 * DAY)
        assert "certificate" in str(foundation.planner.missing_prerequisite(3)).lower()
        assert foundation.planner.missing_prerequisite(2) is None
        assert (await foundation.planner.plan()).client_certificate is not None


async def test_a_clock_that_is_not_set_expires_nothing(tmp_path: Path, soon_over: dict[str, Any]) -> None:
    async with open_foundation(load(write_config(tmp_path, URL, soon_over))) as foundation:
        put_clock(foundation, timedelta(days=44 * 365))
        assert not foundation.clock.is_set
        assert foundation.planner.missing_prerequisite(3) is None
        put_clock(foundation, timedelta(days=-50 * 365))
        assert not foundation.clock.is_set
        assert foundation.planner.missing_prerequisite(3) is None
