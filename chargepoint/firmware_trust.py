"""Whose firmware is installed: the adapter behind the port `Verifier` of the firmware wing.

Puts the installed ManufacturerRootCertificates, the agent's clock, the policy of revocation and the switches of
config.toml together with the rules of security/signing_certificate.py and security/signature.py.

Not done here: what follows from a verdict, events included, which is the update's business.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chargepoint.clock import Clock
from chargepoint.setting_table import Revocation
from security.certificate import parse_one
from security.errors import CertificateError
from security.signature import SignatureResult, Verification, verify_digest, verify_file
from security.signing_certificate import SigningVerdict, judge, with_finding
from security.store import CaDomain, CertificateStore

if TYPE_CHECKING:
    from security.revocation import RevocationCheck

_log = logging.getLogger(__name__)


class FirmwareTrust:
    """Judges signing certificates and verifies what was signed with them.

    Args:
        certificates: the store with the roots.
        clock: the agent's clock.
        revocation_check: makes what asks about revocation; not called before it is needed.
        policy: of ``[security] revocation_firmware``.
        accept_pkcs1: of ``[interop] firmware_pkcs1``.
    """

    def __init__(
        self,
        certificates: CertificateStore,
        clock: Clock,
        revocation_check: Callable[[], "RevocationCheck"],
        *,
        policy: Revocation,
        accept_pkcs1: bool,
    ) -> None:
        self._certificates = certificates
        self._clock = clock
        self._revocation_check = revocation_check
        self._policy = policy
        self._accept_pkcs1 = accept_pkcs1

    async def judge(self, pem: str) -> SigningVerdict:
        """Judge a signing certificate as of now, its revocation included (L01.FR.23, L01.FR.25).

        Takes as long as all questions about its revocation may: `CHECK_TIMEOUT` of security/revocation.py. Nobody is
        asked about a certificate that is refused anyway.

        Args:
            pem: the text of signingCertificate.

        Returns:
            The verdict; whatever the text is, nothing raises. Its remarks are in the log already.
        """
        now = self._clock.now() if self._clock.is_set else None
        verdict = await asyncio.to_thread(judge, pem, self._certificates.roots(CaDomain.MANUFACTURER), now)
        if verdict.accepted and self._policy != "off":
            finding = await self._revocation_check().find([each.der for each in verdict.path], now)
            verdict = with_finding(verdict, finding, must_be_known=self._policy == "hard")
        for remark in verdict.remarks:
            _log.warning("the firmware signing certificate: %s", remark)
        return verdict

    async def verify(self, image: Path | bytes, signature: str | None, pem: str) -> Verification:
        """Verify the signature over an image with the key of a signing certificate that `judge` has accepted.

        Args:
            image: the file; or SHA-256 over it, where it was computed while the file came.
            signature: the text of signature.
            pem: the text of signingCertificate.

        Returns:
            The outcome; whatever a peer has sent, nothing raises.

        Raises:
            DurableError: the file cannot be read to its end.
        """
        try:
            certificate = parse_one(pem)
        except CertificateError as error:
            reason = f"the signing certificate cannot be read: {error.reason}"
            return Verification(SignatureResult.UNSUPPORTED_ALGORITHM, reason)
        if isinstance(image, Path):
            return await verify_file(image, signature, certificate, accept_pkcs1=self._accept_pkcs1)
        return verify_digest(image, signature, certificate, accept_pkcs1=self._accept_pkcs1)
