"""Requests about certificates: M03 lists the roots, M04 deletes one, M05 installs one; A02 and A03 bring our own."""

import logging
from typing import Any, Final

from chargepoint.configuration import Origin
from chargepoint.handlers.domain import Domain
from chargepoint.installation import Use
from chargepoint.payload import call_result, enums
from chargepoint.rpc import Reply
from security.hash_data import CertificateHashData
from security.outcome import DeleteResult, Installation, InstallResult

_log = logging.getLogger(__name__)

_USES: Final = {
    enums.CertificateUse.central_system_root_certificate: Use.CENTRAL_SYSTEM_ROOT,
    enums.CertificateUse.manufacturer_root_certificate: Use.MANUFACTURER_ROOT,
}


async def get_installed_certificate_ids(domain: Domain, request: Any) -> Reply:
    """Name every root of the type, the fallback root too while it is there (M03.FR.01, M03.FR.04)."""
    installed = domain.installer.installed(_USES[request.certificate_type])
    if not installed:
        status = enums.GetInstalledCertificateStatus.not_found  # M03.FR.02
        return Reply(call_result.GetInstalledCertificateIds(status=status))
    return Reply(
        call_result.GetInstalledCertificateIds(
            status=enums.GetInstalledCertificateStatus.accepted,  # M03.FR.03
            certificate_hash_data=[data.to_mapping() for data in installed],
        )
    )


async def delete_certificate(domain: Domain, request: Any) -> Reply:
    """Delete a root, whichever of the three algorithms names it (M04.FR.01)."""
    outcome = await domain.installer.delete_root(
        CertificateHashData.from_mapping(request.certificate_hash_data),
        in_use=domain.root_in_use(),
        origin=Origin.CENTRAL_SYSTEM,
    )
    if outcome.result is not DeleteResult.ACCEPTED:
        _log.warning("DeleteCertificate.req: %s: %s", outcome.result, outcome.reason)
    # M04.FR.02 says Success, but DeleteCertificateStatusEnumType has Accepted (docs/decisions/0013).
    return Reply(call_result.DeleteCertificate(status=enums.DeleteCertificateStatus(outcome.result.value)))


async def install_certificate(domain: Domain, request: Any) -> Reply:
    """Install a root; where it is refused, the log says why (M05.FR.01)."""
    outcome = await domain.installer.install(
        _USES[request.certificate_type], request.certificate, origin=Origin.CENTRAL_SYSTEM
    )
    if not outcome.accepted:
        _log.warning("InstallCertificate.req (%s): %s: %s", request.certificate_type, outcome.result, outcome.reason)
    return Reply(call_result.InstallCertificate(status=_status(outcome)))


async def certificate_signed(domain: Domain, request: Any) -> Reply:
    """Install the Charge Point certificate that was asked for; it is presented once the answer is out (A02.FR.08)."""
    if not await domain.renewal.accept(request.certificate_chain):
        return Reply(call_result.CertificateSigned(status=enums.CertificateSignedStatus.rejected))  # A02.FR.07

    async def present() -> None:
        domain.renewal.notice()

    return Reply(call_result.CertificateSigned(status=enums.CertificateSignedStatus.accepted), then=present)


def _status(outcome: Installation) -> enums.CertificateStatus:
    if outcome.accepted:
        return enums.CertificateStatus.accepted  # M05.FR.02
    if outcome.result is InstallResult.WRITE_ERROR:
        return enums.CertificateStatus.failed  # M05.FR.04
    return enums.CertificateStatus.rejected  # M05.FR.03, M05.FR.06, M05.FR.10
