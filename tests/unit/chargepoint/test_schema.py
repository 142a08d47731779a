import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ocpp
import pytest

from chargepoint.frame import ErrorCode
from chargepoint.schema import CODE_OF_RULE, KNOWN_ACTIONS, PayloadError, Tolerance, Validator

SCHEMAS = sorted(Path(ocpp.__path__[0], "v16", "schemas").glob("*.json"))

PROFILE = {
    "connectorId": 1,
    "csChargingProfiles": {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 21.4}]},
    },
}


def fault_of(action: str, payload: dict[str, Any], tolerance: Tolerance | None = None) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        Validator(tolerance).validate_request(action, payload)
    return caught.value


def rules(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(rules, node))
    if not isinstance(node, dict):
        return set()
    # Below `properties` the keys are names of fields, not rules.
    fields = node.get("properties", {})
    return (node.keys() - {"properties"}).union(
        *map(rules, fields.values()), *map(rules, node.values() if not fields else [])
    )


def test_all_39_actions_of_1_6_and_its_security_extension_are_known() -> None:
    assert len(KNOWN_ACTIONS) == 39
    assert {"Reset", "BootNotification", "SignedUpdateFirmware", "SecurityEventNotification"} <= KNOWN_ACTIONS


def test_every_rule_of_every_schema_has_a_code() -> None:
    used = set().union(*(rules(json.loads(path.read_text("utf-8-sig"))) for path in SCHEMAS))
    no_rules = {"$schema", "$id", "$ref", "title", "definitions", "items", "javaType", "additionalItems"}
    assert used & {*CODE_OF_RULE} == {*CODE_OF_RULE}
    assert {rule for rule in used - no_rules - {*CODE_OF_RULE} if rule[0].islower()} == set()


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_every_schema_compiles_with_every_tolerance(path: Path) -> None:
    for tolerance in (Tolerance(), Tolerance(unknown_properties=True, over_long_strings=True)):
        validator = Validator(tolerance)
        action = path.stem.removesuffix("Response")
        check = validator.validate_request if action == path.stem else validator.validate_response
        with pytest.raises(PayloadError, match="type"):
            check(action, [])  # type: ignore[arg-type]  # the fault


@pytest.mark.parametrize(
    ("action", "payload", "code", "text"),
    [
        ("Reset", {"type": True}, ErrorCode.TYPE_CONSTRAINT_VIOLATION, "type: breaks the rule type"),
        ("ChangeAvailability", {"connectorId": True, "type": "Operative"}, ErrorCode.TYPE_CONSTRAINT_VIOLATION,
         "connectorId: breaks the rule type"),
        ("Reset", {"type": "Cold"}, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "type: breaks the rule enum"),
        ("GetConfiguration", {"key": ["a", "b" * 51]}, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
         "key.1: breaks the rule maxLength"),
        ("GetLog", {"logType": "SecurityLog"}, ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
         "payload: lacks log, requestId"),
        ("GetLog", {"logType": "SecurityLog", "requestId": 1, "log": {}}, ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
         "log: lacks remoteLocation"),
        ("MeterValues", {"connectorId": 1, "meterValue": []}, ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
         "meterValue: breaks the rule minItems"),
        ("ClearCache", {"a": 1}, ErrorCode.FORMATION_VIOLATION, "payload: breaks the rule additionalProperties"),
        ("GetDiagnostics", {"location": "nowhere"}, ErrorCode.TYPE_CONSTRAINT_VIOLATION,
         "location: breaks the rule format"),
        ("Heartbeat", {"currentTime": "x"}, ErrorCode.FORMATION_VIOLATION,
         "payload: breaks the rule additionalProperties"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_told_by_code_and_path(
    action: str, payload: dict[str, Any], code: ErrorCode, text: str
) -> None:
    fault = fault_of(action, payload)
    assert (fault.code, str(fault)) == (code, text)
    assert fault.__cause__ is None


def test_a_limit_in_tenths_is_good_however_a_float_stores_it() -> None:
    Validator().validate_request("SetChargingProfile", PROFILE)
    bad = json.loads(json.dumps(PROFILE).replace("21.4", "21.45"))
    assert fault_of("SetChargingProfile", bad).code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION


def test_a_date_time_must_be_one_and_its_missing_zone_is_noticed_once() -> None:
    validator = Validator()
    validator.validate_response("Heartbeat", {"currentTime": "2026-01-01T00:00:00Z"})
    assert not validator.take_zoneless()
    validator.validate_response("Heartbeat", {"currentTime": "2026-01-01T00:00:00"})
    assert validator.take_zoneless()
    assert not validator.take_zoneless()
    with pytest.raises(PayloadError, match="currentTime: breaks the rule format"):
        validator.validate_response("Heartbeat", {"currentTime": "2026-13-01T00:00:00Z"})


def test_tolerated_unknown_properties_are_dropped_at_every_depth() -> None:
    payload = json.loads(json.dumps(PROFILE).replace('"limit"', '"x": {"y": 1}, "limit"')) | {"more": []}
    payload["csChargingProfiles"]["vendor"] = 1
    Validator(Tolerance(unknown_properties=True)).validate_request("SetChargingProfile", payload)
    assert payload == PROFILE


def test_they_are_dropped_behind_references_too() -> None:
    payload = {"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "ftp://h", "x": 1}}
    Validator(Tolerance(unknown_properties=True)).validate_request("GetLog", payload)
    assert payload["log"] == {"remoteLocation": "ftp://h"}


def test_one_tolerance_does_not_bring_the_other() -> None:
    long = {"idTag": "x" * 21}
    Validator(Tolerance(over_long_strings=True)).validate_request("Authorize", long)
    assert fault_of("Authorize", long, Tolerance(unknown_properties=True)).reason == "breaks the rule maxLength"
    assert fault_of("Authorize", long | {"x": 1}, Tolerance(over_long_strings=True)).code == "FormationViolation"


def test_the_exchange_imports_neither_jsonschema_nor_the_charge_point_of_ocpp() -> None:
    code = (
        "import sys, chargepoint.rpc\n"
        "assert not {'jsonschema', 'ocpp.charge_point'} & sys.modules.keys()\n"
        "from ocpp.v16 import ChargePoint, call\n"  # and who wants it gets it whole
        "import ocpp.v16, ocpp.charge_point\n"
        "assert issubclass(ChargePoint, ocpp.charge_point.ChargePoint) and ocpp.v16.call is call\n"
        "assert 'jsonschema' in sys.modules\n"
        "try: ocpp.v16.nonsense\n"
        "except AttributeError: pass\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
