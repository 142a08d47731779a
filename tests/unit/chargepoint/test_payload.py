import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import ocpp
import pytest

from chargepoint.payload import Kind, call, call_result, datatypes, enums, from_wire, to_wire
from chargepoint.schema import KNOWN_ACTIONS

SCHEMAS = Path(ocpp.__path__[0], "v16", "schemas")


def property_names(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(property_names, node))
    if not isinstance(node, dict):
        return set()
    own = node["properties"].keys() if isinstance(node.get("properties"), dict) else set()
    return set(own).union(*map(property_names, node.values()))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("action", sorted(KNOWN_ACTIONS))
def test_the_class_of_each_message_has_the_fields_of_its_schema(action: str, kind: Kind) -> None:
    name = action if kind is Kind.REQUEST else f"{action}Response"
    schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8-sig"))
    message_class = getattr(call if kind is Kind.REQUEST else call_result, action)
    full = message_class(**{field.name: "x" for field in fields(message_class)})
    assert to_wire(full).keys() == schema.get("properties", {}).keys()


def test_every_property_name_of_every_schema_comes_back_as_it_went() -> None:
    names = set().union(*(property_names(json.loads(path.read_text("utf-8-sig"))) for path in SCHEMAS.iterdir()))
    assert len(names) > 90
    request = from_wire("GetLog", {"log": dict.fromkeys(names, "x"), "logType": "", "requestId": 0}, Kind.REQUEST)
    assert all(name == name.lower() for name in request.log)
    assert to_wire(request)["log"].keys() == names


def test_what_is_none_stays_at_home_and_nested_objects_are_translated() -> None:
    sampled = {"value": "1", "unit": enums.UnitOfMeasure.wh, "phase": None}
    message = call.MeterValues(
        connector_id=1, meter_value=[{"timestamp": "t", "sampled_value": [sampled]}], transaction_id=None
    )
    wire = {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": [{"value": "1", "unit": "Wh"}]}]}
    assert to_wire(message) == wire


def test_nested_dataclasses_are_translated_like_dicts() -> None:
    answer = call_result.GetConfiguration(configuration_key=[datatypes.KeyValue("a", readonly=True)], unknown_key=["b"])
    assert to_wire(answer) == {"configurationKey": [{"key": "a", "readonly": True}], "unknownKey": ["b"]}


def test_a_field_that_the_class_demands_and_the_schema_does_not_is_none() -> None:
    wire = {"type": "StartupOfTheDevice", "timestamp": "t"}
    message = from_wire("SecurityEventNotification", wire, Kind.REQUEST)
    assert message == call.SecurityEventNotification("StartupOfTheDevice", "t", None)
    assert to_wire(message) == wire


def test_a_whole_number_written_with_a_point_is_an_integer() -> None:
    message = from_wire("GetCompositeSchedule", {"connectorId": 1.0, "duration": 60}, Kind.REQUEST)
    assert (message.connector_id, type(message.connector_id)) == (1, int)
