"""Which profile and password the next try to connect is made with, and what its end decides about them.

A changed profile or password is on trial until the first good connection. The rules are one table
(security/fallback.py); the values and the trials are in the configuration, on the disk before anything rests on them.
So a power cut in a trial leaves both values: the next start goes on with it, or falls back.

In memory only is whose turn it is among two values that take turns. A restart begins with the held one.

Not done here: the certificate and the roots, which are the certificate store's.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar, cast

from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.configuration import Configuration
from chargepoint.configuration_change import KeyTrial, Value
from security.fallback import Bounds, Credential, Outcome, Ruling, Trial, judge, takes_part
from security.profile import SecurityProfile
from security.secret import Secret

_log = logging.getLogger(__name__)

_T = TypeVar("_T", bound=Value)

_KEYS: Final = {Credential.PROFILE: "SecurityProfile", Credential.PASSWORD: "AuthorizationKey"}


@dataclass(slots=True)
class _Course:
    """A trial as it stands in memory, and the record of the configuration that it began with or that it wrote.

    Attributes:
        turn: how many turns the other values have had; they have them one after the other.
    """

    record: KeyTrial
    trial: Trial
    turn: int = 0

    @property
    def other(self) -> Value:
        """The other value that has the next of their turns."""
        others = self.record.others
        return others[self.turn % len(others)]


class Fallback:
    """Chooses between a new value and the one that worked, and lets the tries to connect decide.

    Args:
        configuration: holds the values and the trials.
        clock: measures how long a profile has been tried.
        bounds: how long a profile that does not connect is tried.
        key_as_text: the password is the hex digits of AuthorizationKey themselves, not the bytes that they spell
            (docs/decisions/0010-authorization-key-hex-on-ocpp-bytes-in-http.md).
    """

    def __init__(self, configuration: Configuration, clock: Clock, bounds: Bounds, *, key_as_text: bool) -> None:
        self._configuration = configuration
        self._clock = clock
        self._bounds = bounds
        self._key_as_text = key_as_text
        self._courses: dict[Credential, _Course] = {}
        self._since: float | None = None

    @property
    def profile(self) -> SecurityProfile:
        """The profile of the next try."""
        return SecurityProfile(int(self._in_turn(Credential.PROFILE, self._configuration.text("SecurityProfile"))))

    @property
    def password(self) -> Secret | None:
        """The password of the next try, None where there is none (A00.FR.205, A00.FR.304)."""
        held = self._configuration.authorization_key()
        return None if held is None else self._password(self._in_turn(Credential.PASSWORD, held))

    def begin_try(self) -> None:
        """Note when a try begins; the time of a profile's trial is counted from here to the end of the try after it."""
        if self._since is None:
            self._since = self._clock.monotonic()

    async def note(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Let the end of a try decide, durably, before the connection is used or the next try is made.

        Args:
            attempt: what the try was made with.
            outcome: how it ended.

        Returns:
            True where another profile is held from now on, so that the waits between tries begin anew.
        """
        now = self._clock.monotonic()
        took = timedelta(seconds=0 if self._since is None else now - self._since)
        self._since = None if outcome is Outcome.GOOD else now
        await self._judge(Credential.PASSWORD, attempt, outcome, took)
        return await self._judge(Credential.PROFILE, attempt, outcome, took) is Ruling.FALL_BACK

    async def _judge(self, credential: Credential, attempt: Attempt, outcome: Outcome, took: timedelta) -> Ruling:
        course = self._course(credential)
        if course is None or not takes_part(credential, attempt.profile):
            return Ruling.NONE
        used_other = course.trial.others_turn
        used = course.other if used_other else self._held(credential)
        if not self._was_used(credential, attempt, used):
            return Ruling.NONE  # the try was made with what was held, or had the turn, before the last change
        trial, ruling = judge(credential, course.trial, outcome, used_other=used_other, took=took, bounds=self._bounds)
        course.turn += used_other
        await self._carry_out(credential, course, trial, ruling, used)
        return ruling

    async def _carry_out(
        self, credential: Credential, course: _Course, trial: Trial, ruling: Ruling, used: Value
    ) -> None:
        record, name = course.record, _KEYS[credential]
        match ruling:
            case Ruling.HELD_STAYS:
                _log.info("%s has proved itself: there is no way back from it", name)
                await self._configuration.settle_trial(name, record, None)
            case Ruling.OTHER_STAYS:
                why = self._why(credential, record)
                await self._configuration.settle_trial(name, record, None, value=used, why=why)
            case Ruling.FALL_BACK:
                after, why = KeyTrial(self._held(credential), fell_back=True), self._why(credential, record)
                await self._configuration.settle_trial(name, record, after, value=record.other, why=why)
            case Ruling.NONE if trial.fell_back or (trial.tries, trial.time) == (record.tries, record.time):
                course.trial = trial  # turns are taken in memory: an outage of a year must not wear the flash
            case Ruling.NONE:
                course.record = replace(record, tries=trial.tries, time=trial.time)
                course.trial = trial
                await self._configuration.settle_trial(name, record, course.record)

    def _why(self, credential: Credential, record: KeyTrial) -> str:
        """Say in the security log why the other value is held from now on, without a password (A01.FR.12)."""
        if credential is Credential.PASSWORD:
            return "AuthorizationKey set back: the Central System takes the previous one and has not taken the new one"
        if record.fell_back:
            return f"SecurityProfile set to {record.other} after all: it has connected"
        return f"SecurityProfile set back to {record.other}: there was no connection in {self._held(credential)}"

    def _course(self, credential: Credential) -> _Course | None:
        record = self._configuration.trial(_KEYS[credential])
        course = self._courses.get(credential)
        if record is None:
            self._courses.pop(credential, None)
            return None
        if course is None or course.record is not record:  # another change has come, or the agent has started
            trial = Trial(fell_back=record.fell_back, tries=record.tries, time=record.time)
            course = self._courses[credential] = _Course(record, trial)
        return course

    def _in_turn(self, credential: Credential, held: _T) -> _T:
        """Return the other value where it has the turn, else the held one."""
        course = self._course(credential)
        if course is None or not course.trial.others_turn:
            return held
        return cast("_T", course.other)

    def _was_used(self, credential: Credential, attempt: Attempt, value: Value | None) -> bool:
        if isinstance(value, Secret):
            return credential is Credential.PASSWORD and attempt.authorization_key == self._password(value)
        return credential is Credential.PROFILE and value == str(int(attempt.profile))

    def _held(self, credential: Credential) -> Value:
        if credential is Credential.PROFILE:
            return self._configuration.text("SecurityProfile")
        return self._configuration.authorization_key() or Secret(b"")

    def _password(self, digits: Secret) -> Secret:
        return digits if self._key_as_text else Secret(bytes.fromhex(digits.reveal().decode()))
