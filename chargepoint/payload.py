"""The payload classes of the `ocpp` package, and the one place that knows camelCase.

Inside, a message is a dataclass of `call` or `call_result` with snake_case fields; nested objects of a received message
stay dicts, their keys in snake_case too. On the wire it is a dict in camelCase without the fields that are None.

Guaranteed: ``from_wire(action, to_wire(x), kind)`` gives x back in that form.

Not done here: nothing is validated; `from_wire` wants a payload that schema.py has passed.

Importing `ocpp.v16` would import its ChargePoint, and with it jsonschema: 40 ms and 4 MiB for what the agent never uses
(docs/decisions/0026). So that package is put in place with its own __init__ not yet run; whoever asks it for its
ChargePoint runs it then. Therefore the classes are imported from here: ``from chargepoint.payload import call, enums``.
"""

import importlib
import importlib.util
import re
import sys
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache, lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_CACHED_NAMES: Final = 512  #: names; the OCPP 1.6 schemas have fewer than 150 property names

_ROOF: Final = "ocpp.v16"
_UNDER_THE_ROOF: Final = frozenset({"ChargePoint", "cp"})  # what only ocpp/v16/__init__.py defines


def _put_up_roof() -> None:
    """Make `ocpp.v16` importable without running its __init__, which runs when its ChargePoint is asked for."""
    if _ROOF in sys.modules:
        return
    spec = importlib.util.find_spec(_ROOF)
    if spec is None or spec.loader is None:
        raise RuntimeError("the package ocpp, which holds the OCPP messages, is not installed")
    loader = spec.loader
    package = importlib.util.module_from_spec(spec)

    def load(name: str) -> Any:
        if name not in _UNDER_THE_ROOF:
            raise AttributeError(f"module {_ROOF!r} has no attribute {name!r}")
        loader.exec_module(package)
        del package.__dict__["__getattr__"]
        return getattr(package, name)

    package.__dict__["__getattr__"] = load  # PEP 562
    sys.modules[_ROOF] = package
    importlib.import_module("ocpp").__dict__["v16"] = package  # as an import of it would have done


def _run_when_used(name: str) -> ModuleType:
    """Return a module that runs when it is first asked for something: no answer is needed before the first CALL."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{name}, which holds OCPP messages, is not installed")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_put_up_roof()

from ocpp.v16 import call, datatypes, enums  # noqa: E402 - needs the roof

if TYPE_CHECKING:
    from ocpp.v16 import call_result
else:
    call_result = _run_when_used("ocpp.v16.call_result")

__all__ = ["Kind", "call", "call_result", "datatypes", "enums", "from_wire", "to_wire"]


class Kind(Enum):
    """Which of its two messages an action's payload belongs to."""

    REQUEST = "request"
    RESPONSE = "response"


_LEAVES: Final = frozenset({str, int, float, bool})
_CLASSES: Final = {Kind.REQUEST: call, Kind.RESPONSE: call_result}


def to_wire(message: "DataclassInstance") -> dict[str, Any]:
    """Return the payload of a message as it goes over the wire: camelCase, fields that are None left out."""
    return {
        camel: _to_wire_value(value)
        for name, camel in _wire_names(type(message))
        if (value := getattr(message, name)) is not None
    }


def from_wire(action: str, payload: dict[str, Any], kind: Kind) -> Any:
    """Return the dataclass of a valid payload.

    Args:
        action: a known action, which is also the name of its class.
        payload: as it came over the wire, passed by the schema.
        kind: request or response.
    """
    message_class = getattr(_CLASSES[kind], action)
    values = {_snake(name): _from_wire_value(value) for name, value in payload.items()}
    for name in _fields_without_default(message_class):
        # Optional in the schema, without a default in the class: SecurityEventNotification.tech_info and the like.
        values.setdefault(name, None)
    return message_class(**values)


def _to_wire_value(value: Any) -> Any:
    if isinstance(value, dict):
        # Most children are leaves; looking at them here halves the time of a long GetConfiguration.conf.
        return {
            _camel(name): child if type(child) in _LEAVES else _to_wire_value(child)
            for name, child in value.items()
            if child is not None
        }
    if isinstance(value, (list, tuple)):
        return [_to_wire_value(child) for child in value]
    if is_dataclass(value) and not isinstance(value, type):
        return to_wire(value)
    return value


def _from_wire_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {_snake(name): _from_wire_value(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_from_wire_value(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # JSON knows one kind of number: 1.0 where the schema says integer is 1
    return value


@cache
def _wire_names(message_class: "type[DataclassInstance]") -> tuple[tuple[str, str], ...]:
    return tuple((field.name, _camel(field.name)) for field in fields(message_class))


@cache
def _fields_without_default(message_class: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(
        field.name for field in fields(message_class) if field.default is MISSING and field.default_factory is MISSING
    )


@lru_cache(MAX_CACHED_NAMES)
def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


@lru_cache(MAX_CACHED_NAMES)
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
