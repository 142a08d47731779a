"""A01: the Central System sets another password for HTTP Basic; nobody else ever sees it."""

import base64
import signal
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

from chargepoint.simulation import transcript
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.finding import Finding
from chargepoint.simulation.password import new_password
from chargepoint.simulation.recorder import Entry, Refusal, Upgrade
from chargepoint.simulation.script import Answer
from tests.agent_process import PKI, Agent, agent
from tests.site import PASSWORD, authorization, change, site, upgrade_of, value_of

OLD, NEW = b"an old password: 16+", b"\x00\xff:\x80 new & rare \xfe!!"
TABLES = {"configuration": {"SecurityProfile": 1, "AuthorizationKey": OLD.hex()}}


def forms(secret: bytes) -> list[str]:
    """How a secret may look in a text."""
    return [
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode(),
        base64.b64encode(b"CP001:" + secret).decode(),
        quote_from_bytes(secret),
        secret.decode("latin-1"),
        repr(secret)[2:-1],
    ]


def assert_unseen(text: str) -> None:
    for secret in (OLD, NEW):
        for form in forms(secret):
            assert form not in text


async def order(central_system: CentralSystem, password: bytes) -> str:
    request = {"key": "AuthorizationKey", "value": password.hex()}
    return str((await central_system.call("ChangeConfiguration", request))["status"])


async def what_can_be_asked(central_system: CentralSystem, running: Agent) -> str:
    """Everything that the agent says to anybody who may ask."""
    said = [
        await running.call("status"),
        await running.call("security.events"),
        await running.call("certificates.list"),
        await central_system.call("GetConfiguration"),
        await central_system.call("GetConfiguration", {"key": ["AuthorizationKey"]}),
        Path(f"/proc/{running.pid}/cmdline").read_bytes(),
        Path(f"/proc/{running.pid}/environ").read_bytes(),
    ]
    return repr(said)


@pytest.mark.requirement("A01.FR.01", "A01.FR.02", "A01.FR.11", "A01.FR.12")
async def test_the_new_password_is_that_of_the_next_connection_and_of_the_next_start(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            assert await order(central_system, NEW) == "Accepted"
            await before.ended()
            after = await central_system.connected(after=before)
            changes = [event["tech_info"] for event in await running.events("ReconfigurationOfSecurityParameters")]
            assert changes == ["AuthorizationKey set by the Central System"]
            assert_unseen(await what_can_be_asked(central_system, running))
            assert await running.stop() == 0
            assert_unseen(running.said())
        async with agent(tmp_path, central_system.url, TABLES) as again:
            await central_system.connected(after=after)
            assert_unseen(again.said())
        basic = [dict(entry.headers)["Authorization"] for entry in central_system.recorder.entries
                 if isinstance(entry, Upgrade)]  # fmt: skip
        credentials = [base64.b64decode(header.removeprefix("Basic ")) for header in basic]
        assert credentials == [b"CP001:" + OLD, b"CP001:" + NEW, b"CP001:" + NEW]
        assert not central_system.findings


@pytest.mark.requirement("A01.FR.10", "A01.FR.12")
async def test_the_password_lies_in_files_of_its_owner_alone_and_in_no_log(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            assert await order(central_system, NEW) == "Accepted"
            await central_system.expect("StatusNotification")
            central_system.passwords["CP001"] = OLD  # so that the next try is refused, and said to be
            await running.call("connection.down")
            await running.call("connection.up")
            await running.logged("refuses this Charge Point")
            assert_unseen(repr(await running.call("status")))
            for path in [running.state, *running.state.rglob("*")]:
                mode = path.lstat().st_mode & 0o777
                assert mode & 0o077 == 0, f"{path} has mode {mode:o}"
            assert await running.stop() == 0
            assert_unseen(running.said())


async def test_a_refused_password_changes_nothing(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            for password in (b"fifteen bytes..", b"twenty-one bytes here"):
                assert await order(central_system, password) == "Rejected"
            assert await central_system.connected() is before
            await central_system.drop()
            await central_system.connected(after=before)
            assert await running.events("ReconfigurationOfSecurityParameters") == []
            assert b"fifteen bytes..".hex() not in running.said()


async def test_with_a_local_command_the_password_is_as_secret(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            central_system.passwords["CP001"] = NEW
            await running.call("configuration.set", values={"AuthorizationKey": NEW.hex()})
            await central_system.connected(after=before)
            assert await running.stop() == 0
            assert_unseen(running.said())


@pytest.mark.requirement("A01.FR.01", "A01.FR.11")
@pytest.mark.parametrize("profile", [1, 2])
async def test_a_password_that_the_central_system_does_not_take_is_undone(profile: int, tmp_path: Path) -> None:
    async with site(tmp_path, profile) as (central_system, running):
        before = await central_system.connected()
        assert await order(central_system, NEW) == "Accepted"
        central_system.passwords["CP001"] = PASSWORD  # it has forgotten what it ordered
        after = await central_system.connected(after=before)
        assert authorization(await upgrade_of(central_system, after)) == basic(PASSWORD)
        assert [refusal.status for refusal in refusals(central_system)] == [401]
        changes = [event["tech_info"] for event in await running.events("ReconfigurationOfSecurityParameters")]
        assert changes[-2:] == [
            "AuthorizationKey set by the Central System",
            "AuthorizationKey set back: the Central System takes the previous one and has not taken the new one",
        ]

        # Whoever answers has undone it on the disk: the next start does not try the new one again.
        assert await value_of(central_system, "AuthorizationKey") is None
        assert await running.stop(signal.SIGKILL) < 0
        assert_unseen(running.said())
    async with site(tmp_path, profile) as (central_system, _):
        assert not refusals(central_system)


@pytest.mark.parametrize("taken", [OLD, NEW], ids=["the old one", "the new one"])
async def test_a_kill_in_the_trial_loses_neither_password(taken: bytes, tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        async with agent(tmp_path, central_system.url, TABLES) as running:
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            assert await order(central_system, NEW) == "Accepted"
            central_system.passwords["CP001"] = b"neither: the trial goes on"
            await before.ended()
            for _ in range(3):
                await central_system.recorder.take(Refusal)
            await running.stop(signal.SIGKILL)
        central_system.passwords["CP001"] = taken
        async with agent(tmp_path, central_system.url, TABLES):
            await central_system.connected(after=before)


@pytest.mark.requirement("A01.FR.05", "A01.FR.04")
async def test_after_a_refused_change_the_old_one_connects_and_a_pending_charge_point_takes_another(
    tmp_path: Path,
) -> None:
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD
        now = central_system.duty.current_time()
        pending = {"status": "Pending", "currentTime": now, "interval": 300}
        central_system.script("BootNotification", Answer(pending))
        async with agent(tmp_path, central_system.url, TABLES):
            await central_system.expect("BootNotification")
            assert await order(central_system, b"too short") == "Rejected"
            before = await central_system.connected()
            await central_system.drop()
            again = await central_system.connected(after=before)
            assert authorization(await upgrade_of(central_system, again)) == basic(OLD)
            assert await order(central_system, NEW) == "Accepted"
            after = await central_system.connected(after=again)
            assert authorization(await upgrade_of(central_system, after)) == basic(NEW)


@pytest.mark.parametrize("profile", [0, 3])
async def test_where_no_password_is_sent_it_is_stored_and_the_connection_stays(profile: int, tmp_path: Path) -> None:
    async with site(tmp_path, profile) as (central_system, running):
        connection = await central_system.connected()
        assert await order(central_system, NEW) == "Accepted"
        assert await change(central_system, "CpoName", "Example CPO") == "Accepted"
        assert await central_system.connected() is connection
        assert await running.stop() == 0
    if profile == 0:
        async with CentralSystem(pki=PKI, profile=1) as central_system:
            central_system.passwords["CP001"] = NEW
            running_in_1 = {"configuration": {"SecurityProfile": 1, "AuthorizationKey": PASSWORD.hex()}}
            async with agent(tmp_path, central_system.url, running_in_1):
                await central_system.connected()


async def test_of_passwords_that_were_set_in_profile_3_the_one_that_the_central_system_knows_is_found(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, 3) as (central_system, running):
        before = await central_system.connected()
        assert await order(central_system, NEW) == "Accepted"
        assert await order(central_system, OLD) == "Accepted"
        central_system.passwords["CP001"] = NEW  # the answer to the second order was lost
        central_system.profile = 2
        central_system.register.highest_profiles.clear()
        # An installer comes and lowers the profile.
        await running.call("configuration.set", values={"SecurityProfile": "2"})
        after = await central_system.connected(after=before)
        assert authorization(await upgrade_of(central_system, after)) == basic(NEW)
        assert [refusal.status for refusal in refusals(central_system) if refusal.stage == "http"] == [401, 401, 401]
        await central_system.drop()
        again = await central_system.connected(after=after)
        assert authorization(await upgrade_of(central_system, again)) == basic(NEW)


@pytest.mark.requirement("A00.FR.205")
@pytest.mark.parametrize("tolerated", [False, True])
async def test_a_plain_text_is_a_password_only_where_that_is_tolerated(tolerated: bool, tmp_path: Path) -> None:
    async with site(tmp_path, 1, {"interop": {"authorization_key_text": tolerated}}) as (central_system, _):
        before = await central_system.connected()
        text = "a text of 20 letters"
        assert await change(central_system, "AuthorizationKey", text) == ("Accepted" if tolerated else "Rejected")
        if tolerated:
            after = await central_system.connected(after=before)
            assert authorization(await upgrade_of(central_system, after)) == basic(text.encode())


async def test_the_digits_themselves_are_the_password_where_that_is_wanted(tmp_path: Path) -> None:
    digits = NEW.hex().upper()
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD.hex().encode()
        interop = {"authorization_key_as_hex_text": True}
        async with agent(tmp_path, central_system.url, {**TABLES, "interop": interop}):
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            assert await change(central_system, "AuthorizationKey", digits) == "Accepted"
            central_system.passwords["CP001"] = digits.encode()
            after = await central_system.connected(after=before)
            assert authorization(await upgrade_of(central_system, after)) == basic(digits.encode())


@pytest.mark.requirement("A01.FR.07")
def test_the_central_system_makes_long_passwords_that_differ() -> None:
    passwords = [new_password() for _ in range(100)]
    assert {len(password) for password in passwords} == {20}
    assert len(set(passwords)) == 100


@pytest.mark.requirement("A01.FR.09")
async def test_what_the_central_system_shows_holds_no_password(tmp_path: Path) -> None:
    shown = []
    async with CentralSystem(pki=PKI, profile=1) as central_system:
        central_system.passwords["CP001"] = OLD

        def show(entry: Entry | Finding) -> None:
            shown.append(transcript.line(entry, [OLD, NEW]))

        central_system.recorder.listeners.append(show)
        async with agent(tmp_path, central_system.url, TABLES):
            await central_system.expect("BootNotification")
            before = await central_system.connected()
            assert await order(central_system, NEW) == "Accepted"
            await central_system.connected(after=before)
    assert any("ChangeConfiguration" in line for line in shown)
    assert_unseen("\n".join(shown))


def basic(password: bytes) -> str:
    return "Basic " + base64.b64encode(b"CP001:" + password).decode()


def refusals(central_system: CentralSystem) -> list[Refusal]:
    return [entry for entry in central_system.recorder.entries if isinstance(entry, Refusal)]
