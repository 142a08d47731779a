"""Sends SignCertificate.req to the Central System until it has its SignCertificate.conf.

Guaranteed: a request is owed across connections and restarts, and its answer is kept before the next thing is done.
What the Central System asked for goes while Pending too (A00.FR.806); what the Charge Point asks for by itself waits
for Accepted.

- Accepted and Rejected end the duty (A02.FR.11, A02.FR.12, A03.FR.11, A03.FR.12). What follows an Accepted may take as
  long as it takes: nothing is repeated here.
- A time-out says nothing about the request: it is sent again after a wait that grows.
- A CALLERROR was heard and not understood. Saying the same over the same connection would not help: the request rests
  until the next connection, or the next accepted boot.

Not done here: making the request (renewal.py), and whose turn it is (session.py, outbox.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from chargepoint.payload import call, enums
from chargepoint.rpc_port import CallErrorReceived, CallTimedOut, ConnectionLost, InvalidAnswer
from security.enrolment import Enrolment
from security.enrolment_state import Request, Stage
from security.errors import DurableError

RETRY: Final = timedelta(seconds=30)  #: time; after the first time-out or failed write, grows by as much with each
MAX_RETRY_WAIT: Final = timedelta(minutes=15)  #: time; the wait is no longer: a certificate has days to come

_log = logging.getLogger(__name__)

Send = Callable[[Any], Awaitable[Any]]


class RequestDelivery:
    """The source of SignCertificate.req in one lane, over as many connections as it takes.

    Args:
        enrolment: holds the request.
        triggered: whether this is for the requests that the Central System asked for, or for the others.
        tell_connected: told whenever a connection is there to send over.
    """

    def __init__(self, enrolment: Enrolment, *, triggered: bool, tell_connected: Callable[[], None]) -> None:
        self._enrolment = enrolment
        self._triggered = triggered
        self._tell_connected = tell_connected
        self._wake = asyncio.Event()
        self._resting = False

    def notice(self) -> None:
        """A request was made."""
        self._resting = False
        self._wake.set()

    def booted(self) -> None:
        """The Central System has accepted a BootNotification.req: what rests is tried again."""
        self.notice()

    async def deliver(self, send: Send) -> None:
        """Send what is owed and what comes, over one connection; returns when that is lost.

        Cancelled, it ends; a request whose answer was not kept yet is sent again.

        Args:
            send: raises `ConnectionLost` when the connection is gone.
        """
        self._resting = False
        self._tell_connected()
        failures = 0
        try:
            while True:
                self._wake.clear()
                request = self._owed()
                if request is None:
                    await self._wake.wait()
                    failures = 0
                elif not await self._send(send, request):
                    failures += 1
                    await self._wait(min(RETRY * failures, MAX_RETRY_WAIT))
        except ConnectionLost:
            return

    def _owed(self) -> Request | None:
        request = self._enrolment.state.request
        is_ours = request is not None and request.stage is Stage.OWED and request.triggered is self._triggered
        return request if is_ours and not self._resting else None

    async def _send(self, send: Send, request: Request) -> bool:
        """Send a request once; returns false where it is to be sent again after a wait."""
        try:
            conf = await send(call.SignCertificate(csr=request.csr))
        except (CallErrorReceived, InvalidAnswer) as refusal:
            _log.warning("the certificate request rests until the next connection: %s", refusal)
            self._resting = True
            return True
        except CallTimedOut as silence:
            _log.warning("the certificate request is sent again: %s", silence)
            return False
        accepted = conf.status == enums.GenericStatus.accepted
        try:
            await asyncio.to_thread(self._enrolment.note_answer, request.csr, accepted=accepted)
        except DurableError as error:
            _log.error("the certificate request is sent again, its answer cannot be kept: %s", error)
            return False
        if accepted:
            _log.info("the Central System has taken the certificate request; its certificate is waited for")
        else:
            _log.warning("the Central System has rejected the certificate request; it has to be ordered anew (A02)")
        return True

    async def _wait(self, delay: timedelta) -> None:
        try:
            async with asyncio.timeout(delay.total_seconds()):
                await self._wake.wait()
        except TimeoutError:
            return
