"""Paths of trust: whether a certificate is below one of the given roots (RFC 5280 section 6, section 2.6.2).

Guaranteed of a path that is found: each certificate is signed by the next one, which bears the issuer's name, is a
certificate authority, may sign certificates, allows so many authorities below itself, passes the rules of section 2.6
and has not expired. Every given root is the end of a path, whether or not it is signed by itself.

Not done here: the rules of the leaf itself (certificate.py), revocation, name constraints and policies. Whether a
Charge Point certificate is good in those respects is judged by the Central System, which validates it in full
(A00.FR.403).

- A begin in the future is no fault: the certificate waits for its time (docs/decisions/0018).
- Pure; the time is an argument, and None means that the clock is not set.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from security.certificate import Certificate, Purpose, faults_of
from security.errors import CertificateError


def find_path(
    leaf: Certificate, others: Sequence[Certificate], roots: Sequence[Certificate], now: datetime | None
) -> tuple[Certificate, ...]:
    """Return the way from a certificate to a root, both included.

    Args:
        leaf: the certificate; its own properties are not looked at.
        others: the authorities that came with it, in any order; what is not needed is passed over.
        roots: whom we trust.
        now: the agent's time, None while its clock is not set.

    Raises:
        CertificateError: there is none; the reason names what stands in the way, or the issuer that is missing.
    """
    reasons: list[str] = []
    waiting: deque[tuple[Certificate, ...]] = deque([(leaf,)])
    reached = {leaf}
    while waiting:  # the shortest ways first; each certificate is reached once, so a tangle of them ends it soon
        path = waiting.popleft()
        for issuer in (*roots, *others):
            if issuer in reached or not path[-1].is_signed_by(issuer):
                continue
            if impediment := _impediment(issuer, path, now):
                reasons.append(impediment)
                continue
            if issuer in roots:
                return (*path, issuer)
            reached.add(issuer)
            waiting.append((*path, issuer))
    raise CertificateError(reasons[0] if reasons else f"no installed root vouches for it: issued by {leaf.issuer}")


def _impediment(issuer: Certificate, path: tuple[Certificate, ...], now: datetime | None) -> str:
    if faults := faults_of(issuer, now, Purpose.ROOT):
        return f"its issuer {issuer.subject} cannot vouch for it: {'; '.join(faults)}"
    # RFC 5280 4.2.1.9: the leaf does not count, nor do authorities that issued themselves.
    below = sum(not authority.is_self_issued for authority in path[1:])
    if issuer.path_length is not None and below > issuer.path_length:
        return f"its issuer {issuer.subject} may not have {below} authorities below itself (pathLenConstraint)"
    return ""
