import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chargepoint.frame import Call, CallError, CallResult, Frame, FrameError, decode, encode

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e18, 1e18) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
PAYLOADS = st.dictionaries(st.text(), VALUES, max_size=5)
IDS = st.text(max_size=36)
FRAMES = (
    st.builds(Call, IDS, st.text(), PAYLOADS)
    | st.builds(CallResult, IDS, PAYLOADS)
    | st.builds(CallError, IDS, st.text(), st.text(max_size=255), PAYLOADS)
)
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # half surrogates too
ANY_JSON = st.recursive(
    LEAVES | st.floats() | st.integers() | ANY_TEXT | st.sampled_from([2, 3, 4, "id", "Reset", {}]),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner),
)
TOKENS = st.lists(st.sampled_from([*'[]{}",:\\ 2345', '"id"', "NaN", "1e999", "\\ud800", "null", '"Reset"', "\x00"]))


def take(text: str) -> Frame | FrameError:
    try:
        return decode(text)
    except FrameError as error:
        return error


@given(FRAMES)
def test_what_is_written_is_read_again(frame: Frame) -> None:
    assert decode(encode(frame)) == frame
    assert decode(json.dumps(json.loads(encode(frame)), ensure_ascii=False, indent=2)) == frame


@given(ANY_TEXT)
def test_no_text_does_more_than_be_refused(text: str) -> None:
    outcome = take(text)
    if isinstance(outcome, FrameError):
        assert outcome.code is None or outcome.unique_id is not None


@given(TOKENS)
def test_nothing_that_looks_like_a_frame_does_more_than_be_refused(tokens: list[str]) -> None:
    take("".join(tokens))
    take('[2,"id",' + "".join(tokens))


@given(ANY_JSON)
def test_no_json_does_more_than_be_refused(value: Any) -> None:
    take(json.dumps(value))


@given(st.lists(ANY_JSON, max_size=4))
def test_every_array_with_2_and_a_readable_id_can_be_answered(rest: list[Any]) -> None:
    outcome = take(json.dumps([2, "id", *rest]))
    assert outcome.unique_id == "id"
    assert isinstance(outcome, Call) or (isinstance(outcome, FrameError) and outcome.code is not None)


@given(FRAMES, st.data())
def test_a_frame_that_is_cut_off_is_refused(frame: Frame, data: st.DataObject) -> None:
    text = encode(frame)
    cut = data.draw(st.integers(0, len(text) - 1))
    assert isinstance(take(text[:cut]), FrameError)
