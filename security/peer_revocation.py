"""What the Central System's certificate being revoked means: the policy of ``[security] revocation_central_system``.

    policy   revoked    not known
    off      not asked  not asked
    soft     refused    accepted, with a line in the log
    hard     refused    refused

The white paper demands no such check of a Charge Point: the Central System's certificate is to live for a day only
(A00.FR.701). It is for operators whose certificates live longer (docs/decisions/0090-who-asks-about-revocation.md).

Not done here: asking (revocation.py).
"""

import logging
from datetime import datetime
from enum import StrEnum
from typing import Final

from security.event import SecurityEventType
from security.handshake import describe_chain
from security.inquiry import RevocationStatus
from security.revocation import CHECK_TIMEOUT, RevocationCheck
from security.tls import Peer
from security.tls_fault import TlsFault

_log = logging.getLogger(__name__)


class RevocationPolicy(StrEnum):
    """How much is made of revocation, as config.toml has it."""

    OFF = "off"
    SOFT = "soft"
    HARD = "hard"


class PeerNotVouchedFor(TlsFault):
    """Raised when the peer's path is good, but a certificate of it is revoked, or may be."""


class PeerRevocation:
    """Judges a peer whose TLS, name and dates are good already.

    Args:
        check: finds out.
        policy: soft or hard; with off there is no such object.
    """

    longest: Final = CHECK_TIMEOUT
    """How long `judge` takes at most."""

    def __init__(self, check: RevocationCheck, policy: RevocationPolicy) -> None:
        self._check = check
        self._policy = policy

    @staticmethod
    def has_refused(error: BaseException | None) -> bool:
        """Tell whether it was `judge` that refused the peer."""
        return isinstance(error, PeerNotVouchedFor)

    async def judge(self, peer: Peer, now: datetime | None) -> None:
        """Find out about the peer's path; nothing may be sent to it before this has returned.

        Takes at most `CHECK_TIMEOUT`.

        Args:
            peer: as `judge_peer` has returned it.
            now: the agent's time, None while its clock is not set.

        Raises:
            PeerNotVouchedFor: the connection must be ended; its event has to be raised (A00.FR.309, A00.FR.413).
        """
        finding = await self._check.find(peer.chain, now)
        match finding.status:
            case RevocationStatus.REVOKED:
                raise _fault(
                    f"a certificate of the peer's path is revoked: {finding.reason}",
                    "let the operator give the Central System another certificate",
                    peer,
                )
            case RevocationStatus.UNKNOWN if self._policy is RevocationPolicy.HARD:
                # Not in the fault: its text stays the same from try to try, so that an outage is one security event.
                _log.warning("whether the Central System's certificate is revoked is not known: %s", finding.reason)
                raise _fault(
                    "it is not known whether the peer's certificate is revoked",
                    "see that this Charge Point reaches the CA's responder, or set revocation_central_system to soft",
                    peer,
                )
            case RevocationStatus.UNKNOWN:
                _log.warning(
                    "whether the Central System's certificate is revoked is not known, it is accepted: %s",
                    finding.reason,
                )


def _fault(what: str, advice: str, peer: Peer) -> PeerNotVouchedFor:
    # "was not valid or could not be verified": section 8 means both.
    event = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
    return PeerNotVouchedFor(what, advice=advice, event=event, peer=describe_chain(peer.chain))
