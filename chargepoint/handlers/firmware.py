"""SignedUpdateFirmware.req: a secure firmware update is ordered (L01).

UpdateFirmware.req of OCPP 1.6 has no handler here, nor anywhere (L01.FR.20).
"""

from typing import Any

from chargepoint.date_time import read_date_time, read_optional_date_time
from chargepoint.handlers.domain import Domain
from chargepoint.payload import call_result, enums
from chargepoint.rpc import Reply
from firmware.request import FirmwareRequest


async def signed_update_firmware(domain: Domain, request: Any) -> Reply:
    """Judge the certificate (L01.FR.23), answer, and begin once the answer is out."""
    firmware = request.firmware
    wanted = FirmwareRequest.of(
        request_id=request.request_id,
        location=firmware["location"],
        retrieve_date_time=read_date_time(firmware["retrieve_date_time"]),
        install_date_time=read_optional_date_time(firmware.get("install_date_time")),
        signing_certificate=firmware["signing_certificate"],
        signature=firmware["signature"],
        retries=request.retries,
        retry_interval_s=request.retry_interval,
    )
    accepted = await domain.firmware_updates.ask(wanted)

    async def begin() -> None:
        accepted.begin()

    conf = call_result.SignedUpdateFirmware(status=enums.UpdateFirmwareStatus(accepted.answer.value))
    return Reply(conf, then=begin)
