"""Which firmware version runs, as BootNotification.req says it.

The hardware driver knows best, then the installer, and config.toml only where neither does. An installer may have to
ask a daemon or start a program: it is asked once, before the first connection, and again after an installation.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

MAX_VERSION_CHARACTERS: Final = 50  #: characters; BootNotification.req, field firmwareVersion
ANSWER_TIMEOUT: Final = timedelta(seconds=10)  #: time; the first BootNotification.req waits no longer for an installer

_log = logging.getLogger(__name__)


class Asked(Protocol):
    """The one question of an installer that is asked here (firmware/installer.py)."""

    async def running_version(self) -> str | None:
        """Return the version of the firmware that runs, None where it is not known now."""


class RunningVersion:
    """The version of the firmware that runs.

    Args:
        of_board: asks the hardware driver; None where it does not know.
        installer: is asked next, None where there is none.
        configured: of config.toml, the last resort.
    """

    def __init__(self, of_board: Callable[[], str | None], installer: Asked | None, configured: str | None) -> None:
        self._of_board = of_board
        self._installer = installer
        self._configured = configured
        self._installed: str | None = None

    @property
    def text(self) -> str | None:
        """The version as far as it is known now."""
        return self._of_board() or self._installed or self._configured

    async def learn(self) -> None:
        """Ask the installer unless its answer is known."""
        if self._installed is None:
            await self.ask_again()

    async def ask_again(self) -> None:
        """Ask the installer, because another firmware may run now; without an answer the last one holds."""
        if self._installer is None or self._of_board():
            return
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT.total_seconds()):
                version = await self._installer.running_version()
        except TimeoutError:
            _log.warning("the firmware installer does not say which version runs")
            return
        if version is not None:
            self._installed = version[:MAX_VERSION_CHARACTERS]
