"""Keeps the Charge Point certificate alive: A02 when the Central System asks for it, A03 one month before the end.

The rules are in security/certificate_life.py and security/signed_certificate.py, what is remembered in
security/enrolment.py. Here are the clock, the messages, the security events and the switch of the connection:

- A trigger is kept before it is answered; the key pair and the request are made afterwards (A02.FR.02).
- A certificate that came is installed before it is answered (A02.FR.06); a bad one leaves nothing but its security
  event (A02.FR.07, A03.FR.07).
- In profile 3 the connection is made anew whenever another certificate is to be presented than the one it was made
  with: at once for a certificate that is valid already, else when its notBefore has come (A02.FR.08, A03.FR.08).

Tasks: `watch` is a task of the agent, which cancels it at the end; it looks at what is due at least once in an hour,
and whenever something happened. A certificate that is being judged and installed goes on to its end when the handler of
CertificateSigned.req is cancelled.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.configuration import Configuration, Origin
from chargepoint.date_time import write_date_time
from chargepoint.events import EventDoor
from chargepoint.installation import Installer, Use
from chargepoint.outbox import Lane
from chargepoint.request_delivery import RequestDelivery
from security.certificate_life import due_warning, is_renewal_due, next_change, to_renew, warning_begins
from security.client_certificate import ClientCertificate
from security.enrolment import Enrolment
from security.enrolment_state import Stage
from security.errors import CertificateError, DurableError, KeyStoreError
from security.event import SecurityEventType
from security.fallback import TABLE, Credential, Outcome, Step, takes_part
from security.outcome import InstallResult

LOOK_INTERVAL: Final = timedelta(hours=1)  #: time; somebody may have moved the board's clock: noticed within the hour
FAILURE_INTERVAL: Final = timedelta(minutes=5)  #: time; until a disk or a key store that failed is tried again

EXPIRY_EVENT: Final = "ChargePointCertificateExpiry"
"""Our own type of security event, for the log: section 8 has none for a certificate that is not renewed in time."""

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Renewal:
    """The driver of the certificate's life.

    Args:
        enrolment: what is known and kept of it.
        installer: the door to the certificate store.
        events: gets what people and the Central System have to hear of.
        configuration: CpoName and CertificateSignedMaxChainSize.
        clock: the agent's.
        serial_number: of the Charge Point.
        repeat: after which time without a certificate the next request is made; zero for never.
    """

    def __init__(
        self,
        enrolment: Enrolment,
        *,
        installer: Installer,
        events: EventDoor,
        configuration: Configuration,
        clock: Clock,
        serial_number: str,
        repeat: timedelta,
    ) -> None:
        self._enrolment = enrolment
        self._installer = installer
        self._events = events
        self._configuration = configuration
        self._clock = clock
        self._serial_number = serial_number
        self._repeat = repeat
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._finishing: set[asyncio.Task[Any]] = set()
        self._misses_cpo_name = False
        self._deliveries = {
            Lane.TRIGGERED: RequestDelivery(enrolment, triggered=True, tell_connected=self.notice),
            Lane.CERTIFICATE: RequestDelivery(enrolment, triggered=False, tell_connected=self.notice),
        }
        configuration.subscribe("CpoName", self.notice)

    @property
    def sources(self) -> dict[Lane, RequestDelivery]:
        """What delivers the requests, and in which lane: those that were triggered may go while Pending."""
        return dict(self._deliveries)

    def notice(self) -> None:
        """Something has happened that may make something due."""
        self._wake.set()

    async def trigger(self) -> bool:
        """Take the order for a certificate request (A02); it replaces the one that is pending.

        `notice` then has it made. Returns false, and changes nothing, where no request could be made.
        """
        if not self._configuration.text("CpoName"):  # A02, prerequisite; docs/decisions/0017
            _log.warning("no certificate can be asked for: CpoName is not set")
            return False
        try:
            await self._finish(self._want(triggered=True))
        except DurableError as error:
            _log.error("no certificate can be asked for: %s", error)
            return False
        return True

    async def accept(self, chain: str) -> bool:
        """Judge and install what came by CertificateSigned.req, durably; `notice` then has it presented.

        Args:
            chain: the text of certificateChain.

        Returns:
            Whether it is installed (CertificateSigned.conf Accepted).
        """
        return await self._finish(self._accept(chain))

    async def note_outcome(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take note of how a try to connect ended: what a certificate is worth, only the Central System can tell.

        Args:
            attempt: what it was made with.
            outcome: how it ended.
        """
        pair = attempt.client_certificate
        if not takes_part(Credential.CERTIFICATE, attempt.profile) or not isinstance(pair, ClientCertificate):
            return
        match TABLE[Credential.CERTIFICATE][outcome]:
            case Step.SETTLE:
                await self._finish(self._note_good_connection(pair))
            case Step.GIVE_WAY:
                self._enrolment.note_refusal(pair.leaf, self._now())
            case Step.DOUBT:
                self._enrolment.note_hang_up(pair.leaf, self._now())
            case Step.WAIT:
                self._enrolment.note_turn(pair.leaf, self._now())

    def status(self) -> dict[str, object]:
        """Tell people and programs when the certificate ends and what is done about it; all values are plain JSON."""
        ending = to_renew(self._enrolment.state, self._enrolment.certificates)
        request = self._enrolment.state.request
        return {
            "ends_at": write_date_time(ending.not_after) if ending else None,
            "new_keys": self._enrolment.keys.place,
            "request": request
            and {
                "stage": str(request.stage),
                "triggered": request.triggered,
                "asked_at": write_date_time(request.asked_at) if request.asked_at else None,
            },
        }

    def notes(self) -> list[str]:
        """Say what is odd about the Charge Point certificate, for people; one line each."""
        now = self._now()
        ending = to_renew(self._enrolment.state, self._enrolment.certificates)
        if ending is None or now is None or now < warning_begins(ending):
            return []
        return [self._describe_end(ending.not_after, now)]

    async def watch(self, in_use: Callable[[], Attempt | None], reconnect: Callable[[str], None]) -> None:
        """Do what is due, until this is cancelled.

        Args:
            in_use: what the open connection was made with, None where there is none.
            reconnect: makes the connection anew.
        """
        while True:
            self._wake.clear()
            wait = await self._look(in_use, reconnect)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait.total_seconds()):
                    await self._wake.wait()

    async def close(self) -> None:
        """Wait for what has begun: a certificate that is being installed, or a step that is being kept."""
        if self._finishing:
            await asyncio.wait(self._finishing)

    async def _look(self, in_use: Callable[[], Attempt | None], reconnect: Callable[[str], None]) -> timedelta:
        """Do what is due, and return how long nothing else will be."""
        try:
            async with self._lock:
                await self._do_what_is_due()
        except (DurableError, KeyStoreError) as error:
            _log.error("the life of the Charge Point certificate waits: %s", error)
            return FAILURE_INTERVAL
        self._switch(in_use(), reconnect)
        now, enrolment = self._now(), self._enrolment
        changes = (
            next_change(enrolment.state, enrolment.certificates, now, self._repeat),
            enrolment.doubt_ends(now),
        )
        return min([LOOK_INTERVAL, *(change - now for change in changes if change and now)])

    async def _do_what_is_due(self) -> None:
        enrolment, now = self._enrolment, self._now()
        if now is not None:
            await asyncio.to_thread(enrolment.note_time, now)
        if is_renewal_due(enrolment.state, enrolment.certificates, now, self._repeat):  # A03.FR.02
            _log.info("the Charge Point certificate is to be renewed")
            await asyncio.to_thread(enrolment.want, now, triggered=False)
        await self._make_request()
        await self._warn(now)
        for old in await asyncio.to_thread(enrolment.discard, now):
            _log.info("an old Charge Point certificate was discarded (A02.FR.10): %s", _described(old))

    async def _make_request(self) -> None:
        request = self._enrolment.state.request
        if request is None or request.stage is not Stage.WANTED:
            return
        cpo_name = self._configuration.text("CpoName")
        if not cpo_name:
            if not self._misses_cpo_name:
                _log.warning("the Charge Point certificate cannot be renewed: CpoName is not set")
            self._misses_cpo_name = True
            return
        self._misses_cpo_name = False
        await asyncio.to_thread(self._enrolment.make_request, serial_number=self._serial_number, organisation=cpo_name)
        _log.info("a new key pair was made for the certificate request, its place: %s", self._enrolment.keys.place)
        for delivery in self._deliveries.values():
            delivery.notice()

    async def _warn(self, now: datetime | None) -> None:
        due = due_warning(self._enrolment.state, self._enrolment.certificates, now)
        if due is None or now is None:
            return
        ending, days = due
        text = self._describe_end(ending.not_after, now)
        _log.warning("%s", text)
        await self._events.raise_event(EXPIRY_EVENT, text)
        await asyncio.to_thread(self._enrolment.note_warning, ending, days)

    def _describe_end(self, end: datetime, now: datetime) -> str:
        request = self._enrolment.state.request
        stage = f"its request is {request.stage}" if request else "none was asked for"
        days = (end - now) / timedelta(days=1)
        when = f"ends in {days:.1f} days" if days > 0 else f"has been out of date for {-days:.1f} days"
        return f"the Charge Point certificate {when} ({write_date_time(end)}) and has no successor: {stage}"

    def _switch(self, in_use: Attempt | None, reconnect: Callable[[str], None]) -> None:
        """Make the connection anew where it was made with another certificate than the one that is due."""
        if in_use is None or not in_use.profile.presents_certificate:
            return  # A02 and A03 in profiles 0 to 2: the certificate waits for profile 3
        due = self._enrolment.choose(self._now())
        if due is not None and due != in_use.client_certificate:
            _log.info("the connection is made anew with another Charge Point certificate: %s", _described(due))
            reconnect("another Charge Point certificate is to be presented")

    async def _want(self, *, triggered: bool) -> None:
        async with self._lock:
            await asyncio.to_thread(self._enrolment.want, self._now(), triggered=triggered)

    async def _accept(self, chain: str) -> bool:
        async with self._lock:
            try:
                return await self._judge_and_install(chain)
            except CertificateError as error:
                await self._refuse(error.reason)
            except DurableError as error:
                _log.error("the Charge Point certificate cannot be installed: %s", error)
            return False

    async def _judge_and_install(self, chain: str) -> bool:
        enrolment, now = self._enrolment, self._now()
        if len(chain) <= (max_characters := self._configuration.integer("CertificateSignedMaxChainSize")) and (
            await asyncio.to_thread(enrolment.is_installed, chain)
        ):
            return True  # our answer did not arrive, and the Central System says it again
        leaf, remarks = await asyncio.to_thread(
            enrolment.judge, chain, now, serial_number=self._serial_number, max_characters=max_characters
        )
        for remark in remarks:
            _log.warning("the Charge Point certificate: %s", remark)
        if (gone := await asyncio.to_thread(enrolment.make_room, now)) is not None:
            _log.warning("an old Charge Point certificate was discarded to make room: %s", _described(gone))
        request = enrolment.state.request
        outcome = await self._installer.install(
            Use.CHARGE_POINT_CERTIFICATE, chain, request.key if request else None, origin=Origin.CENTRAL_SYSTEM
        )
        if outcome.accepted:
            await asyncio.to_thread(enrolment.note_installed)
            if not leaf.has_begun(now):
                _log.info("the new Charge Point certificate is presented from %s on", write_date_time(leaf.not_before))
        elif outcome.result is InstallResult.WRITE_ERROR:
            _log.error("the Charge Point certificate cannot be installed: %s", outcome.reason)
        else:
            await self._refuse(outcome.reason)
        return outcome.accepted

    async def _refuse(self, reason: str) -> None:
        # Recorded before the answer, so that no power cut loses it; the answer is quicker on the wire all the same.
        _log.warning("the Charge Point certificate is refused: %s", reason)
        await self._events.raise_event(SecurityEventType.INVALID_CHARGE_POINT_CERTIFICATE, reason)

    async def _note_good_connection(self, pair: ClientCertificate) -> None:
        try:
            aftermath = await asyncio.to_thread(self._enrolment.note_good_connection, pair.leaf, self._now())
        except DurableError as error:
            _log.error("it cannot be kept that the Charge Point certificate works: %s", error)
            return
        said = "the Central System refuses a new Charge Point certificate, the one before is used"
        texts = [f"{said}: {leaf.subject}" for leaf in aftermath.given_up]
        said = "the Central System hangs up on a new Charge Point certificate, the one before is used for now"
        texts += [f"{said}: {leaf.subject}" for leaf in aftermath.doubted]
        for text in texts:
            _log.warning("%s", text)
            await self._events.raise_event(SecurityEventType.RECONFIGURATION_OF_SECURITY_PARAMETERS, text)
        self.notice()

    async def _finish(self, change: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(change, name="certificate renewal")
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        return await asyncio.shield(task)

    def _now(self) -> datetime | None:
        return self._clock.now() if self._clock.is_set else None


def _described(pair: ClientCertificate) -> str:
    leaf = pair.leaf
    return f"{leaf.subject}, {write_date_time(leaf.not_before)} to {write_date_time(leaf.not_after)}"
