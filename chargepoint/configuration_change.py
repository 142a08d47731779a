"""A wish to change a configuration key, what came of it, and the trial that a new credential is put on.

Pure: no clock, no input or output.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from chargepoint.configuration_key import Effect
from security.secret import Secret

Value = str | Secret


class Origin(StrEnum):
    """Who wants a change."""

    CENTRAL_SYSTEM = "the Central System"
    LOCAL = "a local command"


class ChangeStatus(StrEnum):
    """What ChangeConfiguration.conf says."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    REBOOT_REQUIRED = "RebootRequired"
    NOT_SUPPORTED = "NotSupported"


@dataclass(frozen=True, slots=True)
class Change:
    """The outcome of a wish to change a key.

    Attributes:
        status: what ChangeConfiguration.conf says.
        key: the exact name, or what was asked for where there is no such key.
        effect: when the new value takes effect.
        reason: why it was refused, for people, without the value; None where it was not.
    """

    status: ChangeStatus
    key: str
    effect: Effect = Effect.LIVE
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class KeyTrial:
    """A key whose value has not proved itself yet (security/fallback.py).

    Attributes:
        other: the value that worked last; once fallen back, the one that is to have another chance.
        previous: the password before the last change, where that never had to work: of a change whose answer was lost
            the Central System may know nothing (docs/decisions/0143-a-password-that-nobody-has-tried.md).
        fell_back: the value that worked last is held again.
        tries: how often the held value has failed, as far as that is on the disk.
        time: spent on them.
    """

    other: Value
    fell_back: bool = False
    tries: int = 0
    time: timedelta = timedelta()
    previous: Value | None = None

    @property
    def others(self) -> tuple[Value, ...]:
        """The values that take turns with the held one, the best first."""
        return (self.other,) if self.previous is None else (self.other, self.previous)


# A local command that sets the profile is definite: in a workshop without a network the Charge Point would else go back
# to a weaker one by itself. A password is undone only where the Central System refuses it and takes the previous one
# (docs/decisions/0079-what-a-local-command-sets.md).
ON_TRIAL: Final = {
    "SecurityProfile": frozenset({Origin.CENTRAL_SYSTEM}),
    "AuthorizationKey": frozenset({Origin.CENTRAL_SYSTEM, Origin.LOCAL}),
}
"""The keys whose new value is put on trial, by whom it is set."""


def trial_of(name: str, new: Value, *, held: Value | None, before: KeyTrial | None, origin: Origin) -> KeyTrial | None:
    """Say which trial begins with a change, None where none does.

    A further change in a trial keeps the value that worked last, and of a password the one before it as well; a change
    back to the value that worked ends the trial.

    Args:
        name: the exact name of the key.
        new: the value that it is to get.
        held: the value that it has.
        before: the trial that it is on.
        origin: who wants the change.
    """
    if origin not in ON_TRIAL.get(name, ()):
        return None
    worked = before.other if before is not None and not before.fell_back else held
    if worked is None or worked == new:
        return None
    return KeyTrial(worked, previous=_previous(name, new, worked, held=held, before=before))


def _previous(name: str, new: Value, worked: Value, *, held: Value | None, before: KeyTrial | None) -> Value | None:
    if name != "AuthorizationKey":
        return None  # profiles are ordered one after the other, and each is tried
    candidate = before.previous if held == new and before is not None else held
    return None if candidate in (new, worked) else candidate
