import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from chargepoint.configuration import (
    KEYS,
    ChangeStatus,
    Configuration,
    Effect,
    Known,
    Origin,
    device_values,
)
from chargepoint.configuration_key import Key
from chargepoint.configuration_store import PREVIOUS_SCHEMA, SCHEMA, TRIAL_SCHEMA
from chargepoint.database import Database
from chargepoint.migration import Migration
from security.secret import Secret

OLD_KEY = "0011223344556677889900112233445566778899"
NEW_KEY = "4F43415F4F4354545F61646D696E5F74657374"


@dataclass
class Bench:
    """A configuration over a real database, with ears for events and a say in what the next profile lacks."""

    database: Database
    events: list[tuple[str, str | None]] = field(default_factory=list)
    lacks: dict[int, str] = field(default_factory=dict)

    async def load(self, given: Mapping[str, str] | None = None, keys: Mapping[str, Key] = KEYS) -> Configuration:
        async def raise_event(event_type: str, tech_info: str | None) -> None:
            self.events.append((event_type, tech_info))

        return await Configuration.load(
            self.database,
            given=given or {},
            device=device_values(2),
            raise_event=raise_event,
            missing_prerequisite=self.lacks.get,
            keys=keys,
        )

    async def store(self, name: str, value: str) -> None:
        await self.database.write(
            lambda c: c.execute("INSERT INTO configuration VALUES (?, ?)", (name, value)).rowcount
        )

    async def stored(self) -> dict[str, str]:
        return dict(await self.database.read(lambda c: c.execute("SELECT name, value FROM configuration").fetchall()))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = await Database.open(tmp_path / "state.db", (Migration(SCHEMA + TRIAL_SCHEMA + PREVIOUS_SCHEMA),))
    yield Bench(database)
    await database.close()


async def test_what_was_set_wins_over_what_is_given_and_that_over_the_device_and_the_default(bench: Bench) -> None:
    given = {"HeartbeatInterval": "100", "ConnectorPhaseRotation": "1.RST", "ConnectionTimeOut": "30"}
    await bench.store("HeartbeatInterval", "200")
    configuration = await bench.load(given)
    assert configuration.integer("HeartbeatInterval") == 200
    assert configuration.integer("ConnectionTimeOut") == 30
    assert configuration.items("ConnectorPhaseRotation") == ["1.RST"]
    assert configuration.integer("NumberOfConnectors") == 2
    assert configuration.boolean("LocalAuthorizeOffline") is True
    assert configuration.text("CpoName") == ""


async def test_a_given_value_cannot_contradict_the_device(bench: Bench) -> None:
    configuration = await bench.load({"NumberOfConnectors": "9"})
    assert configuration.integer("NumberOfConnectors") == 2
    assert configuration.overridden() == ()


async def test_a_change_holds_at_once_and_after_a_restart(bench: Bench) -> None:
    configuration = await bench.load()
    change = await configuration.change("heartbeatINTERVAL", "0060")
    assert (change.status, change.key, change.effect) == (ChangeStatus.ACCEPTED, "HeartbeatInterval", Effect.LIVE)
    assert configuration.integer("HeartbeatInterval") == (await bench.load()).integer("HeartbeatInterval") == 60


async def test_keys_that_are_overridden_are_named(bench: Bench) -> None:
    given = {"HeartbeatInterval": "100", "CpoName": "Example", "AuthorizationKey": OLD_KEY, "ResetRetries": "1"}
    configuration = await bench.load(given)
    for name, value in [("HeartbeatInterval", "100"), ("CpoName", "Other"), ("AuthorizationKey", NEW_KEY)]:
        await configuration.change(name, value)
    assert configuration.overridden() == ("CpoName", "AuthorizationKey")


class TestListing:
    async def test_keeps_the_order_of_the_request_and_names_each_key_once(self, bench: Bench) -> None:
        listing = (await bench.load()).listing(["RESETRETRIES", "Nonsense", "CpoName", "ResetRetries", "nonsense"])
        assert listing.known == (Known("ResetRetries", False, "3"), Known("CpoName", False, ""))
        assert listing.unknown == ("nonsense",)

    @pytest.mark.parametrize("wanted", [None, []])
    async def test_lists_all_keys_where_none_is_asked_for(self, bench: Bench, wanted: list[str] | None) -> None:
        listing = (await bench.load()).listing(wanted)
        assert [known.key for known in listing.known] == list(KEYS)
        assert {known.key for known in listing.known if known.value is None} == {"AuthorizationKey"}
        assert Known("NumberOfConnectors", True, "2") in listing.known


class TestChange:
    @pytest.mark.parametrize(
        ("name", "value", "status"),
        [
            ("Nonsense", "1", ChangeStatus.NOT_SUPPORTED),
            ("x" * 51, "1", ChangeStatus.NOT_SUPPORTED),
            ("NumberOfConnectors", "3", ChangeStatus.REJECTED),
            ("CertificateStoreMaxLength", "3", ChangeStatus.REJECTED),
            ("WebSocketPingInterval", "-1", ChangeStatus.REJECTED),
            ("CpoName", "x" * 65, ChangeStatus.REJECTED),
            ("AuthorizationKey", "too short", ChangeStatus.REJECTED),
            ("MeterValuesSampledData", ",".join(["SoC"] * 17), ChangeStatus.REJECTED),
            ("ConnectorPhaseRotation", "3.RST", ChangeStatus.REJECTED),
            ("ConnectorPhaseRotation", "0.RST,2.RTS", ChangeStatus.ACCEPTED),
            ("AllowCentralSystemTLSWildcards", "true", ChangeStatus.ACCEPTED),
        ],
    )
    async def test_answers_the_central_system(self, bench: Bench, name: str, value: str, status: ChangeStatus) -> None:
        configuration = await bench.load()
        change = await configuration.change(name, value)
        assert change.status == status
        assert bool(change.reason) is (status is not ChangeStatus.ACCEPTED)
        assert set(await bench.stored()) == ({name} if status is ChangeStatus.ACCEPTED else set())

    async def test_a_local_command_may_set_what_the_integrator_may(self, bench: Bench) -> None:
        configuration = await bench.load()
        change = await configuration.change("CertificateStoreMaxLength", "3", Origin.LOCAL)
        assert change.status is ChangeStatus.ACCEPTED
        assert (
            await configuration.change("NumberOfConnectors", "3", Origin.LOCAL)
        ).reason == "it follows from the device"

    async def test_a_key_may_need_a_reboot(self, bench: Bench) -> None:
        keys = {**KEYS, "ResetRetries": replace(KEYS["ResetRetries"], effect=Effect.REBOOT)}
        change = await (await bench.load(keys=keys)).change("ResetRetries", "1")
        assert (change.status, change.effect) == (ChangeStatus.REBOOT_REQUIRED, Effect.REBOOT)

    async def test_the_same_value_again_is_not_written_again(self, bench: Bench) -> None:
        configuration = await bench.load()
        await configuration.change("CpoName", "Example")
        log = bench.database.path.with_name("state.db-wal")
        before = log.read_bytes()
        assert (await configuration.change("CpoName", "Example")).status is ChangeStatus.ACCEPTED
        assert log.read_bytes() == before
        assert len(bench.events) == 1

    async def test_subscribers_are_called_once_the_value_holds_and_is_on_the_disk(self, bench: Bench) -> None:
        configuration = await bench.load()
        seen: list[Any] = []

        def look() -> None:
            with sqlite3.connect(bench.database.path) as connection:
                seen.extend(connection.execute("SELECT value FROM configuration").fetchone())
            connection.close()
            seen.append(configuration.text("WebSocketPingInterval"))

        configuration.subscribe("WebSocketPingInterval", look)
        await configuration.change("HeartbeatInterval", "-1")
        await configuration.change("WebSocketPingInterval", "5")
        assert seen == ["5", "5"]

    async def test_a_subscriber_that_fails_harms_nobody(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        configuration = await bench.load()
        seen: list[int] = []
        configuration.subscribe("ResetRetries", lambda: seen.append(1 // 0))
        configuration.subscribe("ResetRetries", lambda: seen.append(1))
        assert (await configuration.change("ResetRetries", "1")).status is ChangeStatus.ACCEPTED
        assert seen == [1]
        assert "a subscriber of ResetRetries failed" in caplog.text

    async def test_a_full_disk_changes_nothing(self, bench: Bench) -> None:
        configuration = await bench.load()
        trigger = "CREATE TRIGGER full BEFORE INSERT ON configuration BEGIN SELECT raise(FAIL, 'full'); END"
        await bench.database.write(lambda connection: connection.execute(trigger).rowcount)
        change = await configuration.change("HeartbeatInterval", "5")
        assert (change.status, change.reason) == (ChangeStatus.REJECTED, "it could not be stored: full")
        assert configuration.integer("HeartbeatInterval") == 900

    async def test_a_cancelled_change_goes_on_to_its_end(self, bench: Bench) -> None:
        configuration = await bench.load()
        changed = asyncio.Event()
        configuration.subscribe("HeartbeatInterval", changed.set)
        task = asyncio.create_task(configuration.change("HeartbeatInterval", "5"))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            await changed.wait()
        assert (await bench.stored(), configuration.text("HeartbeatInterval")) == ({"HeartbeatInterval": "5"}, "5")

    async def test_changes_at_the_same_time_end_with_the_last(self, bench: Bench) -> None:
        configuration = await bench.load()
        await asyncio.gather(*(configuration.change("CpoName", str(number)) for number in range(20)))
        assert (await bench.stored(), configuration.text("CpoName")) == ({"CpoName": "19"}, "19")


class TestSecurityProfile:
    @pytest.mark.requirement("A05.FR.01", "A00.FR.005")
    @pytest.mark.parametrize("target", ["0", "1", "2", "4", "-1", "x"])
    async def test_the_central_system_only_raises_it(self, bench: Bench, target: str) -> None:
        configuration = await bench.load({"SecurityProfile": "2"})
        assert (await configuration.change("SecurityProfile", target)).status is ChangeStatus.REJECTED
        assert (configuration.integer("SecurityProfile"), bench.events) == (2, [])

    @pytest.mark.requirement("A05.FR.02", "A05.FR.03", "A05.FR.04")
    @pytest.mark.parametrize("origin", Origin)
    async def test_is_not_raised_to_what_cannot_connect(self, bench: Bench, origin: Origin) -> None:
        bench.lacks = {3: "there is no certificate"}
        configuration = await bench.load({"SecurityProfile": "1"})
        change = await configuration.change("SecurityProfile", "3", origin)
        assert (change.status, change.reason) == (ChangeStatus.REJECTED, "there is no certificate")

    @pytest.mark.requirement("A05.FR.05")
    async def test_is_raised_where_nothing_is_missing(self, bench: Bench) -> None:
        configuration = await bench.load()
        change = await configuration.change("SecurityProfile", "2")
        assert (change.status, change.effect) == (ChangeStatus.ACCEPTED, Effect.RECONNECT)
        assert bench.events == [("ReconfigurationOfSecurityParameters", "SecurityProfile set by the Central System")]

    @pytest.mark.requirement("A00.FR.005")
    async def test_a_local_command_may_lower_it(self, bench: Bench) -> None:
        configuration = await bench.load({"SecurityProfile": "2"})
        assert (await configuration.change("SecurityProfile", "1", Origin.LOCAL)).status is ChangeStatus.ACCEPTED
        assert configuration.integer("SecurityProfile") == 1
        assert (await configuration.change("SecurityProfile", "1", Origin.LOCAL)).status is ChangeStatus.ACCEPTED
        assert bench.events == [("ReconfigurationOfSecurityParameters", "SecurityProfile set by a local command")]


class TestAuthorizationKey:
    @pytest.mark.requirement("A01.FR.01", "A00.FR.205")
    async def test_the_password_is_its_bytes(self, bench: Bench) -> None:
        configuration = await bench.load()
        assert configuration.authorization_key() is None
        change = await configuration.change("AuthorizationKey", NEW_KEY)
        assert (change.status, change.effect) == (ChangeStatus.ACCEPTED, Effect.RECONNECT)
        assert configuration.authorization_key() == Secret(NEW_KEY.encode())
        assert (await bench.load()).authorization_key() == Secret(NEW_KEY.encode())

    @pytest.mark.requirement("A01.FR.11")
    async def test_each_setting_is_recorded_also_of_the_same_password(self, bench: Bench) -> None:
        configuration = await bench.load({"AuthorizationKey": OLD_KEY})
        for _ in range(2):
            await configuration.change("AuthorizationKey", NEW_KEY)
        assert (
            bench.events == [("ReconfigurationOfSecurityParameters", "AuthorizationKey set by the Central System")] * 2
        )

    @pytest.mark.requirement("A01.FR.12")
    async def test_is_shown_nowhere(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        await bench.store("ResetRetries", NEW_KEY)
        configuration = await bench.load({"AuthorizationKey": OLD_KEY})
        shown: list[object] = [configuration.listing(), configuration.listing(["AuthorizationKey"])]
        shown += [
            await configuration.change("AuthorizationKey", each) for each in (NEW_KEY, NEW_KEY + "0", OLD_KEY * 2)
        ]
        with pytest.raises(RuntimeError, match="AuthorizationKey cannot be read") as refusal:
            configuration.text("AuthorizationKey")
        text = f"{shown} {caplog.text} {bench.events} {refusal.value} {configuration.__dict__}".lower()
        for secret in (OLD_KEY, NEW_KEY, "OCA_OCTT_admin_test"):
            assert secret.lower() not in text


class TestRestart:
    async def test_what_a_later_release_stored_is_left_for_it(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        await bench.store("KeyOfTheFuture", "1")
        await bench.store("HeartbeatInterval", "every now and then")
        configuration = await bench.load({"HeartbeatInterval": "100"})
        assert configuration.integer("HeartbeatInterval") == 100
        assert "KeyOfTheFuture is of another release" in caplog.text
        assert "HeartbeatInterval is left aside: it must be a whole number" in caplog.text
        assert await bench.stored() == {"KeyOfTheFuture": "1", "HeartbeatInterval": "every now and then"}
