"""What one Charge Point may send before and after its BootNotification (OCPP 1.6 section 4.2).

- Before a BootNotification is accepted a Charge Point sends nothing else, save what a TriggerMessage.req asked for
  while it was Pending; after Rejected it does not even answer.
- What was asked for so while Pending may renew the maker's credentials before the Charge Point is let in (A00.FR.806).
- After Pending and Rejected the next BootNotification waits for the interval that the .conf named.

The state belongs to the Charge Point, not to a connection: a mere reconnect needs no BootNotification.
"""

from typing import Final

from chargepoint.simulation.finding import Rule
from chargepoint.simulation.frame import Payload

BOOT: Final = "BootNotification"

_SENT_FOR: Final = {
    "SignChargePointCertificate": "SignCertificate",
    "FirmwareStatusNotification": "SignedFirmwareStatusNotification",
}


class Registration:
    """The boot state of one Charge Point.

    Attributes:
        status: what the last BootNotification.conf said, None before the first. A test that stands in for a Central
            System which knows the Charge Point already sets it to "Accepted".
    """

    def __init__(self) -> None:
        self.status: str | None = None
        self._boot_not_before = 0.0
        self._triggered: set[str] = set()

    def fault_of_call(self, action: str, now: float) -> Rule | None:
        """Judge a CALL that arrives now (monotonic seconds)."""
        if action in self._triggered:
            self._triggered.discard(action)
            return None
        if action == BOOT:
            return Rule.EARLY_BOOT if now < self._boot_not_before else None
        return None if self.status == "Accepted" else Rule.BEFORE_BOOT

    def fault_of_answer(self) -> Rule | None:
        """Judge an answer that arrives now."""
        return Rule.ANSWER_WHILE_REJECTED if self.status == "Rejected" else None

    def note_boot(self, answer: Payload, now: float) -> None:
        """Take over the BootNotification.conf that is being sent."""
        self.status = answer.get("status")
        interval = answer.get("interval")
        wait = interval if isinstance(interval, int) and self.status != "Accepted" else 0
        self._boot_not_before = now + wait

    def note_trigger(self, request: Payload) -> None:
        """Take over a TriggerMessage.req or ExtendedTriggerMessage.req that was accepted."""
        message = str(request.get("requestedMessage"))
        self._triggered |= {message, _SENT_FOR.get(message, message)}
