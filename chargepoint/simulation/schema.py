"""The OCPP 1.6 schemas as the simulated Central System applies them, with jsonschema.

The schema files of the `ocpp` package are the one thing shared with the agent; the validator is another library, and
formats, which most validators ignore, are checked too.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from jsonschema import Draft6Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

FROM_CHARGE_POINT: Final = frozenset(
    {
        "Authorize",
        "BootNotification",
        "DataTransfer",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
)
FROM_CENTRAL_SYSTEM: Final = frozenset(
    {
        "CancelReservation",
        "CertificateSigned",
        "ChangeAvailability",
        "ChangeConfiguration",
        "ClearCache",
        "ClearChargingProfile",
        "DataTransfer",
        "DeleteCertificate",
        "ExtendedTriggerMessage",
        "GetCompositeSchedule",
        "GetConfiguration",
        "GetDiagnostics",
        "GetInstalledCertificateIds",
        "GetLocalListVersion",
        "GetLog",
        "InstallCertificate",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "ReserveNow",
        "Reset",
        "SendLocalList",
        "SetChargingProfile",
        "SignedUpdateFirmware",
        "TriggerMessage",
        "UnlockConnector",
        "UpdateFirmware",
    }
)

_CODES: Final = {
    "type": "TypeConstraintViolation",
    "required": "OccurenceConstraintViolation",
    "additionalProperties": "FormationViolation",
}
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_FORMATS: Final = FormatChecker(formats=())


class _Validator(Protocol):
    def iter_errors(self, instance: object) -> Iterator[ValidationError]: ...


class Violation(Exception):
    """Raised when a payload breaks its schema.

    Attributes:
        code: the CALLERROR code for it.
        reason: where and what, without the offending value.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def check_request(action: str, payload: object) -> None:
    """Check the payload of a CALL; raises `Violation`."""
    _check(_validator(action), payload)


def check_response(action: str, payload: object) -> None:
    """Check the payload of a CALLRESULT; raises `Violation`."""
    _check(_validator(f"{action}Response"), payload)


def _check(validator: _Validator, payload: object) -> None:
    error = min(validator.iter_errors(payload), key=lambda found: found.json_path, default=None)
    if error is not None:
        rule = str(error.validator)
        detail = f"{error.json_path} breaks {rule}" + (
            f" {error.validator_value!r:.80}" if rule != "properties" else ""
        )
        raise Violation(_CODES.get(rule, "PropertyConstraintViolation"), detail)


@cache
def _directory() -> Path:
    spec = find_spec("ocpp")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package `ocpp` is not installed")
    return Path(spec.origin).parent / "v16" / "schemas"


@cache
def _validator(name: str) -> _Validator:
    schema = json.loads((_directory() / f"{name}.json").read_text("utf-8-sig"))
    validator: _Validator = _Strict(schema, format_checker=_FORMATS)
    return validator


@_FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not _DATE_TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _multiple_of(_validator: object, divisor: float, instance: object, _schema: object) -> Iterator[ValidationError]:
    # In binary floats 21.4 is no multiple of 0.1; in the decimals that the sender wrote it is.
    if isinstance(instance, int | float) and Decimal(str(instance)) % Decimal(str(divisor)):
        yield ValidationError("not a multiple")


_Strict: Final[Any] = extend(Draft6Validator, {"multipleOf": _multiple_of})  # type: ignore[no-untyped-call] # stubs
