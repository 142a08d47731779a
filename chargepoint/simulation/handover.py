"""Takes a Charge Point over from its maker: its certificate is renewed before anything else goes on (A00.FR.406).

A maker may have signed the Charge Point certificate itself (A00.FR.804). Whoever connects with such a one is let in
where the register knows the maker, waits in the state Pending (A00.FR.806), and is asked for a certificate request,
which the operator's authority signs (A00.FR.805). With the new certificate it comes as any other.

Not done here: who is let in (admission.py). What goes wrong ends the renewal; the next connection begins another.
"""

import contextlib
import functools
from datetime import timedelta
from typing import Final

from chargepoint.simulation.admission import Register
from chargepoint.simulation.caller import BadAnswer, CallRefused, ConnectionGone
from chargepoint.simulation.connection import Connection
from chargepoint.simulation.duty import Duty
from chargepoint.simulation.frame import Call, Payload
from chargepoint.simulation.pki import CsrError, Pki
from chargepoint.simulation.recorder import FrameEntry, Recorder
from chargepoint.simulation.registration import BOOT, Registration

PENDING_INTERVAL: Final = timedelta(seconds=1)  #: interval of BootNotification.conf; what is waited for takes no longer
CALL_TIMEOUT: Final = timedelta(
    seconds=10
)  #: time for an answer, and for SignCertificate.req; keys in hardware are slow


class Antechamber(Duty):
    """Answers as another duty does, but lets no Charge Point in."""

    def __init__(self, duty: Duty) -> None:
        super().__init__()
        self._duty = duty

    def answer(self, action: str, request: Payload, identity: str = "") -> Payload:
        """Return the payload of the .conf; a boot stays Pending."""
        answer = self._duty.answer(action, request, identity)
        if action != BOOT:
            return answer
        return answer | {"status": "Pending", "interval": int(PENDING_INTERVAL.total_seconds())}


async def renew(
    connection: Connection, registration: Registration, *, pki: Pki, register: Register, recorder: Recorder
) -> None:
    """Renew the certificate of the Charge Point that has just connected.

    Args:
        connection: with the maker's certificate.
        registration: whether it has booted already.
        pki: its CPO root signs the new one.
        register: knows the serial number.
        recorder: tells when it has booted, and what it asks for.
    """
    with contextlib.suppress(BadAnswer, CallRefused, ConnectionGone, CsrError, TimeoutError):
        if registration.status is None:
            await recorder.wait(FrameEntry, lambda entry: _is(entry, connection, "sent", BOOT), timeout=CALL_TIMEOUT)
        call = functools.partial(connection.caller.call, timeout=CALL_TIMEOUT, checked=True, at_once=False)
        await call("ChangeConfiguration", {"key": "CpoName", "value": register.organisation})
        await call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
        asked = await recorder.wait(
            FrameEntry, lambda entry: _is(entry, connection, "received", "SignCertificate"), timeout=CALL_TIMEOUT
        )
        if isinstance(asked.frame, Call):
            serial_number = register.serial_numbers.get(connection.identity)
            signed = pki.sign_csr(asked.frame.payload["csr"], serial_number=serial_number)
            await call("CertificateSigned", {"certificateChain": signed.chain_pem.decode()})


def _is(entry: FrameEntry, connection: Connection, direction: str, action: str) -> bool:
    return (entry.connection, entry.direction, entry.action) == (connection.number, direction, action)
