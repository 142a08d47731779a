"""The journal of the long jobs: how far each one is, and which of its statuses the Central System is still to hear.

A job is a log upload, a diagnostics upload or a firmware update. It has one row with a snapshot of its state machine, a
queue of reports that are owed, and what was last sent of it.

Guaranteed:
- A snapshot and the reports that belong to it are on the disk together or not at all (`JobJournal.commit`): no power
  cut leaves a job that has got on without telling so, nor a report of what never was.
- A report leaves the queue by a durable write only: confirmed, refused too often, or withdrawn with its job. What was
  last sent changes in the same transaction, so that it is known after a restart too (L01.FR.28, L01.FR.29).
- The queue has a bound; the oldest reports leave it for those that come, since the later ones say more.

Not done here: what a snapshot means (firmware/machine.py, logs/machine.py), sending (status_delivery.py).
"""

import json
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chargepoint.database import Database
from chargepoint.state import StateUnusable

MAX_OWED_REPORTS: Final = 32  #: reports; of one job: a whole firmware update makes 12, and the next withdraws them

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS job (
        name TEXT PRIMARY KEY,
        snapshot TEXT,            -- JSON; what the job's machine made of itself
        sent_status TEXT,         -- the last status that the Central System has answered
        sent_request_id TEXT
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS job_report (
        id INTEGER PRIMARY KEY,   -- in the order in which they are to be sent
        job TEXT NOT NULL,
        status TEXT NOT NULL,
        request_id TEXT,          -- decimal: integers of JSON may be longer than those of SQLite
        refusals INTEGER NOT NULL DEFAULT 0  -- how often the Central System refused it
    )
    """,
    "CREATE INDEX IF NOT EXISTS job_report_by_job ON job_report (job, id)",
)

LOG_UPLOAD: Final = "log upload"
DIAGNOSTICS_UPLOAD: Final = "diagnostics upload"
FIRMWARE_UPDATE: Final = "firmware update"

_log = logging.getLogger(__name__)


class Report(Protocol):
    """A status that the Central System is to hear of."""

    @property
    def status(self) -> str:
        """The text on the wire."""

    @property
    def request_id(self) -> int | None:
        """Of the request that the job serves."""


@dataclass(frozen=True, slots=True)
class OwedReport:
    """A report that waits.

    Attributes:
        id: its place in the order in which reports are to be sent.
        status: the text on the wire.
        request_id: of the request that the job serves.
        refusals: how often the Central System has refused it.
    """

    id: int
    status: str
    request_id: int | None
    refusals: int


@dataclass(frozen=True, slots=True)
class SentReport:
    """What was last sent of a job."""

    status: str
    request_id: int | None


class JobJournal:
    """The journal of one job.

    Args:
        database: it has the tables of `SCHEMA`.
        job: the name of the job, one of this module.
    """

    def __init__(self, database: Database, job: str) -> None:
        self._database = database
        self._tell: Callable[[int | None], None] | None = None
        self.job: Final = job

    def subscribe(self, tell: Callable[[int | None], None]) -> None:
        """Have somebody told after each commit; with the request id whose reports were withdrawn, else None."""
        self._tell = tell

    async def load(self) -> dict[str, Any] | None:
        """Return the last snapshot, None where there is none; one that is no JSON object is reported and left out.

        Raises:
            DatabaseError: the file cannot be read.
        """
        row = await self._read_row("snapshot")
        if row is None or row[0] is None:
            return None
        try:
            snapshot = json.loads(row[0])
        except ValueError:
            snapshot = None
        if isinstance(snapshot, dict):
            return snapshot
        _log.error("what was kept of the %s is damaged; it is taken for none, the rest goes on", self.job)
        return None

    async def last_sent(self) -> SentReport | None:
        """Return the last status that the Central System has answered, None where there is none.

        Raises:
            DatabaseError: the file cannot be read.
        """
        row = await self._read_row("sent_status, sent_request_id")
        return None if row is None or row[0] is None else SentReport(row[0], _from_text(row[1]))

    async def commit(
        self, snapshot: dict[str, Any], reports: Sequence[Report] = (), *, withdraw: int | None = None
    ) -> None:
        """Keep a snapshot and queue its reports, durably and together.

        Once it returns, no report that was withdrawn is sent any more; one that is on the wire already cannot be
        called back.

        Args:
            snapshot: replaces the one before; plain JSON.
            reports: what the Central System is to hear, in order.
            withdraw: reports of this request id that were not sent yet are dropped (N01.FR.11, L01.FR.26).

        Raises:
            DatabaseError: nothing of it is on the disk.
        """
        text = json.dumps(snapshot, separators=(",", ":"))
        rows = [(self.job, report.status, _to_text(report.request_id)) for report in reports]

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(
                "INSERT INTO job (name, snapshot) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET snapshot = excluded.snapshot",
                (self.job, text),
            )
            if withdraw is not None:
                connection.execute(
                    "DELETE FROM job_report WHERE job = ? AND request_id = ?", (self.job, _to_text(withdraw))
                )
            connection.executemany("INSERT INTO job_report (job, status, request_id) VALUES (?, ?, ?)", rows)
            return connection.execute(
                "DELETE FROM job_report WHERE job = :job AND id <= "
                "(SELECT id FROM job_report WHERE job = :job ORDER BY id DESC LIMIT 1 OFFSET :kept)",
                {"job": self.job, "kept": MAX_OWED_REPORTS},
            ).rowcount

        left_out = await self._database.write(work)
        if left_out:
            _log.error(
                "%d reports of the %s are not sent: more than %d wait for the Central System",
                left_out,
                self.job,
                MAX_OWED_REPORTS,
            )
        if self._tell is not None:
            self._tell(withdraw)

    async def next_report(self) -> OwedReport | None:
        """Return the report that is to be sent next, None while none is owed; raises DatabaseError."""

        def work(connection: sqlite3.Connection) -> OwedReport | None:
            row = connection.execute(
                "SELECT id, status, request_id, refusals FROM job_report WHERE job = ? ORDER BY id LIMIT 1", (self.job,)
            ).fetchone()
            return None if row is None else OwedReport(row[0], row[1], _from_text(row[2]), row[3])

        return await self._database.read(work)

    async def note_sent(self, report: OwedReport) -> None:
        """Take a report that the Central System has confirmed out of the queue; raises DatabaseError."""

        def work(connection: sqlite3.Connection) -> None:
            self._settle(connection, report)

        await self._database.write(work)

    async def note_refusal(self, report: OwedReport, max_refusals: int) -> bool:
        """Count a refusal durably; a report that was refused too often waits no longer, and counts as sent.

        Returns:
            Whether it waits no longer.

        Raises:
            DatabaseError: it was not counted.
        """

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("UPDATE job_report SET refusals = refusals + 1 WHERE id = ?", (report.id,))
            row = connection.execute("SELECT refusals FROM job_report WHERE id = ?", (report.id,)).fetchone()
            if row is not None and row[0] < max_refusals:
                return False
            self._settle(connection, report)
            return True

        return await self._database.write(work)

    def _settle(self, connection: sqlite3.Connection, report: OwedReport) -> None:
        # Also where it was withdrawn while it was under way: it has been said all the same.
        connection.execute("DELETE FROM job_report WHERE id = ?", (report.id,))
        connection.execute(
            "UPDATE job SET sent_status = ?, sent_request_id = ? WHERE name = ?",
            (report.status, _to_text(report.request_id), self.job),
        )

    async def _read_row(self, columns: str) -> tuple[Any, ...] | None:
        def work(connection: sqlite3.Connection) -> tuple[Any, ...] | None:
            row: tuple[Any, ...] | None = connection.execute(
                f"SELECT {columns} FROM job WHERE name = ?",  # noqa: S608 - our own words
                (self.job,),
            ).fetchone()
            return row

        return await self._database.read(work)


def _to_text(request_id: int | None) -> str | None:
    return None if request_id is None else str(request_id)


def _from_text(text: str | None) -> int | None:
    return None if text is None else int(text)


class WingJournal:
    """The journal of one job as the wing that does it knows it: what the disk refuses is an error of the wing's own.

    Args:
        journal: of the job.
        failed: the error that the wing's port `Journal` names.
    """

    def __init__(self, journal: JobJournal, failed: type[Exception]) -> None:
        self._journal = journal
        self._failed = failed

    async def load(self) -> dict[str, Any] | None:
        """As `JobJournal.load`."""
        try:
            return await self._journal.load()
        except StateUnusable as error:
            raise self._failed(str(error)) from error

    async def commit(
        self, snapshot: dict[str, Any], reports: Sequence[Report] = (), *, withdraw: int | None = None
    ) -> None:
        """As `JobJournal.commit`."""
        try:
            await self._journal.commit(snapshot, reports, withdraw=withdraw)
        except StateUnusable as error:
            raise self._failed(str(error)) from error
