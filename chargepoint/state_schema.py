"""The tables of the database, in the order in which the releases brought them.

What is released is never changed: a new table, index or column is a new `Migration` at the end, so that the previous
release runs on the file after a roll-back.
"""

from typing import Final

from chargepoint import availability, boot, clock, configuration_store, job_journal, transactions
from chargepoint.migration import Migration
from logs import event_table

MIGRATIONS: Final = (
    Migration(clock.SCHEMA + configuration_store.SCHEMA + boot.SCHEMA + event_table.SCHEMA),
    Migration(configuration_store.TRIAL_SCHEMA),
    Migration(job_journal.SCHEMA),
    Migration(availability.SCHEMA),
    Migration(configuration_store.PREVIOUS_SCHEMA),
    Migration(transactions.SCHEMA),
)
