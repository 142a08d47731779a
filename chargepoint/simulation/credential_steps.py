"""The steps of the demo about passwords and profiles that do not work: the Charge Point comes back all the same."""

from base64 import b64encode
from typing import Final

from chargepoint.simulation.password import new_password
from chargepoint.simulation.recorder import Refusal, Upgrade
from chargepoint.simulation.stage import IDENTITY, SERIAL_NUMBER, Stage
from chargepoint.simulation.step import Step, demand


async def _change_password(stage: Stage) -> str:
    password = new_password()
    upgrade = await _reconnected(stage, "AuthorizationKey", password.hex())
    demand(_bears(upgrade, password), "it did not come back with the new password")
    return "Accepted, disconnected, and back with 20 other random bytes"


async def _fall_back_to_the_old_password(stage: Stage) -> str:
    central_system = stage.central_system
    old = central_system.passwords[IDENTITY]
    upgrade = await _reconnected(stage, "AuthorizationKey", new_password().hex(), forgets=True)
    demand(_bears(upgrade, old), "it did not come back with the old password")
    refusal = await central_system.recorder.take(Refusal, lambda entry: entry.status == 401)
    await _undone(stage, "AuthorizationKey set back")
    return f"accepted, but forgotten by the Central System ({refusal.reason}, 401): back with the old one, and recorded"


async def _fall_back_to_profile_2(stage: Stage) -> str:
    issued = stage.pki.charge_point_certificate(SERIAL_NUMBER)
    chain, key = stage.directory / "cp.pem", stage.directory / "cp.key"
    chain.write_bytes(issued.chain_pem)
    key.write_bytes(issued.key_pem)
    key.chmod(0o600)
    await stage.command("install", str(chain), "--as", "charge-point-certificate", "--key", str(key))
    upgrade = await _reconnected(stage, "SecurityProfile", "3")
    demand(upgrade.profile == 2, f"it came back in profile {upgrade.profile}")
    answer = await stage.central_system.call("GetConfiguration", {"key": ["SecurityProfile"]})
    demand(answer["configurationKey"][0]["value"] == "2", "SecurityProfile does not show the profile in use")
    await _undone(stage, "SecurityProfile set back to 2")
    return "ordered to profile 3, which is not served: back in profile 2, as GetConfiguration.conf says, and recorded"


async def _reconnected(stage: Stage, key: str, value: str, *, forgets: bool = False) -> Upgrade:
    """Order a change, and return the request with which the Charge Point comes back and is let in."""
    central_system = stage.central_system
    before = await central_system.connected(IDENTITY)
    password = central_system.passwords.get(IDENTITY)
    answer = await central_system.call("ChangeConfiguration", {"key": key, "value": value})
    demand(answer["status"] == "Accepted", f"ChangeConfiguration.req({key}) was {answer['status']}")
    if forgets and password is not None:
        central_system.passwords[IDENTITY] = password
    after = await central_system.connected(IDENTITY, after=before)
    return await central_system.recorder.wait(Upgrade, lambda entry: entry.connection == after.number)


async def _undone(stage: Stage, what: str) -> None:
    events = await stage.control("security.events")
    demand(any(str(each["tech_info"]).startswith(what) for each in events), "the fallback is not in the security log")


def _bears(upgrade: Upgrade, password: bytes) -> bool:
    credentials = b64encode(IDENTITY.encode() + b":" + password).decode()
    return ("authorization", f"Basic {credentials}") in {(name.lower(), value) for name, value in upgrade.headers}


PASSWORD_STEPS: Final = (
    Step("Change the password", ("A01.FR.01", "A01.FR.02", "A01.FR.03", "A01.FR.07"), _change_password),
    Step("Survive a password that is not taken", ("A01.FR.11",), _fall_back_to_the_old_password),
)
PROFILE_STEPS: Final = (Step("Survive a profile that does not connect", ("A05.FR.08",), _fall_back_to_profile_2),)
