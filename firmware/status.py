"""The words of L01 on the wire: what SignedFirmwareStatusNotification.req and SignedUpdateFirmware.conf can say.

Pure data. `IDLE` is never a state of an update: it only answers a trigger (`answer_to_trigger`).
"""

from enum import StrEnum
from typing import Final


class FirmwareStatus(StrEnum):
    """FirmwareStatusEnumType of edition 3."""

    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOADING = "Downloading"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOAD_PAUSED = "DownloadPaused"
    IDLE = "Idle"
    INSTALLATION_FAILED = "InstallationFailed"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    INVALID_SIGNATURE = "InvalidSignature"
    SIGNATURE_VERIFIED = "SignatureVerified"


class Answer(StrEnum):
    """UpdateFirmwareStatusEnumType: the status of SignedUpdateFirmware.conf."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    ACCEPTED_CANCELED = "AcceptedCanceled"
    INVALID_CERTIFICATE = "InvalidCertificate"
    REVOKED_CERTIFICATE = "RevokedCertificate"


_SAID_ONCE: Final = frozenset({FirmwareStatus.INSTALLED, FirmwareStatus.IDLE})


def answer_to_trigger(last_sent: str | None, request_id: int | None) -> tuple[FirmwareStatus, int | None]:
    """Return what a trigger for FirmwareStatusNotification brings: a status and its requestId.

    Args:
        last_sent: the status that was last sent, None where none ever was.
        request_id: the requestId that went with it.
    """
    if last_sent is None or last_sent in _SAID_ONCE:  # L01.FR.28; nothing to repeat before the first update
        return FirmwareStatus.IDLE, None
    return FirmwareStatus(last_sent), request_id  # L01.FR.29, and L01.FR.21: only Idle is without a requestId


_PLAIN: Final = {
    FirmwareStatus.DOWNLOAD_SCHEDULED: FirmwareStatus.IDLE,
    FirmwareStatus.DOWNLOADING: FirmwareStatus.DOWNLOADING,
    FirmwareStatus.DOWNLOAD_PAUSED: FirmwareStatus.DOWNLOADING,
    FirmwareStatus.DOWNLOADED: FirmwareStatus.DOWNLOADED,
    FirmwareStatus.SIGNATURE_VERIFIED: FirmwareStatus.DOWNLOADED,
    FirmwareStatus.INSTALL_SCHEDULED: FirmwareStatus.DOWNLOADED,
    FirmwareStatus.INSTALLING: FirmwareStatus.INSTALLING,
    FirmwareStatus.INSTALL_REBOOTING: FirmwareStatus.INSTALLING,
}


def plain_status(present: FirmwareStatus | None) -> FirmwareStatus:
    """Return the nearest status that FirmwareStatusNotification.req of OCPP 1.6 has.

    Args:
        present: the status in force of the update that is under way, None where none is.
    """
    return FirmwareStatus.IDLE if present is None else _PLAIN[present]
