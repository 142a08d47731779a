"""The security events of section 8 of the white paper: what they are called, which are critical, which are owed.

Criticality and the duty to send are two facts. The white paper calls an event critical (A04.FR.01: it must reach the
Central System); some that it does not call critical are still ordered to be sent by a use case (L01.FR.02, L01.FR.03),
or are waited for by the conformance tests (TC_077, TC_078). Every event goes to the security log (A04.FR.04).

Pure data: no clock, no input or output. Raising, recording and sending live elsewhere.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

MAX_TYPE_LENGTH: Final = 50  #: characters; SecurityEventNotification.req, field type
MAX_TECH_INFO_LENGTH: Final = 255  #: characters; SecurityEventNotification.req, field techInfo


class SecurityEventType(StrEnum):
    """The events of section 8, with the exact text that goes over the wire."""

    FIRMWARE_UPDATED = "FirmwareUpdated"
    FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM = "FailedToAuthenticateAtCentralSystem"
    CENTRAL_SYSTEM_FAILED_TO_AUTHENTICATE = "CentralSystemFailedToAuthenticate"
    SETTING_SYSTEM_TIME = "SettingSystemTime"
    STARTUP_OF_THE_DEVICE = "StartupOfTheDevice"
    RESET_OR_REBOOT = "ResetOrReboot"
    SECURITY_LOG_WAS_CLEARED = "SecurityLogWasCleared"
    RECONFIGURATION_OF_SECURITY_PARAMETERS = "ReconfigurationOfSecurityParameters"
    MEMORY_EXHAUSTION = "MemoryExhaustion"
    INVALID_MESSAGES = "InvalidMessages"
    ATTEMPTED_REPLAY_ATTACKS = "AttemptedReplayAttacks"
    TAMPER_DETECTION_ACTIVATED = "TamperDetectionActivated"
    INVALID_FIRMWARE_SIGNATURE = "InvalidFirmwareSignature"
    INVALID_FIRMWARE_SIGNING_CERTIFICATE = "InvalidFirmwareSigningCertificate"
    INVALID_CENTRAL_SYSTEM_CERTIFICATE = "InvalidCentralSystemCertificate"
    INVALID_CHARGE_POINT_CERTIFICATE = "InvalidChargePointCertificate"
    INVALID_TLS_VERSION = "InvalidTLSVersion"
    INVALID_TLS_CIPHER_SUITE = "InvalidTLSCipherSuite"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """What section 8 and the use cases say of one event.

    Attributes:
        critical: section 8 calls it critical, so A04.FR.01 orders it to be sent.
        owed: it is sent for another reason than criticality.
        why: that reason, empty where there is none.
    """

    critical: bool
    owed: bool = False
    why: str = ""

    @property
    def sent(self) -> bool:
        """Whether the Central System is to hear of it."""
        return self.critical or self.owed


_CRITICAL: Final = CatalogueEntry(critical=True)
_LOGGED: Final = CatalogueEntry(critical=False)


def _owed(why: str) -> CatalogueEntry:
    return CatalogueEntry(critical=False, owed=True, why=why)


CATALOGUE: Final[Mapping[str, CatalogueEntry]] = {
    SecurityEventType.FIRMWARE_UPDATED: _CRITICAL,
    SecurityEventType.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM: _LOGGED,
    SecurityEventType.CENTRAL_SYSTEM_FAILED_TO_AUTHENTICATE: _LOGGED,
    SecurityEventType.SETTING_SYSTEM_TIME: _CRITICAL,
    SecurityEventType.STARTUP_OF_THE_DEVICE: _CRITICAL,
    SecurityEventType.RESET_OR_REBOOT: _CRITICAL,
    SecurityEventType.SECURITY_LOG_WAS_CLEARED: _CRITICAL,
    SecurityEventType.RECONFIGURATION_OF_SECURITY_PARAMETERS: _LOGGED,
    SecurityEventType.MEMORY_EXHAUSTION: _CRITICAL,
    SecurityEventType.INVALID_MESSAGES: _LOGGED,
    SecurityEventType.ATTEMPTED_REPLAY_ATTACKS: _LOGGED,
    SecurityEventType.TAMPER_DETECTION_ACTIVATED: _CRITICAL,
    SecurityEventType.INVALID_FIRMWARE_SIGNATURE: _owed("L01.FR.03"),
    SecurityEventType.INVALID_FIRMWARE_SIGNING_CERTIFICATE: _owed("L01.FR.02"),
    SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE: _owed("OCTT TC_078"),
    SecurityEventType.INVALID_CHARGE_POINT_CERTIFICATE: _owed("OCTT TC_077"),
    SecurityEventType.INVALID_TLS_VERSION: _owed("kin of TC_078: the operator learns why the link was refused"),
    SecurityEventType.INVALID_TLS_CIPHER_SUITE: _owed("A00.FR.318 speaks of SecurityEventNotification.req"),
}

_VENDOR_EVENT: Final = _LOGGED


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One security event as it happened.

    Attributes:
        type: a name of section 8 or a vendor's own, 1 to 50 characters.
        occurred_at: when it happened, aware UTC, by the agent's clock.
        tech_info: details for an expert, cut at 255 characters, never a secret.
    """

    type: str
    occurred_at: datetime
    tech_info: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.type) <= MAX_TYPE_LENGTH:
            raise ValueError(f"a security event type has 1 to {MAX_TYPE_LENGTH} characters, not {len(self.type)}")
        if self.tech_info is not None and len(self.tech_info) > MAX_TECH_INFO_LENGTH:
            object.__setattr__(self, "tech_info", self.tech_info[:MAX_TECH_INFO_LENGTH])

    @property
    def entry(self) -> CatalogueEntry:
        """The catalogue's row; a vendor's own event is logged and not sent."""
        return CATALOGUE.get(self.type, _VENDOR_EVENT)


RaiseEvent = Callable[[str, str | None], Awaitable[None]]
"""Port of all who notice a security event: ``await raise_event(type, tech_info)`` returns once it is recorded."""
