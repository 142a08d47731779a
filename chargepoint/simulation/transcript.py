"""What happens at the simulated Central System, a readable line each.

Secrets are masked (A01.FR.09): the AuthorizationKey, credentials in addresses, and every known password wherever it
turns up, raw, in hex or in base64. Certificates and requests are shortened. What is no frame is not shown at all.

Pure: a line is returned, never printed.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from chargepoint.simulation.file_record import Arrival
from chargepoint.simulation.finding import Finding
from chargepoint.simulation.frame import Call, CallError, CallResult
from chargepoint.simulation.recorder import Entry, FrameEntry, Gone, Refusal, Upgrade

MAX_PAYLOAD_LENGTH: Final = 400  #: characters of a payload shown; a line stays readable
MASK: Final = "***"

_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----.*", re.DOTALL)
_URL_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s\"]+@")


def line(entry: Entry | Finding, passwords: Iterable[bytes] = ()) -> str:
    """Describe an entry or a finding; the passwords given do not show in it."""
    if isinstance(entry, Finding):
        text = f"{entry.found_at:%H:%M:%S}  !! {entry}"
    else:
        text = f"{entry.at:%H:%M:%S}  {entry.identity or '?'}  {_describe(entry)}"
    for password in passwords:
        for form in _forms(password):
            text = re.sub(re.escape(form), MASK, text, flags=re.IGNORECASE)
    return _printable(text)


def transfer(arrival: Arrival) -> str:
    """Describe what arrived at a file server; it holds no password."""
    moved = f", {arrival.bytes} bytes" if arrival.bytes or arrival.path else ""
    offset = f" from {arrival.offset}" if arrival.offset else ""
    status = "cut" if arrival.status is None and arrival.path else arrival.status or "ok"
    text = f"{arrival.at:%H:%M:%S}  {arrival.user or '?'}  >>  {arrival.scheme} {arrival.command} {arrival.path}"
    return _printable(f"{text.rstrip()}{offset}{moved}: {status}")


def _describe(entry: Entry) -> str:
    match entry:
        case Upgrade():
            tls = f", {entry.tls.version} {entry.tls.suite}" if entry.tls else ""
            return f"==  connected in security profile {entry.profile}{tls}"
        case Refusal():
            status = f" with status {entry.status}" if entry.status else ""
            return f"=/= refused at {entry.stage.upper()}{status}: {entry.reason}"
        case Gone():
            return f"==  gone ({entry.code} {entry.reason})".rstrip()
        case FrameEntry():
            return f"{'-->' if entry.direction == 'received' else '<--'} {_message(entry)}"
    return type(entry).__name__


def _message(entry: FrameEntry) -> str:
    match entry.frame:
        case Call(_, action, payload):
            return f"{action}.req {_short(_masked(action, payload))}"
        case CallResult(_, payload):
            return f"{entry.action or 'unknown'}.conf {_short(_masked(entry.action, payload))}"
        case CallError(_, code, description, details):
            return f"CALLERROR {code} {_short(description)} {_short(_masked('', details))}"
    return f"{len(entry.data)} {'bytes' if isinstance(entry.data, bytes) else 'characters'} that are no frame"


def _masked(action: str, value: Any) -> Any:
    match value:
        case Mapping():
            hidden = "AuthorizationKey" in (value.get("key"), value.get("Key"))
            return {
                name: MASK if hidden and name == "value" else _masked(action, inner) for name, inner in value.items()
            }
        case list():
            return [_masked(action, inner) for inner in value]
        case str() if found := _PEM.search(value):
            return f"<{found[1].lower()}, {len(value)} characters>"
        case str():
            return _URL_CREDENTIALS.sub(f"{MASK}@", value)
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_PAYLOAD_LENGTH else f"{text[:MAX_PAYLOAD_LENGTH]}…"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _forms(password: bytes) -> set[str]:
    raw = password.decode("latin-1")
    return {form for form in (raw, password.hex(), base64.b64encode(password).decode().rstrip("=")) if form}
