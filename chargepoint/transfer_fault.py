"""What a transfer can fail of.

Not done here: what libcurl and servers say of it (transfer_verdict.py), and which of a use case's own statuses a fault
is told as (logs/, firmware/). Pure.
"""

from enum import Enum, StrEnum
from typing import Final


class TransferFault(StrEnum):
    """Why a transfer failed, in words for people."""

    BAD_URL = "the location is not a usable URL"
    UNSUPPORTED_SCHEME = "the protocol of the location is not among SupportedFileTransferProtocols"
    NAME_UNKNOWN = "the name of the server cannot be resolved"
    UNREACHABLE = "the server cannot be reached"
    NOT_TRUSTED = "the server cannot be trusted by TLS"
    HOST_KEY_NOT_TRUSTED = "the host key of the server is not trusted"
    LOGIN_REFUSED = "the server refuses the user or the password"
    PERMISSION_DENIED = "the server does not permit it"
    NOT_FOUND = "the server has no such file or directory"
    NOT_SUPPORTED = "the server does not support it"
    BAD_ANSWER = "the answer of the server makes no sense"
    INTERRUPTED = "the connection was interrupted"
    STALLED = "the transfer stood still for too long"
    TOO_LARGE = "the file is too large"
    REMOTE_FULL = "the server has no room for the file"
    LOCAL_DISK = "the disk of the Charge Point is in the way"
    FAILED = "the transfer failed"


_PASSING: Final = frozenset(
    {
        TransferFault.NAME_UNKNOWN,
        TransferFault.UNREACHABLE,
        TransferFault.INTERRUPTED,
        TransferFault.STALLED,
        TransferFault.REMOTE_FULL,
        TransferFault.LOCAL_DISK,
        TransferFault.FAILED,
    }
)
"""What may be over by the next try; all else takes a person."""


class TransferFailed(Exception):
    """Raised when a transfer has failed.

    Attributes:
        fault: why, for programs.
        detail: why, for people: without any credential.
    """

    def __init__(self, fault: TransferFault, detail: str = "") -> None:
        super().__init__(f"{fault}: {detail}" if detail else str(fault))
        self.fault = fault
        self.detail = detail or str(fault)

    @property
    def worth_retrying(self) -> bool:
        """Whether the same transfer may succeed later without anybody's doing."""
        return self.fault in _PASSING


class Direction(Enum):
    """Which way the file goes."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


class Family(Enum):
    """The protocols that fail alike."""

    HTTP = "http"
    FTP = "ftp"
    SFTP = "sftp"
