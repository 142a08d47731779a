"""BootNotification.req: who this Charge Point is, and which firmware runs on it."""

from typing import Any

from chargepoint.payload import call
from chargepoint.settings import ChargePointSettings


def boot_notification(about: ChargePointSettings, firmware_version: str | None) -> Any:
    """Make the request of this moment.

    Args:
        about: the table ``[charge_point]``.
        firmware_version: what runs now, where anybody knows it.
    """
    return call.BootNotification(
        charge_point_vendor=about.vendor,
        charge_point_model=about.model,
        charge_point_serial_number=about.serial_number,
        charge_box_serial_number=about.charge_box_serial_number,
        firmware_version=firmware_version,
        iccid=about.iccid,
        imsi=about.imsi,
        meter_type=about.meter_type,
        meter_serial_number=about.meter_serial_number,
    )
