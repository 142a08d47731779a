"""What a message looks like in a log: secrets are masked, everything else stays readable (A01.FR.12).

Guaranteed: the value of an AuthorizationKey, credentials and query of a URL, and private keys never come out of here,
in whatever field they stand. The data of a DataTransfer is masked whole, for only its vendor knows what it holds.

Not done here: nothing is logged.
"""

import json
import re
from typing import Any, Final

from chargepoint.frame import Call, CallError, CallResult, Frame

MASK: Final = "***"

_SECRET_KEYS: Final = frozenset({"authorizationkey"})  # configuration keys, case-insensitive as CiString is
_URL_CREDENTIALS: Final = re.compile(r"(?<=://)\S*@")
"""To the last at sign: a password that was not percent-encoded may hold a slash."""
_URL_QUERY: Final = re.compile(r"(://[^\s?#]*)\?[^\s#]+")
"""The query of a presigned URL opens the door to a file server as a password does."""
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


def redact_url(url: str) -> str:
    """Return the URL, or the text with URLs in it, with user, password and query masked."""
    return _URL_QUERY.sub(rf"\1?{MASK}", _URL_CREDENTIALS.sub(f"{MASK}@", url))


def redact_payload(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a payload, as it stands on the wire, that may be logged.

    Args:
        action: the action it belongs to; request and response alike.
        payload: camelCase, not changed.
    """
    if action == "DataTransfer" and "data" in payload:
        payload = {**payload, "data": MASK}
    redacted: dict[str, Any] = _redact(payload)
    return redacted


def redact_frame(frame: Frame, action: str = "") -> str:
    """Return a frame as one line that may be logged.

    Args:
        frame: what came or goes.
        action: the action that an answer belongs to; without one the payload is not shown, for nobody knows what it is.
    """
    match frame:
        case Call():
            return f"CALL {frame.unique_id!a} {frame.action!a} {_line(redact_payload(frame.action, frame.payload))}"
        case CallResult():
            shown = _line(redact_payload(action, frame.payload)) if action else MASK
            return f"CALLRESULT {frame.unique_id!a} {action} {shown}"
        case CallError():
            return f"CALLERROR {frame.unique_id!a} {action} {str(frame.code)!a} {_redact(frame.description)!a}"


def _line(payload: dict[str, Any]) -> str:
    return json.dumps(payload, separators=(",", ":"))  # ASCII without line breaks: nobody forges a log line


def _redact(value: Any) -> Any:
    if isinstance(value, dict):
        if any(_names_secret(child) for child in value.values()):
            # Whatever stands beside the name of a secret may be the secret, also where the schema knows no such field.
            return {name: child if _names_secret(child) else MASK for name, child in value.items()}
        return {name: _redact(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_redact(child) for child in value]
    if isinstance(value, str):
        return _PRIVATE_KEY.sub(MASK, redact_url(value))
    return value


def _names_secret(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in _SECRET_KEYS
