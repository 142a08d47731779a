"""The log: text for people, or one JSON object a line for programs; never a secret, never a forgery.

It goes to standard error, and where there is one to the log file (log_file.py) as well, in the same form.

- Times are UTC with milliseconds.
- Every secret that was handed to `keep_secret` is masked in every record, in each form that a secret is written in, and
  so is whatever stands behind ``Basic`` or ``Bearer``, secret known or not (A01.FR.12).
- Who makes the agent write the same line for ever does not fill the disk (log_flood.py).
- What a record holds of the world cannot start a line of its own: unprintable characters are escaped, and the lines of
  a traceback are indented, while each line of the log begins with its time.

Not done here: what is worth a line. Payloads are redacted where they are logged (redact.py).
"""

import base64
import json
import logging
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Protocol, TextIO
from urllib.parse import quote_from_bytes

from chargepoint.log_flood import FloodGate
from chargepoint.mistake import printable
from chargepoint.redact import MASK
from security.secret import Secret

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")
MAX_KEPT_SECRETS: Final = 32  #: secrets; the lines of older passwords have been written long since
MIN_FORM_CHARACTERS: Final = 6  #: characters; a shorter form of a secret would mask half of the log

_CREDENTIALS: Final = r"(?:Basic|Bearer) [\w+/=~.-]{16,}"
"""What a program sends after ``Authorization:``; prose has no words that long."""


class Mask:
    """Replaces all known secrets in a text; one compiled pattern, made anew only when a secret is added.

    Every alternative of the pattern begins with a plain character, which lets `re` skip over harmless text quickly:
    some microseconds for a line of the log.
    """

    def __init__(self) -> None:
        self._secrets: deque[Secret] = deque(maxlen=MAX_KEPT_SECRETS)
        self._pattern = re.compile(_CREDENTIALS)

    def add(self, secret: Secret) -> None:
        """Mask this secret from now on, and those before it still: lines of an old password may be on their way."""
        if secret in self._secrets:
            return
        self._secrets.append(secret)
        patterns = {_CREDENTIALS, *(pattern for each in self._secrets for pattern in _patterns(each.reveal()))}
        # The longest first, so that of two secrets that begin alike neither leaves a rest behind.
        self._pattern = re.compile("|".join(sorted(patterns, key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """Return the text without any secret."""
        return self._pattern.sub(MASK, text)


class LineFile(Protocol):
    """Where lines are kept (log_file.py)."""

    def add(self, line: str, *, urgent: bool) -> None:
        """Take in a line; returns at once and raises nothing."""


_mask = Mask()


def mask(text: str) -> str:
    """Return a text that is not of the log without any secret that is kept."""
    return _mask(text)


def keep_secret(secret: Secret) -> None:
    """Mask a secret in all that is logged from now on."""
    _mask.add(secret)


def set_up(form: str, level: str) -> None:
    """Send the log of the whole process to standard error.

    Args:
        form: one of `FORMATS`.
        level: one of `LEVELS`; what is less grave is not written.
    """
    handler = _Handler(level)
    handler.setFormatter(JsonFormatter(_mask) if form == "json" else TextFormatter(_mask))
    handler.addFilter(FloodGate())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught


@contextmanager
def kept_in(file: LineFile, level: str) -> Iterator[None]:
    """Have the log kept in a file too, for as long as the block lasts; nothing of a log that was never set up.

    Args:
        file: takes the lines, in the form that `set_up` was told.
        level: one of `LEVELS`; what is less grave is not kept, whatever standard error gets.
    """
    root = logging.getLogger()
    handler = next((each for each in root.handlers if isinstance(each, _Handler)), None)
    if handler is None:
        yield
        return
    before, least = root.level, logging.getLevelNamesMapping()[level.upper()]
    handler.file, handler.file_level = file, least
    root.setLevel(min(before, least))
    try:
        yield
    finally:
        handler.file = None
        root.setLevel(before)


class _Handler(logging.StreamHandler[TextIO]):
    """Both ends of the log: a line is judged, masked and formed once, whoever gets it.

    Attributes:
        file: where the lines are kept; None where they are not.
        file_level: what is less grave is not kept.
    """

    def __init__(self, level: str) -> None:
        super().__init__(sys.stderr)
        self._stream_level = logging.getLevelNamesMapping()[level.upper()]
        self.file: LineFile | None = None
        self.file_level = logging.NOTSET

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            line = self.format(record)
            if self.file is not None and record.levelno >= self.file_level:
                self.file.add(line, urgent=record.levelno >= logging.ERROR)
            if record.levelno >= self._stream_level:
                self.stream.write(line + self.terminator)
                self.flush()
        except Exception:  # noqa: BLE001 - as logging has it: a line that cannot be written harms nobody
            self.handleError(record)


class TextFormatter(logging.Formatter):
    """One line for people: time, level, logger, message; a traceback follows indented."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or the lines where there is a traceback."""
        message = printable(self._mask(record.getMessage()))
        line = f"{_time_of(record)} {record.levelname.lower():<7} {record.name}: {message}"
        trace = _traceback_of(self, record)
        return "\n    ".join([line, *map(printable, self._mask(trace).splitlines())])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and where there is one the traceback."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; JSON escapes what is not printable ASCII."""
        entry = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._mask(record.getMessage()),
        }
        if trace := _traceback_of(self, record):
            entry["traceback"] = self._mask(trace)
        return json.dumps(entry)


def _time_of(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def _traceback_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    traceback = formatter.formatException(record.exc_info) if record.exc_info else ""
    return traceback + (record.stack_info or "")


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what nobody caught, so that even that comes out masked and in the chosen form."""
    logging.getLogger("chargepoint").critical("ended by an error that nobody foresaw", exc_info=(kind, error, trace))


def _patterns(secret: bytes) -> Iterator[str]:
    """Yield a pattern for each form in which these bytes may stand in a text."""
    forms = {*_printed(secret), *_percent_encoded(secret), *_base64_encoded(secret)}
    yield from (re.escape(form) for form in forms if len(form) >= MIN_FORM_CHARACTERS)
    digits = secret.hex()
    if len(digits) >= MIN_FORM_CHARACTERS:
        rest = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits[1:])
        yield from {digits[0] + rest, digits[0].upper() + rest}


def _printed(secret: bytes) -> Iterator[str]:
    """Yield the bytes as text, and as Python shows text and bytes."""
    for text in (secret.decode("utf-8", errors="replace"), secret.decode("latin-1")):
        yield from (text, repr(text)[1:-1])
    yield repr(secret)[2:-1]


def _percent_encoded(secret: bytes) -> Iterator[str]:
    """Yield the bytes as in a URL: what must be encoded, or all, in either case."""
    for encoded in (quote_from_bytes(secret, safe=""), "".join(f"%{byte:02X}" for byte in secret)):
        yield from (encoded, re.sub("%..", lambda escape: escape[0].lower(), encoded))


def _base64_encoded(secret: bytes) -> Iterator[str]:
    """Yield what all base64 texts share that hold these bytes, alone or behind a user name as in a Basic header.

    The bytes may begin at any of the three places of a base64 group; characters that share bits with a neighbour are
    left out.
    """
    for lead, begin in enumerate((0, 2, 3)):
        end = (lead + len(secret)) * 8 // 6
        encoded = base64.b64encode(bytes(lead) + secret).decode("ascii")[begin:end]
        yield from (encoded, encoded.replace("+", "-").replace("/", "_"))
