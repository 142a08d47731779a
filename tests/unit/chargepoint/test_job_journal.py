"""The journal of the long jobs, on a real database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chargepoint.database import Database
from chargepoint.database_error import DatabaseError, DatabaseFailed
from chargepoint.job_journal import FIRMWARE_UPDATE, MAX_OWED_REPORTS, JobJournal, SentReport, WingJournal
from chargepoint.state_schema import MIGRATIONS


@dataclass(frozen=True)
class Said:
    status: str
    request_id: int | None = 7


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state.db", MIGRATIONS)
    yield database
    await database.close()


@pytest.fixture
def journal(database: Database) -> JobJournal:
    return JobJournal(database, "log upload")


async def owed(journal: JobJournal) -> list[str]:
    """Empty the queue and return what was in it."""
    statuses = []
    while (report := await journal.next_report()) is not None:
        statuses.append(report.status)
        await journal.note_sent(report)
    return statuses


async def test_a_new_journal_knows_nothing(journal: JobJournal) -> None:
    assert (await journal.load(), await journal.next_report(), await journal.last_sent()) == (None, None, None)


async def test_a_snapshot_replaces_the_one_before_and_reports_wait_in_order(journal: JobJournal) -> None:
    await journal.commit({"state": "uploading"}, [Said("Uploading")])
    await journal.commit({"state": "uploaded"}, [Said("Uploaded")])
    assert await journal.load() == {"state": "uploaded"}
    assert await owed(journal) == ["Uploading", "Uploaded"]


async def test_jobs_do_not_see_each_other(database: Database, journal: JobJournal) -> None:
    other = JobJournal(database, "firmware update")
    await journal.commit({"state": "uploading"}, [Said("Uploading")])
    await other.commit({"state": "downloading"}, [Said("Downloading")], withdraw=7)
    assert await journal.load() == {"state": "uploading"}
    assert (await owed(other), await owed(journal)) == (["Downloading"], ["Uploading"])


async def test_all_of_a_commit_is_there_or_nothing(database: Database, journal: JobJournal) -> None:
    await journal.commit({"state": "uploading"}, [Said("Uploading")])
    refuse = "CREATE TRIGGER full BEFORE INSERT ON job_report BEGIN SELECT raise(FAIL, 'full'); END"
    await database.write(lambda connection: connection.execute(refuse).rowcount)
    with pytest.raises(DatabaseError):
        await journal.commit({"state": "uploaded"}, [Said("Uploaded")], withdraw=7)
    assert await journal.load() == {"state": "uploading"}
    assert await owed(journal) == ["Uploading"]


async def test_what_is_withdrawn_leaves_with_the_commit(journal: JobJournal) -> None:
    await journal.commit({"of": 6}, [Said("Uploaded", 6)])
    await journal.commit({"of": 7}, [Said("Uploading", 7)])
    await journal.commit({"of": 8}, [Said("Uploading", 8)], withdraw=7)
    first, second = await journal.next_report(), None
    assert first is not None
    await journal.note_sent(first)
    second = await journal.next_report()
    assert second is not None
    assert [first.request_id, second.request_id] == [6, 8]


async def test_the_same_request_id_may_come_again(journal: JobJournal) -> None:
    await journal.commit({"try": 1}, [Said("Uploading", 7)])
    await journal.commit({"try": 2}, [Said("UploadFailure", 7)], withdraw=7)
    assert await owed(journal) == ["UploadFailure"]


async def test_a_request_id_may_be_longer_than_an_integer_of_the_database(journal: JobJournal) -> None:
    await journal.commit({}, [Said("Uploading", 2**70), Said("Uploading", -1)])
    await journal.commit({}, withdraw=-1)
    report = await journal.next_report()
    assert report is not None
    assert report.request_id == 2**70
    await journal.note_sent(report)
    assert await journal.last_sent() == SentReport("Uploading", 2**70)
    assert await journal.next_report() is None


async def test_what_was_last_sent_is_what_was_last_confirmed(database: Database, journal: JobJournal) -> None:
    await journal.commit({}, [Said("Uploading"), Said("Uploaded")])
    first = await journal.next_report()
    assert first is not None
    await journal.note_sent(first)
    assert await JobJournal(database, "log upload").last_sent() == SentReport("Uploading", 7)
    await journal.commit({"more": 1})
    assert await journal.last_sent() == SentReport("Uploading", 7)


async def test_what_was_refused_too_often_waits_no_longer_and_counts_as_sent(journal: JobJournal) -> None:
    await journal.commit({}, [Said("Uploading"), Said("Uploaded")])
    report = await journal.next_report()
    assert report is not None
    assert not await journal.note_refusal(report, 2)
    again = await journal.next_report()
    assert again is not None
    assert (again.id, again.refusals) == (report.id, 1)
    assert await journal.note_refusal(again, 2)
    assert await journal.last_sent() == SentReport("Uploading", 7)
    assert await owed(journal) == ["Uploaded"]


async def test_a_refusal_of_what_was_withdrawn_meanwhile_ends_it(journal: JobJournal) -> None:
    await journal.commit({}, [Said("Uploading")])
    report = await journal.next_report()
    assert report is not None
    await journal.commit({}, withdraw=7)
    assert await journal.note_refusal(report, 2)


async def test_a_full_queue_loses_the_oldest_and_says_so(journal: JobJournal, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MAX_OWED_REPORTS + 3):
        await journal.commit({}, [Said(str(number))])
    assert await owed(journal) == [str(number) for number in range(3, MAX_OWED_REPORTS + 3)]
    assert "1 reports of the log upload are not sent: more than 32 wait" in caplog.text


@pytest.mark.parametrize("text", ["{", "[]", "7"])
async def test_a_damaged_snapshot_is_taken_for_none(
    database: Database, journal: JobJournal, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    await journal.commit({"state": "uploading"}, [Said("Uploading")])
    await database.write(lambda connection: connection.execute("UPDATE job SET snapshot = ?", (text,)).rowcount)
    assert await journal.load() is None
    assert "log upload is damaged" in caplog.text
    assert await owed(journal) == ["Uploading"]


async def test_who_delivers_is_told_of_each_commit_and_of_what_was_withdrawn(journal: JobJournal) -> None:
    told: list[int | None] = []
    journal.subscribe(told.append)
    await journal.commit({})
    await journal.commit({}, withdraw=7)
    assert told == [None, 7]


class Unkept(Exception):
    pass


async def test_a_database_that_fails_fails_in_the_words_of_the_wing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = WingJournal(JobJournal(database, FIRMWARE_UPDATE), Unkept)
    await journal.commit({"state": "x"})
    assert await journal.load() == {"state": "x"}

    async def broken(self: Database, work: Any) -> None:
        raise DatabaseFailed(Path("state.db"), "it is gone", "look for it")

    monkeypatch.setattr(Database, "read", broken)
    monkeypatch.setattr(Database, "write", broken)
    with pytest.raises(Unkept, match="it is gone"):
        await journal.load()
    with pytest.raises(Unkept, match="it is gone"):
        await journal.commit({})
