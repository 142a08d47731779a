"""A00: one security profile at a time, and how the Charge Point proves itself in each."""

import base64
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography import x509

from chargepoint.attempt import Attempt
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.recorder import Upgrade
from security.profile import SecurityProfile, url_for
from tests.connecting import PASSWORD, PKI, SETTINGS, Notebook, attempt_in, running

IDENTITY = "CP001"

BASIC_PROFILES = pytest.mark.parametrize(
    "profile",
    [
        pytest.param(
            1, marks=pytest.mark.requirement("A00.FR.202", "A00.FR.203", "A00.FR.204", "A00.FR.205"), id="profile 1"
        ),
        pytest.param(
            2, marks=pytest.mark.requirement("A00.FR.301", "A00.FR.302", "A00.FR.303", "A00.FR.304"), id="profile 2"
        ),
    ],
)


def served(central_system: CentralSystem) -> CentralSystem:
    """A Central System that knows the Charge Point."""
    central_system.passwords[IDENTITY] = PASSWORD.reveal()
    central_system.serial_numbers[IDENTITY] = "SN-0001"
    return central_system


def credentials(upgrade: Upgrade) -> tuple[str, bytes] | None:
    """User name and password of the one Authorization header, if there is any."""
    values = [value for name, value in upgrade.headers if name.lower() == "authorization"]
    if not values:
        return None
    [value] = values
    scheme, _, encoded = value.partition(" ")
    assert scheme == "Basic"
    user, _, password = base64.b64decode(encoded).partition(b":")
    return user.decode(), password


@BASIC_PROFILES
async def test_each_connection_request_bears_identity_and_password(profile: int, tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=profile) as central_system:
        served(central_system)
        async with running(Notebook([attempt_in(profile, central_system.port, tmp_path)])):
            first = await central_system.recorder.take(Upgrade)
            await central_system.drop()
            again = await central_system.recorder.take(Upgrade)
    for upgrade in (first, again):
        assert credentials(upgrade) == (IDENTITY, PASSWORD.reveal())
        assert unquote(upgrade.target.rpartition("/")[2]) == IDENTITY
        assert upgrade.tls is None or upgrade.tls.client_certificate is None
    assert not central_system.findings


@pytest.mark.requirement("A00.FR.401", "A00.FR.402")
async def test_profile_3_presents_the_charge_point_certificate_and_no_password(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=3) as central_system:
        served(central_system)
        async with running(Notebook([attempt_in(3, central_system.port, tmp_path)])):
            upgrade = await central_system.recorder.take(Upgrade)
    assert credentials(upgrade) is None
    assert upgrade.tls is not None
    assert upgrade.tls.client_certificate is not None
    subject = x509.load_der_x509_certificate(upgrade.tls.client_certificate).subject.rfc4514_string()
    assert "CN=SN-0001" in subject
    assert not central_system.findings


@pytest.mark.requirement("A00.FR.001")
async def test_one_connection_in_one_profile_at_a_time(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        served(central_system)
        start = attempt_in(1, central_system.port, tmp_path)
        notebook = Notebook([in_profile(profile, start) for profile in (1, 2, 3)])
        upgrades = []
        async with running(notebook, replace(SETTINGS, retry_first=SETTINGS.open_timeout)) as connection:
            for profile in (1, 2, 3):
                upgrades.append(await central_system.recorder.take(Upgrade))
                assert len(central_system.connections) == 1
                await notebook.until(lambda profile=profile: len(notebook.links) == profile)  # type: ignore[misc]
                if profile < 3:
                    central_system.profile = profile + 1
                    connection.reconnect(f"upgrade to profile {profile + 1}")
    assert [upgrade.profile for upgrade in upgrades] == [1, 2, 3]
    assert [credentials(upgrade) is not None for upgrade in upgrades] == [True, True, False]
    assert [upgrade.tls is not None for upgrade in upgrades] == [False, True, True]
    certificates = [upgrade.tls.client_certificate for upgrade in upgrades if upgrade.tls]
    assert [certificate is not None for certificate in certificates] == [False, True]
    assert not central_system.findings


def in_profile(profile: int, start: Attempt) -> Attempt:
    return replace(start, profile=SecurityProfile(profile), url=url_for(SecurityProfile(profile), start.url, {}))
