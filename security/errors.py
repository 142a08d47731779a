"""The errors of the ground floor, sorted by who is at fault; plain data, nothing is imported.

SecurityError
├── CertificateError   a certificate or key that was handed in is not acceptable
├── StoreError         the certificate store's disk failed
└── TlsFault           the peer's TLS, or its certificate, is not acceptable (security/tls.py)
"""


class SecurityError(Exception):
    """Root of all errors that the ground raises on purpose."""


class CertificateError(SecurityError):
    """Raised when a certificate, a chain or a key that came in cannot be accepted; the text says why."""


class StoreError(SecurityError):
    """Raised when the certificate store cannot be read or written; nothing was changed."""
