"""The life of the Charge Point certificate: which one is presented, when the next is asked for, what may be discarded.

- Presented is the newest by notBefore of those that are valid (A02.FR.08, A02.FR.09, A03.FR.08, A03.FR.09). While it
  has never worked and is refused, it and the newest that has worked are tried in turn, or all others where none has
  worked yet; if another one works, the new one is given up (docs/decisions/0074-a-new-certificate-that-is-refused.md).
- The next one is asked for one month before the end (A03.FR.02), or in the last third of a life that is shorter than
  three months (docs/decisions/0073-when-a-certificate-is-renewed.md). One request is made in that time, and more only
  by the operator's wish: by a trigger (A02), or by `[security] renewal_repeat_days`.
- An old one is kept for one month after a newer one was proven to work (A02.FR.10, A03.FR.10).

Pure: the time is an argument. Where it is None the clock is not set: then nothing is asked for, discarded or warned of.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from security.certificate import Certificate
from security.client_certificate import ClientCertificate, newest
from security.enrolment_state import EnrolmentState, Stage

MONTH: Final = timedelta(days=30)  #: time; the month of A03.FR.02 and A02.FR.10 (docs/decisions/0018)
LEAD_SHARE: Final = 3  #: part of a life; a certificate that lives less than three months is renewed in its last third
DOUBT: Final = timedelta(days=1)  #: time; a request further in the future was dated by a clock that was wrong
WARNING_DAYS: Final = (14, 7, 3, 1)  #: days before the end; a fortnight to act, and not a warning a day

_NO_TURNS: Final[Mapping[str, int]] = MappingProxyType({})


def choose(
    pairs: Sequence[ClientCertificate],
    now: datetime | None,
    state: EnrolmentState,
    turns: Mapping[str, int] = _NO_TURNS,
    doubted: Collection[str] = (),
) -> ClientCertificate | None:
    """Choose the certificate of the next attempt to connect; None if none is installed.

    Args:
        pairs: all that is installed.
        now: the agent's time, None while its clock is not set.
        state: which of them are proven, which were given up, and which came last.
        turns: fingerprint -> how many turns each has had in vain since the last good connection.
        doubted: fingerprints of those that stand back for now.
    """
    candidates = _hopeful(pairs, now, state, doubted)
    if not candidates:
        # What was given up is better than what is out of date, and that better than nothing (docs/decisions/0033).
        return newest(pairs, now, latest=state.latest)
    first = candidates[0]
    if first.leaf.fingerprint in state.proven or not turns.get(first.leaf.fingerprint):
        return first
    # One that has worked is worth more than all that have not; where none has, any of them may be the one that works.
    worked = [pair for pair in candidates if pair.leaf.fingerprint in state.proven]
    others = worked[:1] or candidates[1:]
    return min((first, *others), key=lambda pair: turns.get(pair.leaf.fingerprint, 0))


def _hopeful(
    pairs: Sequence[ClientCertificate], now: datetime | None, state: EnrolmentState, doubted: Collection[str]
) -> list[ClientCertificate]:
    """Return those that are valid and not given up, newest first: without those in doubt where there are others."""
    valid = [pair for pair in pairs if _is_valid(pair.leaf, now) and pair.leaf.fingerprint not in state.given_up]
    valid.sort(key=lambda pair: (pair.leaf.not_before, pair.leaf.fingerprint == state.latest), reverse=True)
    return [pair for pair in valid if pair.leaf.fingerprint not in doubted] or valid


def to_renew(state: EnrolmentState, pairs: Sequence[ClientCertificate]) -> Certificate | None:
    """Return the certificate whose end counts: the one that ends last, of those that are not given up."""
    hopeful = [pair.leaf for pair in pairs if pair.leaf.fingerprint not in state.given_up]
    return max(hopeful, key=lambda leaf: (leaf.not_after, state.age(leaf)), default=None)


def lead(certificate: Certificate) -> timedelta:
    """Return how long before the end the next certificate is asked for."""
    return min(MONTH, (certificate.not_after - certificate.not_before) / LEAD_SHARE)


def is_renewal_due(
    state: EnrolmentState, pairs: Sequence[ClientCertificate], now: datetime | None, repeat: timedelta
) -> bool:
    """Tell whether a certificate is to be asked for of our own accord (A03.FR.02).

    Args:
        state: what was asked for.
        pairs: all that is installed.
        now: the agent's time, None while its clock is not set.
        repeat: after which time without a certificate the next request is made; zero for never.
    """
    ending = to_renew(state, pairs)
    if now is None or ending is None or now < (begins_at := ending.not_after - lead(ending)):
        return False
    request, asked_at = state.request, state.asked_at
    if request is not None:
        if request.stage in (Stage.WANTED, Stage.OWED):
            return False
        asked_at = request.asked_at or now
    if asked_at is None or asked_at > now + DOUBT:
        return True
    # A02 and A03, error handling: what the authority did not sign, it will not sign when it is asked once more. Nor is
    # it asked again where what it signed was given up, or ends no later than what there was.
    return asked_at < begins_at or (bool(repeat) and asked_at + repeat <= now)


def due_warning(
    state: EnrolmentState, pairs: Sequence[ClientCertificate], now: datetime | None
) -> tuple[Certificate, int] | None:
    """Return the certificate whose end is near without a new one, and at which of the days; None where all is well.

    In the time of a short life in which it need not have been renewed yet, there is nothing to be warned of.
    """
    ending = to_renew(state, pairs)
    if now is None or ending is None:
        return None
    reached = [days for days in _warning_days(ending) if ending.not_after - timedelta(days=days) <= now]
    if not reached or state.warned.get(ending.fingerprint, max(WARNING_DAYS) + 1) <= min(reached):
        return None
    return ending, min(reached)


def warning_begins(certificate: Certificate) -> datetime:
    """Return the instant from which on a certificate without a successor is worth a word."""
    return certificate.not_after - timedelta(days=max(_warning_days(certificate), default=0))


def discardable(
    state: EnrolmentState, pairs: Sequence[ClientCertificate], now: datetime | None
) -> tuple[ClientCertificate, ...]:
    """Return what has been kept long enough (A02.FR.10, A03.FR.10); never what would be presented, or ends last."""
    if now is None:
        return ()
    presented = choose(pairs, now, state)
    ending = to_renew(state, pairs)
    return tuple(
        pair
        for pair in pairs
        if pair != presented and pair.leaf != ending and _served_its_time(pair, pairs, state, now)
    )


def dispensable(state: EnrolmentState, pairs: Sequence[ClientCertificate], now: datetime | None) -> ClientCertificate:
    """Return what goes first where there is no room: the oldest that is neither presented nor the last proven one."""
    presented = choose(pairs, now, state)
    last_proven = newest([pair for pair in pairs if pair.leaf.fingerprint in state.proven], now, latest=state.latest)
    candidates = [pair for pair in pairs if pair not in (presented, last_proven)]
    return min(candidates, key=lambda pair: (pair.leaf.fingerprint not in state.given_up, state.age(pair.leaf)))


def next_change(
    state: EnrolmentState, pairs: Sequence[ClientCertificate], now: datetime | None, repeat: timedelta
) -> datetime | None:
    """Return the next instant at which one of the answers above may change by itself; None where there is none."""
    if now is None:
        return None
    instants = [instant for pair in pairs for instant in _turning_points(pair.leaf)]
    instants += [since + MONTH for since in (*state.proven.values(), *state.given_up.values()) if since is not None]
    asked_at = state.request.asked_at if state.request else state.asked_at
    if repeat and asked_at is not None:
        instants.append(asked_at + repeat)
    return min((instant for instant in instants if instant > now), default=None)


def _is_valid(certificate: Certificate, now: datetime | None) -> bool:
    return certificate.has_begun(now) and not certificate.has_expired(now)


def _warning_days(certificate: Certificate) -> Iterator[int]:
    return (days for days in WARNING_DAYS if timedelta(days=days) <= lead(certificate))


def _turning_points(certificate: Certificate) -> Iterator[datetime]:
    end = certificate.not_after
    yield from (certificate.not_before, end, end - lead(certificate), end + MONTH)
    yield from (end - timedelta(days=days) for days in _warning_days(certificate))


def _served_its_time(
    pair: ClientCertificate, pairs: Sequence[ClientCertificate], state: EnrolmentState, now: datetime
) -> bool:
    newer = [other.leaf for other in pairs if state.age(other.leaf) > state.age(pair.leaf)]
    since = [state.given_up.get(pair.leaf.fingerprint), *(state.proven.get(leaf.fingerprint) for leaf in newer)]
    return any(instant is not None and instant + MONTH <= now for instant in (*since, pair.leaf.not_after))
