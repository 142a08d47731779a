"""The JSON schemas of OCPP 1.6 and its security extension: a payload is valid, or a PayloadError says where it is not.

Guaranteed: the schemas are the files of the `ocpp` package, the one source of truth; each is compiled when it is first
needed (1 to 3 ms) and then costs microseconds; jsonschema is never imported; an error names the path and the rule that
is broken, never a value.

Not done here: what no schema says (a key that does not exist, a certificate that does not parse) is the handlers' part.

- One table, CODE_OF_RULE, leads from the broken rule to the CALLERROR code (docs/decisions/0025).
- [interop] may forgive two things in what the Central System sends: unknown properties, which are then dropped from the
  payload, and over-long strings. What we send is always held to the strict schemas.
- A date-time is checked by our own eyes, for real Central Systems leave the zone out: that is noticed, not refused.
"""

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import fastjsonschema
from fastjsonschema import JsonSchemaValueException

from chargepoint.date_time import has_zone, read_date_time
from chargepoint.frame import ErrorCode

CODE_OF_RULE: Final[Mapping[str, ErrorCode]] = {
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "format": ErrorCode.TYPE_CONSTRAINT_VIOLATION,  # dateTime and anyURI are data types of OCPP
    "enum": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "maxLength": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "multipleOf": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "required": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "minItems": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "additionalProperties": ErrorCode.FORMATION_VIOLATION,
}
"""From the schema rule that is broken to the code of OCPP-J 1.6, Table 7; a rule without a row is a GenericError."""

_RESPONSE: Final = "Response"


def _find_schemas() -> Path:
    spec = importlib.util.find_spec("ocpp")  # finds the package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package ocpp, which holds the OCPP schemas, is not installed")
    return Path(spec.submodule_search_locations[0], "v16", "schemas")


_SCHEMAS: Final = _find_schemas()

KNOWN_ACTIONS: Final = frozenset(
    path.stem.removesuffix(_RESPONSE) for path in _SCHEMAS.iterdir() if path.stem.endswith(_RESPONSE)
)
"""Every action of OCPP 1.6 and its security extension, in both directions."""


class PayloadError(Exception):
    """Raised when a payload breaks its schema.

    Attributes:
        code: the CALLERROR code of Table 7.
        path: where in the payload, for instance ``log.remoteLocation``; empty for the payload itself.
        reason: the broken rule in words; names of the schema, never a value of the payload.
    """

    def __init__(self, code: ErrorCode, path: str, reason: str) -> None:
        super().__init__(f"{path or 'payload'}: {reason}")
        self.code = code
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What [interop] forgives in a message of the Central System."""

    unknown_properties: bool = False
    over_long_strings: bool = False


class _Schema(NamedTuple):
    definition: dict[str, Any]
    check: Callable[[dict[str, Any]], object]


class Validator:
    """Checks payloads against the schemas; keeps what it has compiled.

    Args:
        tolerance: what is forgiven; nothing by default.
    """

    def __init__(self, tolerance: Tolerance | None = None) -> None:
        self._tolerance = tolerance or Tolerance()
        self._schemas: dict[str, _Schema] = {}
        self._met_zoneless = False

    def validate_request(self, action: str, payload: dict[str, Any]) -> None:
        """Check the payload of a CALL; unknown properties are dropped from it where they are tolerated.

        Args:
            action: one of KNOWN_ACTIONS.
            payload: as it came, or goes, over the wire.

        Raises:
            PayloadError: the payload breaks the schema of its action.
        """
        self._validate(action, payload)

    def validate_response(self, action: str, payload: dict[str, Any]) -> None:
        """Check the payload of a CALLRESULT; otherwise as `validate_request`."""
        self._validate(action + _RESPONSE, payload)

    def take_zoneless(self) -> bool:
        """Tell whether a date-time without a zone was met since this was last asked."""
        met, self._met_zoneless = self._met_zoneless, False
        return met

    def _validate(self, name: str, payload: dict[str, Any]) -> None:
        schema = self._schemas.get(name)
        if schema is None:
            schema = self._schemas[name] = self._compile(name)
        try:
            schema.check(payload)
        except JsonSchemaValueException as error:
            raise _payload_error(error) from None  # the cause holds the payload
        if self._tolerance.unknown_properties:
            _drop_unknown(payload, schema.definition, schema.definition)

    def _compile(self, name: str) -> _Schema:
        definition = json.loads((_SCHEMAS / f"{name}.json").read_text("utf-8-sig"))
        loosened = _loosen(definition, self._tolerance)
        return _Schema(definition, fastjsonschema.compile(loosened, formats={"date-time": self._is_date_time}))

    def _is_date_time(self, text: str) -> bool:
        try:
            read_date_time(text)
        except ValueError:
            return False
        if not has_zone(text):
            self._met_zoneless = True
        return True


@cache
def validator(tolerance: Tolerance) -> Validator:
    """Return the one Validator of this tolerance, so that no schema is compiled twice in a process."""
    return Validator(tolerance)


def _loosen(definition: Any, tolerance: Tolerance) -> Any:
    """Copy a schema without the rules that are not to be enforced."""
    dropped = set()
    if tolerance.unknown_properties:
        dropped.add("additionalProperties")
    if tolerance.over_long_strings:
        dropped.add("maxLength")

    def copy(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: copy(value) for key, value in node.items() if key not in dropped}
        return [copy(value) for value in node] if isinstance(node, list) else node

    return copy(definition)


def _drop_unknown(value: Any, definition: dict[str, Any], root: dict[str, Any]) -> None:
    """Remove from a valid value every property that its schema does not name."""
    if "$ref" in definition:
        definition = root["definitions"][definition["$ref"].rpartition("/")[2]]
    if isinstance(value, dict):
        properties = definition.get("properties", {})
        for name in value.keys() - properties.keys():
            del value[name]
        for name, child in value.items():
            _drop_unknown(child, properties[name], root)
    elif isinstance(value, list):
        for child in value:
            _drop_unknown(child, definition.get("items", {}), root)


def _payload_error(error: Any) -> PayloadError:
    path = ".".join(error.path[1:])
    code = CODE_OF_RULE.get(error.rule, ErrorCode.GENERIC_ERROR)
    if error.rule == "required":
        missing = sorted(set(error.rule_definition) - error.value.keys())
        return PayloadError(code, path, f"lacks {', '.join(missing)}")
    return PayloadError(code, path, f"breaks the rule {error.rule}")
