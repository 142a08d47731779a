import pytest

from chargepoint.frame import MAX_NESTING, Call, CallError, CallResult, ErrorCode, Frame, FrameError, decode, encode


def fault_of(text: str) -> FrameError:
    with pytest.raises(FrameError) as caught:
        decode(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('[2,"1","Reset",{"type":"Hard"}]', Call("1", "Reset", {"type": "Hard"})),
        (' [ 2 , "" , "é\\ud83d\\ude00" , {} ] ', Call("", "é😀", {})),
        ('[3,"1",{"a":[1,2.5,true,null]}]', CallResult("1", {"a": [1, 2.5, True, None]})),
        ('[4,"1","NotSupported","no",{"a":1}]', CallError("1", "NotSupported", "no", {"a": 1})),
        ('[4,"1","NotSupported","no"]', CallError("1", "NotSupported", "no", {})),
        ('[4,"1","NotSupported","",null]', CallError("1", "NotSupported", "", {})),
    ],
)
def test_a_frame_is_read(text: str, frame: Frame) -> None:
    assert decode(text) == frame


def test_a_frame_is_written_as_ascii_without_spaces() -> None:
    assert encode(Call("1", "Reset", {"type": "é"})) == '[2,"1","Reset",{"type":"\\u00e9"}]'
    assert encode(CallResult("1", {})) == '[3,"1",{}]'
    error = CallError("1", ErrorCode.GENERIC_ERROR, "x" * 300)
    assert encode(error) == f'[4,"1","GenericError","{"x" * 255}",{{}}]'


def test_what_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(CallResult("1", {"a": float("nan")}))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[2,"1"]', ErrorCode.PROTOCOL_ERROR),
        ('[2,"1","Reset"]', ErrorCode.PROTOCOL_ERROR),
        ('[2,"1","Reset",{},{}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1",5,{}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1",["x"],{}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1",{},{}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",[]]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",null]', ErrorCode.FORMATION_VIOLATION),
        # JSON that a lenient parser would take, and text that is no JSON but for its head.
        ('[2,"1","Reset",{"a":NaN}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":-Infinity}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":1e999}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":1,"a":2}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":"\\ud800"}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":"\\uD800"}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":"\ud800"}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":9223372036854775808}]', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":' + "9" * 5000 + "}]", ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",' + "[" * 100_000, ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":' + "[" * 500 + "]" * 500 + "}]", ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Reset",{"a":"\n"}]', ErrorCode.FORMATION_VIOLATION),
        ('\t[ 2 ,"1" , Reset', ErrorCode.FORMATION_VIOLATION),
        ('[2,"1"', ErrorCode.FORMATION_VIOLATION),
    ],
)
def test_an_array_that_begins_with_2_and_has_a_readable_id_may_be_answered(text: str, code: ErrorCode) -> None:
    fault = fault_of(text)
    assert (fault.unique_id, fault.code) == ("1", code)


def test_an_id_of_36_characters_is_good_and_one_of_37_is_answered_with_an_error() -> None:
    assert decode(f'[2,"{"x" * 36}","Reset",{{}}]') == Call("x" * 36, "Reset", {})
    fault = fault_of(f'[2,"{"x" * 37}","Reset",{{}}]')
    assert (fault.unique_id, fault.code) == ("x" * 37, ErrorCode.FORMATION_VIOLATION)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2",
        '"2"',
        "null",
        "{}",
        "[]",
        "[2]",
        '[2,1,"Reset",{}]',
        '[2,null,"Reset",{}]',
        '[2,["1"],"Reset",{}]',
        '["2","1","Reset",{}]',
        '[2.0,"1","Reset",{}]',
        '[true,"1","Reset",{}]',
        '[1,"1","Reset",{}]',
        '[5,"1","Reset",{}]',
        '[-2,"1","Reset",{}]',
        '[22,"1","Reset",{}]',
        '[[2],"1","Reset",{}]',
        '[{},"1","Reset",{}]',
        '[2,"1',
        '[2,"\\ud800","Reset",{}]',
        '[2,"\\x","Reset",{}]',
        '\ufeff[2,"1","Reset",{}]',
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 5000,
    ],
)
def test_anything_else_is_never_answered(text: str) -> None:
    fault = fault_of(text)
    assert (fault.unique_id, fault.code) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        '[3,"1"]',
        '[3,"1",[]]',
        '[3,"1",{},"BootNotification"]',
        '[4,"1","GenericError"]',
        '[4,"1",5,"",{}]',
        '[4,"1","GenericError",null,{}]',
        '[4,"1","GenericError","",{},{}]',
        '[3,"1",{"a":NaN}]',
        '[4,"1",',
    ],
)
def test_a_bad_answer_is_never_answered_but_its_call_can_be_found(text: str) -> None:
    fault = fault_of(text)
    assert (fault.unique_id, fault.code) == ("1", None)


def test_nesting_is_bounded() -> None:
    def nested(levels: int) -> str:
        inner = levels - 3  # the array, the payload, and the member's own array
        return '[2,"1","Reset",{"a":[' + "[" * inner + "]" * inner + "]}]"

    assert isinstance(decode(nested(MAX_NESTING)), Call)
    assert fault_of(nested(MAX_NESTING + 1)).reason == "nested too deeply"
    flat = '[2,"1","Reset",{"a":[' + ",".join(["[]"] * 100) + "]}]"
    assert isinstance(decode(flat), Call)


def test_numbers_are_bounded_by_64_bits() -> None:
    assert decode('[3,"1",{"a":[-9223372036854775808,9223372036854775807,-1e18]}]') == CallResult(
        "1", {"a": [-(2**63), 2**63 - 1, -1e18]}
    )
    assert fault_of('[3,"1",{"a":-9223372036854775809}]').reason == "a number does not fit 64 bits"
    assert fault_of('[3,"1",{"a":1e19}]').reason == "a number does not fit 64 bits"


@pytest.mark.parametrize("secret", ["hunter2", "\\ud800"])
def test_no_error_repeats_what_came(secret: str) -> None:
    for text in (f'[2,"1","{secret}"]', f'[2,"1","R",{{"{secret}":1,"{secret}":2}}]', f'[2,"1","R",{{"a":{secret}}}]'):
        fault = fault_of(text)
        assert secret not in str(fault)
        assert fault.__cause__ is None
        assert fault.__suppress_context__ or fault.__context__ is None
