"""Secret bytes that cannot be printed by accident (A01.FR.12).

A `Secret` shows itself as ``<secret>`` wherever text is made of it; only `reveal` hands out the bytes. Erasing the
memory is not promised: Python copies bytes freely.
"""

import hmac
from typing import NoReturn


class Secret:
    """Bytes that stay out of logs, errors and reprs until somebody asks for them by name.

    Args:
        value: the secret bytes, for instance the decoded AuthorizationKey.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the secret bytes; every call of this is a place to look at in a review."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be serialised")
