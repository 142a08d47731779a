"""Who may charge: the Central System says so, and while it cannot be asked one key of the configuration does.

There is no list and no cache of id tags here, so that offline nobody is known: LocalAuthorizeOffline and
LocalPreAuthorize let nobody in, and AllowOfflineTxForUnknownId decides alone (OCPP 1.6, 3.5).
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from chargepoint.configuration import Configuration
from chargepoint.outbox import OutboxFull
from chargepoint.payload import call
from chargepoint.rpc_port import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from chargepoint.session import NotAccepted

ACCEPTED: Final = "Accepted"

_log = logging.getLogger(__name__)

Send = Callable[[Any], Awaitable[Any]]
"""Sends a request and returns its answer; raises `NotAccepted`, `CallFailed` or `OutboxFull`."""


class Authorization:
    """Decides about id tags.

    Args:
        send: asks the Central System.
        configuration: says what holds while it cannot be asked.
    """

    def __init__(self, send: Send, configuration: Configuration) -> None:
        self._send = send
        self._configuration = configuration

    async def allows(self, id_tag: str) -> bool:
        """Return whether a transaction may start with this id tag; never raises for what the Central System does."""
        try:
            conf = await self._send(call.Authorize(id_tag=id_tag))
        except (NotAccepted, CallTimedOut, ConnectionLost) as silence:
            allowed = self._configuration.boolean("AllowOfflineTxForUnknownId")
            _log.info("a card is %s offline: %s", "accepted" if allowed else "refused", silence)
            return allowed
        except (CallErrorReceived, InvalidAnswer, OutboxFull) as refusal:
            _log.warning("a card is refused: %s", refusal)
            return False
        status = str(conf.id_tag_info["status"])
        if status != ACCEPTED:
            _log.info("a card is refused: the Central System says %s", status)
        return status == ACCEPTED
