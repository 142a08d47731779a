import logging

import pytest

from chargepoint.log_flood import LINE_INTERVAL, MAX_KINDS, MAX_LINES, FloodGate


class Log:
    """A logger behind the gate, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self._gate = FloodGate(lambda: self.now)

    def write(self, template: str, *args: object, level: int = logging.INFO) -> None:
        record = logging.LogRecord("chargepoint.rpc", level, __file__, 1, template, args, None)
        if self._gate.filter(record):
            self.lines.append(record.getMessage())


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_flood_of_one_line_is_cut_whatever_values_it_shows(log: Log) -> None:
    for number in range(10_000):
        log.write("try %d", number)
    log.write("another line")
    assert log.lines == [*(f"try {number}" for number in range(MAX_LINES)), "another line"]


def test_what_was_left_out_is_told_by_the_next_that_passes(log: Log) -> None:
    for number in range(MAX_LINES + 41):
        log.write("try %d of 100%%", number)
    log.now += LINE_INTERVAL.total_seconds()
    log.write("try %d of 100%%", 7)
    log.write("try %d of 100%%", 8)
    assert log.lines[MAX_LINES:] == ["try 7 of 100% (41 more like it were left out)"]


def test_ordinary_lines_are_never_cut(log: Log) -> None:
    for number in range(10 * MAX_LINES):
        log.write("beat %d", number)
        log.now += LINE_INTERVAL.total_seconds()
    assert len(log.lines) == 10 * MAX_LINES


def test_debug_lines_all_pass(log: Log) -> None:
    for _ in range(10 * MAX_LINES):
        log.write("received %s", "[]", level=logging.DEBUG)
    assert len(log.lines) == 10 * MAX_LINES


def test_templates_that_hold_values_take_no_memory_without_bound(log: Log) -> None:
    for number in range(10 * MAX_KINDS):
        log.write(f"value {number}")
    assert len(log._gate._kinds) <= MAX_KINDS + 1
