"""The rule of the successor: which certificate becomes a root, and what becomes of those that it replaces.

- A root is signed by itself. A certificate authority that is not is taken only as the successor of an installed root
  of the same domain that has signed it (docs/decisions/0060-successor-of-a-root.md).
- Where AdditionalRootCertificateCheck holds, there is one Central System root at a time, and the next one has to be
  signed by the one that it replaces (M05.FR.08, M05.FR.09, M05.FR.10). That one stays as the fallback root, unless an
  earlier one still does: the fallback root is the one that last verified a good connection (M05.FR.11;
  docs/decisions/0061-fallback-root.md).

Pure. Not done here: files (shelf.py), how many roots fit (store.py), which root a connection is tried with (the roof).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from security.certificate import Certificate, Purpose, faults_of
from security.outcome import Installation, InstallResult
from security.root import Root
from security.root_set import RootSet


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a certificate is not installed."""

    result: InstallResult
    reason: str

    def of(self, certificate: Certificate, remarks: tuple[str, ...] = ()) -> Installation:
        """Say so as the outcome of an installation."""
        return Installation(self.result, self.reason, certificate, remarks)


@dataclass(frozen=True, slots=True)
class Admission:
    """What a certificate becomes.

    Attributes:
        root: the new root, with what its file has to remember.
        fallback: the root that stays as the fallback root, None where nothing was replaced.
        removed: the roots that are gone.
    """

    root: Root
    fallback: Root | None = None
    removed: tuple[Root, ...] = ()


def judge_authority(certificate: Certificate, now: datetime | None) -> Refusal | None:
    """Judge a certificate by itself: whether it could be a root at all (M05.FR.06)."""
    if not certificate.is_ca:
        return Refusal(InstallResult.INVALID_CERTIFICATE_CHAIN, "it is not a root: not a certificate authority")
    faults = faults_of(certificate, now, Purpose.ROOT)
    if not faults:
        return None
    expired = certificate.has_expired(now)
    return Refusal(InstallResult.EXPIRED if expired else InstallResult.INVALID_FORMAT, "; ".join(faults))


def admit(
    certificate: Certificate,
    installed: RootSet,
    now: datetime | None,
    *,
    one_at_a_time: bool,
    proven: str | None = None,
) -> Admission | Refusal:
    """Judge a certificate that could be a root by its place among those that are installed.

    Args:
        certificate: not installed yet, and found good by `judge_authority`.
        installed: the roots of the domain that it is meant for.
        now: the agent's time, None while its clock is not set.
        one_at_a_time: the value of AdditionalRootCertificateCheck.
        proven: fingerprint of the root that verified the last good connection, as far as known.
    """
    replaces = one_at_a_time and bool(installed.roots)
    if certificate.is_self_signed and not replaces:
        return Admission(Root.of(certificate, certificate))
    issuer = _issuer(certificate, installed.in_force if replaces else installed.roots, now)
    if isinstance(issuer, Refusal):
        return issuer
    root = Root.of(certificate, certificate if certificate.is_self_signed else issuer.certificate)
    if not replaces:
        return Admission(root)
    fallback = installed.fallback or installed.find(proven) or issuer
    removed = installed.without(fallback).roots
    gone = frozenset(each.fingerprint for each in removed)
    return Admission(replace(root, fallback=fallback.fingerprint, replaced=gone), fallback, removed)


def _issuer(certificate: Certificate, roots: Sequence[Root], now: datetime | None) -> Root | Refusal:
    """Find the root that signed it and may do so: the whole chain is verified here, as section 7.1 demands."""
    signers = [root for root in roots if certificate.is_signed_by(root.certificate)]
    impediment = ""
    for signer in signers:
        impediment = _impediment(signer.certificate, certificate, now)
        if not impediment:
            return signer
    if impediment:
        return Refusal(InstallResult.INVALID_CERTIFICATE_CHAIN, impediment)
    if certificate.is_self_signed:  # M05.FR.10
        return Refusal(InstallResult.INVALID_CERTIFICATE_CHAIN, "the root that it is to replace did not sign it")
    if certificate.is_self_issued:
        reason = "its signature was not made by its own key, nor by that of an installed root which it may succeed"
        return Refusal(InstallResult.INVALID_SIGNATURE, reason)
    reason = "it is not a root: not signed by itself, nor by an installed root which it may succeed"
    return Refusal(InstallResult.INVALID_CERTIFICATE_CHAIN, reason)


def _impediment(signer: Certificate, successor: Certificate, now: datetime | None) -> str:
    if signer.has_expired(now) or not signer.has_begun(now):
        return "the installed root that signed it is out of date"
    if signer.path_length == 0 and not successor.is_self_issued:  # RFC 5280 4.2.1.9: self-issued ones do not count
        return "the installed root that signed it may not have authorities below itself (pathLenConstraint)"
    return ""
