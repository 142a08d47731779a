from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chargepoint import boot as boot_module
from chargepoint.boot import BootRecord, boot_events
from chargepoint.database import Database
from chargepoint.migration import Migration
from security.event import SecurityEventType

STARTUP = SecurityEventType.STARTUP_OF_THE_DEVICE
RESET = SecurityEventType.RESET_OR_REBOOT


@pytest.mark.parametrize(
    ("previous", "current", "pending", "events"),
    [
        (None, "a", None, [STARTUP]),
        ("a", "a", None, []),
        ("a", "b", None, [STARTUP]),
        ("a", "b", "Hard", [STARTUP, RESET]),
        ("a", "a", "Soft", [RESET]),
    ],
    ids=["first start", "crash of the agent", "power cut", "reset of the device", "reset of the agent"],
)
def test_a_start_means(
    previous: str | None, current: str, pending: str | None, events: list[SecurityEventType]
) -> None:
    assert [event_type for event_type, _ in boot_events(previous, current, pending)] == events


class TestBootRecord:
    @pytest.fixture
    async def record(self, tmp_path: Path) -> AsyncIterator[BootRecord]:
        database = await Database.open(tmp_path / "state.db", (Migration(boot_module.SCHEMA),))
        yield BootRecord(database)
        await database.close()

    async def test_each_boot_and_each_reset_is_reported_once(self, record: BootRecord) -> None:
        told: list[tuple[str, str | None]] = []

        async def raise_event(event_type: str, tech_info: str | None) -> None:
            told.append((event_type, tech_info))

        assert await record.take("a", raise_event)
        assert not await record.take("a", raise_event)
        await record.order_reset("Soft")
        await record.order_reset("Hard")
        assert await record.take("b", raise_event)
        assert not await record.take("b", raise_event)
        assert told == [(STARTUP, "boot a"), (STARTUP, "boot b"), (RESET, "Hard reset")]

    async def test_a_report_that_did_not_get_through_is_made_again(self, record: BootRecord) -> None:
        async def fail(event_type: str, tech_info: str | None) -> None:
            raise OSError("crashed")

        with pytest.raises(OSError, match="crashed"):
            await record.take("a", fail)
        told: list[str] = []

        async def raise_event(event_type: str, tech_info: str | None) -> None:
            told.append(event_type)

        await record.take("a", raise_event)
        assert told == [STARTUP]

    async def test_a_reset_may_be_the_first_thing_that_is_kept(self, record: BootRecord) -> None:
        told: list[str] = []

        async def raise_event(event_type: str, tech_info: str | None) -> None:
            told.append(event_type)

        await record.order_reset("Hard")
        await record.take("a", raise_event)
        assert told == [STARTUP, RESET]
