"""The two forms of the uploaded security log: complete, one line an event, and harmless wherever they are opened."""

import csv
import json

import pytest

from logs.security_log_text import FIELDS, FORMS, Row, csv_lines, json_lines

NOON_US = 1_803_902_400_123_999
EVENT: Row = (7, NOON_US, "TamperDetectionActivated", "lid open", 1, 1, 1, 0)
EVIL = ("\n", "\r\n", "\x1b[2J", "\u2028", "\x85", "\u202e", "\x00", "\t")


def cells(text: str) -> list[list[str]]:
    """Read CSV as a spreadsheet does."""
    return list(csv.reader(text.split("\r\n")[:-1], strict=True))


def test_json_has_every_field_with_its_type() -> None:
    assert json_lines([EVENT]) == (
        '{"id":7,"timestamp":"2027-03-01T12:00:00.123Z","type":"TamperDetectionActivated","techInfo":"lid open",'
        '"timeKnown":true,"critical":true,"owed":true,"delivered":false}\n'
    )


def test_csv_has_every_field_as_text() -> None:
    assert FORMS["csv"].head == "id,timestamp,type,techInfo,timeKnown,critical,owed,delivered\r\n"
    line = csv_lines([EVENT])
    assert line == "7,2027-03-01T12:00:00.123Z,TamperDetectionActivated,lid open,true,true,true,false\r\n"


@pytest.mark.parametrize("form", FORMS)
def test_no_events_give_no_lines(form: str) -> None:
    assert FORMS[form].lines([]) == ""


def test_no_tech_info_is_null_in_json_and_empty_in_csv() -> None:
    row: Row = (1, 0, "Vendor", None, 0, 0, 0, 1)
    assert json.loads(json_lines([row])) == dict(
        zip(FIELDS, (1, "1970-01-01T00:00:00.000Z", "Vendor", None, False, False, False, True), strict=True)
    )
    assert cells(csv_lines([row])) == [
        ["1", "1970-01-01T00:00:00.000Z", "Vendor", "", "false", "false", "false", "true"]
    ]


@pytest.mark.parametrize("evil", EVIL)
def test_what_the_world_has_said_stays_on_one_printable_line(evil: str) -> None:
    rows: list[Row] = [(number, 0, "Type" + evil, f"a{evil}b", 1, 0, 0, 0) for number in range(2)]
    for text in (json_lines(rows), csv_lines(rows)):
        lines = text.splitlines()
        assert len(lines) == 2
        assert all(line.isprintable() for line in lines)
    assert [json.loads(line)["techInfo"] for line in json_lines(rows).splitlines()] == [f"a{evil}b"] * 2, "nothing lost"


@pytest.mark.parametrize("text", ['say "no", twice', "a;b", "\u00e9t\u00e9", "", "'quoted'", '"'])
def test_csv_gives_back_what_is_harmless(text: str) -> None:
    assert cells(csv_lines([(1, 0, "Type", text, 1, 0, 0, 0)]))[0][3] == text


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t=", "\r="])
def test_no_cell_of_csv_begins_a_formula(first: str) -> None:
    text = first + 'HYPERLINK("http://evil","x")'
    row = cells(csv_lines([(1, 0, text, text, 1, 0, 0, 0)]))[0]
    for cell in row:
        assert not cell or cell[0].isalnum() or cell[0] in "'\\"
    assert row[3].endswith('HYPERLINK("http://evil","x")')


def test_half_a_surrogate_pair_is_written_out() -> None:
    assert json.loads(json_lines([(1, 0, "T", "\ud800", 1, 0, 0, 0)]))["techInfo"] == "\ud800"
    assert csv_lines([(1, 0, "T", "\ud800", 1, 0, 0, 0)]).encode().endswith(b"\\ud800,true,false,false,false\r\n")


def test_times_far_away_keep_the_form() -> None:
    row: Row = (1, -62_135_596_800_000_000, "T", None, 0, 0, 0, 0)
    assert json.loads(json_lines([row]))["timestamp"] == "0001-01-01T00:00:00.000Z"
