"""The firmware update of the agent: its parts put together, and what the Central System asks of it (L01).

Not done here: what an update does (firmware/), the adapters (firmware_host.py), messages (handlers/firmware.py), and
sending statuses (status_delivery.py).
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from chargepoint.charging import Charging
from chargepoint.database import Database
from chargepoint.firmware_host import Downloads, FirmwareHost
from chargepoint.firmware_settings import FirmwareSettings
from chargepoint.foundation import Foundation
from chargepoint.free_space import MIB
from chargepoint.history import History
from chargepoint.job_journal import FIRMWARE_UPDATE, JobJournal, Report, WingJournal
from chargepoint.payload import call, enums
from chargepoint.state import StateUnusable
from chargepoint.status_delivery import StatusDelivery
from firmware.no_installer import NoInstaller
from firmware.port import JournalFailed
from firmware.record import Policy
from firmware.request import FirmwareRequest
from firmware.status import answer_to_trigger, plain_status
from firmware.updater import Accepted, Updater
from firmware.worker import Worker

DIRECTORY_NAME: Final = "firmware"
"""Of downloads, in the state directory."""

_log = logging.getLogger(__name__)


def build_firmware_updates(
    foundation: Foundation,
    *,
    charging: Charging,
    delivery: StatusDelivery,
    history: History,
    note_new_firmware: Callable[[], Awaitable[None]],
    reboot: Callable[[], None],
) -> "FirmwareUpdates":
    """Put the parts together.

    Args:
        foundation: the state directory and what was opened from it.
        charging: holds the connectors, and knows of transactions.
        delivery: told whom to deliver for.
        history: told how each download ended.
        note_new_firmware: called when another firmware runs without a reboot.
        reboot: begins a reboot of the device; returns at once.
    """
    settings = foundation.settings.firmware
    host = FirmwareHost(
        clock=foundation.clock,
        events=foundation.events,
        delivery=delivery,
        mark_good_after=settings.mark_good_after,
        note_new_firmware=note_new_firmware,
        reboot=reboot,
    )
    worker = Worker(
        fetcher=Downloads(
            foundation.transfers,
            max_bytes=settings.max_image_mib * MIB,
            online=host.wait_until_connected,
            history=history,
        ),
        verifier=foundation.firmware_trust,
        installer=foundation.firmware_installer or NoInstaller(),
        charging=charging,
        agent=host,
        directory=foundation.settings.state.directory / DIRECTORY_NAME,
        pause_while_charging=settings.pause_while_charging,
        report_wait=settings.reboot_report_wait,
    )
    return FirmwareUpdates(
        foundation.database,
        worker=worker,
        host=host,
        policy=policy_of(settings),
        delivery=delivery,
        can_install=foundation.firmware_installer is not None,
    )


class FirmwareUpdates:
    """The firmware updates of this Charge Point.

    Args:
        database: keeps them.
        worker: does the work.
        host: what the worker finds in the agent.
        policy: what the machine decides by.
        delivery: told whom to deliver for.
        can_install: whether there is an installer.
    """

    def __init__(
        self,
        database: Database,
        *,
        worker: Worker,
        host: FirmwareHost,
        policy: Policy,
        delivery: StatusDelivery,
        can_install: bool,
    ) -> None:
        self._journal = JobJournal(database, FIRMWARE_UPDATE)
        self._host = host
        self._updater = Updater(WingJournal(self._journal, JournalFailed), worker, policy, can_install=can_install)
        delivery.add(self._journal, _notification)

    async def open(self) -> None:
        """Go on with what the last process has left; called once, before the first request."""
        await self._updater.start()

    async def close(self) -> None:
        """Stop in bounded time; the next process goes on."""
        await self._updater.close()

    async def ask(self, request: FirmwareRequest) -> Accepted:
        """Take in a SignedUpdateFirmware.req; see `Updater.request`."""
        return await self._updater.request(request)

    def note_connected(self) -> None:
        """A good connection to the Central System stands: the firmware that runs is good for that much."""
        self._host.note_connected()

    def status(self) -> dict[str, object]:
        """Tell people and programs what is under way, or how the last update ended."""
        return self._updater.status()

    async def signed_status(self) -> Any:
        """Make the SignedFirmwareStatusNotification.req that answers a trigger (L01.FR.28, L01.FR.29)."""
        try:
            last = await self._journal.last_sent()
        except StateUnusable as error:
            _log.error("which firmware status was last sent is not known, Idle is: %s", error)
            last = None
        status, request_id = answer_to_trigger(*((last.status, last.request_id) if last else (None, None)))
        return call.SignedFirmwareStatusNotification(
            status=enums.FirmwareStatus(status),
            request_id=request_id,  # type: ignore[arg-type]  # Idle has none (L01.FR.21), as the schema has it
        )

    async def plain_status(self) -> Any:
        """Make the FirmwareStatusNotification.req of OCPP 1.6 that answers a TriggerMessage.req (decision 0134)."""
        update = self._updater.update
        status = plain_status(None if update is None or update.is_over else update.status)
        return call.FirmwareStatusNotification(status=enums.FirmwareStatus(status))


def policy_of(settings: FirmwareSettings) -> Policy:
    """Return the part of [firmware] that the machine decides by."""
    return Policy(
        charging_during_install=settings.charging_during_install,
        max_wait=settings.max_wait or None,
        retries=settings.download_retries,
        retry_interval=settings.download_retry_interval,
    )


def _notification(report: Report) -> Any:
    return call.SignedFirmwareStatusNotification(
        status=enums.FirmwareStatus(report.status),
        request_id=report.request_id,  # type: ignore[arg-type]  # L01.FR.10; every update has one
    )
