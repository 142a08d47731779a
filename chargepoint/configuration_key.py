"""A configuration key of OCPP: what may stand in it, who may set it, and when a change takes effect.

Values are the text that goes over the wire. Pure: no clock, no input or output.

Not done here: which keys there are (configuration_table.py), and which value holds (configuration.py).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_NAME_CHARACTERS: Final = 50  #: characters; CiString50Type of ChangeConfiguration.req
MAX_VALUE_CHARACTERS: Final = 500  #: characters; CiString500Type of ChangeConfiguration.req
MAX_INTEGER: Final = 2_147_483_647  #: count; what every Central System can hold, a signed number of 32 bits
MIN_AUTHORIZATION_KEY_DIGITS: Final = 32  #: hex digits; 16 bytes, A00.FR.205
MAX_AUTHORIZATION_KEY_DIGITS: Final = 40  #: hex digits; 20 bytes, A00.FR.205

_MIN_KEY_BYTES: Final = MIN_AUTHORIZATION_KEY_DIGITS // 2
_MAX_KEY_BYTES: Final = MAX_AUTHORIZATION_KEY_DIGITS // 2


class Kind(StrEnum):
    """The types of OCPP 1.6 section 9, and one for what is never shown."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    TEXT = "string"
    LIST = "CSL"
    SECRET = "hex string"  # noqa: S105 - a word for people


class Access(StrEnum):
    """What the Central System may do with a key."""

    READ = "R"
    READ_WRITE = "RW"
    WRITE = "W"


class Effect(StrEnum):
    """When a changed value takes effect."""

    LIVE = "at once"
    RECONNECT = "on the next connection"
    REBOOT = "after a reboot"


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key.

    Attributes:
        name: its exact name; names are equal in either case.
        kind: its type.
        access: what the Central System may do with it. Locally every key may be set that is not `fixed`.
        default: the value where nobody has set one; None: it has none.
        meaning: what it does, with its unit.
        effect: when a change takes effect.
        security: a change is recorded as ReconfigurationOfSecurityParameters.
        fixed: it follows from the device and cannot be set at all.
        minimum, maximum: bounds of an integer.
        max_characters: bound of a text.
        members: what a list may hold.
        member_pattern: a regular expression for what else it may hold.
        member_name: what a member is called in an error.
        max_members_key: the key that says how many members the list may have.
        takes_text: a secret may be given as a plain text of 16 to 20 bytes too, which is no hex of 16 bytes or more.
    """

    name: str
    kind: Kind
    access: Access
    default: str | None
    meaning: str
    effect: Effect = Effect.LIVE
    security: bool = False
    fixed: bool = False
    minimum: int = 0
    maximum: int = MAX_INTEGER
    max_characters: int = MAX_VALUE_CHARACTERS
    members: tuple[str, ...] = ()
    member_pattern: str | None = None
    member_name: str = ""
    max_members_key: str | None = None
    takes_text: bool = False

    def check(self, value: str) -> str | None:
        """Say why a value cannot be taken, in words that do not repeat it; None where it can.

        Integers have no sign unless the key allows negative ones; hex digits may have either case, and so have
        booleans and the members of lists.
        """
        if len(value) > MAX_VALUE_CHARACTERS:
            return f"must have at most {MAX_VALUE_CHARACTERS} characters"
        match self.kind:
            case Kind.BOOLEAN:
                return None if value.lower() in ("true", "false") else "must be true or false"
            case Kind.INTEGER:
                return self._check_integer(value)
            case Kind.TEXT:
                return self._check_text(value)
            case Kind.LIST:
                return self._check_list(value)
            case Kind.SECRET:
                return None if self._is_text_secret(value) else _check_secret(value)

    def canonical(self, value: str) -> str:
        """Return a value that passed `check` in the one form in which it is kept and shown; a secret in hex."""
        match self.kind:
            case Kind.BOOLEAN:
                return value.lower()
            case Kind.SECRET:
                # The case stays, for a Central System that takes the digits themselves for the password.
                return value.encode().hex() if self._is_text_secret(value) else value
            case Kind.INTEGER:
                return str(int(value))
            case Kind.LIST:
                exact = {member.lower(): member for member in self.members}
                return ",".join(dict.fromkeys(exact.get(each.lower(), each) for each in split_list(value)))
            case Kind.TEXT:
                return value

    def _is_text_secret(self, value: str) -> bool:
        # A text of up to 20 bytes has never the 32 digits of a key in hex: nothing is guessed.
        return self.takes_text and value.isprintable() and _MIN_KEY_BYTES <= len(value.encode()) <= _MAX_KEY_BYTES

    def _check_integer(self, value: str) -> str | None:
        pattern = r"-?[0-9]{1,10}" if self.minimum < 0 else r"[0-9]{1,10}"
        if not re.fullmatch(pattern, value):
            return "must be a whole number" + ("" if self.minimum < 0 else " without a sign")
        if not self.minimum <= int(value) <= self.maximum:
            return f"must be from {self.minimum} to {self.maximum}"
        return None

    def _check_text(self, value: str) -> str | None:
        if len(value) > self.max_characters:
            return f"must have at most {self.max_characters} characters"
        if not value.isprintable():
            return "must not hold control characters"
        return None

    def _check_list(self, value: str) -> str | None:
        known = {member.lower() for member in self.members}
        for number, member in enumerate(split_list(value), start=1):
            if member.lower() not in known and not re.fullmatch(self.member_pattern or r"(?!)", member):
                return f"item {number} of the list is not {self.member_name or 'one of ' + ', '.join(self.members)}"
        return None


def split_list(value: str) -> list[str]:
    """Return the members of a comma-separated list without the blanks around them; an empty text has none."""
    return [member.strip() for member in value.split(",")] if value.strip() else []


def _check_secret(value: str) -> str | None:
    # A00.FR.205, A00.FR.304: at least 16 bytes, at most 20, in hexadecimal form.
    if not re.fullmatch(r"([0-9A-Fa-f]{2})*", value):
        return "must be an even number of hex digits"
    if not MIN_AUTHORIZATION_KEY_DIGITS <= len(value) <= MAX_AUTHORIZATION_KEY_DIGITS:
        return f"must have {MIN_AUTHORIZATION_KEY_DIGITS} to {MAX_AUTHORIZATION_KEY_DIGITS} hex digits"
    return None
