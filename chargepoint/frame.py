"""The OCPP-J frame: text in, one of three typed frames out, or a FrameError that says what may be answered.

Guaranteed: whatever text comes in, `decode` returns a frame or raises FrameError, nothing else; what it returns is
strict JSON (no NaN, no duplicate keys, no lone surrogates), nested at most MAX_NESTING deep, with numbers that fit
64 bits; no error repeats any part of the text but the message id.

Not done here: the payload is not validated (schema.py), the frame's size is bounded by the transport.

- A CALLERROR answers every array that begins with 2 and has a readable id, even if the rest is not JSON: the head is
  then read on its own. All else is never answered: FrameError.code is None.
- A FrameError of an answer (3 or 4) carries the id all the same, so that the CALL it was meant for can fail at once.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

MAX_UNIQUE_ID_CHARACTERS: Final = 36  #: characters; OCPP-J 1.6, 4.1.4: room for a GUID
MAX_NESTING: Final = 32  #: levels; the deepest OCPP 1.6 message (SetChargingProfile.req) has 6
MAX_MAGNITUDE: Final = 2**63  #: exclusive; numbers that SQLite and other people's 64-bit integers can hold
MAX_DESCRIPTION_CHARACTERS: Final = 255  #: characters; OCPP-J 1.6, errorDescription

_MAX_DIGITS: Final = len(str(-MAX_MAGNITUDE))

_CALL: Final = 2
_CALL_RESULT: Final = 3
_CALL_ERROR: Final = 4


class ErrorCode(StrEnum):
    """The CALLERROR codes of OCPP-J 1.6, Table 7, in its own spelling ("Formation", "Occurence")."""

    NOT_IMPLEMENTED = "NotImplemented"  # the action is not known
    NOT_SUPPORTED = "NotSupported"  # the action is known, and not supported here
    INTERNAL_ERROR = "InternalError"
    PROTOCOL_ERROR = "ProtocolError"  # the frame is incomplete
    SECURITY_ERROR = "SecurityError"
    FORMATION_VIOLATION = "FormationViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    OCCURENCE_CONSTRAINT_VIOLATION = "OccurenceConstraintViolation"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    GENERIC_ERROR = "GenericError"


class Call(NamedTuple):
    """A request: ``[2, id, action, payload]``."""

    unique_id: str
    action: str
    payload: dict[str, Any]


class CallResult(NamedTuple):
    """The answer to a request: ``[3, id, payload]``."""

    unique_id: str
    payload: dict[str, Any]


class CallError(NamedTuple):
    """The refusal of a request: ``[4, id, code, description, details]``; the code is the peer's own text."""

    unique_id: str
    code: str
    description: str = ""
    details: Mapping[str, Any] = {}


Frame = Call | CallResult | CallError


class FrameError(Exception):
    """Raised when a text is not an OCPP-J frame.

    Attributes:
        reason: what is wrong, without a word of the text itself.
        unique_id: the message id where it could be read.
        code: the CALLERROR to answer with; None when the text must not be answered.
    """

    def __init__(self, reason: str, *, unique_id: str | None = None, code: ErrorCode | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unique_id = unique_id
        self.code = code


class _Unacceptable(ValueError):
    """Raised by the hooks below for JSON that a lenient parser would let pass; the text is a fixed reason."""


def _read_integer(digits: str) -> int:
    # The length first: int() of a very long text takes quadratic time, or raises at 4300 digits.
    if len(digits) <= _MAX_DIGITS:
        number = int(digits)
        if -MAX_MAGNITUDE <= number < MAX_MAGNITUDE:
            return number
    raise _Unacceptable("a number does not fit 64 bits")


def _read_float(digits: str) -> float:
    number = float(digits)
    if abs(number) < MAX_MAGNITUDE:  # false for 1e999, which float() reads as infinity
        return number
    raise _Unacceptable("a number does not fit 64 bits")


def _refuse_constant(_name: str) -> None:
    raise _Unacceptable("NaN and Infinity are not JSON")


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Unacceptable("an object has the same key twice")
    return members


_DECODER: Final = json.JSONDecoder(
    parse_int=_read_integer,
    parse_float=_read_float,
    parse_constant=_refuse_constant,
    object_pairs_hook=_read_object,
)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_UNICODE_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)

_HEAD: Final = re.compile(r'[ \t\r\n]*\[[ \t\r\n]*([234])[ \t\r\n]*,[ \t\r\n]*("(?:[^"\\\x00-\x1f]|\\.)*")')


def decode(text: str) -> Frame:
    """Read one frame.

    Args:
        text: the content of one WebSocket text message, already bounded in size.

    Raises:
        FrameError: the text is not a frame of OCPP-J 1.6.
    """
    try:
        elements = _parse(text)
    except _Unacceptable as error:
        raise _unreadable(text, str(error)) from None
    except RecursionError:
        raise _unreadable(text, "nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _unreadable(text, f"not JSON, at character {error.pos}") from None
    if not isinstance(elements, list) or not elements:
        raise FrameError("not an array with elements")
    kind = elements[0]
    # type(), not isinstance() or ==: true and 2.0 are no message types.
    if type(kind) is not int or kind not in _READERS:
        raise FrameError("not a message type of OCPP-J 1.6")
    if len(elements) < 2 or not isinstance(elements[1], str):
        raise FrameError("the message id is not a text")
    return _READERS[kind](elements)


def encode(frame: Frame) -> str:
    """Write one frame as ASCII JSON without spaces.

    Raises:
        ValueError: the payload holds what JSON cannot (NaN, Infinity).
        TypeError: the payload holds what JSON does not know.
    """
    match frame:
        case Call():
            return _ENCODER.encode([_CALL, *frame])
        case CallResult():
            return _ENCODER.encode([_CALL_RESULT, *frame])
        case CallError():
            short = frame._replace(description=frame.description[:MAX_DESCRIPTION_CHARACTERS])
            return _ENCODER.encode([_CALL_ERROR, *short])


def _parse(text: str) -> Any:
    value = _DECODER.decode(text)
    # Both checks cost something, so a look at the text says first whether they can find anything.
    if text.count("[") + text.count("{") > MAX_NESTING and _is_deeper_than(MAX_NESTING, value):
        raise _Unacceptable("nested too deeply")
    if (not text.isascii() or "\\ud" in text or "\\uD" in text) and not _is_unicode(value):
        raise _Unacceptable("a text holds half a surrogate pair")
    return value


def _is_deeper_than(levels: int, value: Any) -> bool:
    row = [value]
    for _ in range(levels):
        row = [child for node in row for child in _children(node)]
        if not row:
            return False
    return any(isinstance(node, (list, dict)) for node in row)


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _is_unicode(value: Any) -> bool:
    try:
        _UNICODE_ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(text: str, reason: str) -> FrameError:
    """Make the error for a text that is no strict JSON, with the id if at least the head can be read."""
    head = _HEAD.match(text)
    if head is None:
        return FrameError(reason)
    try:
        unique_id = json.loads(head[2])
    except ValueError:
        return FrameError(reason)
    if not _is_unicode(unique_id):
        return FrameError(reason)
    answerable = int(head[1]) == _CALL
    return FrameError(reason, unique_id=unique_id, code=ErrorCode.FORMATION_VIOLATION if answerable else None)


def _read_call(elements: list[Any]) -> Call:
    unique_id: str = elements[1]

    def refuse(reason: str, code: ErrorCode = ErrorCode.FORMATION_VIOLATION) -> FrameError:
        return FrameError(reason, unique_id=unique_id, code=code)

    if len(unique_id) > MAX_UNIQUE_ID_CHARACTERS:
        raise refuse(f"the message id is longer than {MAX_UNIQUE_ID_CHARACTERS} characters")
    if len(elements) < 4:
        raise refuse("a CALL has four elements", ErrorCode.PROTOCOL_ERROR)
    if len(elements) > 4:
        raise refuse("a CALL has four elements")
    action, payload = elements[2:]
    if not isinstance(action, str):
        raise refuse("the action is not a text")
    if not isinstance(payload, dict):
        raise refuse("the payload is not an object")
    return Call(unique_id, action, payload)


def _read_call_result(elements: list[Any]) -> CallResult:
    unique_id: str = elements[1]
    if len(elements) != 3 or not isinstance(elements[2], dict):
        raise FrameError("a CALLRESULT has three elements, the last an object", unique_id=unique_id)
    return CallResult(unique_id, elements[2])


def _read_call_error(elements: list[Any]) -> CallError:
    unique_id: str = elements[1]
    # Real Central Systems leave the details out, or send null for them; they are for people only.
    if len(elements) not in (4, 5) or not isinstance(elements[2], str) or not isinstance(elements[3], str):
        raise FrameError("a CALLERROR has a code, a description and details", unique_id=unique_id)
    details = elements[4] if len(elements) == 5 and isinstance(elements[4], dict) else {}
    return CallError(unique_id, elements[2], elements[3], details)


_READERS: Final[Mapping[int, Callable[[list[Any]], Frame]]] = {
    _CALL: _read_call,
    _CALL_RESULT: _read_call_result,
    _CALL_ERROR: _read_call_error,
}
