"""The table of handlers: which request of the Central System is served by which coroutine.

An action that OCPP 1.6 or the white paper knows, but that has no row here, is answered with the CALLERROR NotSupported;
one that nobody knows with NotImplemented (OCPP-J 1.6, table 7).
"""

from collections.abc import Mapping
from typing import Any, Final

from chargepoint.handlers import certificates, charging, core, firmware, logs, trigger
from chargepoint.handlers.domain import Domain, Handler
from chargepoint.rpc import ErrorCode, Refusal, Reply, Serve

HANDLERS: Final[Mapping[str, Handler]] = {
    "CertificateSigned": certificates.certificate_signed,
    "ChangeAvailability": charging.change_availability,
    "ChangeConfiguration": core.change_configuration,
    "DataTransfer": core.data_transfer,
    "DeleteCertificate": certificates.delete_certificate,
    "ExtendedTriggerMessage": trigger.extended_trigger_message,
    "GetConfiguration": core.get_configuration,
    "GetDiagnostics": logs.get_diagnostics,
    "GetInstalledCertificateIds": certificates.get_installed_certificate_ids,
    "GetLog": logs.get_log,
    "InstallCertificate": certificates.install_certificate,
    "RemoteStartTransaction": charging.remote_start_transaction,
    "RemoteStopTransaction": charging.remote_stop_transaction,
    "Reset": core.reset,
    "SignedUpdateFirmware": firmware.signed_update_firmware,
    "TriggerMessage": trigger.trigger_message,
    # L01.FR.20: UpdateFirmware has no row on purpose, so that it is answered NotSupported and starts nothing.
}


def serve_with(domain: Domain) -> Serve:
    """Bind the handlers to the parts of one agent."""

    async def serve(request: Any, action: str) -> Reply:
        handler = HANDLERS.get(action)
        if handler is None:
            raise Refusal(ErrorCode.NOT_SUPPORTED, f"{action} is not supported by this Charge Point")
        return await handler(domain, request)

    return serve
