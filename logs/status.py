"""The words of N01 on the wire: what LogStatusNotification.req and GetLog.conf can say.

Pure data. N01.FR.10 writes UploadFailed, the enumeration has UploadFailure (docs/decisions/0013).
"""

from enum import StrEnum
from typing import Final


class UploadStatus(StrEnum):
    """UploadLogStatusEnumType; `IDLE` is never a state of an upload, it only answers a trigger (N01.FR.12)."""

    BAD_MESSAGE = "BadMessage"
    IDLE = "Idle"
    NOT_SUPPORTED_OPERATION = "NotSupportedOperation"
    PERMISSION_DENIED = "PermissionDenied"
    UPLOADED = "Uploaded"
    UPLOAD_FAILURE = "UploadFailure"
    UPLOADING = "Uploading"


FAILURES: Final = frozenset(
    {
        UploadStatus.BAD_MESSAGE,
        UploadStatus.NOT_SUPPORTED_OPERATION,
        UploadStatus.PERMISSION_DENIED,
        UploadStatus.UPLOAD_FAILURE,
    }
)
"""What a failed upload may end in (N01.FR.10)."""


class LogKind(StrEnum):
    """LogEnumType: which log is asked for."""

    DIAGNOSTICS_LOG = "DiagnosticsLog"
    SECURITY_LOG = "SecurityLog"


class Answer(StrEnum):
    """LogStatusEnumType: the status of GetLog.conf."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    ACCEPTED_CANCELED = "AcceptedCanceled"
