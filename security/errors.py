"""The errors of the ground floor, sorted by who is at fault; plain data, nothing of the house is imported.

SecurityError
├── CertificateError     a certificate, a chain or a key that was handed in is not acceptable
│   └── KeyLocked        a private key is encrypted, and the passphrase does not open it
├── KeyStoreError        a private key cannot be made or used where private keys live (security/keys.py)
├── FetchFailed          nobody answered a question about a certificate (security/revocation.py)
├── DurableError         the disk did not do what it was told (security/durable.py)
│   ├── StorageFull      no space, or no quota, is left
│   ├── StorageReadOnly  nothing may be changed there
│   └── StorageFailed    anything else
└── TlsFault             the peer's TLS, or its certificate, is not acceptable (security/tls.py)
    └── PeerNotVouchedFor  its certificate is revoked, or may be (security/peer_revocation.py)
"""


class SecurityError(Exception):
    """Root of all errors that the ground raises on purpose."""


class CertificateError(SecurityError):
    """Raised when a certificate, a chain or a key that came in cannot be accepted.

    Attributes:
        reason: why, in one line, without a word of what came in.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyLocked(CertificateError):
    """Raised when a private key is encrypted and stays so: there is no passphrase, or it is not the right one.

    Nothing tells a wrong passphrase from an encrypted key that is damaged; so no such key is ever thrown away.
    """


class KeyStoreError(SecurityError):
    """Raised when a key pair cannot be made, or a private key not be used.

    Attributes:
        reason: why, in one line, without a secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FetchFailed(SecurityError):
    """Raised when a question was not answered; the text says why, in one line that is safe for a log."""


class DurableError(SecurityError):
    """Raised when a file cannot be read, written, renamed or removed.

    Attributes:
        path: what was to be read or changed.
        what: what went wrong, in one line.
        advice: what a person can do about it, in one line.
    """

    advice = "check the disk and the kernel's log"

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}: {self.advice}")
        self.path = path
        self.what = what


class StorageFull(DurableError):
    """Raised when the file system has no space left, or the agent's user no quota."""

    advice = "free space on the file system that holds the state directory"


class StorageReadOnly(DurableError):
    """Raised when the file system is read-only, or the agent's user may not write there."""

    advice = "mount the file system writable and give the state directory to the agent's user"


class StorageFailed(DurableError):
    """Raised when the disk failed in any other way."""
