"""Who may come to a simulated file server, and what for."""

import hmac
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Account:
    """A user of a file server.

    Attributes:
        user: name; never with a colon, which Basic authentication could not carry.
        password: any text.
        may_read: may fetch files.
        may_write: may leave files.
    """

    user: str
    password: str = field(repr=False)
    may_read: bool = True
    may_write: bool = True

    def is_proven_by(self, password: str) -> bool:
        """Whether this is the account's password."""
        return hmac.compare_digest(password.encode(), self.password.encode())


# The passwords hold what a URL cannot hold as it is, so that who forgets to encode or to decode is found.
WRITER: Final = Account("writer", "p:a/s@s%40 wörd?#")
READER: Final = Account("reader", "read:only/&+", may_write=False)
NOBODY: Final = Account("nobody", "comes@in%for=nothing", may_read=False, may_write=False)
ANONYMOUS: Final = Account(
    "anonymous", "", may_write=False
)  #: whoever comes without credentials, where that is allowed

ACCOUNTS: Final = (WRITER, READER, NOBODY)
