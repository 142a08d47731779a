"""Writes docs/security-events.md: the events of section 8, from the catalogue in security/event.py and the table below.

Run it as ``python -m docs.security_events``; tests/test_security_events.py fails while the page is out of date.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from security.event import CATALOGUE, CatalogueEntry
from security.event import SecurityEventType as Type

PAGE: Final = Path(__file__).with_name("security-events.md")


@dataclass(frozen=True)
class Cause:
    """What makes an event happen on this Charge Point.

    Attributes:
        what: in words for an operator.
        later: why it cannot happen yet, or at all; empty where it can.
    """

    what: str
    later: str = ""


CAUSES: Final[Mapping[Type, Cause]] = {
    Type.FIRMWARE_UPDATED: Cause("a new firmware runs", "comes with the firmware update (L01)"),
    Type.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM: Cause(
        "the Central System refuses the password (HTTP 401 or 403), or our certificate in the TLS handshake"
    ),
    Type.CENTRAL_SYSTEM_FAILED_TO_AUTHENTICATE: Cause(
        "the Central System shows credentials that are refused",
        "never: its only credential is its certificate, for which the white paper orders "
        "InvalidCentralSystemCertificate (A00.FR.309, A00.FR.413)",
    ),
    Type.SETTING_SYSTEM_TIME: Cause("currentTime moves the clock by more than `[session] clock_step_s`"),
    Type.STARTUP_OF_THE_DEVICE: Cause(
        "the agent starts, and the device has booted since the last start (the hardware port's boot id differs)"
    ),
    Type.RESET_OR_REBOOT: Cause("the agent starts after a Reset.req was carried out"),
    Type.SECURITY_LOG_WAS_CLEARED: Cause(
        "the log is cleared by `chargepoint call security.clear_log`; the tech info says how many events were removed. "
        "Those that wait for the Central System stay until it has confirmed them"
    ),
    Type.RECONFIGURATION_OF_SECURITY_PARAMETERS: Cause(
        "AuthorizationKey, SecurityProfile or another security key is changed, a certificate is installed, deleted, "
        "given up for the one before or found damaged, or all is reset to factory; the tech info says which, never a "
        "value"
    ),
    Type.MEMORY_EXHAUSTION: Cause(
        "the queue of security events is full (one event counts what was left out), or the disk of the state "
        "directory has less room than `[state] min_free_mib`, or none"
    ),
    Type.INVALID_MESSAGES: Cause("what the Central System sends is no OCPP-J message or breaks its schema; counted"),
    Type.ATTEMPTED_REPLAY_ATTACKS: Cause("a message id comes again with other content; counted"),
    Type.TAMPER_DETECTION_ACTIVATED: Cause("the tamper sensor of the hardware driver fires"),
    Type.INVALID_FIRMWARE_SIGNATURE: Cause(
        "the signature of a firmware image is wrong", "comes with the firmware update (L01)"
    ),
    Type.INVALID_FIRMWARE_SIGNING_CERTIFICATE: Cause(
        "the certificate of a firmware update is not valid", "comes with the firmware update (L01)"
    ),
    Type.INVALID_CENTRAL_SYSTEM_CERTIFICATE: Cause(
        "the Central System's certificate is expired, not yet valid, not below an installed root, or for another name; "
        "once for each outage"
    ),
    Type.INVALID_CHARGE_POINT_CERTIFICATE: Cause("the certificate of a CertificateSigned.req is refused"),
    Type.INVALID_TLS_VERSION: Cause("the Central System offers nothing from TLS 1.2 on; once for each outage"),
    Type.INVALID_TLS_CIPHER_SUITE: Cause("the Central System offers no suite that is allowed; once for each outage"),
}

_HEAD: Final = """\
# Security events

The events of section 8 of the white paper, and what makes them happen here. This page is generated (`make docs`).

Every event is recorded in the security log (A04.FR.04, N01.FR.05), which `chargepoint call security.events` shows.
Those that are critical (A04.FR.01), or owed for another reason, are also sent to the Central System, in order, and
kept until it has confirmed them. `[security] also_send` in config.toml adds types, `send_events = false` sends none.
Other processes of the charge point raise events, of these types or of their own, by `security.raise_event`. The agent
has one type of its own, `ChargePointCertificateExpiry`: the Charge Point certificate ends in 14, 7, 3 or 1 days and has
no successor (docs/decisions/0073-when-a-certificate-is-renewed.md).

| event | critical | seen at | what makes it happen |
|---|---|---|---|
"""


def page() -> str:
    """Return the page as it should be."""
    return _HEAD + "".join(_row(each, CATALOGUE[each], CAUSES[each]) for each in Type)


def _row(event: Type, entry: CatalogueEntry, cause: Cause) -> str:
    seen_at = "Central System" if entry.sent else "security log"
    why = f" ({entry.why})" if entry.why else ""
    later = f" *({cause.later})*" if cause.later else ""
    return f"| `{event}` | {'yes' if entry.critical else 'no'} | {seen_at}{why} | {cause.what}{later} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
