"""OCPP-J frames as the simulated Central System reads and writes them.

Its own code on purpose: the agent's framing must not be judged by itself. Reading is strict; what is wrong with a frame
comes as `BadFrame`, which says whether it was meant as a CALL, because only a CALL is answered.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

Payload = dict[str, Any]

MAX_ID_LENGTH: Final = 36  #: characters; OCPP-J 1.6 section 4.1.4

ERROR_CODES: Final = frozenset(
    {  # OCPP-J 1.6 Table 7, in its own spelling
        "NotImplemented",
        "NotSupported",
        "InternalError",
        "ProtocolError",
        "SecurityError",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "GenericError",
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request: ``[2, id, action, payload]``."""

    unique_id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallResult:
    """An answer: ``[3, id, payload]``."""

    unique_id: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallError:
    """A refusal: ``[4, id, code, description, details]``."""

    unique_id: str
    code: str
    description: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


Frame = Call | CallResult | CallError


class BadFrame(Exception):
    """Raised when a text is no OCPP-J frame.

    Attributes:
        reason: what is wrong.
        unique_id: its id, where one could be read.
        is_call: whether it was meant as a CALL and so deserves a CALLERROR.
    """

    def __init__(self, reason: str, unique_id: str | None = None, *, is_call: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unique_id = unique_id
        self.is_call = is_call


def parse(text: str) -> Frame:
    """Read a frame.

    Raises:
        BadFrame: it is none.
    """
    match _decode(text):
        case [2, str() as unique_id, str() as action, dict() as payload]:
            _check_id(unique_id, is_call=True)
            return Call(unique_id, action, payload)
        case [2, str() as unique_id, *_]:
            raise BadFrame("a CALL is [2, id, action, payload]", unique_id, is_call=True)
        case [3, str() as unique_id, dict() as payload]:
            _check_id(unique_id)
            return CallResult(unique_id, payload)
        case [3, str() as unique_id, *_]:
            raise BadFrame("a CALLRESULT is [3, id, payload]", unique_id)
        case [4, str() as unique_id, str() as code, str() as description, dict() as details]:
            _check_id(unique_id)
            return CallError(unique_id, code, description, details)
        case [4, str() as unique_id, *_]:
            raise BadFrame("a CALLERROR is [4, id, code, description, details]", unique_id)
        case [2 | 3 | 4, *_]:
            raise BadFrame("the message id is not a string")
        case [_, *_]:
            raise BadFrame("the message type is none of 2, 3, 4")
    raise BadFrame("not a JSON array")


def render(frame: Frame) -> str:
    """Write a frame."""
    match frame:
        case Call(unique_id, action, payload):
            parts: list[object] = [2, unique_id, action, payload]
        case CallResult(unique_id, payload):
            parts = [3, unique_id, payload]
        case CallError(unique_id, code, description, details):
            parts = [4, unique_id, code, description, dict(details)]
    return json.dumps(parts, separators=(",", ":"), ensure_ascii=False)


def _decode(text: str) -> object:
    try:
        value: object = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"not JSON: {type(error).__name__}") from error
    if isinstance(value, list) and value and (isinstance(value[0], bool) or not isinstance(value[0], int)):
        raise BadFrame("the message type is not an integer")
    return value


def _object(pairs: list[tuple[str, Any]]) -> Payload:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise BadFrame("an object names a property twice")
    return result


def _constant(name: str) -> NoReturn:
    raise BadFrame(f"{name} is no JSON")


def _check_id(unique_id: str, *, is_call: bool = False) -> None:
    if not 1 <= len(unique_id) <= MAX_ID_LENGTH:
        raise BadFrame(f"a message id has 1 to {MAX_ID_LENGTH} characters", unique_id, is_call=is_call)
