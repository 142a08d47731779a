"""The simulation's own frames and schemas."""

import pytest

from chargepoint.simulation import schema
from chargepoint.simulation.frame import ERROR_CODES, BadFrame, Call, CallError, CallResult, Frame, parse, render


@pytest.mark.parametrize(
    "frame",
    [
        Call("id", "Heartbeat", {}),
        CallResult("id", {"currentTime": "ü"}),
        CallError("id", "GenericError", "why", {"a": [1, None]}),
    ],
)
def test_a_frame_is_read_as_it_was_written(frame: Frame) -> None:
    assert parse(render(frame)) == frame


@pytest.mark.parametrize(
    ("text", "unique_id", "is_call"),
    [
        ('[2,"a"]', "a", True),
        ('[2,"a","X",[]]', "a", True),
        ('[2,"a",{},{}]', "a", True),
        ('[2,"","X",{}]', "", True),
        ('[3,"a"]', "a", False),
        ('[4,"a","b","c"]', "a", False),
        ("[]", None, False),
        ("[5]", None, False),
        ("{}", None, False),
        ("[true]", None, False),
        ("7", None, False),
        ("", None, False),
    ],
)
def test_a_bad_frame_says_whether_it_deserves_an_answer(text: str, unique_id: str | None, is_call: bool) -> None:
    with pytest.raises(BadFrame) as caught:
        parse(text)
    assert (caught.value.unique_id, caught.value.is_call) == (unique_id, is_call)


def test_table_7_is_spelled_as_it_is_printed() -> None:
    assert {"FormationViolation", "OccurenceConstraintViolation"} <= ERROR_CODES
    assert not {"FormatViolation", "OccurrenceConstraintViolation"} & ERROR_CODES


def test_all_messages_of_1_6_have_a_schema() -> None:
    assert len(schema.FROM_CHARGE_POINT | schema.FROM_CENTRAL_SYSTEM) == 39
    for action in schema.FROM_CHARGE_POINT | schema.FROM_CENTRAL_SYSTEM:
        with pytest.raises(schema.Violation):
            schema.check_request(action, {"no such property": 1})
        with pytest.raises(schema.Violation):
            schema.check_response(action, {"no such property": 1})


@pytest.mark.parametrize(("limit", "is_valid"), [(21.4, True), (0.1, True), (7, True), (21.45, False)])
def test_a_multiple_is_judged_in_decimals(limit: float, is_valid: bool) -> None:
    period = {"startPeriod": 0, "limit": limit}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
    }
    request = {"connectorId": 1, "csChargingProfiles": profile}
    if is_valid:
        schema.check_request("SetChargingProfile", request)
    else:
        with pytest.raises(schema.Violation, match="multipleOf"):
            schema.check_request("SetChargingProfile", request)


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00.123+02:00", True),
        ("2026-01-01T00:00:00", False),
        ("2026-13-01T00:00:00Z", False),
        ("yesterday", False),
    ],
)
def test_a_date_time_has_a_zone(text: str, is_valid: bool) -> None:
    answer = {"currentTime": text}
    if is_valid:
        schema.check_response("Heartbeat", answer)
    else:
        with pytest.raises(schema.Violation, match="date-time"):
            schema.check_response("Heartbeat", answer)
