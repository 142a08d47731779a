"""What became of a wish to change the certificate store: plain data, in the words of the `evse_security` interface.

An outcome that a request foresees is returned, never raised; each refusal says why in one line, for the log.
"""

from dataclasses import dataclass
from enum import StrEnum

from security.certificate import Certificate


class InstallResult(StrEnum):
    """The outcome of an installation, under the names of the `evse_security` interface."""

    ACCEPTED = "Accepted"
    INVALID_SIGNATURE = "InvalidSignature"
    INVALID_CERTIFICATE_CHAIN = "InvalidCertificateChain"
    INVALID_FORMAT = "InvalidFormat"
    INVALID_COMMON_NAME = "InvalidCommonName"
    NO_ROOT_CERTIFICATE_INSTALLED = "NoRootCertificateInstalled"
    EXPIRED = "Expired"
    CERTIFICATE_STORE_MAX_LENGTH_EXCEEDED = "CertificateStoreMaxLengthExceeded"
    WRITE_ERROR = "WriteError"


@dataclass(frozen=True, slots=True)
class Installation:
    """What became of a certificate that was to be installed.

    Attributes:
        result: the outcome; the store is unchanged unless it is Accepted.
        reason: why it was refused, in one line; empty if it was not.
        certificate: what it was about, the leaf of a chain; None if it could not be read.
        remarks: what the white paper advises against in it, for the log; one line each.
        is_new: False where the same certificate was there already, so that nothing has changed.
        fallback: the root that it took the place of and that stays as the fallback root (M05.FR.11).
        removed: the roots that it took the place of and that are gone.
    """

    result: InstallResult
    reason: str = ""
    certificate: Certificate | None = None
    remarks: tuple[str, ...] = ()
    is_new: bool = True
    fallback: Certificate | None = None
    removed: tuple[Certificate, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether it is installed, and on the disk."""
        return self.result is InstallResult.ACCEPTED


class DeleteResult(StrEnum):
    """The outcome of a deletion, under the names of the `evse_security` interface and of DeleteCertificate.conf."""

    ACCEPTED = "Accepted"
    FAILED = "Failed"
    NOT_FOUND = "NotFound"


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of a certificate that was to be deleted.

    Attributes:
        result: the outcome; only where it is Accepted, what was named is gone from the disk.
        reason: why it was not deleted, in one line; empty if it was.
        deleted: what is gone; more than one where the same root vouched for several domains.
    """

    result: DeleteResult
    reason: str = ""
    deleted: tuple[Certificate, ...] = ()
