"""What a try to connect decides about credentials that were changed: the one table of all fallbacks.

A changed credential is *on trial*: beside the value that is held, the other one, which worked before, is kept until a
good connection decides between them (TLS judged good, HTTP 101, the subprotocol agreed). This is so for

    profile      A05.FR.08, after an upgrade by the Central System
    password     A01, after a change of AuthorizationKey
    certificate  A02.FR.10, A03.FR.10, after CertificateSigned.req
    root         M05.FR.12, M05.FR.13, after InstallCertificate.req with AdditionalRootCertificateCheck

and they may be on trial together. The table says for each what each outcome of a try means; a credential that took no
part in the try (`takes_part`) is not judged by it.

- A good connection settles every trial that took part: the value that it was made with stays, the other is forgotten,
  and from then on there is no way back, however long the Central System refuses (OCTT TC_083).
- A new password or certificate gives way to the other value only where it was refused itself. What else goes wrong says
  nothing about it, so that an outage never undoes a change. The other value has one turn at a time, whatever comes of
  it: a Central System that leaves the old value without an answer must not keep the new one away.
- A certificate that was asked for and hung up on may have been refused, or has met an outage. The other one has its
  turn; if it connects, the new one comes back after a while, and is given up after several such rounds (reception.py).
- A root gives way within the same try (link.py): the refusal is ours, and the other root is at hand.
- A profile gives way whatever went wrong, for "could not connect" is all that A05.FR.08 says; but not before so many
  tries have failed *and* so much time has passed (`Bounds`). The previous profile is then held again. Where it does not
  connect either, for as long, the new one has another turn, and so on: an outage in the trial does not decide for good.

Pure: the time that a try took is handed in.

Not done here: keeping the values and the trials (chargepoint/configuration.py), choosing among more than two
certificates (certificate_life.py), the roots (store.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Final

from security.profile import SecurityProfile


class Credential(StrEnum):
    """What may be on trial."""

    PROFILE = "security profile"
    PASSWORD = "password"  # noqa: S105 - a word for people
    CERTIFICATE = "Charge Point certificate"
    ROOT = "Central System root"


class Outcome(StrEnum):
    """How a try to connect ended."""

    GOOD = "a good connection"
    REFUSED = "refused by HTTP 401 or 403"
    CERTIFICATE_REFUSED = "our certificate refused, or missed, in the TLS handshake"
    HUNG_UP = "our certificate asked for, and the connection closed without a word before the upgrade"
    PEER_REFUSED = "the peer's certificate, TLS version or cipher suite refused by us"
    NO_OCPP = "another answer than an upgrade to OCPP 1.6"
    NO_ANSWER = "no connection, or none in time"
    NOT_MADE = "the try lacked what it needs, and was not made"


class Step(Enum):
    """What an outcome does to a credential on trial."""

    SETTLE = "the value that was used stays"
    COUNT = "the value that was used has failed once more"
    GIVE_WAY = "the other value has the next turn"
    DOUBT = "the other value has the next turn, and if it connects, this one stands back for a while only"
    GIVE_WAY_AT_ONCE = "the other value is used within the same try"
    WAIT = "the value that is held has the next turn"


_COUNTED: Final = dict.fromkeys(Outcome, Step.COUNT) | {Outcome.GOOD: Step.SETTLE}
_WAITING: Final = dict.fromkeys(Outcome, Step.WAIT) | {Outcome.GOOD: Step.SETTLE}

TABLE: Final[Mapping[Credential, Mapping[Outcome, Step]]] = {
    Credential.PROFILE: _COUNTED,
    Credential.PASSWORD: _WAITING | {Outcome.REFUSED: Step.GIVE_WAY},
    Credential.CERTIFICATE: _WAITING
    | {
        Outcome.REFUSED: Step.GIVE_WAY,
        Outcome.CERTIFICATE_REFUSED: Step.GIVE_WAY,
        Outcome.HUNG_UP: Step.DOUBT,
    },
    Credential.ROOT: _WAITING | {Outcome.PEER_REFUSED: Step.GIVE_WAY_AT_ONCE},
}


def takes_part(credential: Credential, profile: SecurityProfile) -> bool:
    """Whether a try in a profile says anything about a credential."""
    match credential:
        case Credential.PROFILE:
            return True
        case Credential.PASSWORD:
            return profile.sends_basic
        case Credential.CERTIFICATE:
            return profile.presents_certificate
        case Credential.ROOT:
            return profile.needs_tls


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a profile that does not connect is tried: both have to be used up.

    Attributes:
        tries: failed tries; at least 2, so that within them each of two passwords or certificates has its turn.
        time: spent on them.
    """

    tries: int
    time: timedelta


@dataclass(frozen=True, slots=True)
class Trial:
    """One credential on trial.

    Attributes:
        others_turn: the next try is made with the other value, not with the one that is held.
        fell_back: the held value is the previous one again (a profile only).
        tries: how often the value whose turn it is has failed.
        time: spent on them.
    """

    others_turn: bool = False
    fell_back: bool = False
    tries: int = 0
    time: timedelta = timedelta()


class Ruling(Enum):
    """What a try has decided."""

    NONE = "the trial goes on"
    HELD_STAYS = "the held value has proved itself, the other is forgotten"
    OTHER_STAYS = "the other value has proved itself and is held from now on, the held one is forgotten"
    FALL_BACK = "the two change places, and the trial goes on"


def judge(
    credential: Credential, trial: Trial, outcome: Outcome, *, used_other: bool, took: timedelta, bounds: Bounds
) -> tuple[Trial, Ruling]:
    """Judge a credential on trial by one try in which it took part.

    Args:
        credential: what is on trial.
        trial: where the trial stands.
        outcome: how the try ended.
        used_other: the try was made with the other value.
        took: the time since the try before, or since the trial began.
        bounds: how long a profile is tried.

    Returns:
        Where the trial stands now, of no meaning once it is settled; and what is decided.
    """
    match TABLE[credential][outcome]:
        case Step.SETTLE:
            return trial, Ruling.OTHER_STAYS if used_other else Ruling.HELD_STAYS
        case Step.GIVE_WAY | Step.DOUBT:
            return replace(trial, others_turn=not used_other), Ruling.NONE
        case Step.COUNT:
            return _count(replace(trial, tries=trial.tries + 1, time=trial.time + took), bounds)
    return replace(trial, others_turn=False), Ruling.NONE


def _count(trial: Trial, bounds: Bounds) -> tuple[Trial, Ruling]:
    if trial.tries < bounds.tries or trial.time < bounds.time:
        return trial, Ruling.NONE
    if not trial.fell_back:  # A05.FR.08
        return Trial(fell_back=True), Ruling.FALL_BACK
    return Trial(others_turn=not trial.others_turn, fell_back=True), Ruling.NONE
