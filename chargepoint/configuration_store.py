"""What was set of the configuration, and which keys are on trial, in the database.

Guaranteed: a value and the trial that it is put on are written in one transaction, so that a power cut leaves the old
value, or the new one with the old one behind it.

What a later release stored and this one does not know stays in the database, unread.
"""

import logging
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from chargepoint.configuration_change import ON_TRIAL, KeyTrial, Value
from chargepoint.configuration_key import Key, Kind
from chargepoint.database import Database
from security.secret import Secret

_log = logging.getLogger(__name__)

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS configuration (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    )
    """,
)

# `held` is the value on trial: where the key has another one, a release that knows no trials has set it since.
TRIAL_SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS configuration_trial (
        name TEXT PRIMARY KEY,
        held TEXT NOT NULL,
        other TEXT NOT NULL,
        fell_back INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        time_s REAL NOT NULL
    )
    """,
)

# A table of its own, because a column more would keep the release before from writing its rows.
PREVIOUS_SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS configuration_trial_previous (
        name TEXT PRIMARY KEY,
        held TEXT NOT NULL,
        previous TEXT NOT NULL
    )
    """,
)

_SELECT_TRIALS: Final = """
    SELECT trial.name, trial.held, trial.other, trial.fell_back, trial.tries, trial.time_s, before.previous
    FROM configuration_trial AS trial
    LEFT JOIN configuration_trial_previous AS before ON before.name = trial.name AND before.held = trial.held
"""

_TrialRow = tuple[str, str, str, int, int, float, str | None]


class ConfigurationStore:
    """The rows of the configuration.

    Args:
        database: it has the tables of `SCHEMA`, `TRIAL_SCHEMA` and `PREVIOUS_SCHEMA`.
        keys: the keys that there are.
    """

    def __init__(self, database: Database, keys: Mapping[str, Key]) -> None:
        self._database = database
        self._keys = keys

    async def load(self) -> tuple[dict[str, Value], dict[str, KeyTrial]]:
        """Return what this release can read: the values, and the trials that belong to them.

        Raises:
            DatabaseError: the database cannot be read.
        """
        values = dict(self._values(await self._database.read(_select_values)))
        trials = dict(self._trials(values, await self._database.read(_select_trials)))
        return values, trials

    async def write(self, name: str, value: Value, trial: KeyTrial | None) -> None:
        """Set a key, and the trial that it is on from now on, in one transaction.

        Raises:
            DatabaseError: neither is on the disk.
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO configuration (name, value) VALUES (?, ?)", (name, text(value)))
            connection.execute("DELETE FROM configuration_trial WHERE name = ?", (name,))
            connection.execute("DELETE FROM configuration_trial_previous WHERE name = ?", (name,))
            if trial is not None:
                row = (name, text(value), text(trial.other), trial.fell_back, trial.tries, trial.time.total_seconds())
                connection.execute("INSERT INTO configuration_trial VALUES (?, ?, ?, ?, ?, ?)", row)
            if trial is not None and trial.previous is not None:
                before = (name, text(value), text(trial.previous))
                connection.execute("INSERT INTO configuration_trial_previous VALUES (?, ?, ?)", before)

        await self._database.write(work)

    def _values(self, rows: list[tuple[str, str]]) -> Iterator[tuple[str, Value]]:
        for name, value in rows:
            if name not in self._keys:
                _log.warning("the stored configuration key %s is of another release and is left aside", name)
            elif (fault := self._keys[name].check(value)) is not None:
                _log.warning("the stored value of %s is left aside: it %s", name, fault)
            else:
                yield name, kept(self._keys[name], value)

    def _trials(self, values: Mapping[str, Value], rows: list[_TrialRow]) -> Iterator[tuple[str, KeyTrial]]:
        for name, held, other, fell_back, tries, time_s, previous in rows:
            key = self._keys.get(name)
            if key is None or name not in ON_TRIAL or key.check(held) is not None or key.check(other) is not None:
                continue
            before = None if previous is None or key.check(previous) is not None else kept(key, previous)
            if values.get(name) == kept(key, held):
                yield name, KeyTrial(kept(key, other), bool(fell_back), tries, timedelta(seconds=time_s), before)


def kept(key: Key, value: str) -> Value:
    """Return a value that passed `Key.check` in the form in which it is kept in memory."""
    canonical = key.canonical(value)
    return Secret(canonical.encode()) if key.kind is Kind.SECRET else canonical


def text(value: Value) -> str:
    """Return a kept value as the text that stands in the database."""
    return value.reveal().decode() if isinstance(value, Secret) else value


def _select_values(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, value FROM configuration").fetchall()


def _select_trials(connection: sqlite3.Connection) -> list[_TrialRow]:
    return connection.execute(_SELECT_TRIALS).fetchall()
