"""The log on standard error: its two forms, its masks, and lines that nobody can forge."""

import base64
import json
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from chargepoint import log
from chargepoint.log import JsonFormatter, Mask, TextFormatter
from security.secret import Secret

KEY = Secret(bytes.fromhex("00112233445566778899aabbccddeefffb"))


def _record(message: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    record = logging.LogRecord("chargepoint.rpc", level, __file__, 1, message, args, None)
    record.created, record.msecs = 1_767_225_600.25, 250.0
    return record


@pytest.fixture
def process_log() -> Iterator[None]:
    """Put the log of the process back as it was."""
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook = hook
    logging.captureWarnings(capture=False)


def test_text_is_one_line_of_time_level_logger_and_message() -> None:
    line = TextFormatter(Mask()).format(_record("connected to %s", "cs.example.com"))
    assert line == "2026-01-01T00:00:00.250Z info    chargepoint.rpc: connected to cs.example.com"


def test_json_is_one_object_a_line() -> None:
    line = JsonFormatter(Mask()).format(_record("two\nlines"))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "chargepoint.rpc",
        "message": "two\nlines",
    }


@pytest.mark.parametrize("evil", ["\n", "\r", "\x1b[2J", "\u2028", "\x85", "\u202e", "\x00", "\ud800"])
def test_remote_text_cannot_forge_a_line_or_steer_a_terminal(evil: str) -> None:
    line = TextFormatter(Mask()).format(_record("reason: %s", f"x{evil}2026-01-01T00:00:00.000Z info forged"))
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_a_traceback_is_indented_so_that_no_line_of_it_looks_like_one_of_the_log() -> None:
    try:
        raise ValueError("x\n2026-01-01T00:00:00.000Z info    forged")
    except ValueError:
        record = _record("failed", level=logging.ERROR)
        record.exc_info = sys.exc_info()
    first, *others = TextFormatter(Mask()).format(record).split("\n")
    assert first.endswith("error   chargepoint.rpc: failed")
    assert others
    assert all(line.startswith("    ") for line in others)
    assert "ValueError" in json.loads(JsonFormatter(Mask()).format(record))["traceback"]


def _basic(user: str) -> Callable[[bytes], str]:
    return lambda secret: base64.b64encode(user.encode() + b":" + secret).decode()


@pytest.mark.parametrize(
    "form",
    [
        lambda secret: secret.hex(),
        lambda secret: secret.hex().upper(),
        lambda secret: secret.hex().replace("a", "A"),
        lambda secret: secret.decode("latin-1"),
        repr,
        lambda secret: base64.b64encode(secret).decode(),
        lambda secret: base64.b64encode(secret).decode().rstrip("="),
        lambda secret: base64.urlsafe_b64encode(secret).decode(),
        _basic("CP1"),
        _basic("CP01"),
        _basic("CP001"),
        lambda secret: quote(secret, safe=""),
        lambda secret: re.sub("%..", lambda escape: escape[0].lower(), quote(secret, safe="")),
        lambda secret: "".join(f"%{byte:02x}" for byte in secret),
    ],
)
@pytest.mark.parametrize("secret", [KEY, Secret(b"correct horse/battery?staple"), Secret("pässwörtlich".encode())])
def test_masks_a_secret_in_every_form(form: Callable[[bytes], str], secret: Secret) -> None:
    mask = Mask()
    mask.add(secret)
    shown = form(secret.reveal())
    masked = mask(f"before {shown} after")
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "***" in masked
    # The user name before the password stays, and in base64 up to two characters that it shares with the password.
    assert not any(shown[start : start + 6] in masked for start in range(8, len(shown) - 7))


def test_masks_what_follows_basic_though_nobody_knows_the_secret() -> None:
    header = base64.b64encode(b"CP001:an unknown password").decode()
    assert Mask()(f"> Authorization: Basic {header}") == "> Authorization: ***"
    assert Mask()("HTTP Basic authentication refused") == "HTTP Basic authentication refused"


def test_keeps_masking_an_old_secret_after_a_new_one_came() -> None:
    mask = Mask()
    mask.add(Secret(b"old password of the charge point"))
    mask.add(Secret(b"old password of the charge point, longer"))
    assert mask("old password of the charge point, longer|old password of the charge point") == "***|***"


def test_a_flood_of_new_passwords_does_not_fill_the_memory() -> None:
    mask = Mask()
    for number in range(3 * log.MAX_KEPT_SECRETS):
        mask.add(Secret(number.to_bytes(16, "big")))
        mask.add(Secret(number.to_bytes(16, "big")))
    newest = (3 * log.MAX_KEPT_SECRETS - 1).to_bytes(16, "big").hex()
    oldest = (0).to_bytes(16, "big").hex()
    assert newest not in mask(newest)
    assert oldest in mask(oldest)


@pytest.mark.parametrize("short", [b"", b"a", b"ab"])
def test_a_secret_too_short_to_be_one_masks_nothing(short: bytes) -> None:
    mask = Mask()
    mask.add(Secret(short))
    assert mask("a banana, about 6162") == "a banana, about 6162"


@pytest.mark.parametrize("form", log.FORMATS)
@pytest.mark.usefixtures("process_log")
def test_the_log_of_the_process_goes_to_standard_error_masked(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(form, "info")
    log.keep_secret(KEY)
    logging.getLogger("websockets.client").info("> Authorization: %s", KEY.reveal().hex())
    logging.getLogger("chargepoint").debug("not written")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("something old", stacklevel=1)
    sys.excepthook(ValueError, ValueError(KEY.reveal().hex()), None)
    output = capsys.readouterr()
    assert not output.out
    assert "something old" in output.err
    assert "nobody foresaw" in output.err
    assert "not written" not in output.err
    assert KEY.reveal().hex() not in output.err
    if form == "json":
        assert all(json.loads(line) for line in output.err.splitlines())


class Kept:
    """A file that keeps the lines in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bool]] = []

    def add(self, line: str, *, urgent: bool) -> None:
        self.lines.append((line, urgent))


@pytest.mark.parametrize("form", log.FORMATS)
@pytest.mark.usefixtures("process_log")
def test_what_is_kept_is_what_standard_error_gets(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(form, "info")
    log.keep_secret(KEY)
    kept = Kept()
    with log.kept_in(kept, "info"):
        logging.getLogger("chargepoint").info("password %s", KEY.reveal().hex())
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logging.getLogger("chargepoint").exception("broken")
    logging.getLogger("chargepoint").info("afterwards")
    said = capsys.readouterr().err.splitlines()
    assert "\n".join(line for line, _ in kept.lines).splitlines() == said[:-1]
    assert [urgent for _, urgent in kept.lines] == [False, True]
    assert KEY.reveal().hex() not in str(kept.lines)


@pytest.mark.usefixtures("process_log")
def test_what_is_kept_has_a_level_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("text", "warning")
    kept = Kept()
    logger = logging.getLogger("chargepoint.x")
    with log.kept_in(kept, "info"):
        logger.debug("too fine for both")
        logger.info("kept only")
        logger.warning("for both")
    logger.info("for nobody")
    assert [line.rpartition(": ")[2] for line, _ in kept.lines] == ["kept only", "for both"]
    assert [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()] == ["for both"]
    log.set_up("text", "debug")
    with log.kept_in(kept, "error"):
        logger.debug("shown only")
    assert "shown only" in capsys.readouterr().err
    assert len(kept.lines) == 2


@pytest.mark.usefixtures("process_log")
def test_a_flood_is_counted_once_for_both(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("text", "info")
    kept = Kept()
    with log.kept_in(kept, "info"):
        for number in range(1000):
            logging.getLogger("chargepoint.x").info("line %d", number)
    said = capsys.readouterr().err.splitlines()
    assert [line for line, _ in kept.lines] == said
    assert len(said) < 1000


@pytest.mark.usefixtures("process_log")
def test_a_log_that_was_not_set_up_is_not_kept() -> None:
    logging.getLogger().handlers.clear()
    kept = Kept()
    with log.kept_in(kept, "info"):
        logging.getLogger("chargepoint.x").warning("line")
    assert not kept.lines


@pytest.mark.usefixtures("process_log")
def test_a_record_that_cannot_be_formed_harms_nobody(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.set_up("text", "info")
    logging.getLogger("chargepoint.x").info("%d", "no number")
    logging.getLogger("chargepoint.x").info("the next one")
    assert capsys.readouterr().err.endswith("the next one\n")


def test_a_text_that_is_not_of_the_log_is_masked_by_the_same_mask() -> None:
    log.keep_secret(KEY)
    assert log.mask(f"x {KEY.reveal().hex()} y") == "x *** y"
