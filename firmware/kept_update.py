"""The present firmware update as it lies on the disk: every step is there before it is taken in memory.

Guaranteed: a step and what the Central System is to hear of it are kept together, one step after the other; a step that
the disk does not take is not taken at all; a cancelled caller ends behind its step, never within it.

Not done here: what the steps are (machine.py), and what follows from them (updater.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from firmware.command import Command, Report
from firmware.machine import Update
from firmware.port import Journal, JournalFailed
from firmware.record import Policy
from firmware.state import ENDS
from firmware.status import FirmwareStatus

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class KeptUpdate:
    """The last update, under way or over.

    Args:
        journal: keeps it and what is to be told.
        policy: what config.toml says.
    """

    def __init__(self, journal: Journal, policy: Policy) -> None:
        self._journal = journal
        self._policy = policy
        self._update: Update | None = None
        self._keeping = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def last(self) -> Update | None:
        """The last update as it is now; None before the first."""
        return self._update

    @property
    def under_way(self) -> Update | None:
        """The update that is under way as it is now; None where none is."""
        return None if self._update is None or self._update.is_over else self._update

    @property
    def present(self) -> Update:
        """As `last`, where there must be one; raises RuntimeError where there is none."""
        if self._update is None:
            raise RuntimeError("there is no firmware update")
        return self._update

    async def load(self) -> None:
        """Take in what the last process has left; what cannot be read or understood is reported and left out."""
        try:
            snapshot = await self._journal.load()
        except JournalFailed as error:
            _log.error("what is known of the last firmware update cannot be read: %s", error)
            return
        try:
            self._update = Update.restore(snapshot, self._policy) if snapshot else None
        except ValueError:
            await self._give_up(snapshot or {})

    async def take(self, step: Callable[[Update], list[Command]]) -> list[Command]:
        """Take a step of the present update; returns what it orders.

        Raises:
            JournalFailed: it was not taken.
            IllegalEvent: likewise, by a fault of ours.
        """

        async def keep() -> list[Command]:
            async with self._keeping:
                present = self.present
                trial = Update(present.record, self._policy)
                orders = step(trial)
                reports = [each for each in orders if isinstance(each, Report)]
                if trial.record != present.record or reports:
                    await self._journal.commit(trial.snapshot(), reports)
                    self._adopt(trial)
                return orders

        return await _to_its_end(keep())

    async def replace(self, new: Update, old: Update | None) -> None:
        """Put another update in the place of one that has stopped, of which nothing more is told then.

        Raises:
            JournalFailed: nothing has changed.
        """

        async def keep() -> None:
            async with self._keeping:
                await self._journal.commit(new.snapshot(), withdraw=old.request.request_id if old else None)
                self._adopt(new)

        await _to_its_end(keep())

    async def settle(self) -> None:
        """Note that the agent lives on after its start, where that is not known yet."""

        def settle(update: Update) -> list[Command]:
            update.settle()
            return []

        if self._update is None or not self._update.record.starts:
            return
        try:
            await self.take(settle)
        except JournalFailed as error:
            _log.warning("that the start went well cannot be kept: %s", error)

    async def wait_for_change(self) -> None:
        """Wait for the next step."""
        await self._changed.wait()

    def _adopt(self, update: Update) -> None:
        self._update = update
        self._changed.set()
        self._changed = asyncio.Event()  # one for each step: whoever waits for one does not miss it for another

    async def _give_up(self, snapshot: Mapping[str, Any]) -> None:
        """End an update that this release cannot go on with: a later one that was rolled back may have begun it."""
        _log.error("what is known of the last firmware update is not understood, so it is over")
        request = snapshot.get("request")
        request_id = request.get("request_id") if isinstance(request, Mapping) else None
        was_over = snapshot.get("state") in {state.name for state in ENDS}
        reports = [Report(FirmwareStatus.INSTALLATION_FAILED, request_id)] if isinstance(request_id, int) else []
        with contextlib.suppress(JournalFailed):
            await self._journal.commit({}, [] if was_over else reports)


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Wait for a step on the disk, which goes on when its waiter is cancelled; the waiter then ends behind it."""
    task = asyncio.create_task(work, name="keep a firmware update")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise
