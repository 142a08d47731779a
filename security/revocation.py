"""Revocation: whether a certificate of a verified path has been taken back by its CA before its end.

The certificate itself says who knows: OCSP responders (AuthorityInformationAccess) and lists (CRLDistributionPoints).
One that names nobody is not asked about; it lives as long as its dates say (A00.FR.701).

Guaranteed: all questions about a path together take at most `CHECK_TIMEOUT`; the first source that knows decides, OCSP
before lists; an answer counts only by its signature, never by where it came from; whatever comes in, nothing raises.

- Good answers are used again for `REUSE` without a question, and until their end where nobody answers then. An answer
  is written to the disk at most once in `MIN_KEPT`, and not while the clock is not set.
- A revocation is kept for ever, unless the certificate is merely on hold.
- Only http and https are spoken: what a certificate names in ldap, ftp or file says nothing.

Not done here: the path and its signatures, which have to be good before this is asked (tls.py); what follows from the
finding (peer_revocation.py).
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from security.certificate import Certificate
from security.crl import CrlSource
from security.errors import CertificateError, DurableError, FetchFailed
from security.inquiry import Finding, Question, RevocationStatus, Source, Subject
from security.ocsp import ASKED_WITH, NONCE_BYTES, OcspResponder
from security.revocation_cache import Kept, RevocationCache

CHECK_TIMEOUT: Final = timedelta(seconds=5)  #: time for all questions about a path; nobody waits longer for a link
ANSWER_TIMEOUT: Final = timedelta(seconds=2)  #: time for one answer; a silent responder leaves time for a list
REUSE: Final = timedelta(days=1)  #: time until a good answer is asked for again; CAs renew theirs in days
MIN_KEPT: Final = timedelta(hours=1)  #: time; what ends sooner is not written, so that reconnects wear out no flash
MAX_CERTIFICATES_ASKED: Final = 6  #: certificates of one path; two or three are usual
MAX_ADDRESSES: Final = 2  #: addresses of each kind that are asked about one certificate; most name one
MAX_URL_CHARACTERS: Final = 1_024  #: characters; the longest address that is asked

_ASKABLE: Final = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_SEVERITY: Final = (RevocationStatus.GOOD, RevocationStatus.UNKNOWN, RevocationStatus.REVOKED)

_log = logging.getLogger(__name__)


class Fetch(Protocol):
    """Port: sends one HTTP request and returns the body of the answer."""

    async def __call__(self, question: Question, /) -> bytes:
        """Ask; cancelling leaves nothing open.

        Raises:
            FetchFailed: there was no answer, or none of use.
        """


class RevocationCheck:
    """Asks, and remembers the answers.

    Args:
        fetch: sends the questions.
        cache: keeps the answers.
    """

    def __init__(self, fetch: Fetch, cache: RevocationCache) -> None:
        self._fetch = fetch
        self._cache = cache

    async def find(self, chain: Sequence[bytes], now: datetime | None) -> Finding:
        """Find out about every certificate of a path but the last, which is trusted because it is installed.

        Args:
            chain: DER, leaf first, each signed by the next.
            now: the agent's time; None while its clock is not set: then no answer is held to be out of date.

        Returns:
            The worst of what was found; good where no certificate names a source.
        """
        deadline = asyncio.get_running_loop().time() + CHECK_TIMEOUT.total_seconds()
        try:
            certificates = [Certificate.of(x509.load_der_x509_certificate(der)) for der in chain]
        except (ValueError, CertificateError):
            return Finding.unknown("a certificate of the path cannot be read")
        subjects = [Subject(*pair) for pair in pairwise(certificates)]
        asked = [(subject, sources) for subject in subjects if (sources := sources_of(subject)) is not None]
        if len(asked) > MAX_CERTIFICATES_ASKED:
            return Finding.unknown(f"more than {MAX_CERTIFICATES_ASKED} certificates of the path name a source")
        findings = await asyncio.gather(*(self._find_one(sources, now, deadline) for _, sources in asked))
        for (subject, _), finding in zip(asked, findings, strict=True):
            _log.debug("%s: %s, %s", subject.certificate.subject, finding.status, finding.reason)
        nothing_named = Finding(RevocationStatus.GOOD, "no certificate names who knows about its revocation")
        return max(findings, key=lambda finding: _SEVERITY.index(finding.status), default=nothing_named)

    async def _find_one(self, sources: Sequence[Source], now: datetime | None, deadline: float) -> Finding:
        known = await self._known(sources, now)
        if known is not None and known.settles(now):
            return known.finding
        answered = await self._ask_all(sources, now, deadline)
        if answered.status is RevocationStatus.UNKNOWN and known is not None:
            return known.finding
        return answered

    async def _known(self, sources: Iterable[Source], now: datetime | None) -> "_Known | None":
        """Return what the cache says: a revocation, else the first good status, else None."""
        found = []
        for source in sources:
            try:
                kept = await asyncio.to_thread(self._cache.read, source.key)
            except DurableError as error:
                _log.warning("an answer about revocation cannot be read: %s", error)
                continue
            if kept is not None:
                found.append(_Known(source.judge(kept.answer, now), kept.asked_at))
        for status in (RevocationStatus.REVOKED, RevocationStatus.GOOD):
            for known in found:
                if known.finding.status is status:
                    return known
        return None

    async def _ask_all(self, sources: Sequence[Source], now: datetime | None, deadline: float) -> Finding:
        finding = Finding.unknown("it names no address of http or https")
        out_of_reach: set[str] = set()
        try:
            async with asyncio.timeout_at(deadline):
                for source in sources:
                    if source.url in out_of_reach:
                        continue
                    try:
                        finding = await self._ask(source, now)
                    except FetchFailed as error:
                        out_of_reach.add(source.url)
                        finding = Finding.unknown(f"{source.url}: {error}")
                    if finding.status is not RevocationStatus.UNKNOWN:
                        break
        except TimeoutError:
            return Finding.unknown(f"nobody answered within {CHECK_TIMEOUT.total_seconds():g} s")
        return finding

    async def _ask(self, source: Source, now: datetime | None) -> Finding:
        nonce = secrets.token_bytes(NONCE_BYTES)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT.total_seconds()):
                answer = await self._fetch(source.question(nonce))
        except TimeoutError as error:
            raise FetchFailed(f"no answer within {ANSWER_TIMEOUT.total_seconds():g} s") from error
        finding = source.judge(answer, now, nonce)
        if now is not None and _is_worth_keeping(finding, now):
            await self._keep(source.key, Kept(answer, now))
        return finding

    async def _keep(self, key: str, kept: Kept) -> None:
        try:
            await asyncio.to_thread(self._cache.write, key, kept)
        except DurableError as error:
            _log.warning("an answer about revocation is not kept: %s", error)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the cache says."""

    finding: Finding
    asked_at: datetime

    def settles(self, now: datetime | None) -> bool:
        """Whether nobody needs to be asked."""
        if self.finding.status is RevocationStatus.REVOKED:
            return True
        # On the word of a clock that is not set, no answer is young.
        return now is not None and self.asked_at <= now < self.asked_at + REUSE


def sources_of(subject: Subject) -> tuple[Source, ...] | None:
    """Return who can be asked about a certificate, in this order; None where it names nobody at all.

    Empty where all that it names is of a kind that is not spoken here.
    """
    access, points = _access(subject.certificate), _points(subject.certificate)
    if not access and not points:
        return None
    responders = [url for each in access if (url := _url(each.access_location))]
    lists = [url for point in points if _is_plain(point) for name in point.full_name or () if (url := _url(name))]
    return (
        *(OcspResponder(url, subject, used) for url in responders[:MAX_ADDRESSES] for used in ASKED_WITH),
        *(CrlSource(url, subject) for url in lists[:MAX_ADDRESSES]),
    )


def _access(certificate: Certificate) -> list[x509.AccessDescription]:
    try:
        extension = certificate.x509.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except x509.ExtensionNotFound:
        return []
    return [each for each in extension.value if each.access_method == AuthorityInformationAccessOID.OCSP]


def _points(certificate: Certificate) -> list[x509.DistributionPoint]:
    try:
        return list(certificate.x509.extensions.get_extension_for_class(x509.CRLDistributionPoints).value)
    except x509.ExtensionNotFound:
        return []


def _is_plain(point: x509.DistributionPoint) -> bool:
    """Whether its list is complete and signed by the issuer itself: no indirect one, none for some reasons only."""
    return point.crl_issuer is None and point.reasons is None


def _url(name: x509.GeneralName) -> str | None:
    """Return the address where it is one that can be asked."""
    if not isinstance(name, x509.UniformResourceIdentifier):
        return None
    url = name.value
    if len(url) > MAX_URL_CHARACTERS or not _ASKABLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return url if has_place and "@" not in parts.netloc else None


def _is_worth_keeping(finding: Finding, now: datetime) -> bool:
    if finding.until is None:
        return finding.status is RevocationStatus.REVOKED
    return finding.status is not RevocationStatus.UNKNOWN and finding.until - now >= MIN_KEPT
